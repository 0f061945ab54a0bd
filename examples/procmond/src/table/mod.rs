//! The table of processes: one reader of the system, shared by all who want to know.
//!
//! **Invariant**: a look is never older than the question; callers that wait for the same look share it.

#[cfg(target_os = "linux")]
mod linux;
// Compiled in tests on Linux too, so that it does not rot.
#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(
    target_os = "linux",
    expect(dead_code, reason = "its own test uses a part of it")
)]
mod portable;

use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, Metadata},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(not(target_os = "linux"))]
use self::portable as system;
use crate::process::{FileId, Key, Process};

/// Shortest time over which a share of CPU is worked out: the kernel counts in steps of 10 ms.
const SHARE_OVER: Duration = Duration::from_millis(100);

/// Processes whose CPU time is remembered, at most; far more than a machine runs.
const REMEMBERED: usize = 1 << 16;

/// Which processes to read.
#[derive(Debug, Clone, Copy)]
enum Which {
    All,
    One(u32),
}

/// All processes at one time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// When the look began.
    pub(crate) begun: Instant,
    /// How long it took.
    pub(crate) took: Duration,
    /// The processes by id.
    pub(crate) processes: BTreeMap<u32, Arc<Process>>,
}

/// The table of processes.
#[derive(Debug)]
pub(crate) struct Table {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    reader: system::Reader,
    shares: HashMap<Key, Share>,
    last: Option<Arc<Snapshot>>,
}

/// What is remembered to work out a share of CPU.
#[derive(Debug, Clone, Copy)]
struct Share {
    cpu_time: Duration,
    at: Instant,
    percent: Option<f64>,
}

impl Table {
    /// # Errors
    /// If this system's processes cannot be read.
    pub(crate) fn new() -> io::Result<Self> {
        let reader = system::Reader::new()?;
        Ok(Self {
            inner: Mutex::new(Inner {
                reader,
                shares: HashMap::new(),
                last: None,
            }),
        })
    }

    /// All processes, as of now or later. Blocks.
    pub(crate) fn snapshot(&self) -> io::Result<Arc<Snapshot>> {
        let asked = Instant::now();
        let mut inner = self.inner.lock();
        match &inner.last {
            // Somebody looked while this caller waited for the lock.
            Some(last) if last.begun >= asked => Ok(Arc::clone(last)),
            _ => inner.look(),
        }
    }

    /// One process, now. Blocks.
    pub(crate) fn process(&self, pid: u32) -> io::Result<Option<Process>> {
        let mut inner = self.inner.lock();
        let now = Instant::now();
        let found = inner.reader.read(Which::One(pid))?.pop();
        Ok(found.map(|mut process| {
            let share = share(inner.shares.get(&process.key), process.cpu_time, now);
            process.cpu_percent = share.percent;
            if inner.shares.len() < REMEMBERED {
                inner.shares.insert(process.key, share);
            }
            process
        }))
    }
}

impl Inner {
    fn look(&mut self) -> io::Result<Arc<Snapshot>> {
        let begun = Instant::now();
        let found = self.reader.read(Which::All)?;
        let me = std::process::id();
        if !found.iter().any(|process| process.key.pid == me) {
            return Err(io::Error::other(
                "the list of processes does not hold procmond itself: is /proc mounted, and of this pid namespace?",
            ));
        }
        let mut shares = HashMap::with_capacity(found.len());
        let mut processes = BTreeMap::new();
        for mut process in found {
            let share = share(self.shares.get(&process.key), process.cpu_time, begun);
            process.cpu_percent = share.percent;
            shares.insert(process.key, share);
            processes.insert(process.key.pid, Arc::new(process));
        }
        self.shares = shares;
        let snapshot = Arc::new(Snapshot {
            begun,
            took: begun.elapsed(),
            processes,
        });
        self.last = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }
}

/// The share since the last look; since the one before if that was only just now.
fn share(before: Option<&Share>, cpu_time: Duration, now: Instant) -> Share {
    let Some(before) = before else {
        return Share {
            cpu_time,
            at: now,
            percent: None,
        };
    };
    let over = now.saturating_duration_since(before.at);
    if over < SHARE_OVER {
        return *before;
    }
    let used = cpu_time.saturating_sub(before.cpu_time);
    Share {
        cpu_time,
        at: now,
        percent: Some(used.as_secs_f64() / over.as_secs_f64() * 100.0),
    }
}

/// Opens the file that a process runs: on Linux that very file, deleted or not. Blocks.
pub(crate) fn open_executable(process: &Process) -> io::Result<File> {
    system::open_executable(process)
}

/// Which file that is, where running files can be told apart.
pub(crate) fn file_id(metadata: &Metadata) -> Option<FileId> {
    system::file_id(metadata)
}

#[cfg(test)]
mod tests;
