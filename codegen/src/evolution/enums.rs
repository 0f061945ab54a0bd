//! Rules on enums and their values.
//!
//! **Invariant**: values are told by their number; one number may have several names.

use std::collections::BTreeMap;

use super::describe;
use super::entry::Entry;
use super::names::{JSON, JSON_UNLESS, REGISTRY_SOURCE, SOURCE, WIRE_UNLESS};
use super::pairs::{Comparison, Pair, place};
use crate::image::{Enum, EnumValue};
use crate::rules::{Direction, Report, Rule};

/// The fields that lead from an enum to its features.
const FEATURES: [i32; 2] = [3, 7];

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "ENUM_SAME_TYPE",
        SOURCE,
        "Checks that enums have the same type (open vs closed).",
        "A closed enum keeps numbers that it does not know out of its field; an open one hands them to the code, \
         which has to expect them.",
        same_type,
    ),
    Entry::source(
        "ENUM_SAME_JSON_FORMAT",
        JSON,
        "Checks that enums have the same JSON format support.",
        "Without the promise, JSON of the enum may not be written or read as before.",
        same_json,
    ),
    Entry::source(
        "ENUM_VALUE_NO_DELETE",
        REGISTRY_SOURCE,
        "Checks that enum values are not deleted from a given enum.",
        "Code that names the value no longer compiles.",
        |rule, comparison, report| deleted(rule, comparison, report, Unless::Never),
    ),
    Entry::source(
        "ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED",
        JSON_UNLESS,
        "Checks that enum values are not deleted from a given enum unless the name is reserved.",
        "A name that is free may be given to another number, and JSON of before would be read as that.",
        |rule, comparison, report| deleted(rule, comparison, report, Unless::NameReserved),
    ),
    Entry::wire(
        "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED",
        WIRE_UNLESS,
        "Checks that enum values are not deleted from a given enum unless the number is reserved.",
        Direction::Both,
        "A number that is free may be given another meaning, and peers of before would take it for the old one.",
        |rule, comparison, report| deleted(rule, comparison, report, Unless::NumberReserved),
    ),
    Entry::source(
        "ENUM_VALUE_SAME_NAME",
        JSON,
        "Checks that enum values have the same name.",
        "JSON has values by name, and code does; on the wire of this product only the number counts.",
        same_name,
    )
    .fix("put the name back; a second name for the number needs `option allow_alias = true;`"),
];

fn same_type(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.enums {
        if new.features.closed_enum == old.features.closed_enum {
            continue;
        }
        let (before, now) = if old.features.closed_enum {
            ("closed", "open")
        } else {
            ("open", "closed")
        };
        let message = format!("Enum \"{}\" changed from {before} to {now}.", new.name);
        feature(rule, comparison, report, (new, old), 2, message);
    }
}

fn same_json(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.enums {
        if old.features.json && !new.features.json {
            let message = format!(
                "Enum \"{}\" JSON format support changed from ALLOW to LEGACY_BEST_EFFORT.",
                new.name
            );
            feature(rule, comparison, report, (new, old), 6, message);
        }
    }
}

/// Reports a feature, where it is set, else the enum.
fn feature(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    (new, old): (&Enum, &Enum),
    number: i32,
    message: String,
) {
    let path = |item: &Enum| [&*item.path, &FEATURES, &[number]].concat();
    let at = comparison.first(new.file, &[&path(new), &new.path]);
    let against = comparison.first_old(old.file, &[&path(old), &old.path]);
    report.add(rule, at, against, message);
}

/// The values of an enum by number, and by name.
fn by_number(item: &Enum) -> BTreeMap<i32, BTreeMap<&str, &EnumValue>> {
    let mut numbers: BTreeMap<i32, BTreeMap<&str, &EnumValue>> = BTreeMap::new();
    for value in &item.values {
        numbers
            .entry(value.number)
            .or_default()
            .insert(&value.name, value);
    }
    numbers
}

/// How a deleted value is let pass.
#[derive(Clone, Copy)]
enum Unless {
    Never,
    NumberReserved,
    NameReserved,
}

fn deleted(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report, unless: Unless) {
    for Pair { new, old } in &comparison.enums {
        for (number, values) in by_number(old) {
            if new.values.iter().any(|value| value.number == number) {
                continue;
            }
            let suffix = match unless {
                Unless::Never => String::new(),
                Unless::NumberReserved => {
                    if new
                        .reserved_ranges
                        .iter()
                        .any(|range| range.contains(number))
                    {
                        continue;
                    }
                    format!(" without reserving the number \"{number}\"")
                }
                Unless::NameReserved => {
                    let reserved =
                        |name: &&str| new.reserved_names.iter().any(|other| other == name);
                    if values.keys().all(reserved) {
                        continue;
                    }
                    let plural = if values.len() > 1 { "s" } else { "" };
                    format!(
                        " without reserving the name{plural} {}",
                        describe::quoted(values.keys().copied())
                    )
                }
            };
            let message = format!(
                "Previously present enum value \"{number}\" on enum \"{}\" was deleted{suffix}.",
                new.name
            );
            let at = place(new.file, &new.path);
            let first = old.values.iter().find(|value| value.number == number);
            let against = first.and_then(|value| place(old.file, &value.path));
            report.add(rule, at, against, message).fix = reserve(number, &values, new);
        }
    }
}

/// How to delete a value without harm.
fn reserve(number: i32, values: &BTreeMap<&str, &EnumValue>, item: &Enum) -> String {
    format!(
        "put the value back, with `[deprecated = true]`, until nobody sends it; or delete it for good: write into \
         `enum {}`\n    reserved {number};\n    reserved {};",
        item.name,
        describe::quoted(values.keys().copied())
    )
}

fn same_name(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.enums {
        let values = by_number(new);
        for (number, before) in by_number(old) {
            let Some(now) = values.get(&number) else {
                continue;
            };
            if before.keys().all(|name| now.contains_key(name)) {
                continue;
            }
            let plural = if before.len() > 1 && now.len() > 1 {
                "s"
            } else {
                ""
            };
            let message = format!(
                "Enum value \"{number}\" on enum \"{}\" changed name{plural} from {} to {}.",
                new.name,
                describe::quoted(before.keys().copied()),
                describe::quoted(now.keys().copied())
            );
            for (name, value) in now {
                let at = comparison.first(new.file, &[&number_path(value)]);
                let against = before
                    .get(name)
                    .and_then(|value| place(old.file, &number_path(value)));
                report.add(
                    rule,
                    at,
                    against.or(place(old.file, &old.path)),
                    message.clone(),
                );
            }
        }
    }
}

fn number_path(value: &EnumValue) -> Vec<i32> {
    [&*value.path, &[2]].concat()
}
