//! The realistic message: what a monitor tells of a process.
//!
//! **Invariant**: the same records for every contender, and on both sides.

use serde::{Deserialize, Serialize};

/// A process, as Rust sees it; contenders without a schema send it as it is.
#[derive(Clone, Debug, Serialize, Deserialize, zbus::zvariant::Type)]
pub(crate) struct Plain {
    pub(crate) pid: u32,
    pub(crate) ppid: u32,
    pub(crate) name: String,
    pub(crate) executable: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) start_time_us: u64,
    pub(crate) cpu_percent: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) user: String,
    pub(crate) hash: Vec<u8>,
}

/// The first `count` records.
pub(crate) fn plain(count: u32) -> impl Iterator<Item = Plain> + Send {
    (1..=count).map(|pid| Plain {
        pid,
        ppid: pid / 2,
        name: format!("worker-{pid}"),
        executable: format!("/usr/lib/depot/bin/worker-{pid}"),
        arguments: vec![
            "--config".into(),
            "/etc/depot/worker.yaml".into(),
            format!("--shard={pid}"),
        ],
        start_time_us: 1_700_000_000_000_000 + u64::from(pid),
        cpu_percent: f64::from(pid % 100) / 3.0,
        memory_bytes: u64::from(pid) << 16,
        user: "depot".into(),
        hash: vec![(pid & 0xff) as u8; 32],
    })
}

/// What a receiver makes of records, so that a check sees each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) records: u64,
    sum: u64,
}

impl Seen {
    /// Takes one record in.
    pub(crate) fn add(&mut self, pid: u32, name: &str, hash: &[u8]) {
        let first = hash.first().copied().unwrap_or(0);
        self.records += 1;
        self.sum += u64::from(pid) + name.len() as u64 + u64::from(first);
    }

    /// Of the first `count` records.
    pub(crate) fn of(count: u32) -> Self {
        let mut seen = Self::default();
        plain(count).for_each(|record| seen.add(record.pid, &record.name, &record.hash));
        seen
    }
}

/// Fills the record type that a generator made from the schema, whatever its types for bytes and lists;
/// the rest is for generators with fields of their own.
#[macro_export]
macro_rules! record_from_plain {
    ($record:ident, $plain:expr $(, ..$rest:expr)?) => {{
        let plain: $crate::records::Plain = $plain;
        $record {
            pid: plain.pid,
            ppid: plain.ppid,
            name: plain.name.into(),
            executable: plain.executable.into(),
            arguments: plain.arguments.into(),
            start_time_us: plain.start_time_us,
            cpu_percent: plain.cpu_percent,
            memory_bytes: plain.memory_bytes,
            user: plain.user.into(),
            hash: plain.hash.into(),
            $(..$rest)?
        }
    }};
}
