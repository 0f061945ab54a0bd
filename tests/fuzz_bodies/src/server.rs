//! The server's session, with a client that keeps to no rule.
//!
//! **Invariant**: whatever comes, slots and memory stay within their bounds, what is written are frames, each call has one
//! last frame at most, and nothing is left in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use daemoneye_ipc::{
    Code, Metadata, Status,
    descriptor::MethodKind,
    session::{Batch, CallId, Fault, Incoming, Messages, Registry, ServerSession},
    wire::{Encoded, Kind},
};

use crate::hostile::{
    Clock, Frame, MAX_CALLS, MAX_FRAME_BYTES, MAX_TO_WRITE, SERVICE, STREAM_CREDIT, Sink, greeting,
    settings,
};

/// What happens next.
#[derive(Debug, Arbitrary)]
enum Op {
    Frame(Frame),
    /// Handlers end: with a response of so many bytes, or a failure.
    Reply(u8, u16),
    Fail(u8, u8),
    Finish(u8),
    /// A handler sends so many messages of so many bytes.
    Send(u8, u8, u16),
    Take(u8),
    AskCancelled(u8),
    /// Handlers that are to stop are gone.
    DropAborted,
    /// The socket takes so many bytes.
    Write(u16),
    Blocked,
    Pass(u16),
    Drain,
}

struct World {
    server: ServerSession<CallId>,
    clock: Clock,
    sink: Sink,
    handlers: BTreeMap<CallId, MethodKind>,
    aborted: Vec<CallId>,
    /// Calls whose last frame was written.
    ended: BTreeSet<CallId>,
}

impl World {
    fn new() -> Self {
        let mut registry = Registry::default();
        if let Err(error) = registry.add(&SERVICE) {
            panic!("one service: {error}");
        }
        let clock = Clock::default();
        Self {
            server: ServerSession::new(settings(), Arc::new(registry), clock.now()),
            clock,
            sink: Sink::default(),
            handlers: BTreeMap::new(),
            aborted: Vec::new(),
            ended: BTreeSet::new(),
        }
    }

    /// What the driver does with a frame.
    fn receive(&mut self, frame: Bytes) {
        if frame.is_empty() || frame.len() > MAX_FRAME_BYTES || self.server.fault().is_some() {
            return;
        }
        if self.server.handle_stream_message(&frame) {
            return;
        }
        if let Ok(Incoming::Start(start)) = self.server.handle_frame(self.clock.now(), frame) {
            let before = self.handlers.insert(start.call, start.method.kind);
            assert!(before.is_none(), "a call was started twice");
            self.aborted
                .extend(self.server.set_abort(start.call, start.call).err());
        }
    }

    /// The handler that the input means.
    fn handler(&self, pick: u8) -> Option<(CallId, MethodKind)> {
        let nth = usize::from(pick) % self.handlers.len().max(1);
        self.handlers.iter().nth(nth).map(|(id, kind)| (*id, *kind))
    }

    fn last_word(
        &mut self,
        pick: u8,
        word: impl FnOnce(&mut ServerSession<CallId>, CallId, MethodKind) -> bool,
    ) {
        let Some((id, kind)) = self.handler(pick) else {
            return;
        };
        self.handlers.remove(&id);
        if !word(&mut self.server, id, kind) {
            self.server.release(id);
        }
    }

    fn reply(&mut self, pick: u8, len: u16) {
        self.last_word(pick, |server, id, kind| {
            let none = Metadata::new();
            if kind.server_streams() {
                return server.finish(id, &none);
            }
            server.reply(id, &Encoded(Bytes::from(vec![1; len.into()])), &none)
        });
    }

    fn send(&mut self, pick: u8, count: u8, len: u16) {
        let Some((id, _)) = self.handler(pick).filter(|(_, kind)| kind.server_streams()) else {
            return;
        };
        if let Poll::Ready(Some(room)) = self.server.poll_send(id, &cx()) {
            let (mut batch, payload) =
                (Batch::default(), Encoded(Bytes::from(vec![1; len.into()])));
            for _ in 0..count.max(1) {
                if !matches!(batch.push(&room, id, &payload), Ok(true)) {
                    break;
                }
            }
            self.server.send(id, &mut batch);
        }
    }

