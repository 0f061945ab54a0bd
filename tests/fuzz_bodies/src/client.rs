//! The client's session, with a server that keeps to no rule.
//!
//! **Invariant**: whatever comes, memory stays within its bound, what is written are frames, each call has one outcome, and
//! nothing is left in the end.

use std::{
    collections::BTreeMap,
    task::{Context, Poll, Waker},
    time::Duration,
};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use daemoneye_ipc::{
    Metadata, SchemaPolicy,
    session::{CallId, ClientSession, Fault, Messages, OpenCall, OpenError, Outcome},
    wire::Encoded,
};

use crate::hostile::{
    Clock, Frame, MAX_FRAME_BYTES, MAX_TO_WRITE, SERVICE, STREAM_CREDIT, Sink, greeting, settings,
};

/// What happens next.
#[derive(Debug, Arbitrary)]
enum Op {
    Frame(Frame),
    /// A call of a kind, with so many bytes and a deadline.
    Open(u8, u16, Option<u16>),
    /// The application looks for messages and the outcome.
    Look(u8),
    Send(u8, u16, bool),
    Cancel(u8),
    Ping,
    /// The socket takes so many bytes.
    Write(u16),
    Blocked,
    Pass(u16),
    Shutdown,
}

/// A call as the application has it.
#[derive(Debug, Default)]
struct Known {
    ended: bool,
    consumed: i64,
}

struct World {
    client: ClientSession,
    clock: Clock,
    sink: Sink,
    calls: BTreeMap<CallId, Known>,
    pings: Vec<u64>,
}

impl World {
    fn new(policy: SchemaPolicy) -> Self {
        let clock = Clock::default();
        Self {
            client: ClientSession::new(settings(), policy, &[&SERVICE], clock.now()),
            clock,
            sink: Sink::default(),
            calls: BTreeMap::new(),
            pings: Vec::new(),
        }
    }

    /// What the driver does with a frame.
    fn receive(&mut self, frame: Bytes) {
        if frame.is_empty() || frame.len() > MAX_FRAME_BYTES || self.client.fault().is_some() {
            return;
        }
        if !self.client.handle_stream_message(&frame) {
            let _ = self.client.handle_frame(self.clock.now(), frame);
        }
    }

    fn open(&mut self, kind: u8, len: u16, timeout: Option<u16>) {
        let Some(method) = SERVICE
            .methods
            .get(usize::from(kind) % SERVICE.methods.len())
        else {
            return;
        };
        let deadline =
            timeout.map(|millis| self.clock.now() + Duration::from_millis(millis.into()));
        let metadata = Metadata::new();
        let call = OpenCall {
            service: &SERVICE,
            method,
            deadline,
            metadata: &metadata,
        };
        let payload = Encoded(Bytes::from(vec![3; len.into()]));
        let payload = (!method.kind.client_streams()).then_some(&payload);
        let mut ticket = None;
        match self
            .client
            .poll_open(self.clock.now(), &cx(), &mut ticket, &call, payload)
        {
            Poll::Ready(Ok(id)) => {
                let before = self.calls.insert(id, Known::default());
                assert!(before.is_none(), "an id twice");
            }
            Poll::Ready(Err(OpenError::Metadata(over))) => panic!("no metadata, and {over}"),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => ticket
                .into_iter()
                .for_each(|place| self.client.stop_waiting(place)),
        }
    }

    /// The call that the input means.
    fn call(&self, pick: u8) -> Option<CallId> {
        let nth = usize::from(pick) % self.calls.len().max(1);
        self.calls.keys().nth(nth).copied()
    }

    fn look(&mut self, id: CallId) {
        let Some(known) = self.calls.get_mut(&id).filter(|known| !known.ended) else {
            return;
        };
        let mut batch = Messages::new();
        let consumed = std::mem::take(&mut known.consumed);
        let _ = self.client.poll_messages(id, consumed, &mut batch, &cx());
        let lens = std::iter::from_fn(|| batch.pop_front()).map(|message| message.len() + 32);
        known.consumed = i64::try_from(lens.sum::<usize>()).unwrap_or(i64::MAX);
        if let Poll::Ready(outcome) = self.client.poll_outcome(id, &cx()) {
            known.ended = true;
            if let Outcome::Failure { status, .. } = outcome {
                assert!(status.code() as u32 != 0, "a failure that is none");
            }
        }
    }

    fn send(&mut self, pick: u8, len: u16, last: bool) {
        let Some(id) = self.call(pick) else {
            return;
        };
        if self.client.poll_send(id, &cx()) == Poll::Ready(true) {
            let payload = Encoded(Bytes::from(vec![2; len.into()]));
            let _ = self.client.send(id, Some(&payload), last);
        }
    }

    fn cancel(&mut self, pick: u8) {
        if let Some(id) = self.call(pick) {
            self.calls.entry(id).and_modify(|known| known.ended = true);
            self.client.cancel(id);
        }
    }

    fn write(&mut self, count: u16) {
        self.client.poll_transmit(self.sink.transmit());
        if let Some(written) = self.sink.take(count.into()) {
            self.client.handle_written(written);
        }
        drop(self.sink.envelopes());
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Frame(frame) => self.receive(frame.0),
            Op::Open(kind, len, timeout) => self.open(kind, len, timeout),
            Op::Look(pick) => self.call(pick).into_iter().for_each(|id| self.look(id)),
            Op::Send(pick, len, last) => self.send(pick, len, last),
            Op::Cancel(pick) => self.cancel(pick),
            Op::Ping if self.pings.len() < 4 => {
                let ping = self.client.ping(self.clock.now());
                self.pings.push(ping);
            }
            Op::Ping => self
                .pings
                .drain(..)
                .for_each(|ping| self.client.forget_ping(ping)),
            Op::Write(count) => self.write(count),
            Op::Blocked => self.client.handle_blocked(self.clock.now()),
            Op::Pass(millis) => {
                self.clock.pass(millis);
                let _ = self.client.poll_timeout(self.clock.now());
                self.client.handle_timeout(self.clock.now());
            }
            Op::Shutdown => self.client.shutdown(),
        }
        self.client.take_wakers(&mut Vec::new());
    }

    fn check(&self) {
        let open = self.calls.values().filter(|known| !known.ended).count();
        // The window of one may have grown, by three more.
        let bound = MAX_TO_WRITE + open * (STREAM_CREDIT + MAX_FRAME_BYTES) + 3 * STREAM_CREDIT;
        let held = self.client.queued_bytes();
        assert!(held <= bound, "{held} bytes, more than {bound}");
    }

    /// The connection is lost: every call that was not given up has its outcome, and nothing is left.
    fn settle(mut self) {
        self.client.handle_fault(Fault::Closed);
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        ids.into_iter().for_each(|id| self.look(id));
        assert!(
            self.calls.values().all(|known| known.ended),
            "a call without an outcome"
        );
        while self.client.wants_write() || !self.sink.transmit().is_empty() {
            self.write(u16::MAX);
        }
        assert_eq!(
            (self.client.calls_open(), self.client.queued_bytes()),
            (0, 0)
        );
    }
}

const fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Plays the input against a session that has, mostly, shaken hands.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let policy = match u.int_in_range(0..=2u8) {
        Ok(0) => SchemaPolicy::Warn,
        Ok(1) => SchemaPolicy::Ignore,
        _ => SchemaPolicy::Require,
    };
    let mut world = World::new(policy);
    if !u.ratio(1, 8).unwrap_or(false) {
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
