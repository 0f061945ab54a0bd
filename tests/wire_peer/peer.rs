//! A client made by hand: frames and protobuf fields from docs/wire.md, over a blocking socket.
//!
//! **Invariant**: uses nothing of the runtime or of prost.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::conformance_server::LIMIT;

pub(crate) const HELLO: u64 = 1;
pub(crate) const CALL: u64 = 2;
pub(crate) const MESSAGE: u64 = 3;
pub(crate) const REPLY: u64 = 4;
pub(crate) const END: u64 = 5;
pub(crate) const CANCEL: u64 = 6;
pub(crate) const CREDIT: u64 = 7;
pub(crate) const PING: u64 = 8;
pub(crate) const PONG: u64 = 9;
pub(crate) const GOAWAY: u64 = 10;

pub(crate) const INVALID_ARGUMENT: u64 = 3;
pub(crate) const DEADLINE_EXCEEDED: u64 = 4;
pub(crate) const RESOURCE_EXHAUSTED: u64 = 8;
pub(crate) const FAILED_PRECONDITION: u64 = 9;
pub(crate) const UNIMPLEMENTED: u64 = 12;
pub(crate) const INTERNAL: u64 = 13;
pub(crate) const UNAVAILABLE: u64 = 14;
pub(crate) const DATA_LOSS: u64 = 15;

/// The ordinals of the conformance service, from section 9 of the contract.
pub(crate) const ECHO: u64 = 0xc8fa_6627_2341_4eff;
pub(crate) const SLEEP: u64 = 0x9cc5_84af_5b67_4927;
pub(crate) const FAIL: u64 = 0x0231_51b8_dcd9_7d7e;
pub(crate) const COUNT: u64 = 0x07af_739a_57e3_33d6;
pub(crate) const EMIT: u64 = 0x8ed7_9e09_fe52_a8f7;
pub(crate) const COLLECT: u64 = 0x21b2_727e_6535_bb5b;
pub(crate) const CHAT: u64 = 0x9119_e90f_7bd2_2b0b;
pub(crate) const INSPECT: u64 = 0xacfa_daaf_b768_d341;

/// A protobuf message in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn varint(mut self, mut value: u64) -> Self {
        while value > 0x7F {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    pub(crate) fn number(self, field: u64, value: u64) -> Self {
        self.varint(field << 3).varint(value)
    }

    pub(crate) fn fixed64(self, field: u64, value: u64) -> Self {
        let mut message = self.varint(field << 3 | 1);
        message.0.extend_from_slice(&value.to_le_bytes());
        message
    }

    pub(crate) fn block(self, field: u64, value: &[u8]) -> Self {
        let mut message = self.varint(field << 3 | 2).varint(value.len() as u64);
        message.0.extend_from_slice(value);
        message
    }
}

pub(crate) fn envelope(kind: u64) -> Message {
    Message::new().number(1, kind)
}

/// An envelope that belongs to a call.
pub(crate) fn on_call(kind: u64, call: u64) -> Message {
    envelope(kind).number(2, call)
}

/// A CALL with its one request.
pub(crate) fn unary(call: u64, method: u64, request: &Message) -> Message {
    on_call(CALL, call)
        .fixed64(3, method)
        .number(5, 1)
        .block(15, &request.0)
}

pub(crate) fn echo(call: u64, payload: &[u8]) -> Message {
    unary(call, ECHO, &Message::new().block(1, payload))
}

pub(crate) fn sleep(call: u64, millis: u64) -> Message {
    unary(call, SLEEP, &Message::new().number(1, millis))
}

/// What a HELLO announces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hello {
    pub(crate) protocol: u64,
    pub(crate) max_frame_bytes: u64,
    pub(crate) stream_credit: u64,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            protocol: 1,
            max_frame_bytes: 1 << 20,
            stream_credit: 1 << 18,
        }
    }
}

impl Hello {
    pub(crate) fn fields(self) -> Message {
        Message::new()
            .number(1, self.protocol)
            .block(2, b"by hand/1")
            .number(3, self.max_frame_bytes)
            .number(4, 1)
            .number(5, self.stream_credit)
    }

