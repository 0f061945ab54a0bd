//! The settings that can be changed while the monitor runs.
//!
//! **Invariant**: settings change all at once or not at all, and only to values that were judged.

use std::time::Duration;

use daemoneye_ipc_generated::collector::v1::CollectorConfig;
use tokio::sync::watch;

/// What the time between two looks may be, in milliseconds.
pub(crate) const INTERVAL_MS: std::ops::RangeInclusive<u64> = 10..=3_600_000;

/// The settings in force, shared by all who read them.
#[derive(Debug)]
pub(crate) struct Settings(watch::Sender<Values>);

/// Settings that go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Values {
    /// Shortest time between two looks.
    pub(crate) interval: Duration,
    /// Bytes of the largest file that is hashed; 0 for any.
    pub(crate) max_hash_bytes: u64,
    /// The number that the agent gave them; 0 before it gave any.
    pub(crate) revision: u64,
}

impl Settings {
    /// The settings that the monitor is started with.
    pub(crate) fn new(interval: Duration) -> Self {
        Self(watch::Sender::new(Values {
            interval,
            max_hash_bytes: 0,
            revision: 0,
        }))
    }

    /// What is in force.
    pub(crate) fn now(&self) -> Values {
        *self.0.borrow()
    }

    /// Puts judged settings in force.
    pub(crate) fn apply(&self, values: Values) {
        self.0.send_replace(values);
    }

    /// The agent's number for what is in force.
    pub(crate) fn number(&self, revision: u64) {
        self.0.send_modify(|values| values.revision = revision);
    }

    /// Changes with the settings.
    pub(crate) fn changes(&self) -> watch::Receiver<Values> {
        self.0.subscribe()
    }
}

impl Values {
    /// Judges settings that somebody else gives; what is absent stays as it is in `self`.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub(crate) fn with(self, config: &CollectorConfig, revision: u64) -> Result<Self, String> {
        let interval = match config.scan_interval {
            None => self.interval,
            Some(asked) => {
                let interval = Duration::try_from(asked).ok();
                let millis = interval.and_then(|time| u64::try_from(time.as_millis()).ok());
                match (interval, millis) {
                    (Some(interval), Some(millis)) if INTERVAL_MS.contains(&millis) => interval,
                    _ => {
                        let (least, most) = (INTERVAL_MS.start(), INTERVAL_MS.end());
                        return Err(format!(
                            "scan_interval is {asked}; it has to be {least} to {most} ms"
                        ));
                    }
                }
            }
        };
        Ok(Self {
            interval,
            max_hash_bytes: config.max_hash_bytes.unwrap_or(self.max_hash_bytes),
            revision,
        })
    }

    /// As the agent is told of them.
    pub(crate) fn to_config(self) -> CollectorConfig {
        CollectorConfig {
            scan_interval: self.interval.try_into().ok(),
            max_hash_bytes: Some(self.max_hash_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc::prost_types;

    use super::*;

    fn config(seconds: i64, nanos: i32) -> CollectorConfig {
        CollectorConfig {
            scan_interval: Some(prost_types::Duration { seconds, nanos }),
            max_hash_bytes: None,
        }
    }

    #[test]
    fn settings_are_judged_before_they_are_in_force() {
        let settings = Settings::new(Duration::from_millis(250));
        let now = settings.now();
        for wrong in [
            config(0, 0),
            config(0, 9_999_999),
            config(-1, 0),
            config(3_601, 0),
            config(i64::MAX, 0),
        ] {
            let why = now.with(&wrong, 5).expect_err("out of range");
            assert!(why.contains("10 to 3600000 ms"), "{why}");
        }
        assert_eq!(settings.now(), now);
        let limit = CollectorConfig {
            scan_interval: None,
            max_hash_bytes: Some(7),
        };
        settings.apply(now.with(&limit, 5).expect("right"));
        let values = settings.now();
        assert_eq!(values.interval, Duration::from_millis(250));
        assert_eq!((values.max_hash_bytes, values.revision), (7, 5));
        assert_eq!(values.with(&values.to_config(), 5), Ok(values));
    }
}
