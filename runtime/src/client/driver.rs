//! The task of one connection: reads what the server answers, writes what callers queued.
//!
//! **Invariant**: never waits for a caller. What is decided is decided by the session.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::connection::Connection;
use crate::{
    driver::{Alarm, Flush, READS_PER_TURN, Read, flush},
    session::{ClientSession, Fault},
};

/// Time to read why the server takes nothing more, which it said before it closed.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long the driver leaves reading to callers without seeing that they do.
const QUIET: Duration = Duration::from_millis(2);

/// Drives one connection to its end: as a part of the task that keeps the channel connected, for as long as calls may be opened.
#[derive(Debug)]
pub(crate) struct Driver {
    conn: Arc<Connection>,
    alarm: Alarm,
    /// When it is looked whether callers still read for themselves, and what they had found by then.
    lull: Alarm,
    quiet_until: Option<Instant>,
    hits: u64,
    wakers: Vec<Waker>,
    /// Was woken to write and let others queue first.
    yielded: bool,
    /// Since when the server takes nothing more. What it said before is still read.
    write_failed: Option<Instant>,
    /// The connection takes no more calls, and is over once those in flight are.
    leaving: bool,
    over: bool,
}

/// What there is to do, beside reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Todo {
    Nothing,
    /// To write, or to see whether the end is reached.
    Write,
    /// To write what several callers have queued or are about to.
    WriteTogether,
}

impl Todo {
    fn of(conn: &Connection, session: &ClientSession) -> Self {
        if session.wants_write() && !conn.writes_promptly(session) {
            Self::WriteTogether
        } else if session.is_flushed() && session.is_usable() {
            Self::Nothing
        } else {
            Self::Write
        }
    }
}

impl Driver {
    pub(crate) fn new(conn: Arc<Connection>) -> Self {
        Self {
            conn,
            alarm: Alarm::new(),
            lull: Alarm::new(),
            quiet_until: None,
            hits: 0,
            wakers: Vec::new(),
            yielded: false,
            write_failed: None,
            leaving: false,
            over: false,
        }
    }

    /// Drives the connection until the server has said HELLO.
    ///
    /// # Errors
    /// Why the connection is over before that.
    pub(crate) async fn greeted(&mut self) -> Result<(), Fault> {
        poll_fn(|cx| {
            let over = Pin::new(&mut *self).poll(cx).is_ready();
            let session = self.conn.session.lock();
            match session.fault() {
                _ if session.server_hello().is_some() => Poll::Ready(Ok(())),
                Some(fault) if over => Poll::Ready(Err(fault.clone())),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Drives the connection until it takes no more calls. `false` if it is over by then.
    pub(crate) async fn leaves(&mut self) -> bool {
        poll_fn(|cx| match Pin::new(&mut *self).poll(cx) {
            Poll::Pending if !self.leaving => Poll::Pending,
            _ => Poll::Ready(!self.over),
        })
        .await
    }

    /// To be driven by another task from now on: its timers ring for that one.
    pub(crate) fn for_another_task(&mut self) {
        self.alarm = Alarm::new();
        self.lull = Alarm::new();
        self.quiet_until = None;
    }

    pub(crate) const fn connection(&self) -> &Arc<Connection> {
        &self.conn
    }

    /// Reads and handles what is there, a bounded number of times. Tells whether anything came.
    fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let conn = Arc::clone(&self.conn);
        let Some(mut reader) = conn.reading.take() else {
            return Ok(false);
        };
        let mut came = false;
        for _ in 0..READS_PER_TURN {
            match reader.read(&conn, now)? {
                Read::Blocked if self.stays_quiet(now, cx) => return Ok(came),
                Read::Blocked => match conn.link.poll_read_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Err(Fault::Closed),
                    Poll::Pending => return Ok(came),
                },
                _ => came = true,
            }
        }
        cx.waker().wake_by_ref();
        Ok(came)
    }

    /// Whether callers go on reading for themselves, which is looked after from time to time.
    fn stays_quiet(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let reading = &self.conn.reading;
        while reading.is_quiet() {
            let until = self.quiet_until.get_or_insert(now + QUIET);
            if !self.lull.poll_due(Some(*until), now, cx) {
                return true;
            }
            self.quiet_until = None;
            if std::mem::replace(&mut self.hits, reading.hits()) == reading.hits() {
                reading.end_quiet();
            }
        }
        self.quiet_until = None;
        false
    }

    /// Judges the time, and says what there is to do.
    fn judge(&mut self, mut now: Instant, cx: &mut Context<'_>) -> Todo {
        loop {
            let (until, todo) = {
                let mut session = self.conn.session.lock();
                session.take_wakers(&mut self.wakers);
                (session.poll_timeout(now), Todo::of(&self.conn, &session))
            };
            self.wakers.drain(..).for_each(Waker::wake);
            if !self.alarm.poll_due(until, now, cx) {
                return todo;
            }
            now = now.max(crate::driver::now());
            self.conn.with(|session| session.handle_timeout(now));
        }
    }

    /// Writes what callers queued. With several calls in flight it lets the others queue first, once, so that they leave
    /// together.
    fn write(&mut self, together: bool, cx: &mut Context<'_>) -> Result<(), Fault> {
        if together && !std::mem::replace(&mut self.yielded, true) {
            cx.waker().wake_by_ref();
            return Ok(());
        }
        self.yielded = false;
        let written = self.flush(cx);
        self.conn.session.lock().take_wakers(&mut self.wakers);
        self.wakers.drain(..).for_each(Waker::wake);
        written
    }

    /// Writes all that there is, as far as the socket takes it.
    fn flush(&self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let conn = &self.conn;
        loop {
            match flush(&conn.link, &conn.session, &conn.writer) {
                Ok(Flush::Done | Flush::Busy) => return Ok(()),
                Ok(Flush::Blocked) => match conn.link.poll_write_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Err(Fault::Closed),
                    Poll::Pending => return Ok(()),
                },
                Err(_) => return Err(Fault::Closed),
            }
        }
    }

    /// One turn. `Err` when the connection is over.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let conn = Arc::clone(&self.conn);
        conn.driver.register(cx.waker());
        conn.driver.set_awake(true);
        let now = crate::driver::now();
        let read = self.read(now, cx);
        // Who queues something after this is judged wakes the driver.
        conn.driver.set_awake(false);
        let todo = self.judge(now, cx);
        let came = read?;
        if todo == Todo::Nothing && self.write_failed.is_none() {
            self.yielded = false;
            return Ok(());
        }
        let together = todo == Todo::WriteTogether && !came;
        if self.write_failed.is_none() && self.write(together, cx).is_err() {
            self.write_failed = Some(now);
        }
        if let Some(since) = self.write_failed
            && self.alarm.poll_due(since.checked_add(LAST_WORDS), now, cx)
        {
            return Err(Fault::Closed);
        }
        let mut session = conn.session.lock();
        if !session.is_usable() {
            self.leaving = true;
            if session.calls_open() == 0 && session.is_flushed() {
                session.handle_fault(Fault::Shutdown);
            }
        }
        session.fault().map_or(Ok(()), |fault| Err(fault.clone()))
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.over {
            return Poll::Ready(());
        }
        match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(fault) => {
                let conn = Arc::clone(&self.conn);
                conn.with(|session| session.handle_fault(fault.clone()));
                let _ = flush(&conn.link, &conn.session, &conn.writer);
                conn.link.shutdown();
                self.over = true;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // A driver that is dropped in mid-flight (its runtime ends) fails the calls in flight.
        self.conn
            .with(|session| session.handle_fault(Fault::Closed));
        self.conn.link.shutdown();
    }
}
