//! Enums and their values.
//!
//! **Invariant**: values are told by their numbers; one number may have several names.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::pairs::{Comparison, Pair, place};
use super::words::{self, deprecation, from_to, otherwise};
use super::{Element, Found, What, is_own};
use crate::image::{Enum, EnumValue, Image};

pub(super) fn changes(comparison: &Comparison<'_>, found: &mut Found) {
    let (new_image, old_image) = (comparison.new, comparison.old);
    let gone = unknown(old_image, |name| new_image.enum_named(name).is_some());
    let added = unknown(new_image, |name| old_image.enum_named(name).is_some());
    let mut alike: HashMap<Vec<(i32, &str)>, &Enum> =
        added.iter().map(|item| (shape(item), *item)).collect();
    let mut renamed: HashSet<&str> = HashSet::new();
    for old in gone {
        let at = place(old.file, &old.path);
        if let Some(new) = alike.remove(&shape(old)) {
            renamed.insert(&new.full_name);
            let details = vec![format!("it was `{}`", old.full_name)];
            let now = place(new.file, &new.path);
            found.add(named(new), What::Renamed, details, now, at);
        } else {
            found.add(named(old), What::Removed, Vec::new(), None, at);
        }
    }
    let new = added.into_iter();
    for new in new.filter(|item| !renamed.contains(&*item.full_name)) {
        let names: Vec<&str> = new.values.iter().map(|value| &*value.name).collect();
        let details = vec![format!("values: {}", names.join(", "))];
        let at = place(new.file, &new.path);
        found.add(named(new), What::Added, details, at, None);
    }
    for pair in &comparison.enums {
        itself(comparison, *pair, found);
        values(*pair, found);
    }
}

fn unknown(image: &Image, is_known: impl Fn(&str) -> bool) -> Vec<&Enum> {
    let own = image.enums().iter().filter(|item| is_own(image, item.file));
    own.filter(|item| !is_known(&item.full_name)).collect()
}

fn shape(item: &Enum) -> Vec<(i32, &str)> {
    let values = item.values.iter();
    values.map(|value| (value.number, &*value.name)).collect()
}

fn named(item: &Enum) -> (Element, &str, String) {
    let name = format!("enum {}", item.name);
    (Element::Enum, &item.full_name, name)
}

fn itself(comparison: &Comparison<'_>, Pair { new, old }: Pair<'_, Enum>, found: &mut Found) {
    let (now, before) = (&new.options, &old.options);
    let mut details = Vec::new();
    details.extend(words::moved(
        &comparison.new.file(new.file).path,
        &comparison.old.file(old.file).path,
    ));
    details.extend(deprecation(now.known.deprecated, before.known.deprecated));
    if new.features.closed_enum != old.features.closed_enum {
        let word = |item: &Enum| match item.features.closed_enum {
            true => "closed",
            false => "open",
        };
        details.push(from_to("unknown values", word(old), word(new)));
    }
    details.extend(words::reservations(
        (&new.reserved_ranges, &new.reserved_names),
        (&old.reserved_ranges, &old.reserved_names),
    ));
    otherwise(&mut details, &now.raw, &before.raw);
    let (at, against) = (place(new.file, &new.path), place(old.file, &old.path));
    found.changed(named(new), details, at, against);
}

fn by_number(item: &Enum) -> BTreeMap<i32, Vec<&EnumValue>> {
    let mut values: BTreeMap<i32, Vec<&EnumValue>> = BTreeMap::new();
    for value in &item.values {
        values.entry(value.number).or_default().push(value);
    }
    values
}

fn values(Pair { new, old }: Pair<'_, Enum>, found: &mut Found) {
    let of = &*new.full_name;
    let listed = |values: &[&EnumValue]| {
        let names: Vec<&str> = values.iter().map(|value| &*value.name).collect();
        names.join("`, `")
    };
    let called = |number: i32, values: &[&EnumValue]| {
        let name = format!("value {number} `{}`", listed(values));
        (Element::Value, of, name)
    };
    let (before, now) = (by_number(old), by_number(new));
    for (number, was) in &before {
        let against = was.first().and_then(|first| place(old.file, &first.path));
        let Some(is) = now.get(number) else {
            let mut ranges = new.reserved_ranges.iter();
            let reserved = ranges.any(|range| range.contains(*number));
            let details = reserved.then(|| "its number is reserved".to_owned());
            let details = details.into_iter().collect();
            found.add(called(*number, was), What::Removed, details, None, against);
            continue;
        };
        let mut details = Vec::new();
        if listed(was) != listed(is) {
            details.push(from_to("name", &listed(was), &listed(is)));
        }
        for (is, was) in is.iter().zip(was) {
            let (is, was) = (&is.options, &was.options);
            details.extend(deprecation(is.known.deprecated, was.known.deprecated));
            otherwise(&mut details, &is.raw, &was.raw);
        }
        let at = is.first().and_then(|first| place(new.file, &first.path));
        found.changed(called(*number, is), details, at, against);
    }
    for (number, is) in now
        .iter()
        .filter(|(number, _)| !before.contains_key(number))
    {
        let at = is.first().and_then(|first| place(new.file, &first.path));
        found.add(called(*number, is), What::Added, Vec::new(), at, None);
    }
}
