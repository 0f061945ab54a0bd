//! The client's side of a connection: its calls, from CALL to outcome.
//!
//! **Invariant**: each call has exactly one outcome, and `maybe_run` is `false` only where it is
//! proven that no handler saw the call.

mod calls;
mod frames;
mod opening;

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use self::calls::Call;
pub use self::opening::OpenCall;
use super::{
    CallId, Fault, IdHasher, Outcome, SchemaPolicy, SessionConfig,
    messages::Messages,
    negotiate,
    outbox::Outbox,
    spin::{CLIENT_SKIPS, Spin},
    transmit::{Transmit, Written},
    vitals::{Due, PING_AFTER, Vitals},
    waiting::{Ticket, WaitList},
};
use crate::{
    descriptor::{MethodKind, ServiceDescriptor},
    status::Status,
    wire::{Encoded, Head, Hello, Kind, MAX_PIPELINED_BYTES, Payload, Verdict},
};

/// One connection, seen from the client.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// let metadata = Metadata::new();
/// let call = OpenCall { service: HEALTH_SERVICE, method: &HEALTH_SERVICE.methods[2], deadline: None, metadata: &metadata };
/// let request = Encoded(Bytes::new());
/// let Poll::Ready(Ok(id)) = client.poll_open(now, &cx, &mut None, &call, Some(&request)) else {
///     panic!("calls may be made before the server's HELLO is in")
/// };
/// # client.poll_transmit(&mut wire);
/// # let (frames, written) = take(&mut wire);
/// # client.handle_written(written);
/// # let mut start = None;
/// # for frame in frames {
/// #     if let Incoming::Start(call) = server.handle_frame(now, frame).unwrap() { start = Some(call); }
/// # }
/// # let start = start.unwrap();
/// # server.reply(start.call, &Encoded(Bytes::new()), &Metadata::new());
/// # server.poll_transmit(&mut wire);
/// # let (frames, written) = take(&mut wire);
/// # server.handle_written(written);
/// # for frame in frames { client.handle_frame(now, frame).unwrap(); }
/// // Bytes went to the server and came back.
/// assert!(matches!(client.poll_outcome(id, &cx), Poll::Ready(Outcome::Success { .. })));
/// ```
#[derive(Debug)]
pub struct ClientSession {
    config: SessionConfig,
    policy: SchemaPolicy,
    outbox: Outbox,
    vitals: Vitals,
    server: Option<Hello>,
    /// The server's HELLO is in, which was not asked for yet.
    greeted: bool,
    verdicts: Vec<(&'static str, Verdict)>,
    calls: HashMap<CallId, Call, IdHasher>,
    /// Calls without an outcome, and those among them that stream.
    open: usize,
    streams: usize,
    last_id: CallId,
    pipelined: usize,
    /// Who waits for the HELLO, a free slot or room to pipeline.
    waiting: WaitList,
    pings: VecDeque<Ping>,
    pings_sent: u64,
    going_away: Option<Fault>,
    closed: Option<Fault>,
    next_deadline: Option<Instant>,
    /// When the driver's timer rings at the latest; it was set too late if `timer_is_late`.
    armed: Option<Instant>,
    timer_is_late: bool,
    unknown_kinds: u64,
    spin: Spin,
    /// Whoever takes the messages of the one stream reads them, too.
    watched: bool,
    wakers: Vec<Waker>,
}

#[derive(Debug)]
struct Ping {
    number: u64,
    sent: Instant,
    answered: Option<Duration>,
    waker: Option<Waker>,
}

impl ClientSession {
    /// A session that begins now: the HELLO, naming `services`, is queued.
    #[must_use]
    pub fn new(
        config: SessionConfig,
        policy: SchemaPolicy,
        services: &[&'static ServiceDescriptor],
        now: Instant,
    ) -> Self {
        // Until the server's HELLO is in, a frame has to fit what may be pipelined.
        let mut outbox = Outbox::new(config.crc, MAX_PIPELINED_BYTES);
        let mut hello = negotiate::hello(&config);
        hello.services.extend(services.iter().map(|service| {
            let mut offer = negotiate::offer(service);
            offer.require = policy == SchemaPolicy::Require;
            offer
        }));
        outbox.push_control(&Head {
            kind: Kind::Hello,
            hello: Some(&hello),
            ..Head::default()
        });
        let pipelined = outbox.queued();
        let vitals = Vitals::new(
            now,
            config.handshake_timeout,
            config.read_timeout,
            config.write_timeout,
        );
        Self {
            policy,
            outbox,
            vitals,
            server: None,
            greeted: false,
            verdicts: Vec::new(),
            calls: HashMap::default(),
            open: 0,
            streams: 0,
            last_id: 0,
            pipelined,
            waiting: WaitList::default(),
            pings: VecDeque::new(),
            pings_sent: 0,
            going_away: None,
            closed: None,
            next_deadline: None,
            armed: None,
            timer_is_late: false,
            unknown_kinds: 0,
            spin: Spin::new(config.spin, CLIENT_SKIPS),
            watched: false,
            wakers: Vec::new(),
            config,
        }
    }

    /// The server's HELLO, once it is in.
    #[must_use]
    pub const fn server_hello(&self) -> Option<&Hello> {
        self.server.as_ref()
    }

    /// Whether the server's HELLO has come since the last time that this was asked.
    pub const fn take_greeted(&mut self) -> bool {
        std::mem::replace(&mut self.greeted, false)
    }

    /// Why the connection is over, once it is.
    #[must_use]
    pub const fn fault(&self) -> Option<&Fault> {
        self.closed.as_ref()
    }

    /// Whether a new call may be opened, now or after a wait.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.closed.is_none() && self.going_away.is_none()
    }

