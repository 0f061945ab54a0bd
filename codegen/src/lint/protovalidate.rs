//! Rules of `buf.validate` that cannot hold, or do not fit the type of their field.
//!
//! Expressions are not compiled here: the generator does that where it is asked to.
//!
//! **Invariant**: says what buf says of the same mistake, and nothing of mistakes that it does not look for;
//! the place is the option, not a part of its value.

use std::collections::{BTreeMap, BTreeSet};

use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::{Entry, STANDARD_ONLY, Subject, quoted, rule};
use crate::image::{Field, FileId, Image, Kind, Label, Message, Place};
use crate::rules::{Report, Rule};

/// The number of the extensions `buf.validate.field` and `buf.validate.message`.
const EXTENSION: u32 = 1159;
const OPTIONS_OF_FIELD: i32 = 8; // with the next: `options` of descriptors
const OPTIONS_OF_MESSAGE: i32 = 7;

const REPEATED: u32 = 18; // with the next: fields of FieldRules
const MAP: u32 = 19;
const REQUIRED: u32 = 25;
const IGNORE: u32 = 27;
const IF_ZERO_VALUE: u64 = 1; // with the next: values of Ignore
const ALWAYS: u64 = 3;
const UNIQUE: u32 = 3; // RepeatedRules.unique
const ITEMS: u32 = 4; // RepeatedRules.items
const KEYS: u32 = 4; // with the next: MapRules
const VALUES: u32 = 5;
const GROUPS: u32 = 4; // MessageRules.oneof

pub(super) static RULES: &[Entry] = &[Entry {
    rule: rule(
        "PROTOVALIDATE",
        STANDARD_ONLY,
        "Checks that protovalidate rules are valid and all CEL expressions compile.",
        "A rule that cannot hold refuses every message, and one that does not fit is never applied.",
        "Correct the rule.",
    ),
    check,
}];

fn check(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    let image = subject.image;
    for field in subject.fields() {
        let encoded: Vec<u8> = field
            .options
            .extension(EXTENSION)
            .flatten()
            .copied()
            .collect();
        if !encoded.is_empty() {
            let mut judge = Judge {
                rule,
                image,
                field,
                ty: type_name(image, field),
                report,
            };
            judge.field(&Fields::of(&encoded), Part::of(image, field), &[]);
        }
    }
    for message in subject.messages() {
        let encoded: Vec<u8> = message
            .options
            .extension(EXTENSION)
            .flatten()
            .copied()
            .collect();
        if !encoded.is_empty() {
            groups(rule, image, message, &Fields::of(&encoded), report);
        }
    }
}

/// What rules apply to: a field, its items, or the keys or values of a map.
#[derive(Clone, Copy)]
struct Part<'a> {
    kind: Kind,
    type_name: &'a str,
    /// Whether it is a list or a map, which only rules for those fit.
    many: bool,
}

impl<'a> Part<'a> {
    fn of(image: &'a Image, field: &'a Field) -> Self {
        let map = image.map_entry(field).is_some();
        Self {
            kind: field.kind,
            type_name: &field.type_name,
            many: map || field.label == Label::Repeated,
        }
    }
}

struct Judge<'a, 'r> {
    rule: &'static Rule,
    image: &'a Image,
    field: &'a Field,
    /// The type of the field, in the words of the schema.
    ty: String,
    report: &'r mut Report,
}

impl Judge<'_, '_> {
    /// Reports that the rule at `path` in the field's rules is wrong. `text` follows the name of the field.
    fn wrong(&mut self, path: &[u32], inside: &[u32], text: &str) {
        let options = [OPTIONS_OF_FIELD];
        let at = nearest(
            self.image,
            self.field.file,
            &[&self.field.path[..], &options].concat(),
            path,
            inside,
        );
        let text = format!("Field {} {text}", quoted(&self.field.name));
        self.report.add(self.rule, at, None, text);
    }

