//! The task of one connection: reads frames, starts handlers, writes what they answer.
//!
//! Each handler is polled once right here, and moved to a task of its own only if it has to wait.
//!
//! **Invariant**: never waits for a handler. What is decided is decided by the session.

use std::{
    cell::Cell,
    future::Future,
    hint::spin_loop,
    io, mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use super::{
    call::{HandlerSlot, ServerCall},
    connection::{Connection, Effects},
    interceptor,
    stats::Gauge,
};
use crate::{
    descriptor::MethodDescriptor,
    driver::{Alarm, Flush, Inlet, LONGEST_LOOK, READS_PER_TURN, Read, flush, now, reads_again},
    session::{Fault, Incoming, StartCall},
    wire::MAX_HELLO_BYTES,
};

/// Calls that were looked for, and found, in one turn, after which other tasks have theirs.
const LOOKS_PER_TURN: usize = 8;

thread_local! {
    /// The connection that this thread read last.
    static LATEST: Cell<usize> = const { Cell::new(0) };
}

/// Drives one connection to its end.
#[derive(Debug)]
pub(crate) struct Driver {
    conn: Arc<Connection>,
    inlet: Inlet,
    /// One per method of each service, so that its room is used again by the next call.
    slots: Vec<Vec<HandlerSlot>>,
    alarm: Alarm,
    effects: Effects,
    starts: Vec<StartCall>,
    denied: Vec<&'static MethodDescriptor>,
    /// Until the client has said HELLO.
    greeting: Option<Gauge>,
    write_failed: bool,
    /// Whole frames of the last read.
    frames: usize,
    /// The client's next call is looked for, so that nobody need be woken by it.
    quiet: bool,
    /// A look has found something, which was handled: there is nothing to read just now.
    looked: bool,
}

impl Driver {
    pub(crate) fn new(conn: Arc<Connection>) -> Self {
        let config = &conn.core.session;
        let hello = MAX_HELLO_BYTES.min(config.max_frame_bytes);
        Self {
            inlet: Inlet::new(hello, config.crc),
            slots: Vec::new(),
            alarm: Alarm::new(),
            effects: Effects::default(),
            starts: Vec::new(),
            denied: Vec::new(),
            greeting: Some(conn.core.counters.handshakes.enter()),
            write_failed: false,
            frames: 0,
            quiet: false,
            looked: false,
            conn,
        }
    }

    /// Reads and handles what is there, a bounded number of times.
    fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<(), Fault> {
        for _ in 0..READS_PER_TURN {
            match self.inlet.read(&self.conn.link) {
                Ok(Read::Bytes) => self.handle_frames(now)?,
                Ok(Read::Eof) => return Err(Fault::Closed),
                Ok(Read::Blocked) if self.quiet => return Ok(()),
                Ok(Read::Blocked) => match self.conn.link.poll_read_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Err(Fault::Closed),
                    Poll::Pending => return Ok(()),
                },
                Err(_) => return Err(Fault::Closed),
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Hands all whole frames to the session under one lock, then starts the calls among them.
    fn handle_frames(&mut self, now: Instant) -> Result<(), Fault> {
        let conn = Arc::clone(&self.conn);
        let taken = {
            let mut session = conn.session.lock();
            let taken = self.take_frames(now, &mut session);
            session.take_effects(&mut self.effects.wakers, &mut self.effects.aborts);
            taken
        };
        self.effects.run();
        self.denied
            .drain(..)
            .for_each(|method| conn.note_denied(method));
        let mut starts = mem::take(&mut self.starts);
        for start in starts.drain(..) {
            if taken.is_ok() {
                self.start(start);
            }
        }
        self.starts = starts;
        taken
    }

    fn take_frames(
        &mut self,
        now: Instant,
        session: &mut crate::session::ServerSession<tokio::task::AbortHandle>,
    ) -> Result<(), Fault> {
        self.frames = 0;
        loop {
            let next = self
                .inlet
                .next_frame(|frame| session.handle_stream_message(frame));
            let (taken, frame) = next.inspect_err(|error| {
                session.handle_fault(Fault::Frame(*error));
            })?;
            self.frames += taken;
            let Some(frame) = frame else { break };
            self.frames += 1;
            match session.handle_frame(now, frame)? {
                Incoming::Handled => {}
                Incoming::Start(start) => self.starts.push(start),
                Incoming::Denied(method) => self.denied.push(method),
            }
            if self.greeting.take().is_some() {
                let limit = self.conn.core.session.max_frame_bytes;
                self.inlet.decoder.set_max_frame_bytes(limit);
            }
        }
        session.handle_received(now, self.frames > 0, self.inlet.is_partial());
        Ok(())
    }

    /// Starts a handler: polls it here once, and gives it a task of its own if it has to wait.
    fn start(&mut self, start: StartCall) {
        let Self { conn, slots, .. } = self;
        let core = &conn.core;
        let (index, id) = (start.index, start.call);
        let Some(service) = core.services.get(index.service) else {
            return;
        };
        if slots.is_empty() {
            slots.resize_with(core.services.len(), Vec::new);
        }
        let Some(slots) = slots.get_mut(index.service) else {
            return;
        };
        if slots.is_empty() {
            slots.resize_with(service.descriptor().methods.len(), HandlerSlot::default);
        }
        let Some(slot) = slots.get_mut(index.method) else {
            return;
        };
        let its = Arc::clone(conn);
        if core.interceptors.is_empty() {
            service.dispatch(index.method, ServerCall::new(its, start), slot);
        } else {
            slot.run(interceptor::run(its, Arc::clone(service), start));
        }
        if let Some(handler) = slot.poll_once() {
            let abort = tokio::spawn(handler).abort_handle();
            // The lock is released before the handler is stopped.
            let refused = conn.session.lock().set_abort(id, abort);
            if let Err(abort) = refused {
                abort.abort();
            }
        }
    }

    /// Writes what the session has.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.write_failed {
            return Ok(());
        }
        let conn = &self.conn;
        while flush(&conn.link, &conn.session, &conn.writer)? == Flush::Blocked {
            match conn.link.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => break,
            }
        }
        let mut session = conn.session.lock();
        session.take_effects(&mut self.effects.wakers, &mut self.effects.aborts);
        drop(session);
        self.effects.run();
        Ok(())
    }

    fn check_time(&mut self, now: Instant, cx: &mut Context<'_>) {
        let mut until = self.conn.session.lock().poll_timeout();
        while self.alarm.poll_due(until, now, cx) {
            let conn = Arc::clone(&self.conn);
            conn.with(|session| session.handle_timeout(now.max(crate::driver::now())));
            until = conn.session.lock().poll_timeout();
        }
    }

    /// One turn. `Err` when the connection is over.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        self.conn.driver.register(cx.waker());
        let mut looks = 0;
        loop {
            self.step(cx)?;
            self.looked = self.look()?;
            looks += usize::from(self.looked);
            if looks == LOOKS_PER_TURN {
                // Polled once, this has the runtime come back after all others, the reactor among them.
                let _ = pin!(tokio::task::yield_now()).poll(cx);
                return Ok(());
            }
            // What arrives after looks have ended has to be told.
            if !self.looked && !mem::take(&mut self.quiet) {
                return Ok(());
            }
        }
    }

    /// Reads, starts handlers, judges the time and writes, as far as there is something to do.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let conn = Arc::clone(&self.conn);
        conn.driver.set_awake(true);
        let now = now();
        let read = match mem::take(&mut self.looked) {
            true => Ok(()),
            false => self.read(now, cx),
        };
        conn.count_read(self.inlet.take_came());
        self.check_time(now, cx);
        conn.driver.set_awake(false);
        if self.write(cx).is_err() {
            // What the peer said before it stopped reading has been read above.
            self.write_failed = true;
            return Err(Fault::Closed);
        }
        read?;
        let mut session = conn.session.lock();
        if session.is_drained() {
            session.handle_fault(Fault::Shutdown);
        }
        session.fault().map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// Looks for the next call of a client that makes one after the other, and handles it. `true` if something came.
    fn look(&mut self) -> Result<bool, Fault> {
        let conn = Arc::clone(&self.conn);
        let frames = mem::take(&mut self.frames);
        if frames == 0 {
            return Ok(false);
        }
        // Where connections take turns, a look keeps the thread from the others, and the next call comes late.
        if !reads_again(&LATEST, &*conn) || !conn.link.is_worth_watching() {
            return Ok(false);
        }
        let Some(budget) = conn.session.lock().poll_spin(frames) else {
            return Ok(false);
        };
        let since = Instant::now();
        let mut first = None;
        let found_after = loop {
            match self.inlet.watch(&conn.link, budget, spin_loop) {
                Ok(Read::Bytes) => {
                    let time = *first.get_or_insert_with(|| since.elapsed());
                    self.handle_frames(now())?;
                    if since.elapsed().saturating_sub(time) >= LONGEST_LOOK {
                        break None;
                    }
                    if self.frames > 0 {
                        break Some(time);
                    }
                }
                Ok(Read::Blocked) => break None,
                Ok(Read::Eof) | Err(_) => return Err(Fault::Closed),
            }
        };
        let lasts = conn.session.lock().handle_spin(found_after);
        if lasts && !mem::replace(&mut self.quiet, true) {
            conn.link.stop_waiting_to_read();
        }
        // The time of a frame that has begun runs.
        Ok(first.is_some())
    }

    /// The connection is over: what can be said at once is said, handlers are stopped.
    fn close(&mut self, fault: Fault, cx: &mut Context<'_>) {
        let conn = Arc::clone(&self.conn);
        if !matches!(fault, Fault::Closed | Fault::Shutdown) {
            let (connection, user) = (conn.id, conn.peer().user());
            if let Some(left_out) = conn.core.faults.permit(now()) {
                tracing::debug!(connection, %user, %fault, left_out, "a connection ended");
            }
        }
        if let Some(cause) = fault.cause() {
            conn.core.counters.fault(cause);
        }
        conn.with(|session| session.handle_fault(fault));
        let _ = self.write(cx);
        conn.link.shutdown();
        conn.core.forget(conn.id);
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(fault) => {
                self.close(fault, cx);
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A driver that is dropped in mid-flight (its runtime ends) leaves no handler behind.
        self.conn
            .with(|session| session.handle_fault(Fault::Shutdown));
        self.conn.core.forget(self.conn.id);
    }
}
