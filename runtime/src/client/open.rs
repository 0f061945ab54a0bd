//! How a call gets onto a connection: deadline, metadata, waiting, opening, and one more try where
//! it is proven that no handler saw the call.
//!
//! **Invariant**: a call whose fate is unknown is never sent again, unless the schema allows it.

use std::{
    fmt,
    future::Future,
    hint::spin_loop,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::task::coop;

use super::{
    channel::{Channel, Patience},
    connection::Connection,
    interceptor::Reply,
    keeper::Backoff,
};
use crate::{
    descriptor::{MethodDescriptor, ServiceDescriptor},
    error::{CallError, IpcError},
    metadata::Metadata,
    session::{CallId, Fault, OpenCall, OpenError, Outcome, Ticket},
    status::{Code, Status},
    wire::{Inflated, Payload, harmless_bytes, measure},
};

type Acquire = Pin<Box<dyn Future<Output = Result<Arc<Connection>, IpcError>> + Send>>;

/// What is called, and how.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) channel: Channel,
    pub(crate) service: &'static ServiceDescriptor,
    pub(crate) method: &'static MethodDescriptor,
    /// Time for the call, from its first poll.
    pub(crate) timeout: Option<Duration>,
    /// When the call has to be over, whatever `timeout` says.
    pub(crate) deadline: Option<Instant>,
    pub(crate) metadata: Metadata,
    pub(crate) wait_for_ready: bool,
}

impl Spec {
    /// The call begins: fixes its deadline and counts it.
    pub(crate) fn begin(&mut self, now: Instant) {
        let timeout = self.timeout.take();
        let end = timeout.and_then(|timeout| now.checked_add(timeout));
        self.deadline = end.into_iter().chain(self.deadline).min();
        let counters = &self.channel.shared().counters;
        counters.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks for a place on the connection, and opens the call there. Ready with its id, and whether it is the only call.
    fn ask<P: Payload>(
        &self,
        conn: &Connection,
        ticket: &mut Ticket,
        now: Instant,
        cx: &Context<'_>,
        payload: Option<&P>,
    ) -> Poll<Result<(CallId, bool), OpenError>> {
        let call = OpenCall {
            service: self.service,
            method: self.method,
            deadline: self.deadline,
            metadata: &self.metadata,
        };
        conn.with(|session| {
            let opened = session.poll_open(now, cx, ticket, &call, payload);
            opened.map_ok(|id| (id, !session.needs_reader()))
        })
    }

    pub(crate) fn error(&self, kind: IpcError, maybe_run: bool) -> CallError {
        let endpoint = Arc::clone(&self.channel.shared().endpoint);
        CallError::new(kind, endpoint, self.method.path, maybe_run)
    }

    /// Bytes of the longest response that [`Self::check_memory`] certainly lets pass.
    pub(crate) fn harmless_bytes(&self) -> usize {
        harmless_bytes(&self.method.response, &self.channel.shared().session.decode)
    }

    /// Refuses a response that would take more memory than it may.
    pub(crate) fn check_memory(&self, response: &[u8]) -> Result<(), CallError> {
        let limits = &self.channel.shared().session.decode;
        let refuse = |over: Inflated| {
            let text = format!("the response is refused, by `limits` of the client: {over}");
            self.error(IpcError::Status(Status::resource_exhausted(text)), true)
        };
        let measured = measure(response, &self.method.response, limits, limits.memory);
        measured.map(drop).map_err(refuse)
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("method", &self.method.path)
            .field("endpoint", &self.channel.endpoint())
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// A call on its way to a connection.
pub(crate) struct Opening {
    pub(crate) spec: Spec,
    phase: Phase,
    /// Rings at the deadline while there is no session to watch it.
    alarm: Option<Pin<Box<tokio::time::Sleep>>>,
    retries_left: u32,
    backoff: Option<Backoff>,
}

enum Phase {
    Start,
    Acquiring(Acquire),
    Pausing(Pin<Box<tokio::time::Sleep>>),
    Queued(Queued),
}

/// Waits for a place on a connection.
struct Queued {
    conn: Arc<Connection>,
    ticket: Ticket,
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.conn.with(|session| session.stop_waiting(ticket));
        }
    }
}

impl Opening {
    /// A call that begins.
    pub(crate) fn new(spec: Spec) -> Self {
        let retries_left = spec.channel.shared().config.reconnect.max_attempts;
        Self {
            spec,
            phase: Phase::Start,
            alarm: None,
            retries_left,
            backoff: None,
        }
    }

