//! A client's and a server's session with two pipes between them, and all that an application may do.
//!
//! **Invariant**: every step checks what has to hold at all times: credit, memory, slots.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use daemoneye_ipc::{
    Metadata, SchemaPolicy, Status,
    descriptor::MethodKind,
    session::{
        Batch, CallId, ClientSession, Fault, Incoming, Messages, OpenCall, OpenError, Outcome,
        Registry, ServerSession,
    },
    wire::{Encoded, HEADER_LEN, Kind, decode_envelope},
};

use super::{
    MAX_CALLS, MAX_FRAME_BYTES, MAX_QUEUED_BYTES, SERVICE, STREAM_CREDIT, config,
    ledger::{DOWN, Ledger, Stream, UP, cost},
    pipe::Pipe,
};

/// The bound of docs/wire.md, section 4, on what one side has to write to a peer with the same settings.
const MAX_TO_WRITE: usize = {
    let frame = MAX_FRAME_BYTES + HEADER_LEN;
    let stream = if STREAM_CREDIT < 64 << 10 {
        STREAM_CREDIT
    } else {
        64 << 10
    };
    2 * MAX_QUEUED_BYTES + (96 << 10) + 5 * frame + MAX_CALLS * (stream + 2 * frame + 128)
};

/// What the test knows of a call.
#[derive(Default)]
pub(crate) struct Known {
    outcomes: usize,
    cancelled: bool,
    /// Credit cost of messages taken and not reported.
    consumed: i64,
}