    pub(crate) fn envelope(self) -> Message {
        envelope(HELLO).block(10, &self.fields().0)
    }
}

/// CRC-32 bit by bit, with the reflected polynomial of the variant.
fn crc(polynomial: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { polynomial } else { 0 }
        })
    })
}

pub(crate) fn ieee(bytes: &[u8]) -> u32 {
    crc(0xEDB8_8320, bytes)
}

pub(crate) fn castagnoli(bytes: &[u8]) -> u32 {
    crc(0x82F6_3B78, bytes)
}

pub(crate) fn frame_with(checksum: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length");
    [&length.to_le_bytes()[..], &checksum.to_le_bytes(), payload].concat()
}

pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    frame_with(ieee(payload), payload)
}

/// A field's number, and its value.
type Field = (u64, Value);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(u64),
    Block(Vec<u8>),
}

/// A message that came, as its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<Field>);

impl Fields {
    pub(crate) fn parse(mut bytes: &[u8]) -> Self {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let (byte, rest) = bytes.split_first().expect("a varint");
                *bytes = rest;
                value |= u64::from(byte & 0x7F) << shift;
                shift += 7;
                if *byte < 0x80 {
                    return value;
                }
            }
        }
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => Value::Number(varint(&mut bytes)),
                1 => {
                    let (number, rest) = bytes.split_first_chunk::<8>().expect("8 bytes");
                    bytes = rest;
                    Value::Number(u64::from_le_bytes(*number))
                }
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).expect("a length");
                    let (block, rest) = bytes.split_at(length);
                    bytes = rest;
                    Value::Block(block.to_vec())
                }
                wire_type => panic!("wire type {wire_type}"),
            };
            fields.push((key >> 3, value));
        }
        Self(fields)
    }

    pub(crate) fn find_number(&self, field: u64) -> Option<u64> {
        self.0.iter().find_map(|(number, value)| match value {
            Value::Number(value) if *number == field => Some(*value),
            _ => None,
        })
    }

    /// The number in a field, 0 if it is absent.
    pub(crate) fn number(&self, field: u64) -> u64 {
        self.find_number(field).unwrap_or(0)
    }

    pub(crate) fn blocks(&self, field: u64) -> impl Iterator<Item = &[u8]> {
        self.0
            .iter()
            .filter_map(move |(number, value)| match value {
                Value::Block(block) if *number == field => Some(&block[..]),
                _ => None,
            })
    }

    pub(crate) fn kind(&self) -> u64 {
        self.number(1)
    }

    pub(crate) fn call(&self) -> u64 {
        self.number(2)
    }

    pub(crate) fn code(&self) -> u64 {
        self.number(7)
    }

    pub(crate) fn reason(&self) -> String {
        let reason = self.blocks(8).next().unwrap_or_default();
        String::from_utf8(reason.to_vec()).expect("UTF-8")
    }

    pub(crate) fn is_unrun(&self) -> bool {
        self.number(13) == 1
    }

    /// The user's message.
    pub(crate) fn payload(&self) -> Self {
        Self::parse(self.blocks(15).next().expect("a payload"))
    }

    /// Asserts that this is END of `call` with `code`.
    #[track_caller]
    pub(crate) fn assert_end(&self, call: u64, code: u64, unrun: bool) {
        let got = (self.kind(), self.call(), self.code(), self.is_unrun());
        assert_eq!(got, (END, call, code, unrun), "{}", self.reason());
    }

    #[track_caller]
    pub(crate) fn assert_reply(&self, call: u64) {
        assert_eq!(
            (self.kind(), self.call()),
            (REPLY, call),
            "{}",
            self.reason()
        );
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: UnixStream,
    /// A byte that was read while nothing was expected.
    early: Option<u8>,
}

impl Peer {
    /// Connects and says nothing.
    pub(crate) fn connect(endpoint: &Path) -> Self {
        Self::over(UnixStream::connect(endpoint).expect("a connection"))
    }

