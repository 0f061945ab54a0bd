//! Counters of a server, and who may read them.
//!
//! **Invariant**: what is counted in is counted out by `Drop`, whatever path is taken.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::ServerCore;

/// The counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: Count,
    pub(crate) handlers: Count,
    calls_started: AtomicU64,
}

impl Counters {
    pub(crate) fn started(&self) {
        self.calls_started.fetch_add(1, Ordering::Relaxed);
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

/// What a server holds now. Cheap to clone; does not keep the server alive.
#[derive(Debug, Clone)]
pub struct ServerStats {
    core: Weak<ServerCore>,
}

impl ServerStats {
    pub(crate) fn new(core: &Arc<ServerCore>) -> Self {
        Self {
            core: Arc::downgrade(core),
        }
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core
            .upgrade()
            .map_or(0, |core| core.counters.connections.now())
    }

    /// Calls that hold a slot, on all connections.
    #[must_use]
    pub fn calls_in_flight(&self) -> usize {
        self.sum(|conn| conn.session.lock().calls_in_flight())
    }

    /// Handlers that exist now, blocking work that outlived its handler included.
    #[must_use]
    pub fn handlers(&self) -> usize {
        self.core
            .upgrade()
            .map_or(0, |core| core.counters.handlers.now())
    }

    /// Calls whose handler was started since the server was; refused calls are not counted.
    #[must_use]
    pub fn calls_started(&self) -> u64 {
        self.core.upgrade().map_or(0, |core| {
            core.counters.calls_started.load(Ordering::Relaxed)
        })
    }

    /// Bytes that wait to be written, or to be taken by handlers, on all connections.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.sum(|conn| conn.session.lock().queued_bytes())
    }

    fn sum(&self, of: impl Fn(&super::connection::Connection) -> usize) -> usize {
        let Some(core) = self.core.upgrade() else {
            return 0;
        };
        core.connections().iter().map(|conn| of(conn)).sum()
    }
}