pub(crate) struct World {
    pub(crate) client: ClientSession,
    pub(crate) server: ServerSession<CallId>,
    pub(crate) up: Pipe,
    down: Pipe,
    pub(crate) now: Instant,
    pub(crate) calls: HashMap<CallId, Known>,
    /// Calls whose handler exists.
    pub(crate) handlers: HashMap<CallId, MethodKind>,
    aborted: Vec<CallId>,
    pub(crate) connected: bool,
    ledger: Ledger,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut registry = Registry::default();
        registry.add(&SERVICE).expect("one service");
        let server = ServerSession::new(config(), Arc::new(registry), now);
        Self {
            client: ClientSession::new(config(), SchemaPolicy::Require, &[&SERVICE], now),
            server,
            up: Pipe::new(),
            down: Pipe::new(),
            now,
            calls: HashMap::new(),
            handlers: HashMap::new(),
            aborted: Vec::new(),
            connected: true,
            ledger: Ledger::default(),
        }
    }

    pub(crate) fn open(&mut self, kind: usize, timeout_ms: Option<u64>) {
        let deadline = timeout_ms.map(|ms| self.now + Duration::from_millis(ms));
        let metadata = Metadata::new();
        let method = &SERVICE.methods[kind];
        let call = OpenCall {
            service: &SERVICE,
            method,
            deadline,
            metadata: &metadata,
        };
        let payload =
            (!method.kind.client_streams()).then(|| Encoded(Bytes::from_static(b"request")));
        let (cx, mut ticket) = (cx(), None);
        match self
            .client
            .poll_open(self.now, &cx, &mut ticket, &call, payload.as_ref())
        {
            Poll::Ready(Ok(id)) => {
                let known = self.calls.insert(id, Known::default());
                assert!(known.is_none(), "an id twice");
                if method.kind.client_streams() {
                    // Before the HELLO nothing is granted.
                    let greeted = self.client.server_hello().is_some();
                    let stream = greeted.then(Stream::begun).unwrap_or_default();
                    self.ledger.up.insert(id, stream);
                }
            }
            Poll::Ready(Err(OpenError::Unusable(_))) => assert!(!self.client.is_usable()),
            Poll::Ready(Err(error)) => panic!("{error:?}"),
            Poll::Pending => self
                .client
                .stop_waiting(ticket.expect("a place in the queue")),
        }
    }

    /// The application looks at a call: messages first, then the outcome.
    pub(crate) fn look(&mut self, id: CallId) {
        let Some(known) = self.calls.get_mut(&id) else {
            return;
        };
        if known.cancelled || known.outcomes > 0 {
            return;
        }
        let mut batch = Messages::new();
        let consumed = std::mem::take(&mut known.consumed);
        let _ = self.client.poll_messages(id, consumed, &mut batch, &cx());
        known.consumed = std::iter::from_fn(|| batch.pop_front())
            .map(|message| cost(message.len()))
            .sum();
        if let Some(stream) = self.ledger.down.get_mut(&id) {
            stream.consume(consumed);
        }
        if let Poll::Ready(outcome) = self.client.poll_outcome(id, &cx()) {
            known.outcomes += 1;
            match outcome {
                Outcome::Success { payload, .. } => {
                    assert!(payload.is_none_or(|payload| payload == "response"));
                }
                Outcome::Failure { status, .. } => {
                    assert!(!status.message().contains("credit"), "{status}");
                }
                _ => {}
            }
        }
    }

    /// The socket takes up to `count` bytes of the client's, and the server reads them.
    pub(crate) fn deliver_up(&mut self, mut count: usize) {
        loop {
            self.client.poll_transmit(self.up.transmit());
            let Some((carried, written)) = self.up.carry(count) else {
                break;
            };
            self.client.handle_written(written);
            count -= carried;
        }
        for frame in self.up.frames() {
            self.note(&frame, true);
            match self.server.handle_frame(self.now, frame) {
                Ok(Incoming::Start(start)) => self.start(start.call, start.method.kind),
                Ok(Incoming::Handled | Incoming::Denied(_)) => {}
                Err(fault) => self.faulted(&fault),
            }
        }
        self.stop_aborted();
    }

    pub(crate) fn deliver_down(&mut self, mut count: usize) {
        loop {
            self.server.poll_transmit(self.down.transmit());
            let Some((carried, written)) = self.down.carry(count) else {
                break;
            };
            self.server.handle_written(written);
            count -= carried;
        }
        for frame in self.down.frames() {
            self.note(&frame, false);
            if let Err(fault) = self.client.handle_frame(self.now, frame) {
                self.faulted(&fault);
            }
        }
    }

    fn start(&mut self, call: CallId, kind: MethodKind) {
        self.handlers.insert(call, kind);
        if kind.server_streams() {
            self.ledger.down.insert(call, Stream::begun());
        }
        if let Err(abort) = self.server.set_abort(call, call) {
            self.aborted.push(abort);
        }
    }

    /// A side that is full of answers that nobody reads may cut the other off; nothing else is allowed.
    fn faulted(&mut self, fault: &Fault) {
        let cut_off = matches!(fault, Fault::Limit(_) | Fault::GoAway { .. });
        assert!(!self.connected || cut_off, "a broken protocol: {fault}");
        self.disconnect();
    }

    /// Keeps the ledger: what arrives now.
    fn note(&mut self, frame: &Bytes, upwards: bool) {
        let envelope = decode_envelope(frame.clone()).expect("our own frames");
        let call = envelope.call.unwrap_or(0);
        let (messages, credits) = if upwards {
            (&mut self.ledger.up, &mut self.ledger.down)
        } else {
            (&mut self.ledger.down, &mut self.ledger.up)
        };
        let kind = Kind::try_from(envelope.kind).expect("a known kind");
        match (kind, envelope.payload) {
            (Kind::Message, Some(payload)) => {
                let stream = messages.get_mut(&call).expect("a stream");
                stream.received += cost(payload.len());
                assert!(stream.received <= stream.sent, "call {call}: {stream:?}");
            }
            (Kind::Credit, _) => {
                let stream = credits.get_mut(&call).expect("a stream");
                let windows: &[i64] = if upwards { &DOWN } else { &UP };
                stream.grant(envelope.credit, windows);
            }
            (Kind::Hello, _) if !upwards => {
                for stream in credits.values_mut() {
                    stream.granted += Stream::begun().granted;
                }
            }
            _ => {}
        }
    }

    /// What holds at all times: slots and memory.
    pub(crate) fn check(&self) {
        assert!(self.server.calls_in_flight() <= MAX_CALLS);
        let mut inbound = 0;
        for call in self.server.report_calls() {
            assert!(call.inbound_bytes < STREAM_CREDIT + MAX_FRAME_BYTES);
            inbound += call.inbound_bytes;
        }
        let held = self.server.queued_bytes();
        assert!(held - inbound <= MAX_TO_WRITE, "the server has {held}");
        let open = self.calls.values();
        let open = open.filter(|known| !known.cancelled && known.outcomes == 0);
        // The window of one may have grown, by three more.
        let streams = open.count() * (STREAM_CREDIT + MAX_FRAME_BYTES) + 3 * STREAM_CREDIT;
        let bound = MAX_TO_WRITE + streams;
        let held = self.client.queued_bytes();
        assert!(held <= bound, "the client holds {held}, more than {bound}");
    }

    /// Handlers that are to be stopped are dropped, late enough to race with their last word.
    pub(crate) fn stop_aborted(&mut self) {
        let mut wakers = Vec::new();
        self.server.take_effects(&mut wakers, &mut self.aborted);
    }

    pub(crate) fn drop_aborted(&mut self) {
        for id in std::mem::take(&mut self.aborted) {
            if self.handlers.remove(&id).is_some() {
                self.server.release(id);
            }
        }
    }

    pub(crate) fn last_word(&mut self, id: CallId, fail: bool) {
        let Some(kind) = self.handlers.remove(&id) else {
            return;
        };
        let none = Metadata::new();
        let accepted = match (fail, kind.server_streams()) {
            (true, _) => self.server.fail(id, &Status::not_found("nothing")),
            (false, true) => self.server.finish(id, &none),
            (false, false) => {
                self.server
                    .reply(id, &Encoded(Bytes::from_static(b"response")), &none)
            }
        };
        if !accepted {
            self.server.release(id);
        }
    }

    pub(crate) fn server_sends(&mut self, id: CallId, len: usize) {
        let streams = self.handlers.get(&id).is_some_and(|k| k.server_streams());
        if let (true, Some(stream)) = (streams, self.ledger.down.get_mut(&id)) {
            let room = self.server.poll_send(id, &cx());
            if let Poll::Ready(Some(room)) = &room {
                let (mut batch, mut more) = (Batch::default(), true);
                // As many as fit, which is at least one.
                for _ in 0..3 {
                    if more {
                        assert!(stream.credit() > 0, "sends without credit: {stream:?}");
                        stream.sent += cost(len);
                        let payload = Encoded(Bytes::from(vec![1; len]));
                        more = batch.push(room, id, &payload).expect("it fits");
                    }
                }
                self.server.send(id, &mut batch);
                assert!(batch.is_empty());
            }
            assert!(room.is_ready() || stream.credit() <= 0, "lost: {stream:?}");
        }
        self.server_takes(id);
    }

    pub(crate) fn client_sends(&mut self, id: CallId, len: usize, last: bool) {
        let Some(stream) = self.ledger.up.get_mut(&id) else {
            assert!(self.client.poll_send(id, &cx()) == Poll::Ready(false));
            return;
        };
        let room = self.client.poll_send(id, &cx());
        if room == Poll::Ready(true) {
            assert!(stream.credit() > 0, "sends without credit: {stream:?}");
            stream.sent += cost(len);
            let payload = Encoded(Bytes::from(vec![2; len]));
            self.client.send(id, Some(&payload), last).expect("it fits");
        }
        assert!(room.is_ready() || stream.credit() <= 0, "lost: {stream:?}");
    }

    pub(crate) fn cancel(&mut self, id: CallId) {
        if let Some(known) = self.calls.get_mut(&id) {
            known.cancelled |= known.outcomes == 0;
            self.client.cancel(id);
        }
    }

    pub(crate) fn advance(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        let _ = self.client.poll_timeout(self.now);
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
        self.stop_aborted();
    }

    pub(crate) fn disconnect(&mut self) {
        self.connected = false;
        self.client.handle_fault(Fault::Closed);
        self.server.handle_fault(Fault::Closed);
        self.stop_aborted();
    }

    /// Lets everything that is under way arrive and be taken.
    fn quiesce(&mut self) {
        for _ in 0..6 {
            self.deliver_up(usize::MAX);
            self.deliver_down(usize::MAX);
            self.drop_aborted();
            let ids: Vec<CallId> = self.calls.keys().copied().collect();
            for id in ids {
                self.look(id);
                self.server_takes(id);
            }
            self.check();
        }
    }

    fn server_takes(&mut self, id: CallId) {
        let mut batch = Messages::new();
        let _ = self.server.poll_messages(id, 0, &mut batch, &cx());
        let consumed = std::iter::from_fn(|| batch.pop_front())
            .map(|message| cost(message.len()))
            .sum();
        self.server.consume(id, consumed);
        if let Some(stream) = self.ledger.up.get_mut(&id) {
            stream.consume(consumed);
        }
    }

    /// No credit is lost: every stream that both sides still know, and nobody has ended, can carry two
    /// full windows more.
    fn assert_streams_go_on(&mut self) {
        self.quiesce();
        let both = |id: &&CallId| self.client.is_open(**id) && self.server.is_wanted(**id);
        let mut up: Vec<CallId> = self.ledger.up.keys().filter(both).copied().collect();
        let down: Vec<CallId> = self.ledger.down.keys().filter(both).copied().collect();
        // What is half-closed needs no more credit, and is granted none.
        up.retain(|id| self.client.poll_send(*id, &cx()) != Poll::Ready(false));
        for id in up {
            self.ledger.up[&id].assert_whole(id, &UP);
            for _ in 0..2 * STREAM_CREDIT.div_ceil(132) {
                let before = self.ledger.up[&id].sent;
                self.client_sends(id, 100, false);
                assert!(self.ledger.up[&id].sent > before, "{id}");
                self.quiesce();
            }
        }
        for id in down {
            self.ledger.down[&id].assert_whole(id, &DOWN);
            for _ in 0..2 * STREAM_CREDIT.div_ceil(132) {
                let before = self.ledger.down[&id].sent;
                self.server_sends(id, 100);
                assert!(self.ledger.down[&id].sent > before, "{id}");
                self.quiesce();
            }
        }
    }

    /// Ends everything, and takes stock: one outcome per call, and nothing left.
    pub(crate) fn settle(&mut self, abrupt: bool) {
        if !abrupt {
            self.assert_streams_go_on();
            let ids: Vec<CallId> = self.handlers.keys().copied().collect();
            ids.into_iter().for_each(|id| self.last_word(id, false));
            self.quiesce();
            assert_eq!((self.client.calls_open(), self.server.calls_open()), (0, 0));
            assert_eq!(self.client.queued_bytes(), 0);
            assert_eq!(self.server.queued_bytes(), 0);
        }
        self.disconnect();
        self.drop_aborted();
        let ids: Vec<CallId> = self.handlers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.last_word(id, false));
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        ids.into_iter().for_each(|id| self.look(id));
        for (id, known) in &self.calls {
            let expected = usize::from(!known.cancelled);
            assert_eq!(
                known.outcomes, expected,
                "call {id}, cancelled: {}",
                known.cancelled
            );
        }
        self.assert_nothing_left();
    }

    fn assert_nothing_left(&mut self) {
        // What a lost connection had still to write counts until the socket is closed.
        self.deliver_up(usize::MAX);
        self.deliver_down(usize::MAX);
        assert_eq!(self.client.queued_bytes(), 0);
        assert_eq!(self.server.queued_bytes(), 0);
        assert_eq!(self.client.calls_open(), 0);
        let left = (self.server.calls_open(), self.server.calls_in_flight());
        assert_eq!(left, (0, 0));
    }
}

pub(crate) fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
