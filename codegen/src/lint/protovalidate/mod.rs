//! Rules of `buf.validate` that cannot hold, or do not fit the type of their field.
//!
//! Expressions are not compiled here, nor are examples held against their rules.
//!
//! **Invariant**: says what buf says of the same mistake, and nothing of mistakes that it does not look for;
//! the place is the option, not a part of its value.

mod cel;
mod encoded;
mod names;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use self::encoded::Fields;
use self::names::{
    CEL, IGNORE, ITEMS, KEYS, MAP, REPEATED, REQUIRED, UNIQUE, VALUES, fits, is_wrapper, name,
    rule_name,
};
use super::{Entry, STANDARD_ONLY, Subject, quoted, rule};
use crate::image::{Field, FileId, Image, Kind, Label, Message, Place};
use crate::rules::{Report, Rule};

/// The number of the extensions `buf.validate.field` and `buf.validate.message`.
const EXTENSION: u32 = 1159;
const OPTIONS_OF_FIELD: i32 = 8; // with the next: `options` of descriptors
const OPTIONS_OF_MESSAGE: i32 = 7;

const IF_ZERO_VALUE: u64 = 1; // with the next: values of Ignore
const ALWAYS: u64 = 3;
const GROUPS: u32 = 4; // MessageRules.oneof
const CEL_OF_MESSAGE: u32 = 3; // MessageRules.cel

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
        let encoded = field
            .options
            .extension(EXTENSION)
            .collect::<Vec<_>>()
            .concat();
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
        let encoded = message
            .options
            .extension(EXTENSION)
            .collect::<Vec<_>>()
            .concat();
        if !encoded.is_empty() {
            let rules = Fields::of(&encoded);
            groups(rule, image, message, &rules, report);
            expressions(rule, image, message, &rules, report);
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
    /// Whether a value that was set can be told from none.
    presence: bool,
}

impl<'a> Part<'a> {
    fn of(image: &'a Image, field: &'a Field) -> Self {
        let map = image.map_entry(field).is_some();
        Self {
            kind: field.kind,
            type_name: &field.type_name,
            many: map || field.label == Label::Repeated,
            presence: field.has_presence(),
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
        self.flags(rules, part, outer);
        self.expressions(rules, outer);
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
                    let many = if part.many { "repeated " } else { "" };
                    let text = format!("is of type {many}{} but has {name} rules.", self.ty);
                    self.wrong(&path, &inside, &text);
                }
                _ => self.values(&inner, &path),
            }
        }
    }

    fn flags(&mut self, rules: &Fields<'_>, part: Part<'_>, outer: &[u32]) {
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
        let skips_zero = rules.number(IGNORE) == Some(IF_ZERO_VALUE);
        if self.field.is_extension() {
            let faults = [
                (is_required, &required, name(&required)),
                (
                    skips_zero,
                    &ignore,
                    format!("{}=IGNORE_IF_ZERO_VALUE", name(&ignore)),
                ),
            ];
            for (_, path, what) in faults.into_iter().filter(|(is_wrong, ..)| *is_wrong) {
                let text = format!("is an extension field and cannot have {what}.");
                self.wrong(path, &[], &text);
            }
        }
        if skips_zero && part.presence && !self.field.is_extension() {
            let text = format!(
                "has {}=IGNORE_IF_ZERO_VALUE and tracks presence. This is the same as the default and the ignore option can be removed.",
                name(&ignore)
            );
            self.wrong(&ignore, &[], &text);
        }
        if is_required && skips_zero {
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
        self.values(rules, path);
        let item = Part {
            many: false,
            presence: false,
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
        self.values(rules, path);
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
                presence: field.has_presence(),
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

    fn expressions(&mut self, rules: &Fields<'_>, outer: &[u32]) {
        let cel = [outer, &[CEL]].concat();
        let of = format!("field {}", quoted(&self.field.name));
        let options = [&self.field.path[..], &[OPTIONS_OF_FIELD]].concat();
        cel::check(rules, CEL, (&name(&cel), &of), |at, text| {
            let path = [&cel[..], &[at]].concat();
            let place = nearest(self.image, self.field.file, &options, &path, &[]);
            self.report.add(self.rule, place, None, text);
        });
    }
}

/// The expressions of a message.
fn expressions(
    rule: &'static Rule,
    image: &Image,
    message: &Message,
    rules: &Fields<'_>,
    report: &mut Report,
) {
    let of = format!("message {}", quoted(&message.name));
    let options = [&message.path[..], &[OPTIONS_OF_MESSAGE]].concat();
    let name = "(buf.validate.message).cel";
    cel::check(rules, CEL_OF_MESSAGE, (name, &of), |at, text| {
        let path = [CEL_OF_MESSAGE, at];
        let place = nearest(image, message.file, &options, &path, &[]);
        report.add(rule, place, None, text);
    });
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
    let start = |path: &Vec<i32>| {
        let span = image.span(file, path);
        span.map(|span| (span.start_line, span.start_column))
    };
    let parts = parts.filter(|path| image.has_span(file, path));
    let first = parts.min_by_key(start);
    let around = (0..=whole.len()).rev().map(|length| &whole[..length]);
    let around = || {
        around
            .into_iter()
            .find(|path| image.has_span(file, path))
            .map(<[i32]>::to_vec)
    };
    let exact = image.has_span(file, &whole).then(|| whole.clone());
    let path = exact.or(first).or_else(around)?;
    Some(Place {
        file,
        path: Some(path.into_boxed_slice()),
    })
}

fn type_name(image: &Image, field: &Field) -> String {
    let one = |field: &Field| match field.kind {
        Kind::Message | Kind::Group => field.type_name.clone(),
        kind => kind.name().to_owned(),
    };
    match image.map_entry(field).map(|entry| entry.fields.as_slice()) {
        Some([key, value]) => format!("map<{}, {}>", one(key), one(value)),
        _ => one(field),
    }
}
