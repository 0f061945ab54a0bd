//! One connection of a client: what its driver and its calls share.
//!
//! **Invariant**: tasks are woken after the session's lock is released, never under it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Instant,
};

use parking_lot::Mutex;

use super::reader::Reader;
use crate::{
    descriptor::ServiceDescriptor,
    driver::{Bell, Flush, Reading, flush},
    error::IpcError,
    session::{ClientSession, Fault, SchemaPolicy, SessionConfig, Ticket, Transmit},
    transport::Link,
    wire::Hello,
};

/// Shared by all who work on one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) link: Link,
    pub(crate) endpoint: Arc<str>,
    pub(crate) session: Mutex<ClientSession>,
    pub(crate) writer: Mutex<Transmit>,
    pub(crate) driver: Bell,
    pub(crate) reading: Reading<Reader>,
    pub(crate) stream_credit: u32,
    /// The thread that read this connection read another one before.
    pub(super) in_turns: AtomicBool,
}

impl Connection {
    pub(crate) fn new(
        link: Link,
        endpoint: Arc<str>,
        config: SessionConfig,
        policy: SchemaPolicy,
        services: &[&'static ServiceDescriptor],
        now: Instant,
    ) -> Self {
        let stream_credit = config.stream_credit;
        let reading = Reading::new(Reader::new(config.max_frame_bytes, config.crc));
        Self {
            reading,
            link,
            endpoint,
            session: Mutex::new(ClientSession::new(config, policy, services, now)),
            writer: Mutex::new(Transmit::default()),
            driver: Bell::new(),
            stream_credit,
            in_turns: AtomicBool::new(false),
        }
    }

    /// Works on the session, wakes whom that concerns, and sees to it that what was queued leaves.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut ClientSession) -> R) -> R {
        let mut wakers = Vec::new();
        let (result, writes, prompt, late, reader) = {
            let mut session = self.session.lock();
            let queued = session.wants_write();
            let result = work(&mut session);
            session.take_wakers(&mut wakers);
            let prompt = self.writes_promptly(&session);
            (
                result,
                // Whoever queued what was there before has seen to it that it leaves, and takes this along.
                session.wants_write() && (!queued || prompt),
                prompt,
                session.timer_is_late(),
                session.needs_reader(),
            )
        };
        wakers.into_iter().for_each(Waker::wake);
        if late {
            self.driver.wake();
        }
        if reader {
            self.read_by_driver();
        }
        if writes {
            self.send(prompt);
        }
        result
    }

    /// Whether what is queued had better leave at once.
    pub(super) fn writes_promptly(&self, session: &ClientSession) -> bool {
        session.wants_prompt_write(self.in_turns.load(Ordering::Relaxed))
    }

    /// A call that is alone is written on the spot, by its caller; with more in flight, the driver
    /// writes them together.
    fn send(&self, prompt: bool) {
        if self.driver.is_awake() {
            return;
        }
        let written = prompt
            && matches!(
                flush(&self.link, &self.session, &self.writer),
                Ok(Flush::Done)
            );
        if !written {
            self.driver.wake();
        }
    }

    /// Whether new calls may be opened on it.
    pub(crate) fn is_usable(&self) -> bool {
        self.session.lock().is_usable()
    }

    /// Waits for the server's HELLO.
    pub(crate) async fn handshake(&self) -> Result<Hello, Fault> {
        let mut wait = HandshakeWait {
            conn: self,
            ticket: None,
        };
        std::future::poll_fn(|cx| self.session.lock().poll_handshake(&mut wait.ticket, cx)).await?;
        self.session
            .lock()
            .server_hello()
            .cloned()
            .ok_or(Fault::Closed)
    }

    /// The error for something that `fault` ended on this connection.
    pub(crate) fn error(&self, fault: &Fault) -> IpcError {
        fault.to_error(&self.endpoint)
    }

    /// Closes the connection: calls in flight may finish.
    pub(crate) fn shutdown(&self) {
        self.with(ClientSession::shutdown);
        self.driver.wake();
    }
}

struct HandshakeWait<'a> {
    conn: &'a Connection,
    ticket: Ticket,
}

impl Drop for HandshakeWait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.conn.with(|session| session.stop_waiting(ticket));
        }
    }
}
