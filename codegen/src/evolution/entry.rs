//! A rule of evolution, and what it does.
//!
//! **Invariant**: what a rule says of itself is complete before the program starts.

use super::ipc::reuse::Releases;
use super::pairs::Comparison;
use crate::image::Image;
use crate::rules::{Direction, Report, Rule, Severity};

/// Looks at two schemas, and reports findings of a rule.
pub(super) type Check = fn(&'static Rule, &Comparison<'_>, &mut Report);

/// A rule, and what it does.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) rule: Rule,
    pub(super) check: Check,
}

/// Looks at a schema and at those of all releases, and reports findings of a rule: one report per release but the last.
pub(super) type HistoryCheck = fn(&'static Rule, &Image, &Releases<'_>, &mut [Report]);

/// A rule on what two schemas do not show.
#[derive(Debug)]
pub(super) struct HistoryEntry {
    pub(super) rule: Rule,
    pub(super) check: HistoryCheck,
}

impl HistoryEntry {
    /// A rule on what peers of any release meet on the wire.
    pub(super) const fn new(
        id: &'static str,
        categories: &'static [&'static str],
        purpose: &'static str,
        why: &'static str,
        check: HistoryCheck,
    ) -> Self {
        let rule = Rule {
            id,
            categories,
            purpose,
            severity: Severity::Error,
            direction: Some(Direction::Both),
            why,
            fix: "use a number or a name that was never used",
        };
        Self { rule, check }
    }
}

impl Entry {
    /// A rule on what generated code or other forms of the data show.
    pub(super) const fn source(
        id: &'static str,
        categories: &'static [&'static str],
        purpose: &'static str,
        why: &'static str,
        check: Check,
    ) -> Self {
        let rule = Rule {
            id,
            categories,
            purpose,
            severity: Severity::Warning,
            direction: Some(Direction::Source),
            why,
            fix: "undo the change, or make it under a new name and deprecate what there is",
        };
        Self { rule, check }
    }

    /// A rule on what peers of two versions meet on the wire.
    pub(super) const fn wire(
        id: &'static str,
        categories: &'static [&'static str],
        purpose: &'static str,
        direction: Direction,
        why: &'static str,
        check: Check,
    ) -> Self {
        let rule = Rule {
            id,
            categories,
            purpose,
            severity: Severity::Error,
            direction: Some(direction),
            why,
            fix: "undo the change; what has to be different gets a new number or a new name, beside what there is",
        };
        Self { rule, check }
    }

    /// A change that breaks nothing.
    pub(super) const fn note(
        id: &'static str,
        direction: Direction,
        why: &'static str,
        check: Check,
    ) -> Self {
        let rule = Rule {
            id,
            categories: &[],
            purpose: why,
            severity: Severity::Note,
            direction: Some(direction),
            why,
            fix: "",
        };
        Self { rule, check }
    }

    /// The same rule with advice of its own.
    pub(super) const fn fix(mut self, fix: &'static str) -> Self {
        self.rule.fix = fix;
        self
    }
}
