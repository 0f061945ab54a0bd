//! The two session state machines against each other: any interleaving, any chunking, time as an input.
//!
//! **Invariant**: no socket, no runtime, no clock: what fails here fails again with the same seed.

use std::{
    collections::{HashMap, VecDeque},
    io::IoSlice,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use daemoneye_ipc::{
    IpcConfig, Metadata, SchemaPolicy, Status,
    descriptor::{Idempotency, MethodDescriptor, MethodKind, ServiceDescriptor},
    session::{
        CallId, ClientSession, Fault, Incoming, OpenCall, OpenError, Outcome, Registry,
        ServerSession, SessionConfig, Transmit,
    },
    wire::{Crc32Variant, Encoded, FrameDecoder},
};
use proptest::prelude::*;

const KINDS: [MethodKind; 4] = [
    MethodKind::Unary,
    MethodKind::ServerStreaming,
    MethodKind::ClientStreaming,
    MethodKind::BidiStreaming,
];

const fn method(ordinal: u64, kind: MethodKind) -> MethodDescriptor {
    MethodDescriptor {
        name: "M",
        path: "/test.Service/M",
        ordinal,
        kind,
        idempotency: Idempotency::Unknown,
        input: "test.In",
        output: "test.Out",
    }
}

static SERVICE: ServiceDescriptor = ServiceDescriptor {
    name: "test.Service",
    revision: 1,
    fingerprint: 42,
    compatible: &[],
    methods: &[
        method(1, KINDS[0]),
        method(2, KINDS[1]),
        method(3, KINDS[2]),
        method(4, KINDS[3]),
    ],
    file_descriptor_set: &[],
};

const MAX_CALLS: usize = 8;
const STREAM_CREDIT: usize = 1_024;

fn config() -> SessionConfig {
    let mut config = IpcConfig::default();
    config.limits.max_calls = MAX_CALLS;
    config.limits.stream_credit_bytes = STREAM_CREDIT;
    SessionConfig::from(&config)
}

/// One direction of the wire, cut wherever the test likes.
struct Pipe {
    bytes: VecDeque<u8>,
    buffer: BytesMut,
    decoder: FrameDecoder,
}

impl Pipe {
    fn new() -> Self {
        let decoder = FrameDecoder::new(1 << 20, Crc32Variant::Ieee);
        Self {
            bytes: VecDeque::new(),
            buffer: BytesMut::new(),
            decoder,
        }
    }

    fn frames(&mut self, count: usize) -> Vec<Bytes> {
        let count = count.min(self.bytes.len());
        let taken: Vec<u8> = self.bytes.drain(..count).collect();
        self.buffer.extend_from_slice(&taken);
        std::iter::from_fn(|| {
            self.decoder
                .decode(&mut self.buffer)
                .expect("our own frames")
        })
        .collect()
    }

    fn take(&mut self, transmit: &mut Transmit) -> daemoneye_ipc::session::Written {
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = transmit.slices(&mut slices);
        let bytes: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        self.bytes.extend(&bytes);
        transmit.advance(bytes.len())
    }
}

/// What the test knows of a call.
#[derive(Default)]
struct Known {
    outcomes: usize,
    cancelled: bool,
    /// Credit cost of messages taken and not reported.
    consumed: i64,
}

struct World {
    client: ClientSession,
    server: ServerSession<CallId>,
    up: Pipe,
    down: Pipe,
    up_transmit: Transmit,
    down_transmit: Transmit,
    now: Instant,
    calls: HashMap<CallId, Known>,
    /// Calls whose handler exists, with whether its last word was accepted.
    handlers: HashMap<CallId, MethodKind>,
    aborted: Vec<CallId>,
    connected: bool,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut registry = Registry::default();
        registry.add(&SERVICE).expect("one service");
        let server = ServerSession::new(config(), Arc::new(registry), now);
        Self {
            client: ClientSession::new(config(), SchemaPolicy::Require, &[&SERVICE], now),
            server,
            up: Pipe::new(),
            down: Pipe::new(),
            up_transmit: Transmit::default(),
            down_transmit: Transmit::default(),
            now,
            calls: HashMap::new(),
            handlers: HashMap::new(),
            aborted: Vec::new(),
            connected: true,
        }
    }

    fn open(&mut self, kind: usize, timeout_ms: Option<u64>) {
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
                assert!(
                    self.calls.insert(id, Known::default()).is_none(),
                    "an id twice"
                );
            }
            Poll::Ready(Err(OpenError::Unusable(_))) => assert!(!self.client.is_usable()),
            Poll::Ready(Err(error)) => panic!("{error:?}"),
            Poll::Pending => self
                .client
                .stop_waiting(ticket.expect("a place in the queue")),
        }
    }

    /// The application looks at a call: messages first, then the outcome.
    fn look(&mut self, id: CallId) {
        let Some(known) = self.calls.get_mut(&id) else {
            return;
        };
        if known.cancelled || known.outcomes > 0 {
            return;
        }
        let mut batch = VecDeque::new();
        let consumed = std::mem::take(&mut known.consumed);
        let _ = self.client.poll_messages(id, consumed, &mut batch, &cx());
        known.consumed = batch.iter().map(|message| message.len() as i64 + 32).sum();
        if let Poll::Ready(outcome) = self.client.poll_outcome(id, &cx()) {
            known.outcomes += 1;
            if let Outcome::Success { payload, .. } = outcome {
                assert!(payload.is_none_or(|payload| payload == "response"));
            }
        }
    }

    fn flush(&mut self) {
        self.client.poll_transmit(&mut self.up_transmit);
        while !self.up_transmit.is_empty() {
            let written = self.up.take(&mut self.up_transmit);
            self.client.handle_written(written);
            self.client.poll_transmit(&mut self.up_transmit);
        }
        self.server.poll_transmit(&mut self.down_transmit);
        while !self.down_transmit.is_empty() {
            let written = self.down.take(&mut self.down_transmit);
            self.server.handle_written(written);
            self.server.poll_transmit(&mut self.down_transmit);
        }
    }

    fn deliver_up(&mut self, count: usize) {
        self.flush();
        for frame in self.up.frames(count) {
            match self.server.handle_frame(self.now, frame) {
                Ok(Incoming::Start(start)) => {
                    self.handlers.insert(start.call, start.method.kind);
                    if let Err(abort) = self.server.set_abort(start.call, start.call) {
                        self.aborted.push(abort);
                    }
                }
                Ok(Incoming::Handled) => {}
                Err(fault) => assert!(!self.connected, "the client broke the protocol: {fault}"),
            }
        }
        self.stop_aborted();
    }

    fn deliver_down(&mut self, count: usize) {
        self.flush();
        for frame in self.down.frames(count) {
            if let Err(fault) = self.client.handle_frame(self.now, frame) {
                assert!(!self.connected, "the server broke the protocol: {fault}");
            }
        }
    }

    /// Handlers that are to be stopped are dropped, late enough to race with their last word.
    fn stop_aborted(&mut self) {
        let mut wakers = Vec::new();
        self.server.take_effects(&mut wakers, &mut self.aborted);
        assert!(self.server.calls_in_flight() <= MAX_CALLS);
    }

    fn drop_aborted(&mut self) {
        for id in std::mem::take(&mut self.aborted) {
            if self.handlers.remove(&id).is_some() {
                self.server.release(id);
            }
        }
    }

    fn last_word(&mut self, id: CallId, fail: bool) {
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

    fn server_sends(&mut self, id: CallId, len: usize) {
        if self
            .handlers
            .get(&id)
            .is_some_and(|kind| kind.server_streams())
            && self.server.poll_send(id, &cx()) == Poll::Ready(true)
        {
            self.server
                .send(id, &Encoded(Bytes::from(vec![1; len])))
                .expect("it fits");
        }
        let mut batch = VecDeque::new();
        let _ = self.server.poll_messages(id, 0, &mut batch, &cx());
        let consumed = batch.iter().map(|message| message.len() as i64 + 32).sum();
        self.server.consume(id, consumed);
    }

    fn client_sends(&mut self, id: CallId, len: usize, last: bool) {
        if self.client.poll_send(id, &cx()) == Poll::Ready(true) {
            let payload = Encoded(Bytes::from(vec![2; len]));
            self.client.send(id, Some(&payload), last).expect("it fits");
        }
    }

    fn cancel(&mut self, id: CallId) {
        if let Some(known) = self.calls.get_mut(&id) {
            known.cancelled |= known.outcomes == 0;
            self.client.cancel(id);
        }
    }

    fn advance(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        let _ = self.client.poll_timeout(self.now);
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
        self.stop_aborted();
    }

    fn disconnect(&mut self) {
        self.connected = false;
        self.client.handle_fault(Fault::Closed);
        self.server.handle_fault(Fault::Closed);
        self.stop_aborted();
    }

    /// Lets everything that is under way arrive, then ends the connection, and takes stock.
    fn settle(&mut self, disconnect_first: bool) {
        if !disconnect_first {
            for _ in 0..200 {
                self.deliver_up(usize::MAX);
                self.deliver_down(usize::MAX);
                self.drop_aborted();
                let ids: Vec<CallId> = self.handlers.keys().copied().collect();
                ids.into_iter().for_each(|id| self.last_word(id, false));
                let ids: Vec<CallId> = self.calls.keys().copied().collect();
                ids.into_iter().for_each(|id| self.look(id));
            }
            assert_eq!((self.client.calls_open(), self.server.calls_open()), (0, 0));
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
        assert_eq!(self.client.calls_open(), 0);
        assert_eq!(
            (self.server.calls_open(), self.server.calls_in_flight()),
            (0, 0)
        );
    }
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[derive(Debug, Clone)]
enum Op {
    Open(usize, Option<u64>),
    Look(CallId),
    Cancel(CallId),
    LastWord(CallId, bool),
    ServerSends(CallId, usize),
    ClientSends(CallId, usize, bool),
    DropAborted,
    DeliverUp(usize),
    DeliverDown(usize),
    Advance(u64),
    Drain,
    Disconnect,
}

fn op() -> impl Strategy<Value = Op> {
    let id = 1..20u64;
    prop_oneof![
        8 => (0..4usize, prop::option::of(0..50u64)).prop_map(|(kind, timeout)| Op::Open(kind, timeout)),
        6 => id.clone().prop_map(Op::Look),
        3 => id.clone().prop_map(Op::Cancel),
        6 => (id.clone(), any::<bool>()).prop_map(|(id, fail)| Op::LastWord(id, fail)),
        6 => (id.clone(), 0..700usize).prop_map(|(id, len)| Op::ServerSends(id, len)),
        6 => (id, 0..700usize, any::<bool>()).prop_map(|(id, len, last)| Op::ClientSends(id, len, last)),
        3 => Just(Op::DropAborted),
        10 => (1..300usize).prop_map(Op::DeliverUp),
        10 => (1..300usize).prop_map(Op::DeliverDown),
        4 => (1..30u64).prop_map(Op::Advance),
        1 => Just(Op::Drain),
        1 => Just(Op::Disconnect),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_call_ends_exactly_once(ops in prop::collection::vec(op(), 1..120), abrupt in any::<bool>()) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Open(kind, timeout) => world.open(kind, timeout),
                Op::Look(id) => world.look(id),
                Op::Cancel(id) => world.cancel(id),
                Op::LastWord(id, fail) => world.last_word(id, fail),
                Op::ServerSends(id, len) => world.server_sends(id, len),
                Op::ClientSends(id, len, last) => world.client_sends(id, len, last),
                Op::DropAborted => world.drop_aborted(),
                Op::DeliverUp(count) => world.deliver_up(count),
                Op::DeliverDown(count) => world.deliver_down(count),
                Op::Advance(ms) => world.advance(ms),
                Op::Drain => world.server.drain(),
                Op::Disconnect => world.disconnect(),
            }
        }
        let abrupt = abrupt || !world.connected;
        world.settle(abrupt);
    }

    #[test]
    fn no_bytes_from_a_client_make_the_server_panic(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..20)) {
        let mut world = World::new();
        world.deliver_up(usize::MAX);
        for frame in frames {
            let _ = world.server.handle_frame(world.now, Bytes::from(frame));
        }
        world.stop_aborted();
    }

    #[test]
    fn no_bytes_from_a_server_make_the_client_panic(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..20)) {
        let mut world = World::new();
        world.deliver_up(usize::MAX);
        world.deliver_down(usize::MAX);
        world.open(0, None);
        world.open(3, None);
        for frame in frames {
            let _ = world.client.handle_frame(world.now, Bytes::from(frame));
        }
    }
}