    fn field(&mut self, rules: &Fields<'_>, part: Part<'_>, outer: &[u32]) {
        self.flags(rules, outer);
        for (number, inner) in rules
            .messages()
            .filter(|(number, _)| rule_name(*number).is_some())
        {
            let path = [outer, &[number]].concat();
            let inside = inner.numbers();
            let name = name(&path);
            match number {
                REPEATED if !part.many || self.image.map_entry(self.field).is_some() => {
                    self.wrong(
                        &path,
                        &inside,
                        &format!("is not repeated but has {name} rules."),
                    );
                }
                MAP if !part.many || self.image.map_entry(self.field).is_none() => {
                    self.wrong(&path, &inside, &format!("is not a map but has {name}."));
                }
                REPEATED => self.list(&inner, part, &path),
                MAP => self.map(&inner, &path),
                _ if part.many || !fits(number, part) => {
                    let text = format!("is of type {} but has {name} rules.", self.ty);
                    self.wrong(&path, &inside, &text);
                }
                _ => self.bounds(&inner, &path),
            }
        }
    }

    fn flags(&mut self, rules: &Fields<'_>, outer: &[u32]) {
        let path = |number| [outer, &[number]].concat();
        let (required, ignore) = (path(REQUIRED), path(IGNORE));
        let is_required = rules.number(REQUIRED) == Some(1);
        let oneof = self.field.oneof.filter(|_| !self.field.proto3_optional);
        if let (true, Some(oneof), Some(parent)) = (is_required, oneof, self.field.parent) {
            let oneof = &self.image.message(parent).oneofs[oneof].name;
            let name = name(&required);
            self.wrong(
                &required,
                &[],
                &format!(
                    "has {name} but is in a oneof ({oneof}). Oneof fields must not have {name}."
                ),
            );
        }
        if is_required && rules.number(IGNORE) == Some(IF_ZERO_VALUE) {
            let text = format!(
                "has both {} and {}=IGNORE_IF_ZERO_VALUE. A field cannot be empty if it is required.",
                name(&required),
                name(&ignore)
            );
            self.wrong(&required, &[], &text);
            self.wrong(&ignore, &[], &text);
        }
        if rules.number(IGNORE) == Some(ALWAYS) && rules.numbers().len() > 1 {
            let text = format!(
                "has {}=IGNORE_ALWAYS and therefore other rules in {} are not applied and should be removed.",
                name(&ignore),
                name(outer)
            );
            self.wrong(&ignore, &[], &text);
        }
    }

    fn list(&mut self, rules: &Fields<'_>, part: Part<'_>, path: &[u32]) {
        if rules.number(UNIQUE) == Some(1)
            && part.kind == Kind::Message
            && !is_wrapper(part.type_name)
        {
            let unique = [path, &[UNIQUE]].concat();
            let text = format!(
                "is of type {} but has {} set to true, which is only allowed for scalar types and wrapper types.",
                part.type_name,
                name(&unique)
            );
            self.wrong(&unique, &[], &text);
        }
        self.bounds(rules, path);
        let item = Part {
            many: false,
            ..part
        };
        for (_, inner) in rules.messages().filter(|(number, _)| *number == ITEMS) {
            let path = [path, &[ITEMS]].concat();
            self.unenforceable(
                &inner,
                &path,
                (
                    "repeated item rules",
                    "individual items in a repeated field",
                ),
            );
            self.field(&inner, item, &path);
        }
    }

    fn map(&mut self, rules: &Fields<'_>, path: &[u32]) {
        self.bounds(rules, path);
        let Some(entry) = self.image.map_entry(self.field) else {
            return;
        };
        let parts = [
            (KEYS, "map key rules", "map keys"),
            (VALUES, "map value rules", "map values"),
        ];
        for ((number, rule, what), field) in parts.into_iter().zip(&entry.fields) {
            let part = Part {
                kind: field.kind,
                type_name: &field.type_name,
                many: false,
            };
            for (_, inner) in rules.messages().filter(|(found, _)| *found == number) {
                let path = [path, &[number]].concat();
                self.unenforceable(&inner, &path, (rule, what));
                self.field(&inner, part, &path);
            }
        }
    }

    fn unenforceable(&mut self, rules: &Fields<'_>, path: &[u32], (rule, what): (&str, &str)) {
        if rules.number(REQUIRED) == Some(1) {
            let path = [path, &[REQUIRED]].concat();
            let name = name(&path);
            let text = format!(
                "has {name} on {rule}, which is unenforceable. The {name} constraint cannot be applied to {what}."
            );
            self.wrong(&path, &[], &text);
        }
    }

