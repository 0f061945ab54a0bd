//! Which rules apply to which files, by a configuration.
//!
//! **Invariant**: a finding counts by the module of the file that it is in; of a file that is gone, the file that was.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::image::Image;
use crate::rules::config::{Config, Module};
use crate::rules::{Ignores, Report, Rule};

/// The rules that a configuration chooses.
pub(super) struct Chosen<'a> {
    config: &'a Config,
    sections: Vec<(&'a Module, BTreeSet<&'static str>, Ignores)>,
}

impl<'a> Chosen<'a> {
    /// What `config` chooses.
    pub(super) fn by(config: &'a Config) -> Result<Self, Error> {
        let names = super::names();
        let mut sections = Vec::with_capacity(config.modules.len());
        for module in &config.modules {
            let (rules, ignores) = module.breaking.resolve(&names)?;
            let ids = rules.iter().map(|rule| rule.id).collect();
            sections.push((module, ids, ignores));
        }
        Ok(Self { config, sections })
    }

    /// Whether `rule` applies anywhere.
    pub(super) fn wants(&self, rule: &Rule) -> bool {
        let mut sections = self.sections.iter();
        sections.any(|(_, ids, _)| ids.contains(rule.id))
    }

    /// Leaves out what does not count where it was found.
    pub(super) fn retain(&self, report: &mut Report, new: &Image, old: &Image) {
        report.retain(|draft| {
            let at = draft.at.as_ref().map(|place| new.file(place.file));
            let against = draft.against.as_ref().map(|place| old.file(place.file));
            let Some(file) = at.or(against) else {
                return true;
            };
            let module = self.config.module_of(&file.path);
            self.sections.iter().any(|(section, ids, ignores)| {
                let ignored = |file| ignores.cover(draft.rule, file);
                std::ptr::eq(*section, module)
                    && ids.contains(draft.rule.id)
                    && !at.is_some_and(ignored)
                    && !against.is_some_and(ignored)
            })
        });
    }
}
