//! The task of one connection: reads what the server answers, writes what callers queued.
//!
//! **Invariant**: never waits for a caller. What is decided is decided by the session.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::connection::Connection;
use crate::{
    driver::{Alarm, Flush, READS_PER_TURN, Read, flush},
    session::Fault,
};

/// Time to read why the server takes nothing more, which it said before it closed.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long the driver leaves reading to callers without seeing that they do.
const QUIET: Duration = Duration::from_millis(2);

/// Drives one connection to its end.
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
        }
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

    fn check_time(&mut self, now: Instant, cx: &mut Context<'_>) {
        let mut until = self.conn.session.lock().poll_timeout(now);
        while self.alarm.poll_due(until, now, cx) {
            let (conn, now) = (Arc::clone(&self.conn), now.max(crate::driver::now()));
            conn.with(|session| session.handle_timeout(now));
            until = conn.session.lock().poll_timeout(now);
        }
    }

    /// Writes what callers queued. With several calls in flight it lets the others queue first, once, so that they leave
    /// together.
    fn write(&mut self, gather: bool, cx: &mut Context<'_>) -> Result<(), Fault> {
        let conn = &self.conn;
        let (flushed, busy) = {
            let session = conn.session.lock();
            let busy = session.wants_write() && !session.wants_prompt_write();
            (session.is_flushed(), busy)
        };
        if gather && busy && !std::mem::replace(&mut self.yielded, true) {
            cx.waker().wake_by_ref();
            return Ok(());
        }
        self.yielded = false;
        if !flushed {
            self.flush(cx)?;
        }
        self.conn.session.lock().take_wakers(&mut self.wakers);
        self.wakers.drain(..).for_each(Waker::wake);
        Ok(())
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
        self.check_time(now, cx);
        conn.driver.set_awake(false);
        let came = read?;
        if self.write_failed.is_none() && self.write(!came, cx).is_err() {
            self.write_failed = Some(now);
        }
        if let Some(since) = self.write_failed
            && self.alarm.poll_due(since.checked_add(LAST_WORDS), now, cx)
        {
            return Err(Fault::Closed);
        }
        let mut session = conn.session.lock();
        if !session.is_usable() {
            conn.over.notify_one();
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
        match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(fault) => {
                let conn = Arc::clone(&self.conn);
                conn.with(|session| session.handle_fault(fault.clone()));
                let _ = flush(&conn.link, &conn.session, &conn.writer);
                conn.link.shutdown();
                conn.over.notify_one();
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A driver that is dropped in mid-flight (its runtime ends) fails the calls in flight.
        self.conn
            .with(|session| session.handle_fault(Fault::Closed));
        self.conn.link.shutdown();
        self.conn.over.notify_one();
    }
}
