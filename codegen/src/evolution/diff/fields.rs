//! Fields of messages, and extensions.
//!
//! **Invariant**: fields are told by their numbers; one that has a new number and its old name and type was renumbered.

use super::super::pairs::{Pair, place};
use super::super::policy::Validated as _;
use super::words::{self, deprecation, field_type, from_to, otherwise};
use super::{Element, Found, What};
use crate::image::{Field, Image, Message};

/// The fields of a message of two images.
pub(super) fn changes(
    (new_image, new): (&Image, &Message),
    (old_image, old): (&Image, &Message),
    found: &mut Found,
) {
    let of = &*new.full_name;
    let mut renumbered: Vec<i32> = Vec::new();
    for gone in &old.fields {
        let against = place(gone.file, &gone.path);
        let same = new.fields.iter().find(|field| field.number == gone.number);
        if let Some(field) = same {
            let pair = Pair {
                new: field,
                old: gone,
            };
            let mut details = differences(new_image, old_image, pair);
            details.extend(oneof((new, field), (old, gone)));
            let at = place(field.file, &field.path);
            found.changed(named(of, field), details, at, against);
            continue;
        }
        let again = new.fields.iter().find(|field| {
            let known = old.fields.iter().any(|other| other.number == field.number);
            let alike = field_type(new_image, field) == field_type(old_image, gone);
            !known && alike && field.name == gone.name
        });
        if let Some(field) = again {
            renumbered.push(field.number);
            let details = vec![format!("it was {}", gone.number)];
            let at = place(field.file, &field.path);
            found.add(named(of, field), What::Renumbered, details, at, against);
        } else {
            let mut ranges = new.reserved_ranges.iter();
            let reserved = ranges.any(|range| range.contains(gone.number));
            let mut details = vec![field_type(old_image, gone)];
            details.extend(reserved.then(|| "its number is reserved".to_owned()));
            found.add(named(of, gone), What::Removed, details, None, against);
        }
    }
    for field in &new.fields {
        let known = old.fields.iter().any(|other| other.number == field.number);
        if !known && !renumbered.contains(&field.number) {
            let at = place(field.file, &field.path);
            let details = added(new_image, field);
            found.add(named(of, field), What::Added, details, at, None);
        }
    }
}

fn named<'a>(of: &'a str, field: &Field) -> (Element, &'a str, String) {
    let name = format!("field {} `{}`", field.number, field.name);
    (Element::Field, of, name)
}

/// What there is to say of a field that is new.
pub(super) fn added(image: &Image, field: &Field) -> Vec<String> {
    let mut details = vec![field_type(image, field)];
    let rules = field.rules().into_iter();
    details.extend(rules.map(|(name, value)| format!("rule `{name} = {value}`")));
    details
}

/// What of a field changed, but for its oneof.
pub(super) fn differences(
    new_image: &Image,
    old_image: &Image,
    Pair { new, old }: Pair<'_, Field>,
) -> Vec<String> {
    let mut details = Vec::new();
    if new.name != old.name {
        details.push(from_to("name", &old.name, &new.name));
    } else if new.json_name != old.json_name {
        details.push(from_to("name in JSON", &old.json_name, &new.json_name));
    }
    let (before, now) = (field_type(old_image, old), field_type(new_image, new));
    if before != now {
        details.push(from_to("type", &before, &now));
    }
    let stated = |field: &Field| field.default_value.clone().unwrap_or_default();
    if stated(new) != stated(old) {
        details.push(from_to("default", &stated(old), &stated(new)));
    }
    if new.features.packed != old.features.packed && before == now {
        let how = if new.features.packed {
            ""
        } else {
            " no longer"
        };
        details.push(format!("is{how} packed"));
    }
    details.extend(words::validation(&new.rules(), &old.rules()));
    let (new, old) = (&new.options, &old.options);
    details.extend(deprecation(new.known.deprecated, old.known.deprecated));
    otherwise(&mut details, &new.raw, &old.raw);
    details
}

fn oneof((new, now): (&Message, &Field), (old, before): (&Message, &Field)) -> Option<String> {
    let name = |message: &Message, field: &Field| {
        let oneof = message.oneofs.get(field.oneof?)?;
        (!oneof.is_synthetic).then(|| oneof.name.clone())
    };
    match (name(old, before), name(new, now)) {
        (None, Some(now)) => Some(format!("moved into oneof `{now}`")),
        (Some(before), None) => Some(format!("moved out of oneof `{before}`")),
        (Some(before), Some(now)) if before != now => Some(from_to("oneof", &before, &now)),
        _ => None,
    }
}
