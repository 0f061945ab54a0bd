//! Enums and their values.
//!
//! **Invariant**: values are told by their numbers; one number may have several names.

use std::collections::{BTreeMap, HashMap};

use super::super::pairs::{Comparison, Pair, place};
use super::whole::{self, About, Whole};
use super::words::{self, deprecation, from_to, otherwise};
use super::{Element, Found, What};
use crate::image::{Enum, EnumValue};

pub(super) fn changes(comparison: &Comparison<'_>, found: &mut Found) {
    let (new_image, old_image) = (comparison.new, comparison.old);
    let gone = whole::unknown(old_image, old_image.enums(), |name| {
        new_image.enum_named(name).is_some()
    });
    let added = whole::unknown(new_image, new_image.enums(), |name| {
        old_image.enum_named(name).is_some()
    });
    let mut alike: HashMap<Vec<(i32, &str)>, &Enum> =
        added.iter().map(|item| (shape(item), *item)).collect();
    whole::names(gone, added, |old| alike.remove(&shape(old)), found);
    for pair in &comparison.enums {
        itself(comparison, *pair, found);
        values(*pair, found);
    }
}

fn shape(item: &Enum) -> Vec<(i32, &str)> {
    let values = item.values.iter();
    values.map(|value| (value.number, &*value.name)).collect()
}

impl Whole for Enum {
    fn about(&self) -> About<'_> {
        About {
            element: Element::Enum,
            keyword: "enum",
            name: &self.name,
            full_name: &self.full_name,
            file: self.file,
            path: &self.path,
            deprecated: self.options.known.deprecated,
        }
    }

    fn listed(&self) -> Vec<String> {
        let names: Vec<&str> = self.values.iter().map(|value| &*value.name).collect();
        vec![format!("values: {}", names.join(", "))]
    }
}

fn itself(comparison: &Comparison<'_>, pair: Pair<'_, Enum>, found: &mut Found) {
    let Pair { new, old } = pair;
    let mut details = whole::details(comparison, pair);
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
    otherwise(&mut details, &new.options.raw, &old.options.raw);
    whole::changed(pair, details, found);
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
