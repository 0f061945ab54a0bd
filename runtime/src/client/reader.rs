//! Reads a connection of a client: its driver does, or the caller of a call that is alone on it.
//!
//! **Invariant**: one at a time reads, and hands whole frames to the session before another does.

use std::{
    cell::Cell,
    sync::atomic::Ordering,
    task::{Context, Poll, Waker, ready},
    thread::yield_now,
    time::{Duration, Instant},
};

use tokio::task::coop;

use super::connection::Connection;
use crate::{
    driver::{Inlet, LONGEST_LOOK, Read, now, reads_again},
    session::{CallId, ClientSession, Fault, Messages},
    wire::Crc32Variant,
};

thread_local! {
    /// The connection that this thread read last.
    static LATEST: Cell<usize> = const { Cell::new(0) };
}

/// Bytes that came, and tasks to wake.
#[derive(Debug)]
pub(crate) struct Reader {
    inlet: Inlet,
    wakers: Vec<Waker>,
}

impl Reader {
    pub(crate) fn new(max_frame_bytes: usize, crc: Crc32Variant) -> Self {
        Self {
            inlet: Inlet::new(max_frame_bytes, crc),
            wakers: Vec::new(),
        }
    }

    /// Reads once, and handles what came.
    pub(crate) fn read(&mut self, conn: &Connection, now: Instant) -> Result<Read, Fault> {
        match self.inlet.read(&conn.link) {
            Ok(Read::Bytes) => self.handle_frames(conn, now).map(|()| Read::Bytes),
            Ok(Read::Blocked) => Ok(Read::Blocked),
            Ok(Read::Eof) | Err(_) => Err(Fault::Closed),
        }
    }

    /// Looks until something has come or `budget` is over, and handles it.
    fn watch(&mut self, conn: &Connection, budget: Duration, pause: fn()) -> Result<Read, Fault> {
        match self.inlet.watch(&conn.link, budget, pause) {
            Ok(Read::Bytes) => self.handle_frames(conn, now()).map(|()| Read::Bytes),
            Ok(Read::Blocked) => Ok(Read::Blocked),
            Ok(Read::Eof) | Err(_) => Err(Fault::Closed),
        }
    }

    /// Hands all whole frames to the session under one lock, then wakes whom they concern.
    fn handle_frames(&mut self, conn: &Connection, now: Instant) -> Result<(), Fault> {
        conn.in_turns
            .store(!reads_again(&LATEST, conn), Ordering::Relaxed);
        // Callers wait for that lock.
        self.inlet.check_ahead();
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
            let (taken, frame) = next.inspect_err(|error| {
                session.handle_fault(Fault::Frame(*error));
            })?;
            completed |= taken > 0 || frame.is_some();
            match frame {
                Some(frame) => session.handle_frame(now, frame)?,
                None => break,
            }
        }
        session.handle_received(now, completed, self.inlet.is_partial());
        Ok(())
    }
}

impl Connection {
    /// The caller of `call` looks at the socket itself, for as long as `budget`, until its outcome or a message is there.
    pub(crate) fn watch(&self, call: CallId, budget: Duration, pause: fn()) {
        let Some(mut reader) = self.reading.borrow() else {
            return;
        };
        let since = Instant::now();
        let mut first = None;
        let found_after = loop {
            let read = reader.watch(self, budget, pause);
            let time = *first.get_or_insert_with(|| since.elapsed());
            match read {
                Ok(Read::Blocked) => break None,
                Ok(_) if since.elapsed().saturating_sub(time) >= LONGEST_LOOK => break None,
                Ok(_) if !self.session.lock().is_waiting(call) => break Some(time),
                Ok(_) => {}
                Err(fault) => {
                    self.with(|session| session.handle_fault(fault));
                    self.driver.wake();
                    break None;
                }
            }
        };
        self.reading.give_back(reader, &self.driver);
        if found_after.is_some() {
            self.reading.count_hit();
        }
        let (begins, tells) = {
            let mut session = self.session.lock();
            let lasts = session.handle_spin(found_after);
            let tells = session.wants_write() || session.take_greeted();
            (lasts && self.reading.begin_quiet(), tells)
        };
        if begins {
            self.link.stop_waiting_to_read();
        }
        if begins || tells {
            self.driver.wake();
        }
    }

    /// Moves the messages of the stream `call` that came to `batch`, as the session does, after its caller has looked for some
    /// where that is worth it. `consumed` is said before.
    pub(crate) fn poll_messages(
        &self,
        call: CallId,
        consumed: i64,
        batch: &mut Messages,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let look = self.with(|session| {
            session.consume(call, consumed);
            session.poll_stream_spin(call)
        });
        if let Some(budget) = look.filter(|_| self.link.is_worth_watching()) {
            // A task whose streams never wait still lets others have their turn.
            let turn = ready!(coop::poll_proceed(cx));
            // The server works on: where the kernel has it wait for this core, it is let go on.
            self.watch(call, budget, yield_now);
            turn.made_progress();
        }
        let more = self.with(|session| session.poll_messages(call, 0, batch, cx));
        if more.is_pending() {
            self.read_by_driver();
        }
        more
    }

    /// What arrives from now on is read by the driver, as nobody else is there to.
    pub(crate) fn read_by_driver(&self) {
        if self.reading.end_quiet() {
            self.driver.wake();
        }
    }
}