    /// Opens the call. Ready with the call in flight, or with why it could not be opened.
    pub(crate) fn poll_open<P: Payload>(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
        payload: Option<&P>,
    ) -> Poll<Result<Active, CallError>> {
        loop {
            match &mut self.phase {
                Phase::Start => {
                    let Some(conn) = self.spec.channel.shared().current() else {
                        self.acquire();
                        continue;
                    };
                    let mut ticket = None;
                    match self.spec.ask(&conn, &mut ticket, now, cx, payload) {
                        Poll::Pending => {
                            self.phase = Phase::Queued(Queued { conn, ticket });
                            return self.poll_alarm(cx);
                        }
                        Poll::Ready(Err(OpenError::Unusable(_))) => self.acquire(),
                        Poll::Ready(asked) => {
                            if let Some(opened) = self.opened(conn, asked) {
                                return Poll::Ready(opened);
                            }
                        }
                    }
                }
                Phase::Acquiring(acquire) => match acquire.as_mut().poll(cx) {
                    Poll::Ready(Ok(conn)) => {
                        self.phase = Phase::Queued(Queued { conn, ticket: None });
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(self.error(error, false))),
                    Poll::Pending => return self.poll_alarm(cx),
                },
                Phase::Pausing(pause) => match pause.as_mut().poll(cx) {
                    Poll::Ready(()) => self.phase = Phase::Start,
                    Poll::Pending => return self.poll_alarm(cx),
                },
                Phase::Queued(Queued { conn, ticket }) => {
                    let Poll::Ready(asked) = self.spec.ask(conn, ticket, now, cx, payload) else {
                        return self.poll_alarm(cx);
                    };
                    let conn = Arc::clone(conn);
                    self.phase = Phase::Start;
                    if let Some(opened) = self.opened(conn, asked) {
                        return Poll::Ready(opened);
                    }
                }
            }
        }
    }

    /// Waits for a connection.
    fn acquire(&mut self) {
        let shared = Arc::clone(self.spec.channel.shared());
        self.phase = Phase::Acquiring(Box::pin(shared.acquire(self.patience())));
    }

    /// A call that is begun once more has lost a connection that may be back with the next attempt.
    const fn patience(&self) -> Patience {
        match (self.spec.wait_for_ready, &self.backoff) {
            (true, _) => Patience::Attempts,
            (false, Some(_)) => Patience::OneAttempt,
            (false, None) => Patience::None,
        }
    }

    /// What asking for a place has come to: the call in flight, or its error; `None` if it is begun once more.
    fn opened(
        &mut self,
        conn: Arc<Connection>,
        asked: Result<(CallId, bool), OpenError>,
    ) -> Option<Result<Active, CallError>> {
        match asked {
            Ok(place) => Some(Ok(Active::new(conn, place, self.spec.method))),
            Err(error) => self.refused(&conn, error).map(Err),
        }
    }

    /// What comes of a call that could not be opened: its error, or `None` if it is begun once more.
    fn refused(&mut self, conn: &Connection, error: OpenError) -> Option<CallError> {
        let error = match error {
            OpenError::Unusable(fault) => {
                let error = conn.error(&fault);
                if !error.is_verdict() && self.start_over() {
                    return None;
                }
                error
            }
            OpenError::TooLarge(over) => IpcError::TooLarge {
                size: over.size,
                max_size: over.max_size,
            },
            OpenError::Metadata(over) => IpcError::Encode(over),
            OpenError::SchemaMismatch(mismatch) => mismatch.to_error(),
        };
        Some(self.error(error, false))
    }