    /// Calls without an outcome.
    #[must_use]
    pub const fn calls_open(&self) -> usize {
        self.open
    }

    /// Frames of a kind that this version does not know.
    #[must_use]
    pub const fn unknown_kinds(&self) -> u64 {
        self.unknown_kinds
    }

    /// Ready when the server's HELLO is in, or the connection is over.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn poll_handshake(
        &mut self,
        ticket: &mut Ticket,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        if self.server.is_some() {
            return Poll::Ready(Ok(()));
        }
        if let Some(fault) = &self.closed {
            return Poll::Ready(Err(fault.clone()));
        }
        self.waiting.wait(ticket, cx);
        Poll::Pending
    }

    /// The holder of a ticket stops waiting.
    pub fn stop_waiting(&mut self, ticket: u64) {
        self.wakers.extend(self.waiting.leave(ticket));
    }

    /// The outcome of a call, once; after it the call is forgotten. Messages of a stream that came
    /// before it should be taken first.
    pub fn poll_outcome(&mut self, call: CallId, cx: &Context<'_>) -> Poll<Outcome> {
        let Entry::Occupied(mut entry) = self.calls.entry(call) else {
            return Poll::Ready(Outcome::Lost {
                fault: Fault::Closed,
                maybe_run: true,
            });
        };
        if let Some(outcome) = entry.get_mut().outcome.take() {
            entry.remove();
            return Poll::Ready(outcome);
        }
        store_waker(&mut entry.get_mut().waker, cx);
        Poll::Pending
    }

    /// How long the caller of a unary call may look at the socket itself before it sleeps: while its call is the only
    /// thing that the connection waits for.
    pub fn poll_spin(&mut self, call: CallId) -> Option<Duration> {
        if !self.is_open(call) || self.closed.is_some() {
            return None;
        }
        let alone = !self.needs_reader() && self.outbox.is_empty();
        // The first call of a connection is answered together with the HELLO, by a server that was woken to accept it.
        let is_first = alone && self.server.is_none();
        let looks = self.spin.is_single(usize::from(alone)) || is_first;
        looks.then(|| self.spin.begin()).flatten()
    }

    /// The same for whoever takes the messages of the stream `call`, while none is there.
    pub fn poll_stream_spin(&mut self, call: CallId) -> Option<Duration> {
        let looks = self.is_only_stream() && self.is_waiting(call) && self.server.is_some();
        looks.then(|| self.spin.begin()).flatten()
    }

    /// What a look at the socket has come to: after how long the answer, or messages of a stream, began to come, if all of it
    /// did. `true` if the connection need not be read by anybody else, as long as looks find something and
    /// [`Self::needs_reader`] is `false`: no call is open whose caller may be asleep.
    pub fn handle_spin(&mut self, found_after: Option<Duration>) -> bool {
        let lasts = self.spin.end(found_after);
        self.watched = lasts && self.is_only_stream();
        lasts && (self.open == 0 || self.watched) && !self.needs_reader()
    }

