//! The server's side of a connection: its client's calls, from CALL to the end of their handler.
//!
//! **Invariant**: each call gets at most one REPLY or END, and counts against `max_calls` until its
//! handler is gone.

mod calls;
mod frames;
mod registry;
mod tally;

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use self::calls::Call;
pub use self::{
    calls::{CallReport, Interruption, StartCall},
    frames::Incoming,
    registry::{MethodIndex, Registry},
    tally::Tally,
};
use super::{
    CallId, Fault, IdHasher, SessionConfig,
    batch::{Batch, Room},
    messages::Messages,
    outbox::Outbox,
    pool::Holdings,
    spin::{SERVER_SKIPS, Spin},
    transmit::{Transmit, Written},
    vitals::{Due, Vitals},
    waiting::Ticket,
};
use crate::{
    metadata::Metadata,
    status::{Code, Status},
    wire::{Encoded, Head, Hello, Kind, Payload},
};

/// One connection, seen from the server. `A` is what stops a handler: the driver's handle to its task.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// # let metadata = Metadata::new();
/// # let call = OpenCall { service: HEALTH_SERVICE, method: &HEALTH_SERVICE.methods[2], deadline: None, metadata: &metadata };
/// # let request = Encoded(Bytes::new());
/// # let Poll::Ready(Ok(id)) = client.poll_open(now, &cx, &mut None, &call, Some(&request)) else { panic!() };
/// client.poll_transmit(&mut wire);
/// let (frames, written) = take(&mut wire); // off the wire
/// client.handle_written(written);
/// for frame in frames {
///     if let Incoming::Start(call) = server.handle_frame(now, frame).unwrap() {
///         assert_eq!(call.method.name, "Ping");
///         server.reply(call.call, &Encoded(Bytes::new()), &Metadata::new());
///     }
/// }
/// assert_eq!((server.calls_in_flight(), server.wants_write()), (0, true));
/// # let _ = id;
/// ```
#[derive(Debug)]
pub struct ServerSession<A> {
    config: SessionConfig,
    registry: Arc<Registry>,
    outbox: Outbox,
    vitals: Vitals,
    client: Option<Hello>,
    /// Services whose calls are refused, with the reason: the client requires a match.
    refused: Vec<(usize, String)>,
    /// Methods that this client may not call, with what it is told.
    denied: Vec<(MethodIndex, String)>,
    calls: HashMap<CallId, Call<A>, IdHasher>,
    /// Calls whose terminal frame is not queued yet.
    open: usize,
    last_id: CallId,
    draining: bool,
    client_leaves: bool,
    closed: Option<Fault>,
    next_deadline: Option<Instant>,
    unknown_kinds: u64,
    tally: Tally,
    spin: Spin,
    holdings: Holdings,
    wakers: Vec<Waker>,
    aborts: Vec<A>,
}

impl<A> ServerSession<A> {
    /// A session that begins now and waits for the client's HELLO.
    #[must_use]
    pub fn new(config: SessionConfig, registry: Arc<Registry>, now: Instant) -> Self {
        let vitals = Vitals::new(
            now,
            config.handshake_timeout,
            config.read_timeout,
            config.write_timeout,
        );
        Self {
            registry,
            // The peer's limit is not known before its HELLO; a refusal is small.
            outbox: Outbox::new(config.crc, crate::wire::MAX_HELLO_BYTES),
            vitals,
            client: None,
            refused: Vec::new(),
            denied: Vec::new(),
            calls: HashMap::default(),
            open: 0,
            last_id: 0,
            draining: false,
            client_leaves: false,
            closed: None,
            next_deadline: None,
            unknown_kinds: 0,
            tally: Tally::default(),
            spin: Spin::new(config.spin, SERVER_SKIPS),
            holdings: Holdings::new(Arc::clone(&config.pool)),
            wakers: Vec::new(),
            aborts: Vec::new(),
            config,
        }
    }

    /// Has the calls of some methods refused (PERMISSION_DENIED, with the text), whatever they carry.
    pub fn deny(&mut self, denied: Vec<(MethodIndex, String)>) {
        self.denied = denied;
    }

    /// The client's HELLO, once it is in, without the services that it named.
    #[must_use]
    pub const fn client_hello(&self) -> Option<&Hello> {
        self.client.as_ref()
    }

    /// Why the connection is over, once it is.
    #[must_use]
    pub const fn fault(&self) -> Option<&Fault> {
        self.closed.as_ref()
    }

    /// Calls that hold a slot: running ones, and ended ones whose handler is not gone yet.
    #[must_use]
    pub fn calls_in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Calls that were not answered yet.
    #[must_use]
    pub const fn calls_open(&self) -> usize {
        self.open
    }

