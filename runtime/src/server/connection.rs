//! One connection of a server: what its driver, its handlers and the server itself share.
//!
//! **Invariant**: tasks are woken and stopped after the session's lock is released, never under it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::{ServerCore, stats::Gauge};
use crate::{
    descriptor::MethodDescriptor,
    driver::{Bell, Flush, flush},
    session::{Fault, ServerSession, Transmit},
    transport::{Link, Peer},
};

/// Shared by all who work on one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) link: Link,
    pub(crate) since: Instant,
    bytes_read: AtomicU64,
    pub(crate) core: Arc<ServerCore>,
    pub(crate) session: Mutex<ServerSession<AbortHandle>>,
    pub(crate) writer: Mutex<Transmit>,
    pub(crate) driver: Bell,
    _counted: Gauge,
}

impl Connection {
    pub(crate) fn new(id: u64, link: Link, core: Arc<ServerCore>, now: Instant) -> Self {
        let mut session = ServerSession::new(core.session.clone(), Arc::clone(&core.registry), now);
        session.deny(core.access.denied(link.peer()));
        Self {
            id,
            link,
            since: now,
            bytes_read: AtomicU64::new(0),
            session: Mutex::new(session),
            writer: Mutex::new(Transmit::default()),
            driver: Bell::new(),
            _counted: core.counters.connections.enter(),
            core,
        }
    }

    pub(crate) fn peer(&self) -> &Peer {
        self.link.peer()
    }

    /// Works on the session, then wakes and stops whom that concerns, and has the driver write.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut ServerSession<AbortHandle>) -> R) -> R {
        let mut effects = Effects::default();
        let (result, writes) = {
            let mut session = self.session.lock();
            let result = work(&mut session);
            session.take_effects(&mut effects.wakers, &mut effects.aborts);
            // The driver also has to see that nothing is left to wait for.
            let over = session.fault().is_some() || session.is_drained();
            (result, over || session.wants_write())
        };
        effects.run();
        if writes {
            self.wake_driver();
        }
        result
    }

    /// Queues what fills a write of its own, and writes it on the spot as far as the socket takes it, unless the driver is
    /// about to: to hand it to the driver would take another task's turn.
    pub(crate) fn with_written(&self, work: impl FnOnce(&mut ServerSession<AbortHandle>)) {
        let mut effects = Effects::default();
        work(&mut self.session.lock());
        let written = self.driver.is_awake()
            || matches!(
                flush(&self.link, &self.session, &self.writer),
                Ok(Flush::Done | Flush::Busy)
            );
        let over = {
            let mut session = self.session.lock();
            session.take_effects(&mut effects.wakers, &mut effects.aborts);
            session.fault().is_some() || session.is_drained()
        };
        effects.run();
        if over || !written {
            self.wake_driver();
        }
    }

    /// Has the driver look at the connection. What it would see anyway costs nothing: work that was
    /// queued under the session's lock before the driver's last flush is in that flush.
    pub(crate) fn wake_driver(&self) {
        if !self.driver.is_awake() {
            self.driver.wake();
        }
    }

    pub(crate) fn count_read(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The client called a method that the schema does not let it call.
    pub(crate) fn note_denied(&self, method: &MethodDescriptor) {
        self.core
            .counters
            .denied_calls
            .fetch_add(1, Ordering::Relaxed);
        let Some(left_out) = self.core.denials.permit(crate::driver::now()) else {
            return;
        };
        let peer = self.peer();
        tracing::warn!(
            connection = self.id,
            user = %peer.user(),
            pid = peer.pid,
            method = method.path,
            left_out,
            "a call was refused: the schema does not let this peer make it"
        );
    }

    /// Bytes that came.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Tells the client that the server leaves.
    pub(crate) fn drain(&self) {
        self.with(ServerSession::drain);
        self.driver.wake();
    }

    /// Ends the connection now and returns how many calls were not answered.
    pub(crate) fn abort(&self) -> usize {
        let open = self.with(|session| {
            let open = session.calls_open();
            session.handle_fault(Fault::Shutdown);
            open
        });
        self.driver.wake();
        open
    }
}

/// Tasks to wake and handlers to stop, once no lock is held.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) wakers: Vec<Waker>,
    pub(crate) aborts: Vec<AbortHandle>,
}

impl Effects {
    pub(crate) fn run(&mut self) {
        self.aborts.drain(..).for_each(|abort| abort.abort());
        self.wakers.drain(..).for_each(Waker::wake);
    }
}
