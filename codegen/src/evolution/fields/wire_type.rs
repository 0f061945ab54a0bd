//! Rules on the type of a field.
//!
//! **Invariant**: a message that is encoded like a group counts as one, however it was written.

use super::super::describe;
use super::super::entry::{Check, Entry};
use super::super::names::{BINARY, JSON_UNLESS, REGISTRY_SOURCE};
use super::super::pairs::{Comparison, Pair};
use crate::image::{Edition, Enum, Field, Image, Kind};
use crate::rules::{Direction, Report, Rule};

/// The fields of `FieldDescriptorProto` with the type.
const TYPE: i32 = 5;
const TYPE_NAME: i32 = 6;

const WIRE_RULES: &str = "See https://developers.google.com/protocol-buffers/docs/proto3#updating for wire compatibility rules";
const JSON_RULES: &str =
    "https://developers.google.com/protocol-buffers/docs/proto3#json for JSON compatibility rules";

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "FIELD_SAME_TYPE",
        REGISTRY_SOURCE,
        "Checks that fields have the same types in a given message.",
        "The field has another type in generated code.",
        SAME,
    )
    .fix(ANOTHER_NUMBER),
    Entry::wire(
        "FIELD_WIRE_COMPATIBLE_TYPE",
        BINARY,
        "Checks that fields have wire-compatible types in a given message.",
        Direction::Both,
        "The bytes that one side writes are not what the other reads: the value is lost, or becomes another one \
         without an error.",
        ON_WIRE,
    )
    .fix(ANOTHER_NUMBER),
    Entry::source(
        "FIELD_WIRE_JSON_COMPATIBLE_TYPE",
        JSON_UNLESS,
        "Checks that fields have wire and JSON compatible types in a given message.",
        "JSON of before has the field in a form that is no longer read, or the wire has.",
        IN_JSON,
    )
    .fix(ANOTHER_NUMBER),
];

const ANOTHER_NUMBER: &str = "put the type back, and add a field with a number of its own for the new one; then write to both until nobody \
     reads the old one, and delete and reserve that";

const SAME: Check = |rule, comparison, report| {
    for pair in &comparison.fields {
        let Pair { new, old } = pair;
        if old.encoding() != new.encoding() {
            other_type(rule, comparison, report, *pair, "");
        } else if new.type_name != old.type_name {
            other_name(rule, comparison, report, *pair);
        }
    }
};

const ON_WIRE: Check = |rule, comparison, report| {
    for pair in &comparison.fields {
        let (before, now) = (pair.old.encoding(), pair.new.encoding());
        if wire_group(before) == wire_group(now) {
            same_group(rule, comparison, report, *pair);
            continue;
        }
        match (before, now) {
            // Every string is a string of bytes.
            (Kind::String, Kind::Bytes) => {}
            (Kind::Bytes, Kind::String) => {
                let more = format!(
                    " {WIRE_RULES}. Note that while string and bytes are compatible if the data is valid UTF-8, there is no \
                     way to enforce that a bytes field is UTF-8, so these fields may be incompatible."
                );
                other_type(rule, comparison, report, *pair, &more);
            }
            _ => other_type(rule, comparison, report, *pair, &format!(" {WIRE_RULES}.")),
        }
    }
};

const IN_JSON: Check = |rule, comparison, report| {
    for pair in &comparison.fields {
        if json_group(pair.old.encoding()) == json_group(pair.new.encoding()) {
            same_group(rule, comparison, report, *pair);
        } else {
            let more = format!(" {WIRE_RULES} and {JSON_RULES}.");
            other_type(rule, comparison, report, *pair, &more);
        }
    }
};

/// Kinds of one group read each other's bytes.
fn wire_group(kind: Kind) -> u8 {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Bool => 1,
        Kind::Sint32 | Kind::Sint64 => 2,
        Kind::String => 3,
        Kind::Bytes => 4,
        Kind::Fixed32 | Kind::Sfixed32 => 5,
        Kind::Fixed64 | Kind::Sfixed64 => 6,
        Kind::Double => 7,
        Kind::Float => 8,
        Kind::Group => 9,
        Kind::Message => 10,
        Kind::Enum => 11,
    }
}

/// Kinds of one group read each other's bytes and JSON.
fn json_group(kind: Kind) -> u8 {
    match kind {
        Kind::Int32 | Kind::Uint32 => 1,
        Kind::Int64 | Kind::Uint64 => 2,
        Kind::Fixed32 | Kind::Sfixed32 => 3,
        Kind::Fixed64 | Kind::Sfixed64 => 4,
        Kind::Bool => 5,
        Kind::Sint32 => 6,
        Kind::Sint64 => 7,
        Kind::String => 8,
        Kind::Bytes => 9,
        Kind::Double => 10,
        Kind::Float => 11,
        Kind::Group => 12,
        Kind::Message => 13,
        Kind::Enum => 14,
    }
}

/// The types of the same group must not only look alike.
fn same_group(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    pair: Pair<'_, Field>,
) {
    let Pair { new, old } = pair;
    if new.type_name == old.type_name {
        return;
    }
    let moved = new.kind == Kind::Enum && is_moved(comparison, new, old);
    if !moved && matches!(new.encoding(), Kind::Enum | Kind::Message | Kind::Group) {
        other_name(rule, comparison, report, pair);
    }
}

/// An enum of the same short name that has all of the old values may stand in for the old one.
fn is_moved(comparison: &Comparison<'_>, new: &Field, old: &Field) -> bool {
    let new = comparison.new.enum_named(&new.type_name);
    let old = comparison.old.enum_named(&old.type_name);
    let (Some(new), Some(old)) = (new, old) else {
        return false;
    };
    let number = |item: &Enum, name: &str| {
        let mut values = item.values.iter();
        values
            .find(|value| value.name == name)
            .map(|value| value.number)
    };
    let kept = |name: &str| number(new, name).is_some() && number(new, name) == number(old, name);
    new.name == old.name && old.values.iter().all(|value| kept(&value.name))
}

fn other_name(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    Pair { new, old }: Pair<'_, Field>,
) {
    let message = format!(
        "{} changed type from \"{}\" to \"{}\".",
        describe::field(comparison.new, new),
        old.type_name,
        new.type_name
    );
    let at = comparison.first(new.file, &[&type_path(new)]);
    report.add(
        rule,
        at,
        comparison.first_old(old.file, &[&type_path(old)]),
        message,
    );
}

fn other_type(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    Pair { new, old }: Pair<'_, Field>,
    more: &str,
) {
    let message = format!(
        "{} changed type from \"{}\" to \"{}\".{more}",
        describe::field(comparison.new, new),
        word(comparison.old, old),
        word(comparison.new, new)
    );
    let at = comparison.first(new.file, &[&type_path(new)]);
    report.add(
        rule,
        at,
        comparison.first_old(old.file, &[&type_path(old)]),
        message,
    );
}

/// Where the type of a field is written: of a group, the word `group`.
fn type_path(field: &Field) -> Vec<i32> {
    let part = match field.kind {
        Kind::Message | Kind::Enum => TYPE_NAME,
        _ => TYPE,
    };
    [&*field.path, &[part]].concat()
}

fn word(image: &Image, field: &Field) -> &'static str {
    match field.encoding() {
        Kind::Group if image.file(field.file).edition != Edition::Proto2 => {
            "message (delimited encoding)"
        }
        kind => kind.name(),
    }
}