#[test]
fn calls_wait_for_a_place_and_go_in_order() {
    let mut world = World::new();
    world.deliver_up(usize::MAX);
    world.deliver_down(usize::MAX);
    for _ in 0..2 * MAX_CALLS {
        world.open(0, None);
    }
    assert_eq!(world.calls.len(), MAX_CALLS, "the others wait");
    world.deliver_up(usize::MAX);
    world.last_word(1, false);
    world.deliver_down(usize::MAX);
    world.open(0, None);
    assert_eq!(world.calls.len(), MAX_CALLS + 1);
}

#[test]
fn a_different_schema_is_refused_before_a_handler_sees_the_call() {
    static OTHER: ServiceDescriptor = ServiceDescriptor {
        fingerprint: 43,
        ..SERVICE_TEMPLATE
    };
    const SERVICE_TEMPLATE: ServiceDescriptor = ServiceDescriptor {
        name: "test.Service",
        revision: 2,
        fingerprint: 0,
        compatible: &[],
        methods: &[method(1, MethodKind::Unary)],
        file_descriptor_set: &[],
    };
    let mut world = World::new();
    world.client = ClientSession::new(config(), SchemaPolicy::Require, &[&OTHER], world.now);
    let (metadata, cx, mut ticket) = (Metadata::new(), cx(), None);
    let call = OpenCall {
        service: &OTHER,
        method: &OTHER.methods[0],
        deadline: None,
        metadata: &metadata,
    };
    let payload = Encoded(Bytes::new());
    // Pipelined behind HELLO: the server refuses it.
    let opened = world
        .client
        .poll_open(world.now, &cx, &mut ticket, &call, Some(&payload));
    let Poll::Ready(Ok(id)) = opened else {
        panic!("{opened:?}")
    };
    world.deliver_up(usize::MAX);
    world.deliver_down(usize::MAX);
    let Poll::Ready(Outcome::Failure {
        status,
        unrun: true,
    }) = world.client.poll_outcome(id, &cx)
    else {
        panic!("not refused");
    };
    assert!(
        status.message().contains("test.Service") && status.message().contains("revision 2"),
        "{status}"
    );
    assert!(world.handlers.is_empty());
    // With the server's HELLO in, the client itself refuses.
    let opened = world
        .client
        .poll_open(world.now, &cx, &mut ticket, &call, Some(&payload));
    assert!(matches!(
        opened,
        Poll::Ready(Err(OpenError::SchemaMismatch(_)))
    ));
}

#[test]
fn a_client_that_takes_no_hello_is_refused() {
    let mut world = World::new();
    let small = SessionConfig {
        max_frame_bytes: 20,
        ..config()
    };
    world.client = ClientSession::new(small, SchemaPolicy::Require, &[&SERVICE], world.now);
    world.flush();
    let hello = world.up.frames(usize::MAX).remove(0);
    let fault = world
        .server
        .handle_frame(world.now, hello)
        .expect_err("refused");
    assert!(matches!(fault, Fault::Limit(_)), "{fault}");
    assert!(fault.to_string().contains("HELLO"), "{fault}");
}