    /// While no session watches the deadline, this does.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Result<Active, CallError>> {
        let Some(deadline) = self.spec.deadline else {
            return Poll::Pending;
        };
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Err(self.error(IpcError::Timeout, false)))
    }

    /// Begins once more after a short pause, if tries are left.
    fn start_over(&mut self) -> bool {
        let Some(left) = self.retries_left.checked_sub(1) else {
            return false;
        };
        self.retries_left = left;
        let shared = self.spec.channel.shared();
        let backoff = self
            .backoff
            .get_or_insert_with(|| Backoff::new(&shared.config.reconnect));
        shared.counters.retries.fetch_add(1, Ordering::Relaxed);
        self.phase = Phase::Pausing(Box::pin(tokio::time::sleep(backoff.next_pause())));
        true
    }

    /// Whether a call with this outcome is begun once more.
    pub(crate) fn retry(&mut self, outcome: &Outcome) -> bool {
        let endpoint = &self.spec.channel.shared().endpoint;
        let safe = match outcome {
            Outcome::Failure {
                status,
                unrun: true,
            } => {
                matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
            }
            Outcome::Lost { fault, maybe_run } => {
                !matches!(fault, Fault::Shutdown)
                    && !fault.to_error(endpoint).is_verdict()
                    && (!maybe_run || self.spec.method.idempotency.allows_retry())
            }
            _ => false,
        };
        safe && self.start_over()
    }

    fn error(&self, kind: IpcError, maybe_run: bool) -> CallError {
        self.spec.error(kind, maybe_run)
    }
}

/// A call in flight. Dropping it cancels.
pub(crate) struct Active {
    pub(crate) conn: Arc<Connection>,
    pub(crate) id: CallId,
    method: &'static MethodDescriptor,
    /// It was the only call on its connection when it was opened.
    pub(super) alone: bool,
    ended: bool,
}

impl Active {
    fn new(
        conn: Arc<Connection>,
        (id, alone): (CallId, bool),
        method: &'static MethodDescriptor,
    ) -> Self {
        Self {
            conn,
            id,
            method,
            alone,
            ended: false,
        }
    }

    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let conn = &self.conn;
        let mut session = conn.session.lock();
        if let Some(budget) = session
            .poll_spin(self.id)
            .filter(|_| conn.link.is_worth_watching())
        {
            drop(session);
            // A task whose calls never wait still lets others have their turn.
            let turn = ready!(coop::poll_proceed(cx));
            conn.watch(self.id, budget, spin_loop);
            turn.made_progress();
            session = conn.session.lock();
        }
        let outcome = session.poll_outcome(self.id, cx);
        drop(session);
        if outcome.is_pending() {
            conn.read_by_driver();
        } else {
            self.ended = true;
        }
        outcome
    }

    pub(crate) const fn method(&self) -> &'static MethodDescriptor {
        self.method
    }

    /// The reply of a call that succeeded, or the error of one that did not.
    pub(crate) fn reply(&self, outcome: Outcome) -> Result<Reply, CallError> {
        let (kind, maybe_run) = match outcome {
            Outcome::Success { payload, trailers } => {
                return Ok(Reply {
                    payload,
                    trailers: Metadata::from_entries(trailers),
                    messages: 1,
                });
            }
            Outcome::Failure { status, unrun } => (IpcError::Status(status), !unrun),
            Outcome::DeadlineExceeded { maybe_run } => (IpcError::Timeout, maybe_run),
            Outcome::Lost { fault, maybe_run } => (self.conn.error(&fault), maybe_run),
        };
        Err(self.error(kind, maybe_run))
    }

    fn error(&self, kind: IpcError, maybe_run: bool) -> CallError {
        let endpoint = Arc::clone(&self.conn.endpoint);
        CallError::new(kind, endpoint, self.method.path, maybe_run)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if !self.ended {
            self.conn.with(|session| session.cancel(self.id));
        }
    }
}