    fn take(&mut self, pick: u8) {
        let Some((id, _)) = self.handler(pick) else {
            return;
        };
        let mut batch = Messages::new();
        let _ = self.server.poll_messages(id, 0, &mut batch, &cx());
        let lens = std::iter::from_fn(|| batch.pop_front()).map(|message| message.len() + 32);
        let consumed = i64::try_from(lens.sum::<usize>()).unwrap_or(i64::MAX);
        self.server.consume(id, consumed);
    }

    fn drop_aborted(&mut self) {
        for id in std::mem::take(&mut self.aborted) {
            if self.handlers.remove(&id).is_some() {
                self.server.release(id);
            }
        }
    }

    fn write(&mut self, count: u16) {
        self.server.poll_transmit(self.sink.transmit());
        if let Some(written) = self.sink.take(count.into()) {
            self.server.handle_written(written);
        }
        for envelope in self.sink.envelopes() {
            let kind = Kind::try_from(envelope.kind);
            if matches!(kind, Ok(Kind::Reply | Kind::End)) {
                let first = self.ended.insert(envelope.call.unwrap_or(0));
                assert!(first, "call {:?} ended twice", envelope.call);
            }
            if matches!(kind, Ok(Kind::Message)) {
                let over = self.ended.contains(&envelope.call.unwrap_or(0));
                assert!(!over, "a message after the end of call {:?}", envelope.call);
            }
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Frame(frame) => self.receive(frame.0),
            Op::Reply(pick, len) => self.reply(pick, len),
            Op::Fail(pick, code) => self.last_word(pick, |server, id, _| {
                server.fail(
                    id,
                    &Status::new(Code::from_number(u32::from(code % 16) + 1), "no"),
                )
            }),
            Op::Finish(pick) => self.reply(pick, 0),
            Op::Send(pick, count, len) => self.send(pick, count, len),
            Op::Take(pick) => self.take(pick),
            Op::AskCancelled(pick) => {
                if let Some((id, _)) = self.handler(pick) {
                    let _ = self.server.poll_cancelled(id, &mut None, &cx());
                }
            }
            Op::DropAborted => self.drop_aborted(),
            Op::Write(count) => self.write(count),
            Op::Blocked => self.server.handle_blocked(self.clock.now()),
            Op::Pass(millis) => {
                self.clock.pass(millis);
                self.server.handle_timeout(self.clock.now());
            }
            Op::Drain => self.server.drain(),
        }
        self.server.take_effects(&mut Vec::new(), &mut self.aborted);
    }

    fn check(&self) {
        assert!(self.server.calls_in_flight() <= MAX_CALLS);
        assert!(self.server.calls_open() <= self.server.calls_in_flight());
        let inbound: usize = self
            .server
            .report_calls()
            .iter()
            .map(|call| call.inbound_bytes)
            .sum();
        assert!(
            inbound <= MAX_CALLS * (STREAM_CREDIT + MAX_FRAME_BYTES),
            "{inbound} bytes came"
        );
        let outbound = self.server.queued_bytes() - inbound;
        assert!(outbound <= MAX_TO_WRITE, "{outbound} bytes wait");
    }

    /// The connection is lost and all handlers go: nothing may be left.
    fn settle(mut self) {
        self.server.handle_fault(Fault::Closed);
        self.server.take_effects(&mut Vec::new(), &mut self.aborted);
        self.drop_aborted();
        while !self.handlers.is_empty() {
            self.reply(0, 0);
        }
        while self.server.wants_write() || !self.sink.transmit().is_empty() {
            self.write(u16::MAX);
        }
        assert_eq!(
            (self.server.calls_in_flight(), self.server.calls_open()),
            (0, 0)
        );
        assert_eq!(self.server.queued_bytes(), 0);
    }
}

const fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Plays the input against a session that has, mostly, shaken hands.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut world = World::new();
    if !u.ratio(1, 16).unwrap_or(false) {
        world.receive(greeting());
    }
    while let Ok(op) = Op::arbitrary(&mut u) {
        world.step(op);
        world.check();
        if u.is_empty() {
            break;
        }
    }
    world.settle();
}
