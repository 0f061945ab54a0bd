//! The settings of one collector: those in force, and earlier ones to go back to.
//!
//! **Invariant**: a number is never given to two settings, also not when the first were never in force.

use std::collections::VecDeque;

use daemoneye_ipc::Status;
use daemoneye_ipc_generated::collector::v1::{CollectorConfig, update_config_request::Change};

/// Revisions that are kept, the one in force included.
const KEPT: usize = 16;

/// Numbered settings.
#[derive(Debug)]
pub(crate) struct Revisions {
    /// Never empty.
    kept: VecDeque<(u64, CollectorConfig)>,
    current: u64,
    next: u64,
}

impl Revisions {
    /// The settings that a collector registers with, and the number that they had before, if any.
    pub(crate) fn new(config: CollectorConfig, revision: u64) -> Self {
        let current = revision.max(1);
        Self {
            kept: VecDeque::from([(current, config)]),
            current,
            next: current.saturating_add(1),
        }
    }

    /// The number in force.
    pub(crate) const fn current(&self) -> u64 {
        self.current
    }

    /// What is in force.
    pub(crate) fn config(&self) -> CollectorConfig {
        self.find(self.current).unwrap_or_default()
    }

    /// The numbers that can be gone back to, oldest first.
    pub(crate) fn earlier(&self) -> Vec<u64> {
        let numbers = self.kept.iter().map(|(number, _)| *number);
        numbers.filter(|number| *number != self.current).collect()
    }

    /// What `change` makes of the settings in force.
    ///
    /// # Errors
    /// NOT_FOUND for a revision that is not kept, INVALID_ARGUMENT for no change at all.
    pub(crate) fn plan(&self, change: Option<Change>) -> Result<CollectorConfig, Status> {
        match change {
            Some(Change::Config(change)) => {
                let now = self.config();
                Ok(CollectorConfig {
                    scan_interval: change.scan_interval.or(now.scan_interval),
                    max_hash_bytes: change.max_hash_bytes.or(now.max_hash_bytes),
                })
            }
            Some(Change::RollbackTo(number)) => self.find(number).ok_or_else(|| {
                Status::not_found(format!(
                    "revision {number} is not kept; those that are: {:?}",
                    self.earlier()
                ))
            }),
            None => Err(Status::invalid_argument(
                "change is not set; give settings, or a revision to go back to",
            )),
        }
    }

    /// A number that nothing has had.
    pub(crate) const fn take_number(&mut self) -> u64 {
        let number = self.next;
        self.next = number.saturating_add(1);
        number
    }

    /// These settings are in force now.
    pub(crate) fn put_in_force(&mut self, number: u64, config: CollectorConfig) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((number, config));
        self.current = number;
    }

    /// The collector says which revision is in force; one that is not known here is passed over.
    pub(crate) fn observe(&mut self, number: u64) {
        if self.find(number).is_some() {
            self.current = number;
        }
    }

    fn find(&self, number: u64) -> Option<CollectorConfig> {
        let found = self.kept.iter().find(|(kept, _)| *kept == number);
        found.map(|(_, config)| *config)
    }
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc::Code;

    use super::*;

    fn hashing(max: u64) -> CollectorConfig {
        CollectorConfig {
            max_hash_bytes: Some(max),
            ..CollectorConfig::default()
        }
    }

    #[test]
    fn changes_are_made_to_what_is_in_force_and_taken_back_by_number() {
        let interval = daemoneye_ipc::prost_types::Duration {
            seconds: 1,
            nanos: 0,
        };
        let first = CollectorConfig {
            scan_interval: Some(interval),
            ..hashing(1)
        };
        let mut revisions = Revisions::new(first, 7);
        let planned = revisions
            .plan(Some(Change::Config(hashing(2))))
            .expect("a change");
        assert_eq!(planned.scan_interval, Some(interval), "it stays");
        // One that was refused has had its number.
        assert_eq!(revisions.take_number(), 8);
        let number = revisions.take_number();
        revisions.put_in_force(number, planned);
        assert_eq!((revisions.current(), revisions.config()), (9, planned));
        assert_eq!(revisions.earlier(), [7]);
        assert_eq!(revisions.plan(Some(Change::RollbackTo(7))), Ok(first));
        for (change, code) in [
            (Some(Change::RollbackTo(8)), Code::NotFound),
            (None, Code::InvalidArgument),
        ] {
            assert_eq!(revisions.plan(change).expect_err("refused").code(), code);
        }
        revisions.observe(8);
        assert_eq!(revisions.current(), 9, "nothing had that number");
        revisions.observe(7);
        assert_eq!((revisions.current(), revisions.earlier()), (7, vec![9]));
    }

    #[test]
    fn old_revisions_are_forgotten() {
        let mut revisions = Revisions::new(hashing(0), 0);
        for max in 1..100 {
            let number = revisions.take_number();
            revisions.put_in_force(number, hashing(max));
        }
        assert_eq!(revisions.config(), hashing(99));
        assert_eq!(revisions.earlier().len(), KEPT - 1);
    }
}