    /// A lower bound on a length or a count must not be above the upper one.
    fn bounds(&mut self, rules: &Fields<'_>, path: &[u32]) {
        let kind = path.last().copied().unwrap_or_default();
        let pairs: &[(u32, u32)] = match rule_name(kind) {
            Some("repeated" | "map") => &[(1, 2)],
            Some("string") => &[(2, 3), (4, 5)],
            Some("bytes") => &[(2, 3)],
            _ => &[],
        };
        for (low, high) in pairs {
            let (Some(min), Some(max)) = (rules.number(*low), rules.number(*high)) else {
                continue;
            };
            if min > max {
                let (low, high) = ([path, &[*low]].concat(), [path, &[*high]].concat());
                let (lower, higher) = (name(&low), name(&high));
                self.wrong(&low, &[], &format!("has value {min} for {lower}, which must be lower than value {max} for {higher}."));
                self.wrong(&high, &[], &format!("has value {max} for {higher}, which must be higher than value {min} for {lower}."));
            }
        }
    }
}

/// Fields of which at most one may be set: each is a field of the message, in one group, once.
fn groups(
    rule: &'static Rule,
    image: &Image,
    message: &Message,
    rules: &Fields<'_>,
    report: &mut Report,
) {
    const ENTRY: &str = "(buf.validate.message).oneof entry";
    let name = quoted(&message.name);
    let options = [&message.path[..], &[OPTIONS_OF_MESSAGE]].concat();
    let mut in_groups: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut add = |at: u32, text: String| {
        let place = nearest(image, message.file, &options, &[GROUPS, at], &[]);
        report.add(rule, place, None, text);
    };
    let listed = rules.messages().filter(|(number, _)| *number == GROUPS);
    for (at, (_, group)) in (0..).zip(listed) {
        let mut seen = BTreeSet::new();
        for field in group.texts(1) {
            let quoted = quoted(field);
            if !seen.insert(field) {
                add(
                    at,
                    format!(
                        "Message {name} has a {ENTRY} that references field {quoted} more than once. Duplicate field names are not permitted."
                    ),
                );
            } else if message.fields.iter().all(|own| own.name != field) {
                add(
                    at,
                    format!(
                        "Message {name} has a {ENTRY} that references field {quoted}, which is not defined in the message."
                    ),
                );
            } else {
                in_groups.entry(field).or_default().push(at);
            }
        }
        if seen.is_empty() {
            add(
                at,
                format!(
                    "Message {name} has a {ENTRY} with no fields. Each oneof entry must specify at least one field."
                ),
            );
        }
    }
    for (field, groups) in in_groups.into_iter().filter(|(_, groups)| groups.len() > 1) {
        for at in groups {
            add(
                at,
                format!(
                    "Message {name} references field {} in more than one {ENTRY}. A field may only appear in one oneof entry.",
                    quoted(field)
                ),
            );
        }
    }
}

/// Where the option is that sets the rule at `path`: a part of it, or all that it is in.
fn nearest(
    image: &Image,
    file: FileId,
    options: &[i32],
    path: &[u32],
    inside: &[u32],
) -> Option<Place> {
    let number = |number: &u32| i32::try_from(*number).unwrap_or_default();
    let mut whole = options.to_vec();
    whole.push(number(&EXTENSION));
    whole.extend(path.iter().map(number));
    let parts = inside
        .iter()
        .map(|part| [&whole[..], &[number(part)]].concat());
    let around = (0..=whole.len())
        .rev()
        .map(|length| whole[..length].to_vec());
    let found = std::iter::once(whole.clone()).chain(parts).chain(around);
    let path = found
        .into_iter()
        .find(|path| image.span(file, path).is_some())?;
    Some(Place {
        file,
        path: Some(path.into_boxed_slice()),
    })
}

