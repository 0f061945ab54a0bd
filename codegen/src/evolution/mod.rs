//! Whether a schema can take the place of an earlier one.
//!
//! The rules have buf's ids, categories and meaning, and there is a category of ours, [`IPC`]: what the wire of
//! this product depends on. Elements are paired as buf pairs them: files by path, types and services by full
//! name wherever they are, fields and values by number.
//!
//! **Invariant**: a rule sees pairs and nothing else; it knows neither configuration nor ignores.

mod chosen;
mod compatible;
mod concern;
mod deleted;
mod describe;
mod diff;
mod entry;
mod enums;
mod fields;
mod files;
mod ipc;
mod messages;
mod methods;
mod names;
mod pairs;
mod policy;
mod ranges;

use include_dir::{Dir, include_dir};

use self::chosen::Chosen;
pub use self::diff::{Breaks, Change, Effect, Element, What, diff};
use self::entry::Entry;
use self::ipc::reuse;
pub use self::names::NAMES_REPLACED;
use self::pairs::Comparison;
pub use self::policy::{Validated, callers};
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
    let of_pairs = entries().map(|entry| &entry.rule);
    of_pairs.chain(rules_of_history())
}

/// The rules among them that look at all releases: what [`check_history`] applies, and [`check`] does not.
pub fn rules_of_history() -> impl Iterator<Item = &'static Rule> {
    reuse::RULES.iter().map(|entry| &entry.rule)
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
    let chosen = Chosen::by(config)?;
    let comparison = Comparison::of(new, old);
    let mut report = Report::default();
    for entry in entries().filter(|entry| chosen.wants(&entry.rule)) {
        (entry.check)(&entry.rule, &comparison, &mut report);
    }
    chosen.retain(&mut report, new, old);
    concern::mark(&mut report, new, old);
    Ok(report.findings(new, Some(old)))
}

/// What of `new` takes up again what one of `releases` had, from the first to the last, and later ones did not: findings,
/// in order, for each of the releases.
///
/// # Errors
///
/// As [`check`].
pub fn check_history(
    new: &Image,
    releases: &[&Image],
    config: &Config,
) -> Result<Vec<Vec<Finding>>, Error> {
    let chosen = Chosen::by(config)?;
    let mut reports: Vec<Report> = releases.iter().map(|_| Report::default()).collect();
    for entry in reuse::RULES
        .iter()
        .filter(|entry| chosen.wants(&entry.rule))
    {
        (entry.check)(&entry.rule, new, releases, &mut reports);
    }
    let findings = releases.iter().zip(reports).map(|(old, mut report)| {
        chosen.retain(&mut report, new, old);
        concern::mark(&mut report, new, old);
        report.findings(new, Some(old))
    });
    Ok(findings.collect())
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
