//! The rules by their numbers: what they are called, and which fields they are for.
//!
//! **Invariant**: numbers are those of `buf/validate/validate.proto`.

use super::Part;
use crate::image::Kind;

pub(super) const REPEATED: u32 = 18; // with the next: fields of FieldRules
pub(super) const MAP: u32 = 19;
pub(super) const CEL: u32 = 23;
pub(super) const REQUIRED: u32 = 25;
pub(super) const IGNORE: u32 = 27;
pub(super) const STRING: u32 = 14;
pub(super) const BYTES: u32 = 15;
pub(super) const ENUM: u32 = 16;
pub(super) const DURATION: u32 = 21;
pub(super) const TIMESTAMP: u32 = 22;
pub(super) const UNIQUE: u32 = 3; // RepeatedRules.unique
pub(super) const ITEMS: u32 = 4; // RepeatedRules.items
pub(super) const KEYS: u32 = 4; // with the next: MapRules
pub(super) const VALUES: u32 = 5;

/// A rule by its path in the options, as messages name it.
pub(super) fn name(path: &[u32]) -> String {
    let mut name = "(buf.validate.field)".to_owned();
    let mut rules = None;
    for number in path {
        let part = match rules {
            None => match *number {
                REQUIRED => "required",
                IGNORE => "ignore",
                CEL => "cel",
                number => rule_name(number).unwrap_or("type"),
            },
            Some(rules) => inner_name(rules, *number),
        };
        name = format!("{name}.{part}");
        // The rules of items, keys and values are those of a field again.
        rules = if rules.is_some() { None } else { Some(*number) };
    }
    name
}

fn inner_name(rules: u32, number: u32) -> &'static str {
    const LISTS: [&str; 6] = ["", "min_items", "max_items", "unique", "items", ""];
    const MAPS: [&str; 6] = ["", "min_pairs", "max_pairs", "", "keys", "values"];
    const NUMBERS: [&str; 6] = ["", "const", "lt", "lte", "gt", "gte"];
    const TIMES: [&str; 10] = [
        "", "", "const", "lt", "lte", "gt", "gte", "lt_now", "gt_now", "within",
    ];
    const TEXTS: [&str; 10] = [
        "",
        "const",
        "min_len",
        "max_len",
        "min_bytes",
        "max_bytes",
        "pattern",
        "prefix",
        "suffix",
        "contains",
    ];
    const BYTE_TEXTS: [&str; 8] = [
        "", "const", "min_len", "max_len", "pattern", "prefix", "suffix", "contains",
    ];
    let listed = |names: &'static [&'static str], number: u32| {
        let at = usize::try_from(number).ok();
        at.and_then(|at| names.get(at)).copied().unwrap_or_default()
    };
    match (rules, number) {
        (REPEATED, number) => listed(&LISTS, number),
        (MAP, number) => listed(&MAPS, number),
        (STRING, 19) | (BYTES, 13) => "len",
        (STRING, 20) => "len_bytes",
        (STRING, 23) => "not_contains",
        (STRING, 24) => "well_known_regex",
        (STRING, 25) => "strict",
        (STRING, number) => listed(&TEXTS, number),
        (BYTES, number) => listed(&BYTE_TEXTS, number),
        // Durations have none of the last three.
        (TIMESTAMP, 5) => "gt",
        (TIMESTAMP, 6) => "gte",
        (DURATION | TIMESTAMP, number) => listed(&TIMES, number),
        (_, number) => listed(&NUMBERS, number),
    }
}

const SCALARS: [(&str, Kind, &str); 16] = [
    ("float", Kind::Float, "FloatValue"),
    ("double", Kind::Double, "DoubleValue"),
    ("int32", Kind::Int32, "Int32Value"),
    ("int64", Kind::Int64, "Int64Value"),
    ("uint32", Kind::Uint32, "UInt32Value"),
    ("uint64", Kind::Uint64, "UInt64Value"),
    ("sint32", Kind::Sint32, ""),
    ("sint64", Kind::Sint64, ""),
    ("fixed32", Kind::Fixed32, ""),
    ("fixed64", Kind::Fixed64, ""),
    ("sfixed32", Kind::Sfixed32, ""),
    ("sfixed64", Kind::Sfixed64, ""),
    ("bool", Kind::Bool, "BoolValue"),
    ("string", Kind::String, "StringValue"),
    ("bytes", Kind::Bytes, "BytesValue"),
    ("enum", Kind::Enum, ""),
];
const MESSAGES: [(u32, &str, &str); 4] = [
    (20, "any", "Any"),
    (DURATION, "duration", "Duration"),
    (TIMESTAMP, "timestamp", "Timestamp"),
    (28, "field_mask", "FieldMask"),
];

fn scalar(number: u32) -> Option<&'static (&'static str, Kind, &'static str)> {
    SCALARS.get(usize::try_from(number).ok()?.checked_sub(1)?)
}

/// What rules for one type are called: `string`, `repeated`.
pub(super) fn rule_name(number: u32) -> Option<&'static str> {
    let message = MESSAGES.iter().find(|(known, _, _)| *known == number);
    match number {
        REPEATED => Some("repeated"),
        MAP => Some("map"),
        _ => scalar(number)
            .map(|(name, _, _)| *name)
            .or(message.map(|(_, name, _)| *name)),
    }
}

/// Whether rules are for a type.
pub(super) fn fits(number: u32, part: Part<'_>) -> bool {
    let known = part.type_name.strip_prefix("google.protobuf.");
    let message = MESSAGES
        .iter()
        .find(|(rules, _, _)| *rules == number)
        .map(|(_, _, name)| *name);
    match scalar(number) {
        Some((_, kind, wrapper)) => {
            part.kind == *kind || (!wrapper.is_empty() && known == Some(*wrapper))
        }
        None => message.is_some() && known == message,
    }
}

/// Whether a type is one that merely holds a scalar.
pub(super) fn is_wrapper(type_name: &str) -> bool {
    let known = type_name.strip_prefix("google.protobuf.");
    known.is_some_and(|name| SCALARS.iter().any(|(_, _, wrapper)| *wrapper == name))
}
