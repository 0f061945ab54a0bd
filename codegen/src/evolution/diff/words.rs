//! Elements and what is said of them, in the words of a schema.
//!
//! **Invariant**: a word in the text of a schema stands in back quotes.

use crate::image::{Field, Image, Label, Method, NumberRange};

/// The type of a field as a schema has it, with what stands before it.
pub(super) fn field_type(image: &Image, field: &Field) -> String {
    if let Some(entry) = image.map_entry(field) {
        let side = |at: usize| {
            let side = entry.fields.get(at);
            side.map_or_else(String::new, |side| bare_type(image, side))
        };
        return format!("map<{}, {}>", side(0), side(1));
    }
    let in_oneof = field.oneof.is_some() && !field.proto3_optional;
    let label = match field.label {
        Label::Repeated => "repeated ",
        _ if field.is_required() => "required ",
        _ if field.has_presence() && !in_oneof && field.type_name.is_empty() => "optional ",
        _ => "",
    };
    format!("{label}{}", bare_type(image, field))
}

fn bare_type(image: &Image, field: &Field) -> String {
    match (&*field.type_name, field.encoding()) {
        ("", kind) => kind.name().to_owned(),
        (name, crate::image::Kind::Group) => {
            let group = image.message_named(name).map_or(name, |group| &group.name);
            format!("group {group}")
        }
        (name, _) => name.to_owned(),
    }
}

/// `(stream Request) returns (Reply)`, with names as they are called in the package `package`.
pub(super) fn signature(method: &Method, package: &str) -> String {
    let side = |streams: bool, name: &str| {
        let word = if streams { "stream " } else { "" };
        format!("({word}{})", inside(name, package))
    };
    format!(
        "{} returns {}",
        side(method.client_streaming, &method.input),
        side(method.server_streaming, &method.output)
    )
}

/// A full name as it is called in the package `package`.
pub(super) fn inside<'a>(full_name: &'a str, package: &str) -> &'a str {
    let inside = full_name.strip_prefix(package);
    let inside = inside.and_then(|inside| inside.strip_prefix('.'));
    inside.unwrap_or(full_name)
}

/// A change of one thing to another.
pub(super) fn from_to(what: &str, old: &str, new: &str) -> String {
    format!("{what} changed from `{old}` to `{new}`")
}

/// What is said of `deprecated`.
pub(super) fn deprecation(new: Option<bool>, old: Option<bool>) -> Option<String> {
    match (new == Some(true), old == Some(true)) {
        (true, false) => Some("deprecated".to_owned()),
        (false, true) => Some("no longer deprecated".to_owned()),
        _ => None,
    }
}

/// What is said of numbers and names that are reserved.
pub(super) fn reservations(
    (new_ranges, new_names): (&[NumberRange], &[String]),
    (old_ranges, old_names): (&[NumberRange], &[String]),
) -> Vec<String> {
    let listed = |ranges: &[NumberRange], names: &[String]| -> Vec<String> {
        let ranges = ranges.iter().map(|range| numbers(*range));
        let names = names.iter().map(|name| format!("`{name}`"));
        ranges.chain(names).collect()
    };
    let (new, old) = (listed(new_ranges, new_names), listed(old_ranges, old_names));
    let missing = |some: &[String], others: &[String]| {
        let missing = some.iter().filter(|item| !others.contains(item));
        missing.cloned().collect::<Vec<_>>().join(", ")
    };
    let said = [
        ("reserves", missing(&new, &old)),
        ("no longer reserves", missing(&old, &new)),
    ];
    let said = said.into_iter().filter(|(_, what)| !what.is_empty());
    said.map(|(verb, what)| format!("{verb} {what}")).collect()
}

/// A range of numbers.
pub(super) fn numbers(range: NumberRange) -> String {
    match range {
        NumberRange { start, end } if start == end => start.to_string(),
        NumberRange { start, end } => format!("{start} to {end}"),
    }
}

/// What is said of the rules of `buf.validate`.
pub(super) fn validation(new: &[(String, String)], old: &[(String, String)]) -> Vec<String> {
    let value = |rules: &[(String, String)], name: &str| {
        let found = rules.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone())
    };
    let mut said = Vec::new();
    for (name, now) in new {
        match value(old, name) {
            None => said.push(format!("rule `{name} = {now}` added")),
            Some(before) if before != *now => {
                said.push(from_to(&format!("rule `{name}`"), &before, now));
            }
            Some(_) => {}
        }
    }
    let gone = old.iter().filter(|(name, _)| value(new, name).is_none());
    said.extend(gone.map(|(name, before)| format!("rule `{name} = {before}` removed")));
    said
}

/// What is said when options differ and nothing else was found.
pub(super) fn otherwise(details: &mut Vec<String>, new: &[u8], old: &[u8]) {
    if details.is_empty() && new != old {
        details.push("other options changed".to_owned());
    }
}

/// What is said of an element that is in another file.
pub(super) fn moved(new: &str, old: &str) -> Option<String> {
    (new != old).then(|| format!("moved from `{old}` to `{new}`"))
}
