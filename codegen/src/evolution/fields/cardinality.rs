//! Rules on how often a field occurs.
//!
//! **Invariant**: the fields of map entries are nobody's choice, and are left out.

use super::super::describe;
use super::super::entry::{Check, Entry};
use super::super::names::{BINARY, JSON_UNLESS, SOURCE};
use super::super::pairs::{Comparison, Pair, place};
use crate::image::{Field, Image, Label};
use crate::rules::{Direction, Report, Rule};

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "FIELD_SAME_CARDINALITY",
        SOURCE,
        "Checks that fields have the same cardinalities in a given message.",
        "The field has another type in generated code.",
        ANY,
    ),
    Entry::wire(
        "FIELD_WIRE_COMPATIBLE_CARDINALITY",
        BINARY,
        "Checks that fields have wire-compatible cardinalities in a given message.",
        Direction::Both,
        "One side writes several values where the other keeps one, or leaves out what the other requires.",
        ON_WIRE,
    ),
    Entry::source(
        "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
        JSON_UNLESS,
        "Checks that fields have wire and JSON compatible cardinalities in a given message.",
        "JSON has a list, an object or a plain value for the field, and takes none of them for another.",
        IN_JSON,
    ),
];

const ANY: Check = |rule, comparison, report| {
    changed(rule, comparison, report, |one, other| one == other);
};

const ON_WIRE: Check = |rule, comparison, report| {
    let group = |cardinality: Cardinality| match cardinality {
        Cardinality::Explicit | Cardinality::Implicit => 1,
        Cardinality::Required => 2,
        Cardinality::Repeated | Cardinality::Map => 3,
    };
    changed(rule, comparison, report, |one, other| {
        group(one) == group(other)
    });
};

const IN_JSON: Check = |rule, comparison, report| {
    let group = |cardinality: Cardinality| match cardinality {
        Cardinality::Explicit | Cardinality::Implicit => 1,
        Cardinality::Required => 2,
        Cardinality::Repeated => 3,
        Cardinality::Map => 4,
    };
    changed(rule, comparison, report, |one, other| {
        group(one) == group(other)
    });
};

/// How often a field occurs, and whether one can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cardinality {
    Explicit,
    Implicit,
    Required,
    Repeated,
    Map,
}

impl Cardinality {
    fn of(image: &Image, field: &Field) -> Self {
        if field.label == Label::Repeated {
            return match image.map_entry(field) {
                Some(_) => Self::Map,
                None => Self::Repeated,
            };
        }
        match (field.is_required(), field.has_presence()) {
            (true, _) => Self::Required,
            (false, true) => Self::Explicit,
            (false, false) => Self::Implicit,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Explicit => "optional with explicit presence",
            Self::Implicit => "optional with implicit presence",
            Self::Required => "required",
            Self::Repeated => "repeated",
            Self::Map => "map",
        }
    }
}

fn changed(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    compatible: impl Fn(Cardinality, Cardinality) -> bool,
) {
    for Pair { new, old } in &comparison.fields {
        if comparison.are_of_map_entries(new, old) {
            continue;
        }
        let before = Cardinality::of(comparison.old, old);
        let now = Cardinality::of(comparison.new, new);
        if !compatible(before, now) {
            let message = format!(
                "{} changed cardinality from \"{}\" to \"{}\".",
                describe::field(comparison.new, new),
                before.words(),
                now.words()
            );
            report.add(
                rule,
                place(new.file, &new.path),
                place(old.file, &old.path),
                message,
            );
        }
    }
}