    /// Bytes that wait to be written or to be taken by handlers.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        let inbound: usize = self.calls.values().map(Call::queued_bytes).sum();
        self.outbox.queued() + inbound
    }

    /// Frames of a kind that this version does not know.
    #[must_use]
    pub const fn unknown_kinds(&self) -> u64 {
        self.unknown_kinds
    }

    /// How the connection's calls ended.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Bytes that the socket took.
    #[must_use]
    pub const fn bytes_written(&self) -> u64 {
        self.outbox.bytes_written()
    }

    /// Whether an orderly end is reached: it was asked for, nothing runs, all is written.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        (self.draining || self.client_leaves) && self.calls.is_empty() && self.outbox.is_empty()
    }

    /// Ends a unary or client-streaming call with its response. A response that is larger than the
    /// client takes becomes RESOURCE_EXHAUSTED.
    ///
    /// This and [`Self::finish`] and [`Self::fail`] are the handler's last word: its slot is freed
    /// with them. `false` means that nobody wants the call any more, and the slot is still held.
    pub fn reply<P: Payload>(&mut self, call: CallId, payload: &P, trailers: &Metadata) -> bool {
        if !self.end_call(call) {
            return false;
        }
        self.holdings.count_queued(self.outbox.queued());
        if self.holdings.is_clogged() {
            let text = "there is no room for the response: responses are not being read";
            self.push_end(call, &Status::resource_exhausted(text), false);
            return true;
        }
        let metadata = trailers.entries();
        let head = Head {
            kind: Kind::Reply,
            call: Some(call),
            metadata,
            ..Head::default()
        };
        match self.outbox.push(&head, Some(payload)) {
            Ok(_) => self.tally.count(Code::Ok),
            Err(oversize) => {
                let status =
                    Status::resource_exhausted(format!("the response is too large: {oversize}"));
                self.push_end(call, &status, false);
            }
        }
        true
    }

    /// Ends a response stream after its messages.
    pub fn finish(&mut self, call: CallId, trailers: &Metadata) -> bool {
        if !self.end_call(call) {
            return false;
        }
        let metadata = trailers.entries();
        let head = Head {
            kind: Kind::End,
            call: Some(call),
            metadata,
            ..Head::default()
        };
        match self.outbox.push_lane::<Encoded>(call, &head, None) {
            Ok(_) => self.tally.count(Code::Ok),
            Err(oversize) => {
                let status =
                    Status::resource_exhausted(format!("the trailers are too large: {oversize}"));
                self.push_end(call, &status, false);
            }
        }
        self.outbox.finish_lane(call);
        true
    }

    /// Fails a call, after the messages of its stream that are queued.
    pub fn fail(&mut self, call: CallId, status: &Status) -> bool {
        if !self.end_call(call) {
            return false;
        }
        let end = end_head(call, status, false);
        match self.outbox.push_lane::<Encoded>(call, &end, None) {
            Ok(true) => {
                self.tally.count(status.code());
                self.outbox.finish_lane(call);
            }
            Ok(false) | Err(_) => {
                self.wakers.extend(self.outbox.drop_lane(call));
                self.push_end(call, status, false);
            }
        }
        true
    }

    /// Ready when messages of the response stream may be sent, with how many; with `None` when the call is over.
    pub fn poll_send(&mut self, call: CallId, cx: &Context<'_>) -> Poll<Option<Room>> {
        if self.calls.get(&call).is_none_or(|entry| entry.ended) {
            return Poll::Ready(None);
        }
        self.outbox.poll_room(call, cx)
    }

    /// Queues messages of the response stream, which [`Self::poll_send`] had room for, and empties `batch`.
    pub fn send(&mut self, call: CallId, batch: &mut Batch) {
        self.outbox.push_batch(call, batch);
        self.holdings.count_queued(self.outbox.queued());
    }

    /// Moves the messages of the request stream that came to `batch`; as
    /// [`super::ClientSession::poll_messages`].
    pub fn poll_messages(
        &mut self,
        call: CallId,
        consumed: i64,
        batch: &mut Messages,
        cx: &Context<'_>,
    ) -> Poll<bool> {
        self.consume(call, consumed);
        let Some(entry) = self.calls.get_mut(&call) else {
            return Poll::Ready(false);
        };
        let Some(receiver) = &mut entry.receiver else {
            return Poll::Ready(false);
        };
        receiver.take(batch);
        if !batch.is_empty() {
            return Poll::Ready(true);
        }
        if receiver.is_finished() || entry.ended {
            return Poll::Ready(false);
        }
        receiver.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Counts messages of a stream as taken by the handler, which lets the client send more.
    pub fn consume(&mut self, call: CallId, consumed: i64) {
        let entry = self.calls.get_mut(&call).filter(|entry| !entry.ended);
        let receiver = entry.and_then(|entry| entry.receiver.as_mut());
        if let Some(credit) = receiver.and_then(|receiver| receiver.consume(consumed)) {
            let head = Head {
                kind: Kind::Credit,
                call: Some(call),
                credit,
                ..Head::default()
            };
            self.outbox.push_control(&head);
        }
    }

    /// How long to look at the socket for the next call before the driver sleeps: while the last one came alone and is
    /// answered already, which its client waits for. `frames` came with the last read.
    pub fn poll_spin(&mut self, frames: usize) -> Option<Duration> {
        let single = self.spin.is_single(frames);
        let idle =
            single && self.calls.is_empty() && self.outbox.is_empty() && self.client.is_some();
        (idle && self.closed.is_none() && !self.draining)
            .then(|| self.spin.begin())
            .flatten()
    }

    /// What a look at the socket has come to: after how long a frame began to come, if all of it did. `true` if the driver need not be woken besides, as long as looks find
    /// something.
    pub fn handle_spin(&mut self, found_after: Option<Duration>) -> bool {
        self.spin.end(found_after)
    }

    /// Ready when nobody wants the call any more. Who waits for it with a ticket ends with [`Self::stop_waiting`].
    pub fn poll_cancelled(
        &mut self,
        call: CallId,
        ticket: &mut Ticket,
        cx: &Context<'_>,
    ) -> Poll<()> {
        match self.calls.get_mut(&call) {
            Some(entry) if !entry.ended => {
                entry.waiting.wait(ticket, cx);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// The holder of a ticket of [`Self::poll_cancelled`] stops waiting.
    pub fn stop_waiting(&mut self, call: CallId, ticket: u64) {
        if let Some(entry) = self.calls.get_mut(&call) {
            self.wakers.extend(entry.waiting.leave(ticket));
        }
    }

    /// Whether the call is still wanted, as [`Self::poll_cancelled`] without waiting.
    #[must_use]
    pub fn is_wanted(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|entry| !entry.ended)
    }

    /// Orderly end: the client is told which calls are still run; later ones are refused.
    pub fn drain(&mut self) {
        if self.draining || self.closed.is_some() {
            return;
        }
        self.draining = true;
        let last_call = Some(self.last_id);
        let reason = "the server is shutting down";
        self.outbox.push_control(&Head {
            kind: Kind::Goaway,
            last_call,
            reason,
            ..Head::default()
        });
    }

    /// Bytes came; see [`super::ClientSession::handle_received`].
    pub fn handle_received(&mut self, now: Instant, completed: bool, partial: bool) {
        self.vitals.received(now, completed, partial);
    }

    /// The socket took nothing although something waits.
    pub fn handle_blocked(&mut self, now: Instant) {
        self.vitals.blocked(now);
    }

    /// Hands what is to be written next to the driver, after what `transmit` holds already.
    pub fn poll_transmit(&mut self, transmit: &mut Transmit) {
        self.outbox.transmit(transmit, &mut self.wakers);
    }

    /// Whether [`Self::poll_transmit`] has something to hand out.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.outbox.has_queued()
    }

    /// Whether all that was queued has been written.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// The socket took something of what [`Self::poll_transmit`] handed out.
    pub fn handle_written(&mut self, written: Written) {
        self.outbox.written(written);
        self.holdings.count_queued(self.outbox.queued());
        self.vitals.wrote();
    }

    /// When [`Self::handle_timeout`] is to be called at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed.is_some() {
            return None;
        }
        let vitals = self.vitals.next(self.open > 0);
        [self.next_deadline, vitals].into_iter().flatten().min()
    }

    /// Time has passed: calls whose deadline is over end, and the connection is judged.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_deadline.is_some_and(|deadline| now >= deadline) {
            self.expire_calls(now);
        }
        match self.vitals.check(now, self.open > 0) {
            Due::Nothing => {}
            Due::Ping => self.outbox.push_echo(Kind::Ping, &Encoded(Bytes::new())),
            Due::Fault(fault) => self.handle_fault(fault),
        }
    }

    /// The connection is over: all handlers are stopped. The first fault counts.
    pub fn handle_fault(&mut self, fault: Fault) {
        if self.closed.is_some() {
            return;
        }
        if let Some(code) = fault.goaway_code() {
            let reason = fault.to_string();
            let head = Head {
                kind: Kind::Goaway,
                code: code as u32,
                reason: &reason,
                ..Head::default()
            };
            self.outbox.push_control(&head);
        }
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.stop(call, Interruption::ConnectionLost);
        }
        self.wakers.extend(self.outbox.drop_all_lanes());
        self.closed = Some(fault);
    }

    /// Moves the wakers of all tasks that have something to do since the last time to `wakers`, and
    /// the handles of handlers to stop to `aborts`.
    pub fn take_effects(&mut self, wakers: &mut Vec<Waker>, aborts: &mut Vec<A>) {
        if !self.wakers.is_empty() {
            wakers.append(&mut self.wakers);
        }
        if !self.aborts.is_empty() {
            aborts.append(&mut self.aborts);
        }
    }

    fn push_end(&mut self, call: CallId, status: &Status, unrun: bool) {
        self.tally.count(status.code());
        self.tally.refused += u64::from(unrun);
        self.outbox.push_control(&end_head(call, status, unrun));
    }

    fn refuse(&mut self, call: CallId, code: Code, reason: &str) {
        self.push_end(call, &Status::new(code, reason), true);
    }
}

/// END with a status.
fn end_head(call: CallId, status: &Status, unrun: bool) -> Head<'_> {
    Head {
        kind: Kind::End,
        call: Some(call),
        code: status.code() as u32,
        reason: status.message(),
        metadata: status.metadata().entries(),
        details: status.details(),
        unrun,
        ..Head::default()
    }
}