    /// Whether the connection waits for more than the answer to one unary call, or the messages of a stream that are read by whoever
    /// takes them, or is about to: callers who were answered together, and have not taken it yet, are likely to call again together.
    #[must_use]
    pub fn needs_reader(&self) -> bool {
        self.calls.len() > 1 || self.streams > 0 && !self.watched || !self.pings.is_empty()
    }

    /// Whether the messages of one response stream are all that the connection waits for, and no call was made beside it: such
    /// calls come again, and wait behind what it carries.
    fn is_only_stream(&self) -> bool {
        self.calls.len() == 1
            && self.streams == 1
            && self.calls.contains_key(&self.last_id)
            && self.pings.is_empty()
            && !self.outbox.has_lanes()
    }

    /// Moves the messages of a response stream that came to `batch`. `consumed` is the credit cost of
    /// messages that the application took since the last time. Ready with `false` when the stream is
    /// at its end and [`Self::poll_outcome`] has the rest.
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
        if let Some(receiver) = &mut entry.receiver {
            receiver.take(batch);
        }
        if !batch.is_empty() {
            return Poll::Ready(true);
        }
        if entry.outcome.is_some() {
            return Poll::Ready(false);
        }
        store_waker(&mut entry.waker, cx);
        Poll::Pending
    }

    /// Counts messages of a stream as taken by the application, which lets the server send more.
    pub fn consume(&mut self, call: CallId, consumed: i64) {
        let is_alone = self.is_only_stream();
        let is_crowded = self.calls.len() > 1 || self.last_id != call;
        let now = self.vitals.last_received();
        let receiver = self
            .calls
            .get_mut(&call)
            .and_then(|entry| entry.receiver.as_mut());
        let grant = receiver.and_then(|receiver| {
            if is_crowded {
                receiver.give_way();
            } else if is_alone {
                receiver.pace(consumed, now);
            }
            receiver.consume(consumed)
        });
        if let Some(credit) = grant {
            let head = Head {
                kind: Kind::Credit,
                call: Some(call),
                credit,
                ..Head::default()
            };
            self.outbox.push_control(&head);
        }
    }

    /// Whether the call has no outcome yet.
    #[must_use]
    pub fn is_open(&self, call: CallId) -> bool {
        self.calls
            .get(&call)
            .is_some_and(|entry| entry.outcome.is_none())
    }

    /// Whether neither the outcome of the call nor a message of its stream is there.
    #[must_use]
    pub fn is_waiting(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|entry| {
            let receiver = entry.receiver.as_ref();
            entry.outcome.is_none() && receiver.is_none_or(|receiver| !receiver.is_ready())
        })
    }

    /// Ready with `true` when a message may be sent on a request stream, with `false` when the call
    /// takes no more.
    pub fn poll_send(&mut self, call: CallId, cx: &Context<'_>) -> Poll<bool> {
        let ended = self
            .calls
            .get(&call)
            .is_none_or(|entry| entry.outcome.is_some());
        if ended {
            Poll::Ready(false)
        } else {
            self.outbox.poll_lane(call, cx)
        }
    }

    /// Queues a message of a request stream; `last` half-closes it.
    ///
    /// # Errors
    /// If the message does not fit a frame that the server takes; the call goes on.
    pub fn send<P: Payload>(
        &mut self,
        call: CallId,
        payload: Option<&P>,
        last: bool,
    ) -> Result<(), crate::wire::Oversize> {
        let head = Head {
            kind: Kind::Message,
            call: Some(call),
            last,
            ..Head::default()
        };
        self.outbox.push_lane(call, &head, payload)?;
        if last {
            self.outbox.finish_lane(call);
        }
        Ok(())
    }

    /// The caller lost interest: the server is told, and the call is forgotten.
    pub fn cancel(&mut self, call: CallId) {
        if let Some(entry) = self.calls.remove(&call)
            && entry.outcome.is_none()
        {
            self.abandon(call, entry.kind);
        }
    }

    /// Queues a PING and returns its number.
    pub fn ping(&mut self, now: Instant) -> u64 {
        self.pings_sent += 1;
        let number = self.pings_sent;
        self.pings.push_back(Ping {
            number,
            sent: now,
            answered: None,
            waker: None,
        });
        self.outbox.push_echo(
            Kind::Ping,
            &Encoded(Bytes::copy_from_slice(&number.to_le_bytes())),
        );
        number
    }

    /// The round-trip time of a PING, once.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn poll_pong(&mut self, number: u64, cx: &Context<'_>) -> Poll<Result<Duration, Fault>> {
        let Some(at) = self.pings.iter().position(|ping| ping.number == number) else {
            return Poll::Ready(Err(self.closed.clone().unwrap_or(Fault::Closed)));
        };
        if let Some(time) = self.pings[at].answered {
            self.pings.remove(at);
            return Poll::Ready(Ok(time));
        }
        self.pings[at].waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The caller of [`Self::ping`] lost interest.
    pub fn forget_ping(&mut self, number: u64) {
        self.pings.retain(|ping| ping.number != number);
    }

    /// This side closes: it opens no more calls; those open may finish.
    pub fn shutdown(&mut self) {
        if self.is_usable() {
            self.outbox.push_control(&Head {
                kind: Kind::Goaway,
                ..Head::default()
            });
            self.going_away = Some(Fault::Shutdown);
            self.wake_waiting();
        }
    }

    /// Bytes came: how many frames they completed was handled already, `partial` tells whether more
    /// of one is to come.
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

    /// Whether what is queued had better leave at once: a single call that nothing else can travel
    /// with, or the first of some that wakes the server for the others. Where connections are read `in_turns`, the server has
    /// others to answer meanwhile.
    #[must_use]
    pub fn wants_prompt_write(&self, in_turns: bool) -> bool {
        let calls = if in_turns {
            self.calls.len()
        } else {
            self.open
        };
        calls <= 1 && self.outbox.is_all_urgent()
    }

    /// Whether all that was queued has been written.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// The socket took something of what [`Self::poll_transmit`] handed out.
    pub fn handle_written(&mut self, written: Written) {
        let was_full = self.outbox.committed() > self.config.max_queued_bytes;
        self.outbox.written(written);
        self.vitals.wrote();
        if was_full && self.outbox.committed() <= self.config.max_queued_bytes {
            self.wake_waiting();
        }
    }

    /// When [`Self::handle_timeout`] is to be called at the latest: at least every [`PING_AFTER`], so
    /// that opening a call with an ordinary deadline need not move the driver's timer.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        if self.closed.is_some() {
            return None;
        }
        let vitals = self.vitals.next(self.open > 0);
        let tick = now.checked_add(PING_AFTER);
        self.armed = [self.next_deadline, vitals, tick]
            .into_iter()
            .flatten()
            .min();
        self.timer_is_late = false;
        self.armed
    }

    /// Whether a call was opened that is over before the driver's timer rings.
    #[must_use]
    pub const fn timer_is_late(&self) -> bool {
        self.timer_is_late
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

    /// The connection is over: every call without an outcome gets one. The first fault counts.
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
        // A server that refuses the connection says so in place of its HELLO, and has run nothing.
        let refused = self.server.is_none() && matches!(fault, Fault::GoAway { .. });
        self.fail_calls(&fault, !refused);
        self.wakers.extend(self.outbox.drop_all_lanes());
        self.wakers
            .extend(self.pings.drain(..).filter_map(|ping| ping.waker));
        self.closed = Some(fault);
        self.wake_waiting();
    }

    /// Moves the wakers of all tasks that have something to do since the last time to `wakers`.
    pub fn take_wakers(&mut self, wakers: &mut Vec<Waker>) {
        if !self.wakers.is_empty() {
            wakers.append(&mut self.wakers);
        }
    }

    fn wake_waiting(&mut self) {
        self.wakers.extend(self.waiting.wake_all());
    }

    /// A call ended by this side before the server ended it.
    fn abandon(&mut self, call: CallId, kind: MethodKind) {
        self.open -= 1;
        self.streams -= usize::from(kind != MethodKind::Unary);
        self.wakers.extend(self.outbox.drop_lane(call));
        if self.closed.is_none() {
            self.cancel_on_wire(call);
        }
        self.wakers.extend(self.waiting.wake_one());
    }
}

fn store_waker(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// The status of a call that the server ended against the rules of its kind.
fn broken_reply(reason: &str) -> Outcome {
    Outcome::Failure {
        status: Status::internal(reason),
        unrun: false,
    }
}