    pub(crate) fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
        stream.set_write_timeout(Some(LIMIT)).expect("a timeout");
        Self {
            stream,
            early: None,
        }
    }

    /// Connects, and exchanges HELLO.
    pub(crate) fn greet(endpoint: &Path, hello: Hello) -> Self {
        let mut peer = Self::connect(endpoint);
        peer.send(&hello.envelope());
        assert_eq!(peer.receive().kind(), HELLO);
        peer
    }

    /// [`Peer::greet`] with the usual limits.
    pub(crate) fn new(endpoint: &Path) -> Self {
        Self::greet(endpoint, Hello::default())
    }

    pub(crate) fn send(&mut self, envelope: &Message) {
        self.send_bytes(&frame(&envelope.0));
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("written");
    }

    /// Sends what the server may not take any more, because it has closed.
    pub(crate) fn offer(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        }
    }

    /// All of them in one write.
    pub(crate) fn send_all(&mut self, envelopes: &[Message]) {
        let frames: Vec<Vec<u8>> = envelopes.iter().map(|e| frame(&e.0)).collect();
        self.send_bytes(&frames.concat());
    }

    /// The next bytes.
    #[track_caller]
    pub(crate) fn receive_bytes(&mut self, buffer: &mut [u8]) {
        let early = self.early.take();
        let (first, rest) = buffer.split_at_mut(usize::from(early.is_some()));
        first.fill(early.unwrap_or_default());
        self.stream.read_exact(rest).expect("more bytes");
    }

    /// The next envelope.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Fields {
        let mut header = [0; 8];
        self.receive_bytes(&mut header);
        let [l0, l1, l2, l3, c0, c1, c2, c3] = header;
        let mut payload = vec![0; u32::from_le_bytes([l0, l1, l2, l3]) as usize];
        self.receive_bytes(&mut payload);
        assert_eq!(ieee(&payload), u32::from_le_bytes([c0, c1, c2, c3]));
        Fields::parse(&payload)
    }

    /// Asserts that the server has closed the connection.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        // What the peer had not read when it closed makes this a reset, after all that it said.
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, [0_u8; 0]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    /// Asserts that the server says GOAWAY with `code` and closes; returns the reason.
    #[track_caller]
    pub(crate) fn assert_goaway(&mut self, code: u64) -> String {
        let goaway = self.receive();
        let reason = goaway.reason();
        assert_eq!((goaway.kind(), goaway.code()), (GOAWAY, code), "{reason}");
        self.assert_closed();
        reason
    }

    /// Makes a call of Echo and takes its answer, which has to be the next envelope.
    #[track_caller]
    pub(crate) fn assert_echo(&mut self, call: u64) {
        self.send(&echo(call, b"still here"));
        let reply = self.receive();
        reply.assert_reply(call);
        let payload = reply.payload();
        assert_eq!(payload.blocks(1).next(), Some(&b"still here"[..]));
    }

    /// Waits until the server has something to say, for `time` at most.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a timeout");
        let mut byte = [0];
        let read = self.stream.read(&mut byte);
        self.stream
            .set_read_timeout(Some(LIMIT))
            .expect("a timeout");
        match read {
            Ok(count) => {
                assert_eq!(count, 1, "the server closed without a word");
                self.early = Some(byte[0]);
                false
            }
            Err(_) => true,
        }
    }

    /// What Inspect says: connections, calls in flight, handlers.
    pub(crate) fn inspect(&mut self, call: u64) -> (u64, u64, u64) {
        self.send(&unary(call, INSPECT, &Message::new()));
        let reply = self.receive();
        reply.assert_reply(call);
        let held = reply.payload();
        (held.number(1), held.number(2), held.number(3))
    }

    /// What Count has summed up.
    pub(crate) fn count(&mut self) -> u64 {
        self.send(&unary(1, COUNT, &Message::new()));
        let reply = self.receive();
        reply.assert_reply(1);
        reply.payload().number(1)
    }
}
