//! Counters of a server, and who may read them.
//!
//! **Invariant**: what is counted in is counted out by `Drop`, whatever path is taken.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;

use super::{ServerCore, connection::Connection};
use crate::session::Tally;

/// The counters of one server.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) since: Instant,
    pub(crate) connections: Count,
    pub(crate) handlers: Spread,
    /// Connections that have not said HELLO yet.
    pub(crate) handshakes: Count,
    pub(crate) accepted: AtomicU64,
    pub(crate) denied: AtomicU64,
    pub(crate) over_limit: AtomicU64,
    pub(crate) denied_calls: AtomicU64,
    pub(crate) calls_started: Spread,
    past: Mutex<Past>,
}

/// What connections that are gone have counted.
#[derive(Debug, Default, Clone)]
struct Past {
    tally: Tally,
    bytes_read: u64,
    bytes_written: u64,
    faults: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            connections: Count::default(),
            handlers: Spread::default(),
            handshakes: Count::default(),
            accepted: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            over_limit: AtomicU64::new(0),
            denied_calls: AtomicU64::new(0),
            calls_started: Spread::default(),
            past: Mutex::default(),
        }
    }

    /// A connection ended for `cause`.
    pub(crate) fn fault(&self, cause: &'static str) {
        *self.past.lock().faults.entry(cause).or_default() += 1;
    }

    /// A connection is gone: its counts stay.
    pub(crate) fn absorb(&self, conn: &Connection) {
        let (tally, written) = {
            let session = conn.session.lock();
            (session.tally(), session.bytes_written())
        };
        let mut past = self.past.lock();
        past.tally += tally;
        past.bytes_read += conn.bytes_read();
        past.bytes_written += written;
    }
}

/// A number of things that exist now.
#[derive(Debug, Default, Clone)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    /// Counts one more, until the gauge is dropped.
    pub(crate) fn enter(&self) -> Gauge {
        self.0.fetch_add(1, Ordering::Relaxed);
        Gauge(Arc::clone(&self.0))
    }

    pub(crate) fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One counted thing.
#[derive(Debug)]
pub(crate) struct Gauge(Arc<AtomicUsize>);

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A number that the calls of all connections count at: each connection in a place that few others share, so that
/// processors do not wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Spread([Place; 16]);

/// As large as what processors take from each other at once.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(AtomicU64);

impl Spread {
    fn place(&self, connection: u64) -> &AtomicU64 {
        let [first, ..] = &self.0;
        let index = connection as usize % self.0.len();
        &self.0.get(index).unwrap_or(first).0
    }

    pub(crate) fn add(&self, connection: u64) {
        self.place(connection).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, connection: u64) {
        self.place(connection).fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        let places = self.0.iter();
        places.map(|place| place.0.load(Ordering::Relaxed)).sum()
    }
}

/// What a server holds now. Cheap to clone; does not keep the server alive.
///
/// ```
/// use daemoneye_ipc::{IpcConfig, Server, health::HealthReporter};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let builder = Server::builder(IpcConfig::default()).health(HealthReporter::new());
/// let (server, _within) = builder.in_process()?;
/// let stats = server.stats();
/// assert_eq!((stats.connections(), stats.calls_started()), (0, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ServerStats {
    core: Arc<OnceLock<Weak<ServerCore>>>,
}

/// All counters of a server at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) tally: Tally,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) queued_bytes: usize,
    pub(crate) calls_in_flight: usize,
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

impl ServerStats {
    /// From now on these are the counters of `core`.
    pub(super) fn watch(&self, core: &Arc<ServerCore>) {
        // Watching is begun once, by who made the server.
        let _ = self.core.set(Arc::downgrade(core));
    }

    pub(crate) fn core(&self) -> Option<Arc<ServerCore>> {
        self.core.get()?.upgrade()
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core()
            .map_or(0, |core| core.counters.connections.now())
    }

    /// Calls that hold a slot, on all connections.
    #[must_use]
    pub fn calls_in_flight(&self) -> usize {
        self.sum(|conn| conn.session.lock().calls_in_flight())
    }

    /// Handlers that exist now, and pieces of blocking work that they started, whether or not the handler
    /// still waits for them.
    #[must_use]
    pub fn handlers(&self) -> usize {
        self.core()
            .map_or(0, |core| core.counters.handlers.now() as usize)
    }

    /// Calls whose handler was started since the server was; refused calls are not counted.
    #[must_use]
    pub fn calls_started(&self) -> u64 {
        self.core()
            .map_or(0, |core| core.counters.calls_started.now())
    }

    /// Calls that were refused because the schema does not let their caller make them.
    #[must_use]
    pub fn calls_denied(&self) -> u64 {
        self.core()
            .map_or(0, |core| core.counters.denied_calls.load(Ordering::Relaxed))
    }

    /// Bytes that wait to be written, or to be taken by handlers, on all connections.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.sum(|conn| conn.session.lock().queued_bytes())
    }

    fn sum(&self, of: impl Fn(&Connection) -> usize) -> usize {
        let Some(core) = self.core() else {
            return 0;
        };
        core.connections().iter().map(|conn| of(conn)).sum()
    }
}

impl ServerCore {
    /// The counters now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        // Connections first: one that ends meanwhile is counted twice for once, not lost.
        let connections = self.connections();
        let past = self.counters.past.lock().clone();
        let mut snapshot = Snapshot {
            tally: past.tally,
            bytes_read: past.bytes_read,
            bytes_written: past.bytes_written,
            faults: past.faults,
            ..Snapshot::default()
        };
        for conn in connections {
            let session = conn.session.lock();
            snapshot.tally += session.tally();
            snapshot.bytes_written += session.bytes_written();
            snapshot.queued_bytes += session.queued_bytes();
            snapshot.calls_in_flight += session.calls_in_flight();
            snapshot.bytes_read += conn.bytes_read();
        }
        snapshot
    }
}
