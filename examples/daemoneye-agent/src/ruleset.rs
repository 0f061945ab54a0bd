//! The rules in force, and what an upload makes of them.
//!
//! **Invariant**: a rule that an upload does not change stays the same one, with what it has counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use daemoneye_ipc::Status;
use daemoneye_ipc_generated::agent::v1::{RuleStatus, UploadMode, UploadRulesResponse};

use crate::{rules::Rule, upload::Upload};

/// Rules in force at once, and in one upload.
pub(crate) const RULES: usize = 1024;

/// A rule in force.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) rule: Rule,
    /// Names this rule as it is; one that takes its place has another.
    pub(crate) id: u64,
    set: String,
    alerts: AtomicU64,
}

impl InForce {
    pub(crate) fn count_alert(&self) {
        self.alerts.fetch_add(1, Ordering::Relaxed);
    }
}

/// All rules in force, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ruleset {
    rules: BTreeMap<String, Arc<InForce>>,
    next_id: u64,
}

impl Ruleset {
    /// The rules that are built in.
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        let mut all = Self::default();
        for rule in rules {
            all.insert(rule, "");
        }
        all
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<InForce>> {
        self.rules.values()
    }

    /// Whether there are rules about what changes without an event.
    pub(crate) fn needs_looks(&self) -> bool {
        self.iter().any(|known| known.rule.needs_looks())
    }

    pub(crate) fn report(&self) -> Vec<RuleStatus> {
        let report = |known: &Arc<InForce>| RuleStatus {
            name: known.rule.name().to_owned(),
            set: known.set.clone(),
            alerts: known.alerts.load(Ordering::Relaxed),
        };
        self.iter().map(report).collect()
    }

    /// What this would be with `upload`, and what would change.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if these were too many.
    pub(crate) fn with(&self, upload: Upload) -> Result<(Self, UploadRulesResponse), Status> {
        let mut changed = self.clone();
        let mut report = UploadRulesResponse::default();
        let names: BTreeSet<_> = upload.rules().map(Rule::name).map(str::to_owned).collect();
        if upload.mode() == UploadMode::Replace {
            changed.rules.retain(|name, _| names.contains(name));
            let gone = self.rules.keys().filter(|name| !names.contains(*name));
            report.removed = gone.cloned().collect();
        }
        let set = upload.name().to_owned();
        for rule in upload.into_rules() {
            let name = rule.name().to_owned();
            match self.rules.get(&name) {
                Some(known) if known.rule.definition() == rule.definition() => {
                    report.unchanged += 1;
                    continue;
                }
                Some(_) => report.replaced.push(name),
                None => report.added.push(name),
            }
            changed.insert(rule, &set);
        }
        let count = changed.rules.len();
        if count > RULES {
            return Err(Status::resource_exhausted(format!(
                "{count} rules would be in force, and {RULES} may be; replace the rules in force, or upload fewer"
            )));
        }
        report.in_force = u32::try_from(count).unwrap_or(u32::MAX);
        Ok((changed, report))
    }

    fn insert(&mut self, rule: Rule, set: &str) {
        let known = InForce {
            id: self.next_id,
            set: set.to_owned(),
            alerts: AtomicU64::new(0),
            rule,
        };
        self.next_id += 1;
        self.rules
            .insert(known.rule.name().to_owned(), Arc::new(known));
    }
}
