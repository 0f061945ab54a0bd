//! Reads a connection of a client: its driver does, or the caller of a unary call that is alone on it.
//!
//! **Invariant**: one at a time reads, and hands whole frames to the session before another does.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::Waker,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

use super::connection::Connection;
use crate::{
    driver::{Inlet, Next, Read, now},
    session::{CallId, ClientSession, Fault},
    wire::Crc32Variant,
};

/// The reading side of a connection.
#[derive(Debug)]
pub(crate) struct Reading {
    reader: Mutex<Reader>,
    /// The driver found the reader taken.
    wanted: AtomicBool,
    /// Callers read for themselves: the driver need not be woken by what arrives.
    quiet: AtomicBool,
    /// Looks of callers that found their outcome.
    hits: AtomicU64,
}

/// Bytes that came, and tasks to wake.
#[derive(Debug)]
pub(crate) struct Reader {
    inlet: Inlet,
    wakers: Vec<Waker>,
}

impl Reading {
    pub(crate) fn new(max_frame_bytes: usize, crc: Crc32Variant) -> Self {
        Self {
            reader: Mutex::new(Reader {
                inlet: Inlet::new(max_frame_bytes, crc),
                wakers: Vec::new(),
            }),
            wanted: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            hits: AtomicU64::new(0),
        }
    }

    /// For the driver: the reader, or `None` while a caller has it, who wakes the driver afterwards.
    pub(crate) fn take(&self) -> Option<MutexGuard<'_, Reader>> {
        self.reader.try_lock().or_else(|| {
            self.wanted.store(true, Ordering::SeqCst);
            // It may have been given back before the wish was there to be seen.
            let reader = self.reader.try_lock()?;
            self.wanted.store(false, Ordering::SeqCst);
            Some(reader)
        })
    }

    /// Whether callers read for themselves at present.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::SeqCst)
    }

    /// Has the driver be woken by what arrives, from its next turn on. `true` if it was not.
    pub(crate) fn end_quiet(&self) -> bool {
        self.is_quiet() && self.quiet.swap(false, Ordering::SeqCst)
    }

    /// Looks of callers that found their outcome, so far.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}

impl Reader {
    /// Reads once, and handles what came.
    pub(crate) fn read(&mut self, conn: &Connection, now: Instant) -> Result<Read, Fault> {
        match self.inlet.read(&conn.link) {
            Ok(Read::Bytes) => self.handle_frames(conn, now).map(|()| Read::Bytes),
            Ok(Read::Blocked) => Ok(Read::Blocked),
            Ok(Read::Eof) | Err(_) => Err(Fault::Closed),
        }
    }

    /// Looks until something has come or `budget` is over, and handles it.
    fn watch(&mut self, conn: &Connection, budget: Duration) -> Result<Read, Fault> {
        match self.inlet.watch(&conn.link, budget) {
            Ok(Read::Bytes) => self.handle_frames(conn, now()).map(|()| Read::Bytes),
            Ok(Read::Blocked) => Ok(Read::Blocked),
            Ok(Read::Eof) | Err(_) => Err(Fault::Closed),
        }
    }

    /// Hands all whole frames to the session under one lock, then wakes whom they concern.
    fn handle_frames(&mut self, conn: &Connection, now: Instant) -> Result<(), Fault> {
        let taken = {
            let mut session = conn.session.lock();
            let taken = self.take_frames(now, &mut session);
            session.take_wakers(&mut self.wakers);
            taken
        };
        self.wakers.drain(..).for_each(Waker::wake);
        taken
    }

    fn take_frames(&mut self, now: Instant, session: &mut ClientSession) -> Result<(), Fault> {
        let mut completed = false;
        loop {
            let next = self
                .inlet
                .next_frame(|frame| session.handle_stream_message(frame));
            match next {
                Ok(Next::Taken) => {}
                Ok(Next::Frame(frame)) => session.handle_frame(now, frame)?,
                Ok(Next::Incomplete) => break,
                Err(error) => {
                    session.handle_fault(Fault::Frame(error));
                    return Err(Fault::Frame(error));
                }
            }
            completed = true;
        }
        session.handle_received(now, completed, self.inlet.is_partial());
        Ok(())
    }
}

impl Connection {
    /// The caller of `call` looks at the socket itself, for as long as `budget`, until its outcome is there.
    pub(crate) fn watch(&self, call: CallId, budget: Duration) {
        let Some(mut reader) = self.reading.reader.try_lock() else {
            return;
        };
        let hit = loop {
            match reader.watch(self, budget) {
                Ok(Read::Blocked) => break false,
                Ok(_) if self.session.lock().is_open(call) => {}
                Ok(_) => break true,
                Err(fault) => {
                    self.with(|session| session.handle_fault(fault));
                    self.driver.wake();
                    break false;
                }
            }
        };
        drop(reader);
        if self.reading.wanted.swap(false, Ordering::SeqCst) {
            self.driver.wake();
        }
        let (lasts, writes) = {
            let mut session = self.session.lock();
            (session.handle_spin(hit), session.wants_write())
        };
        self.reading
            .hits
            .fetch_add(u64::from(hit), Ordering::Relaxed);
        if writes {
            self.driver.wake();
        }
        if lasts && !self.reading.quiet.swap(true, Ordering::SeqCst) {
            self.link.stop_waiting_to_read();
            // The driver then sees to it that this lasts only as long as there are such calls.
            self.driver.wake();
        }
    }

    /// What arrives from now on is read by the driver, as nobody else is there to.
    pub(crate) fn read_by_driver(&self) {
        if self.reading.end_quiet() {
            self.driver.wake();
        }
    }
}
