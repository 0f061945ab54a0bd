//! A client's and a server's session with nothing between them but bytes: no socket, no runtime, no clock.
//!
//! **Invariant**: every frame is written, summed, taken apart and read as over a socket.

use std::{
    io::IoSlice,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use daemoneye_ipc::{
    IpcConfig, Metadata, SchemaPolicy,
    schema::health::v1::HEALTH_SERVICE,
    session::{
        Batch, CallId, ClientSession, Incoming, Messages, OpenCall, Outcome, Registry,
        ServerSession, SessionConfig, StartCall, Transmit, Written,
    },
    wire::{Crc32Variant, Encoded, FrameDecoder, MESSAGE_OVERHEAD},
};

use crate::Turn;

/// Messages of one turn of a stream.
pub(super) const MESSAGES: u64 = 100;

/// Methods of the health service.
const WATCH: usize = 1;
const PING: usize = 2;

/// One direction.
struct Pipe {
    transmit: Transmit,
    buffer: BytesMut,
    decoder: FrameDecoder,
}

impl Pipe {
    fn new() -> Self {
        Self {
            transmit: Transmit::default(),
            buffer: BytesMut::new(),
            decoder: FrameDecoder::new(1 << 20, Crc32Variant::Ieee),
        }
    }

    /// Carries what was handed over to the other side; `None` when that is nothing.
    fn carry(&mut self) -> Option<Written> {
        if self.transmit.is_empty() {
            return None;
        }
        let (mut slices, before) = ([IoSlice::new(&[]); 16], self.buffer.len());
        let filled = self.transmit.slices(&mut slices);
        for slice in &slices[..filled] {
            self.buffer.extend_from_slice(slice);
        }
        Some(self.transmit.advance(self.buffer.len() - before))
    }

    fn frame(&mut self) -> Option<Bytes> {
        self.decoder
            .decode(&mut self.buffer)
            .expect("our own frames")
    }
}

struct Pair {
    client: ClientSession,
    server: ServerSession<()>,
    up: Pipe,
    down: Pipe,
    now: Instant,
    wakers: Vec<Waker>,
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Pair {
    fn new(stream_credit: usize) -> Self {
        let now = Instant::now();
        let mut registry = Registry::default();
        registry.add(HEALTH_SERVICE).expect("one service");
        let mut config = IpcConfig::default();
        config.limits.stream_credit_bytes = stream_credit;
        let config = SessionConfig::from(&config);
        let mut pair = Self {
            client: ClientSession::new(
                config.clone(),
                SchemaPolicy::Require,
                &[HEALTH_SERVICE],
                now,
            ),
            server: ServerSession::new(config, Arc::new(registry), now),
            up: Pipe::new(),
            down: Pipe::new(),
            now,
            wakers: Vec::new(),
        };
        assert!(pair.up().is_none());
        pair.down();
        assert!(pair.client.server_hello().is_some());
        pair
    }

    fn open(&mut self, method: usize, request: &Encoded, metadata: &Metadata) -> CallId {
        let call = OpenCall {
            service: HEALTH_SERVICE,
            method: &HEALTH_SERVICE.methods[method],
            deadline: Some(self.now + Duration::from_secs(5)),
            metadata,
        };
        match self
            .client
            .poll_open(self.now, &cx(), &mut None, &call, Some(request))
        {
            Poll::Ready(Ok(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    /// Brings the server what the client has written; returns the call that begins with it.
    fn up(&mut self) -> Option<StartCall> {
        let mut start = None;
        loop {
            self.client.poll_transmit(&mut self.up.transmit);
            let Some(written) = self.up.carry() else {
                break;
            };
            self.client.handle_written(written);
            while let Some(frame) = self.up.frame() {
                let came = self.server.handle_frame(self.now, frame).expect("no fault");
                if let Incoming::Start(call) = came {
                    start = Some(call);
                }
            }
            self.server.handle_received(self.now, true, false);
        }
        self.server.take_effects(&mut self.wakers, &mut Vec::new());
        self.wakers.clear();
        start
    }

    /// Brings the client what the server has written.
    fn down(&mut self) {
        loop {
            self.server.poll_transmit(&mut self.down.transmit);
            let Some(written) = self.down.carry() else {
                break;
            };
            self.server.handle_written(written);
            while let Some(frame) = self.down.frame() {
                if !self.client.handle_stream_message(&frame) {
                    self.client.handle_frame(self.now, frame).expect("no fault");
                }
            }
            self.client.handle_received(self.now, true, false);
        }
        self.client.take_wakers(&mut self.wakers);
        self.wakers.clear();
    }
}

/// A unary call, from its CALL to its outcome.
pub(super) fn unary(size: usize) -> Turn {
    let mut pair = Pair::new(1 << 18);
    let (request, none) = (Encoded(vec![7; size].into()), Metadata::new());
    Box::new(move || {
        let id = pair.open(PING, &request, &none);
        let start = pair.up().expect("a call");
        let payload = Encoded(start.payload.expect("a request"));
        assert!(pair.server.reply(start.call, &payload, &none));
        drop(payload);
        pair.down();
        let outcome = pair.client.poll_outcome(id, &cx());
        assert!(matches!(outcome, Poll::Ready(Outcome::Success { .. })));
    })
}

/// Messages of a response stream, written in batches, taken as they come.
pub(super) fn stream(size: usize, credit: usize) -> Turn {
    let mut pair = Pair::new(credit);
    let message = Encoded(vec![7; size].into());
    let id = pair.open(WATCH, &Encoded(Bytes::new()), &Metadata::new());
    let call = pair.up().expect("a call").call;
    let (mut batch, mut taken) = (Batch::default(), Messages::new());
    Box::new(move || {
        let mut left = MESSAGES;
        while left > 0 {
            let room = pair.server.poll_send(call, &cx());
            if let Poll::Ready(room) = room {
                let room = room.expect("the call goes on");
                let mut more = true;
                while more && left > 0 {
                    more = batch.push(&room, call, &message).expect("it fits");
                    left -= 1;
                }
                pair.server.send(call, &mut batch);
            }
            pair.down();
            let _ = pair.client.poll_messages(id, 0, &mut taken, &cx());
            let mut consumed = 0;
            while let Some(message) = taken.pop_front() {
                consumed += message.len() + MESSAGE_OVERHEAD;
            }
            pair.client
                .consume(id, i64::try_from(consumed).expect("a small sum"));
            pair.up();
        }
    })
}
