//! Medians, and the memory of a process.
//!
//! **Invariant**: times are of single operations; nothing is averaged.

use std::{fs, time::Duration};

use anyhow::Context;

/// Times of operations of one kind, over all rounds.
#[derive(Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Room for `count` times, in memory that is resident.
    pub(crate) fn new(count: u32) -> Self {
        let mut times = Self(vec![Duration::MAX; count as usize]);
        times.clear();
        times
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that `percent` of the operations do not exceed, in microseconds.
    pub(crate) fn percentile(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }
}

/// Memory of a process that is resident, in KiB.
pub(crate) fn resident_kib(process: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse().ok())
        .with_context(|| format!("{path} has no VmRSS"))
}
