//! Rules on fields that are gone.
//!
//! **Invariant**: a field is gone when no field of the new message has its number.

use super::super::describe;
use super::super::entry::Entry;
use super::super::names::{JSON_UNLESS, REGISTRY_SOURCE, WIRE_UNLESS};
use super::super::pairs::{Comparison, Pair, place};
use crate::image::{Field, Message};
use crate::rules::{Direction, Report, Rule};

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "FIELD_NO_DELETE",
        REGISTRY_SOURCE,
        "Checks that fields are not deleted from a given message.",
        "Code that names the field no longer compiles.",
        |rule, comparison, report| deleted(rule, comparison, report, Unless::Never),
    ),
    Entry::wire(
        "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED",
        WIRE_UNLESS,
        "Checks that fields are not deleted from a given message unless the number is reserved.",
        Direction::Both,
        "A number that is free may be given to another field, and peers of before would read its bytes as the \
         old field's.",
        |rule, comparison, report| deleted(rule, comparison, report, Unless::NumberReserved),
    ),
    Entry::source(
        "FIELD_NO_DELETE_UNLESS_NAME_RESERVED",
        JSON_UNLESS,
        "Checks that fields are not deleted from a given message unless the name is reserved.",
        "A name that is free may be given to another field, and JSON of before would be read as it.",
        |rule, comparison, report| deleted(rule, comparison, report, Unless::NameReserved),
    ),
];

/// How a deleted field is let pass, and what the message says when it is not.
#[derive(Clone, Copy)]
enum Unless {
    Never,
    NumberReserved,
    NameReserved,
}

impl Unless {
    fn passes(self, field: &Field, message: &Message) -> bool {
        let mut ranges = message.reserved_ranges.iter();
        match self {
            Self::Never => false,
            Self::NumberReserved => ranges.any(|range| range.contains(field.number)),
            Self::NameReserved => message.reserved_names.contains(&field.name),
        }
    }

    fn suffix(self, field: &Field) -> String {
        match self {
            Self::Never => String::new(),
            Self::NumberReserved => format!(" without reserving the number \"{}\"", field.number),
            Self::NameReserved => format!(" without reserving the name \"{}\"", field.name),
        }
    }
}

fn deleted(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report, unless: Unless) {
    for Pair { new, old } in &comparison.messages {
        for field in &old.fields {
            let number = field.number;
            let kept = new.fields.iter().any(|field| field.number == number);
            if kept || unless.passes(field, new) {
                continue;
            }
            let message = format!(
                "Previously present {} was deleted{}.",
                describe::inside(&describe::field(comparison.old, field)),
                unless.suffix(field)
            );
            let at = place(new.file, &new.path);
            let against = place(field.file, &field.path);
            report.add(rule, at, against, message).fix = reserve(field, new);
        }
    }
}

/// How to delete a field without harm.
fn reserve(field: &Field, message: &Message) -> String {
    format!(
        "put the field back, with `[deprecated = true]`, until nobody uses it; or delete it for good: write into \
         `message {}`\n    reserved {};\n    reserved \"{}\";",
        message.name, field.number, field.name
    )
}