/// A rule by its path in the options, as messages name it.
fn name(path: &[u32]) -> String {
    let mut name = "(buf.validate.field)".to_owned();
    let mut rules = None;
    for number in path {
        let part = match (rules, number) {
            (None, &REQUIRED) => "required",
            (None, &IGNORE) => "ignore",
            (None, number) => rule_name(*number).unwrap_or("type"),
            (Some(REPEATED), 1) => "min_items",
            (Some(REPEATED), 2) => "max_items",
            (Some(REPEATED), &UNIQUE) => "unique",
            (Some(REPEATED), _) => "items",
            (Some(MAP), 1) => "min_pairs",
            (Some(MAP), 2) => "max_pairs",
            (Some(MAP), &KEYS) => "keys",
            (Some(MAP), _) => "values",
            (Some(_), 2) => "min_len",
            (Some(_), 3) => "max_len",
            (Some(_), 4) => "min_bytes",
            (Some(_), _) => "max_bytes",
        };
        name = format!("{name}.{part}");
        // The rules of items, keys and values are those of a field again.
        rules = if rules.is_some() { None } else { Some(*number) };
    }
    name
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
    (21, "duration", "Duration"),
    (22, "timestamp", "Timestamp"),
    (28, "field_mask", "FieldMask"),
];

fn scalar(number: u32) -> Option<&'static (&'static str, Kind, &'static str)> {
    SCALARS.get(usize::try_from(number).ok()?.checked_sub(1)?)
}

fn rule_name(number: u32) -> Option<&'static str> {
    let message = MESSAGES.iter().find(|(known, _, _)| *known == number);
    match number {
        REPEATED => Some("repeated"),
        MAP => Some("map"),
        _ => scalar(number)
            .map(|(name, _, _)| *name)
            .or(message.map(|(_, name, _)| *name)),
    }
}

fn fits(number: u32, part: Part<'_>) -> bool {
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

fn is_wrapper(type_name: &str) -> bool {
    let known = type_name.strip_prefix("google.protobuf.");
    known.is_some_and(|name| SCALARS.iter().any(|(_, _, wrapper)| *wrapper == name))
}

fn type_name(image: &Image, field: &Field) -> String {
    let one = |field: &Field| match field.kind {
        Kind::Message | Kind::Enum | Kind::Group => field.type_name.clone(),
        kind => kind.name().to_owned(),
    };
    match image.map_entry(field).map(|entry| entry.fields.as_slice()) {
        Some([key, value]) => format!("map<{}, {}>", one(key), one(value)),
        _ if field.label == Label::Repeated => format!("repeated {}", one(field)),
        _ => one(field),
    }
}

/// The fields of an encoded message.
struct Fields<'a>(Vec<(u32, Value<'a>)>);

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn of(mut bytes: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        while let Ok((number, wire)) = decode_key(&mut bytes) {
            match wire {
                WireType::Varint => match decode_varint(&mut bytes) {
                    Ok(value) => fields.push((number, Value::Varint(value))),
                    Err(_) => break,
                },
                WireType::LengthDelimited => {
                    let length = decode_varint(&mut bytes)
                        .ok()
                        .and_then(|length| usize::try_from(length).ok());
                    let Some(content) = length.and_then(|length| bytes.get(..length)) else {
                        break;
                    };
                    fields.push((number, Value::Bytes(content)));
                    bytes.advance(content.len());
                }
                _ => {
                    if skip_field(wire, number, &mut bytes, DecodeContext::default()).is_err() {
                        break;
                    }
                }
            }
        }
        Self(fields)
    }

    fn number(&self, wanted: u32) -> Option<u64> {
        self.0.iter().rev().find_map(|(number, value)| match value {
            Value::Varint(value) if *number == wanted => Some(*value),
            _ => None,
        })
    }

    fn numbers(&self) -> Vec<u32> {
        let numbers: BTreeSet<u32> = self.0.iter().map(|(number, _)| *number).collect();
        numbers.into_iter().collect()
    }

    fn texts(&self, wanted: u32) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter_map(move |(number, value)| match value {
                Value::Bytes(bytes) if *number == wanted => std::str::from_utf8(bytes).ok(),
                _ => None,
            })
    }

    fn messages(&self) -> impl Iterator<Item = (u32, Fields<'a>)> {
        self.0.iter().filter_map(|(number, value)| match value {
            Value::Bytes(bytes) => Some((*number, Fields::of(bytes))),
            Value::Varint(_) => None,
        })
    }
}
