//! Rules on what a field is called, and on its oneof.
//!
//! **Invariant**: extensions are known by their full name, and are in no oneof.

use super::super::describe;
use super::super::entry::Entry;
use super::super::names::{JSON, WIRE};
use super::super::pairs::{Comparison, Pair, place};
use crate::image::{Field, Image, Oneof};
use crate::rules::{Direction, Report, Rule};

/// The fields of `FieldDescriptorProto` with the names.
const NAME: i32 = 1;
const JSON_NAME: i32 = 10;

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "FIELD_SAME_JSON_NAME",
        JSON,
        "Checks that fields have the same value for the json_name option.",
        "JSON of before has the field under a name that is no longer read.",
        json_name,
    ),
    Entry::source(
        "FIELD_SAME_NAME",
        JSON,
        "Checks that fields have the same names in a given message.",
        "Code and JSON have the field by its name; on the wire of this product only the number counts.",
        name,
    )
    .fix("put the name back; a field that means something else gets a number of its own"),
    Entry::wire(
        "FIELD_SAME_ONEOF",
        WIRE,
        "Checks that fields have the same oneofs in a given message.",
        Direction::Both,
        "One side sends two fields of which the other keeps the last alone.",
        oneof,
    ),
];

fn json_name(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.fields {
        if old.is_extension() || new.json_name == old.json_name {
            continue;
        }
        let message = format!(
            "{} changed option \"json_name\" from \"{}\" to \"{}\".",
            describe::field(comparison.new, new),
            old.json_name,
            new.json_name
        );
        let path = |field: &Field| [&*field.path, &[JSON_NAME]].concat();
        let at = comparison.first(new.file, &[&path(new), &new.path]);
        let against = comparison.first_old(old.file, &[&path(old), &old.path]);
        report.add(rule, at, against, message);
    }
}

fn name(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.fields {
        let (before, now) = if old.is_extension() {
            (&old.full_name, &new.full_name)
        } else {
            (&old.name, &new.name)
        };
        if before == now {
            continue;
        }
        let message = format!(
            "{} changed name from \"{before}\" to \"{now}\".",
            describe::nameless_field(comparison.new, new)
        );
        let path = |field: &Field| [&*field.path, &[NAME]].concat();
        let at = comparison.first(new.file, &[&path(new)]);
        report.add(
            rule,
            at,
            comparison.first_old(old.file, &[&path(old)]),
            message,
        );
    }
}

fn oneof(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.fields {
        if old.is_extension() {
            continue;
        }
        let description = describe::field(comparison.new, new);
        let message = match (oneof_of(comparison.old, old), oneof_of(comparison.new, new)) {
            (Some(before), Some(now)) if before.name != now.name => format!(
                "{description} moved from oneof \"{}\" to oneof \"{}\".",
                before.name, now.name
            ),
            (Some(_), None) => format!("{description} moved from inside to outside a oneof."),
            (None, Some(_)) => format!("{description} moved from outside to inside a oneof."),
            _ => continue,
        };
        report.add(
            rule,
            place(new.file, &new.path),
            place(old.file, &old.path),
            message,
        );
    }
}

/// The oneof that people see a field in.
fn oneof_of<'a>(image: &'a Image, field: &Field) -> Option<&'a Oneof> {
    let message = image.message(field.parent?);
    let oneof = message.oneofs.get(field.oneof?)?;
    (!oneof.is_synthetic).then_some(oneof)
}
