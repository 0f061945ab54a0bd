//! Whether a schema can take the place of an earlier one.
//!
//! The rules have buf's ids, categories and meaning, and there is a category of ours, [`IPC`]: what the wire of
//! this product depends on. Elements are paired as buf pairs them: files by path, types and services by full
//! name wherever they are, fields and values by number.
//!
//! **Invariant**: a rule sees pairs and nothing else; it knows neither configuration nor ignores.

mod compatible;
mod deleted;
mod describe;
mod entry;
mod enums;
mod fields;
mod files;
mod ipc;
mod messages;
mod methods;
mod names;
mod pairs;
mod ranges;

use std::collections::BTreeSet;

use include_dir::{Dir, include_dir};

use self::entry::Entry;
pub use self::names::NAMES_REPLACED;
use self::pairs::Comparison;
use crate::error::Error;
use crate::image::Image;
use crate::rules::config::Config;
use crate::rules::{Example, Finding, Names, Report, Rule};

/// The category that applies where nothing else is chosen.
pub const IPC: &str = "IPC";

/// The rules in their groups.
static GROUPS: &[&[Entry]] = &[
    files::RULES,
    deleted::RULES,
    enums::RULES,
    messages::RULES,
    ranges::RULES,
    methods::RULES,
];

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    entries().map(|entry| &entry.rule)
}

static EXAMPLES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/tests/evolution/rules");

/// A change of which the rule with this id says something.
#[must_use]
pub fn example(id: &str) -> Option<Example> {
    EXAMPLES.get_dir(id).map(Example::of_change)
}

/// What [`compatible`] says, in the form of rules. They are in no category and cannot be chosen.
pub fn notes() -> impl Iterator<Item = &'static Rule> {
    compatible::RULES.iter().map(|entry| &entry.rule)
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    GROUPS
        .iter()
        .chain(&fields::GROUPS)
        .chain(&ipc::GROUPS)
        .copied()
        .flatten()
}

/// How rules are named on a command line and in configurations.
#[must_use]
pub fn names() -> Names<'static> {
    Names {
        rules: rules().collect(),
        replaced: NAMES_REPLACED,
        default: &[IPC],
    }
}

/// What of `new` breaks those who rely on `old`, by the rules that `config` chooses, in order.
///
/// # Errors
///
/// [`Error::Usage`] when the configuration names a rule that does not exist.
pub fn check(new: &Image, old: &Image, config: &Config) -> Result<Vec<Finding>, Error> {
    let names = names();
    let mut sections = Vec::with_capacity(config.modules.len());
    for module in &config.modules {
        let (rules, ignores) = module.breaking.resolve(&names)?;
        let ids: BTreeSet<&str> = rules.iter().map(|rule| rule.id).collect();
        sections.push((module, ids, ignores));
    }
    let comparison = Comparison::of(new, old);
    let mut report = Report::default();
    for entry in entries() {
        if sections
            .iter()
            .any(|(_, ids, _)| ids.contains(entry.rule.id))
        {
            (entry.check)(&entry.rule, &comparison, &mut report);
        }
    }
    report.retain(|draft| {
        let at = draft.at.as_ref().map(|place| new.file(place.file));
        let against = draft.against.as_ref().map(|place| old.file(place.file));
        let Some(file) = at.or(against) else {
            return true;
        };
        let module = config.module_of(&file.path);
        sections.iter().any(|(section, ids, ignores)| {
            let ignored = |file| ignores.cover(draft.rule, file);
            std::ptr::eq(*section, module)
                && ids.contains(draft.rule.id)
                && !at.is_some_and(ignored)
                && !against.is_some_and(ignored)
        })
    });
    Ok(report.findings(new, Some(old)))
}

/// What changed from `old` to `new` without breaking anything, in order, as notes.
#[must_use]
pub fn compatible(new: &Image, old: &Image) -> Vec<Finding> {
    let comparison = Comparison::of(new, old);
    let mut report = Report::default();
    for entry in compatible::RULES {
        (entry.check)(&entry.rule, &comparison, &mut report);
    }
    report.findings(new, Some(old))
}
