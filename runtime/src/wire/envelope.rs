//! Envelopes: what a frame's payload says.
//!
//! Decoding is prost's. Encoding is by hand, field by field in tag order, so that a user's message is
//! encoded once, straight into the outgoing buffer; the tests hold it byte for byte against prost.
//!
//! **Invariant**: an envelope that is written is one that prost would write.

use bytes::{BufMut, Bytes, BytesMut};
use prost::{
    DecodeError, Message,
    encoding::{WireType, decode_varint, encode_varint, encoded_len_varint, key_len},
};

use super::{Crc32Variant, HEADER_LEN, excess::cut, frames::Frames};
use crate::schema::ipc::v1::{Envelope, Hello, Kind, Metadata as MetadataEntry};

/// Reads the envelope in a frame's payload. `bytes` fields are slices of `payload`, not copies.
/// Of one that would take many times the memory of its bytes, so much is left out that it does not: offers, and metadata beyond 65,537 pairs.
///
/// # Errors
/// If it is not a valid envelope: a framing error, fatal to the connection.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use daemoneye_ipc::wire::{Crc32Variant, Encoded, FrameDecoder, Head, Kind, append_envelope, decode_envelope};
///
/// let mut buffer = BytesMut::new();
/// let head = Head { kind: Kind::Reply, call: Some(7), ..Head::default() };
/// let payload = Encoded(Bytes::from_static(b"abc"));
/// append_envelope(&mut buffer, Crc32Variant::Ieee, 1024, &head, Some(&payload)).unwrap();
///
/// let mut decoder = FrameDecoder::new(1024, Crc32Variant::Ieee);
/// let frame = decoder.decode(&mut buffer).unwrap().unwrap();
/// let envelope = decode_envelope(frame).unwrap();
/// assert_eq!((envelope.kind(), envelope.call, envelope.payload.as_deref()), (Kind::Reply, Some(7), Some(&b"abc"[..])));
/// ```
pub fn decode_envelope(payload: Bytes) -> Result<Envelope, DecodeError> {
    Envelope::decode(cut(payload))
}

/// The call and the message of an envelope that is `kind`, of one digit, and carries these and nothing else, as this side
/// writes it. `None` for every other, and for every other way to write it: [`decode_envelope`] reads those.
#[inline]
pub(crate) fn carried(kind: Kind, envelope: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = envelope.strip_prefix(&[KIND, kind as u8, CALL])?;
    let call = read_number(&mut rest)?;
    Some((call, payload_alone(rest)?))
}

/// A CALL without metadata.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlainCall<'a> {
    pub(crate) call: u64,
    pub(crate) method: u64,
    pub(crate) timeout_us: Option<u64>,
    pub(crate) payload: &'a [u8],
}

/// An envelope that is a CALL with a method, a request and `last`, and no metadata, as this side writes it; as [`carried`].
pub(crate) fn plain_call(envelope: &[u8]) -> Option<PlainCall<'_>> {
    const METHOD: u8 = key(tag::METHOD, WireType::SixtyFourBit);
    const TIMEOUT: u8 = key(tag::TIMEOUT_US, WireType::Varint);
    const LAST: u8 = key(tag::LAST, WireType::Varint);
    let mut rest = envelope.strip_prefix(&[KIND, Kind::Call as u8, CALL])?;
    let call = read_number(&mut rest)?;
    let (method, rest) = rest.strip_prefix(&[METHOD])?.split_first_chunk()?;
    let (timeout_us, rest) = match rest.strip_prefix(&[TIMEOUT]) {
        Some(mut rest) => (Some(read_number(&mut rest)?), rest),
        None => (None, rest),
    };
    let payload = payload_alone(rest.strip_prefix(&[LAST, 1])?)?;
    Some(PlainCall {
        call,
        method: u64::from_le_bytes(*method),
        timeout_us,
        payload,
    })
}

const KIND: u8 = key(tag::KIND, WireType::Varint);
const CALL: u8 = key(tag::CALL, WireType::Varint);
const PAYLOAD: u8 = key(tag::PAYLOAD, WireType::LengthDelimited);

/// The payload, if it is all that is left.
#[inline]
fn payload_alone(rest: &[u8]) -> Option<&[u8]> {
    let mut rest = rest.strip_prefix(&[PAYLOAD])?;
    let length = read_number(&mut rest)?;
    (rest.len() as u64 == length).then_some(rest)
}

/// A varint at the front, which is taken off; nearly all are of four bytes at most.
#[inline]
fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (at, byte) in rest.iter().enumerate().take(4) {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            *rest = rest.get(at + 1..)?;
            return Some(number);
        }
    }
    decode_varint(rest).ok()
}

/// The byte that a field begins with.
const fn key(tag: u32, wire_type: WireType) -> u8 {
    assert!(tag < 16, "a key of one byte");
    (tag << 3) as u8 | wire_type as u8
}

/// A message in the making: its length is known before it is encoded.
///
/// ```
/// use bytes::BytesMut;
/// use daemoneye_ipc::{prost_types::Duration, wire::Payload};
///
/// // Every message is one.
/// let message = Duration { seconds: 3, nanos: 0 };
/// let mut buffer = BytesMut::new();
/// message.encode_into(&mut buffer);
/// assert_eq!((message.payload_len(), &buffer[..]), (2, &[0x08, 3][..]));
/// ```
pub trait Payload {
    /// Bytes that [`encode_into`](Self::encode_into) appends.
    fn payload_len(&self) -> usize;
    /// Appends the encoded message.
    fn encode_into(&self, buffer: &mut impl BufMut);
}

impl<M: Message> Payload for M {
    fn payload_len(&self) -> usize {
        self.encoded_len()
    }

    fn encode_into(&self, buffer: &mut impl BufMut) {
        self.encode_raw(buffer);
    }
}

/// A message that is encoded already.
///
/// ```
/// use bytes::Bytes;
/// use daemoneye_ipc::wire::{Encoded, Payload};
/// assert_eq!(Encoded(Bytes::from_static(b"\x08\x03")).payload_len(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct Encoded(pub Bytes);

impl Payload for Encoded {
    fn payload_len(&self) -> usize {
        self.0.len()
    }

    fn encode_into(&self, buffer: &mut impl BufMut) {
        buffer.put(self.0.clone());
    }
}

/// The fields of an envelope other than the payload. Absent fields have their default.
///
/// ```
/// use bytes::BytesMut;
/// use daemoneye_ipc::wire::{Crc32Variant, HEADER_LEN, Head, Kind, append_head};
///
/// let mut buffer = BytesMut::new();
/// let cancel = Head { kind: Kind::Cancel, call: Some(3), ..Head::default() };
/// append_head(&mut buffer, Crc32Variant::Ieee, 1024, &cancel).unwrap();
/// assert_eq!(&buffer[HEADER_LEN..], [0x08, 6, 0x10, 3]);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Head<'a> {
    /// What the envelope is.
    pub kind: Kind,
    /// The call it belongs to.
    pub call: Option<u64>,
    /// Ordinal of the method that a CALL opens.
    pub method: u64,
    /// Time left for the call in microseconds.
    pub timeout_us: Option<u64>,
    /// Nothing more follows in this direction.
    pub last: bool,
    /// Bytes that a CREDIT grants.
    pub credit: u32,
    /// Status code of END and GOAWAY.
    pub code: u32,
    /// For people.
    pub reason: &'a str,
    /// Request metadata or trailers.
    pub metadata: &'a [MetadataEntry],
    /// The first frame in each direction.
    pub hello: Option<&'a Hello>,
    /// Highest call that was or will be run.
    pub last_call: Option<u64>,
    /// Serialized status details.
    pub details: &'a [u8],
    /// The runtime refused the call; no handler saw it.
    pub unrun: bool,
}

mod tag {
    pub(super) const KIND: u32 = 1;
    pub(super) const CALL: u32 = 2;
    pub(super) const METHOD: u32 = 3;
    pub(super) const TIMEOUT_US: u32 = 4;
    pub(super) const LAST: u32 = 5;
    pub(super) const CREDIT: u32 = 6;
    pub(super) const CODE: u32 = 7;
    pub(super) const REASON: u32 = 8;
    pub(super) const METADATA: u32 = 9;
    pub(super) const HELLO: u32 = 10;
    pub(super) const LAST_CALL: u32 = 11;
    pub(super) const DETAILS: u32 = 12;
    pub(super) const UNRUN: u32 = 13;
    pub(super) const PAYLOAD: u32 = 15;
}

/// Room for a head that [is short](Head::is_short): its numbers, and the key and length of a payload, take 71 bytes at most.
pub(super) const SHORT_HEAD: usize = 96;

impl Head<'_> {
    /// Whether it is made of numbers alone.
    pub(super) const fn is_short(&self) -> bool {
        self.reason.is_empty()
            && self.metadata.is_empty()
            && self.details.is_empty()
            && self.hello.is_none()
    }

    /// Whether it says nothing but whose payload follows, as nearly all heads do that are not a CALL's.
    const fn is_bare(&self) -> bool {
        let numbers = self.method | self.credit as u64 | self.code as u64;
        let flags = self.last | self.unrun | self.timeout_us.is_some() | self.last_call.is_some();
        numbers == 0 && !flags && self.is_short()
    }

    /// Bytes of the envelope with a payload of `payload` bytes.
    #[must_use]
    pub fn encoded_len(&self, payload: Option<usize>) -> usize {
        let varint = |tag, value: u64| key_len(tag) + encoded_len_varint(value);
        let nonzero = |tag, value: u64| if value == 0 { 0 } else { varint(tag, value) };
        let block = |tag, len: usize| key_len(tag) + encoded_len_varint(len as u64) + len;
        let nonempty = |tag, len: usize| if len == 0 { 0 } else { block(tag, len) };
        nonzero(tag::KIND, self.kind as u64)
            + self.call.map_or(0, |call| varint(tag::CALL, call))
            + if self.method == 0 {
                0
            } else {
                key_len(tag::METHOD) + 8
            }
            + self
                .timeout_us
                .map_or(0, |timeout| varint(tag::TIMEOUT_US, timeout))
            + nonzero(tag::LAST, u64::from(self.last))
            + nonzero(tag::CREDIT, u64::from(self.credit))
            + nonzero(tag::CODE, u64::from(self.code))
            + nonempty(tag::REASON, self.reason.len())
            + self
                .metadata
                .iter()
                .map(|e| block(tag::METADATA, e.encoded_len()))
                .sum::<usize>()
            + self
                .hello
                .map_or(0, |hello| block(tag::HELLO, hello.encoded_len()))
            + self
                .last_call
                .map_or(0, |last| varint(tag::LAST_CALL, last))
            + nonempty(tag::DETAILS, self.details.len())
            + nonzero(tag::UNRUN, u64::from(self.unrun))
            + payload.map_or(0, |len| block(tag::PAYLOAD, len))
    }

    /// Appends the envelope, up to where a payload of so many bytes would begin.
    pub(super) fn encode<B: BufMut>(&self, buffer: &mut B, payload: Option<usize>) {
        varint_unless_zero(buffer, tag::KIND, self.kind as u64);
        if let Some(call) = self.call {
            varint(buffer, tag::CALL, call);
        }
        if !self.is_bare() {
            self.encode_rest(buffer);
        }
        if let Some(len) = payload {
            buffer.put_u8(PAYLOAD);
            number(buffer, len as u64);
        }
    }

    /// What follows kind and call.
    fn encode_rest<B: BufMut>(&self, buffer: &mut B) {
        if self.method != 0 {
            buffer.put_u8(key(tag::METHOD, WireType::SixtyFourBit));
            buffer.put_u64_le(self.method);
        }
        if let Some(timeout) = self.timeout_us {
            varint(buffer, tag::TIMEOUT_US, timeout);
        }
        varint_unless_zero(buffer, tag::LAST, u64::from(self.last));
        varint_unless_zero(buffer, tag::CREDIT, u64::from(self.credit));
        varint_unless_zero(buffer, tag::CODE, u64::from(self.code));
        block_unless_empty(buffer, tag::REASON, self.reason.as_bytes());
        for entry in self.metadata {
            message(buffer, tag::METADATA, entry);
        }
        if let Some(hello) = self.hello {
            message(buffer, tag::HELLO, hello);
        }
        if let Some(last) = self.last_call {
            varint(buffer, tag::LAST_CALL, last);
        }
        block_unless_empty(buffer, tag::DETAILS, self.details);
        varint_unless_zero(buffer, tag::UNRUN, u64::from(self.unrun));
    }
}

/// What all messages of one call begin with, before the length of their payloads; room for the frame's header is in front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageHead {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl MessageHead {
    /// A header, two keys with a kind and a call, and the key of a payload.
    pub(super) const ROOM: usize = HEADER_LEN + 2 + 11 + 1;

    pub(crate) fn of(call: u64) -> Self {
        let mut bytes = [0; Self::ROOM];
        let (_, mut rest) = bytes.split_at_mut(HEADER_LEN);
        rest.put_slice(&[KIND, Kind::Message as u8]);
        varint(&mut rest, tag::CALL, call);
        rest.put_u8(PAYLOAD);
        let len = Self::ROOM - rest.len();
        Self { bytes, len }
    }

    /// Appends it, and the length of the payload that follows.
    pub(super) fn append(&self, buffer: &mut BytesMut, payload: usize) {
        let end = buffer.len() + self.len;
        // All of it, as that needs no loop.
        buffer.put_slice(&self.bytes);
        buffer.truncate(end);
        number(buffer, payload as u64);
    }
}

#[inline]
fn varint<B: BufMut>(buffer: &mut B, tag: u32, value: u64) {
    let key = key(tag, WireType::Varint);
    match value {
        0..0x80 => buffer.put_slice(&[key, value as u8]),
        _ => {
            buffer.put_u8(key);
            number(buffer, value);
        }
    }
}

/// A varint. Most are of one byte; calls are of two or three, and times of four.
#[inline]
fn number<B: BufMut>(buffer: &mut B, value: u64) {
    // Seven bits, of a number that has more.
    let part = |at: u32| (value >> (7 * at)) as u8 | 0x80;
    let last = |at: u32| (value >> (7 * at)) as u8;
    match value {
        0..0x80 => buffer.put_u8(last(0)),
        0x80..0x4000 => buffer.put_slice(&[part(0), last(1)]),
        0x4000..0x20_0000 => buffer.put_slice(&[part(0), part(1), last(2)]),
        0x20_0000..0x1000_0000 => buffer.put_slice(&[part(0), part(1), part(2), last(3)]),
        _ => encode_varint(value, buffer),
    }
}

fn varint_unless_zero<B: BufMut>(buffer: &mut B, tag: u32, value: u64) {
    if value != 0 {
        varint(buffer, tag, value);
    }
}

fn block_unless_empty<B: BufMut>(buffer: &mut B, tag: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        buffer.put_u8(key(tag, WireType::LengthDelimited));
        number(buffer, bytes.len() as u64);
        buffer.put_slice(bytes);
    }
}

fn message<B: BufMut>(buffer: &mut B, tag: u32, message: &impl Message) {
    buffer.put_u8(key(tag, WireType::LengthDelimited));
    number(buffer, message.encoded_len() as u64);
    message.encode_raw(buffer);
}

/// Appends a frame with an envelope of `head` and `payload` to `buffer`, unless it would be larger
/// than `max_frame_bytes`.
///
/// # Errors
/// The size that the frame would have had; nothing was appended.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use daemoneye_ipc::wire::{Crc32Variant, Encoded, FrameDecoder, Head, Kind, append_envelope, decode_envelope};
///
/// let mut buffer = BytesMut::new();
/// let head = Head { kind: Kind::Reply, call: Some(7), ..Head::default() };
/// let payload = Encoded(Bytes::from_static(b"abc"));
/// append_envelope(&mut buffer, Crc32Variant::Ieee, 1024, &head, Some(&payload)).unwrap();
///
/// let mut decoder = FrameDecoder::new(1024, Crc32Variant::Ieee);
/// let frame = decoder.decode(&mut buffer).unwrap().unwrap();
/// let envelope = decode_envelope(frame).unwrap();
/// assert_eq!((envelope.kind(), envelope.call, envelope.payload.as_deref()), (Kind::Reply, Some(7), Some(&b"abc"[..])));
/// ```
pub fn append_envelope<P: Payload>(
    buffer: &mut BytesMut,
    crc: Crc32Variant,
    max_frame_bytes: usize,
    head: &Head<'_>,
    payload: Option<&P>,
) -> Result<(), Oversize> {
    let mut frames = Frames::in_one_piece(std::mem::take(buffer));
    let done = frames.push(crc, max_frame_bytes, head, payload);
    *buffer = frames.into_one_piece();
    done.map(drop)
}

/// [`append_envelope`] for envelopes without a payload.
///
/// # Errors
/// As [`append_envelope`].
///
/// ```
/// use bytes::BytesMut;
/// use daemoneye_ipc::wire::{Crc32Variant, HEADER_LEN, Head, Kind, append_head};
///
/// let mut buffer = BytesMut::new();
/// let cancel = Head { kind: Kind::Cancel, call: Some(3), ..Head::default() };
/// append_head(&mut buffer, Crc32Variant::Ieee, 1024, &cancel).unwrap();
/// assert_eq!(&buffer[HEADER_LEN..], [0x08, 6, 0x10, 3]);
/// ```
pub fn append_head(
    buffer: &mut BytesMut,
    crc: Crc32Variant,
    max_frame_bytes: usize,
    head: &Head<'_>,
) -> Result<(), Oversize> {
    append_envelope::<Encoded>(buffer, crc, max_frame_bytes, head, None)
}

/// A frame that was not written because the receiver would refuse it.
///
/// ```
/// use bytes::BytesMut;
/// use daemoneye_ipc::wire::{Crc32Variant, Head, Kind, append_head};
///
/// let mut buffer = BytesMut::new();
/// let head = Head { kind: Kind::End, reason: "a long story", ..Head::default() };
/// let oversize = append_head(&mut buffer, Crc32Variant::Ieee, 8, &head).unwrap_err();
/// assert_eq!((oversize.max_size, buffer.is_empty()), (8, true));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {size} bytes is over the limit of {max_size}")]
pub struct Oversize {
    /// Bytes that the frame would have had.
    pub size: usize,
    /// The receiver's limit in bytes.
    pub max_size: usize,
}

#[cfg(test)]
mod peers;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::FrameDecoder;

    /// A number of any length.
    pub(super) fn number() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64u32).prop_map(|(number, shift)| number >> shift)
    }

    fn head() -> impl Strategy<Value = Envelope> {
        let numbers = (
            0..11i32,
            prop::option::of(number()),
            any::<u64>(),
            prop::option::of(number()),
            any::<bool>(),
            number().prop_map(|number| number as u32),
            0..17u32,
        );
        let metadata = prop::collection::vec(
            ("[a-z]{0,9}", prop::collection::vec(any::<u8>(), 0..20)),
            0..4,
        );
        let rest = (
            ".{0,40}",
            metadata,
            prop::option::of(number()),
            prop::collection::vec(any::<u8>(), 0..40),
            any::<bool>(),
            any::<Option<Vec<u8>>>(),
            any::<Option<(u32, u32, Vec<u64>)>>(),
        );
        (numbers, rest).prop_map(|(numbers, rest)| {
            let (kind, call, method, timeout_us, last, credit, code) = numbers;
            let (reason, metadata, last_call, details, unrun, payload, hello) = rest;
            let entry = |(key, value): (String, Vec<u8>)| MetadataEntry {
                key,
                value: value.into(),
            };
            Envelope {
                kind,
                call,
                method,
                timeout_us,
                last,
                credit,
                code,
                reason,
                metadata: metadata.into_iter().map(entry).collect(),
                hello: hello.map(|(max_frame_bytes, max_calls, compatible)| Hello {
                    max_frame_bytes,
                    max_calls,
                    services: vec![crate::schema::ipc::v1::ServiceOffer {
                        name: "a.B".into(),
                        compatible,
                        ..Default::default()
                    }],
                    ..Hello::default()
                }),
                last_call,
                details: details.into(),
                unrun,
                payload: payload.map(Bytes::from),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_prost_writes(envelope in head()) {
            let head = Head {
                kind: Kind::try_from(envelope.kind).unwrap(),
                call: envelope.call,
                method: envelope.method,
                timeout_us: envelope.timeout_us,
                last: envelope.last,
                credit: envelope.credit,
                code: envelope.code,
                reason: &envelope.reason,
                metadata: &envelope.metadata,
                hello: envelope.hello.as_ref(),
                last_call: envelope.last_call,
                details: &envelope.details,
                unrun: envelope.unrun,
            };
            let payload = envelope.payload.clone().map(Encoded);
            let mut ours = BytesMut::new();
            let written = append_envelope(&mut ours, Crc32Variant::Ieee, usize::MAX, &head, payload.as_ref());
            let expected = envelope.encode_to_vec();
            prop_assert!(written.is_ok());
            // Its length and its sum are those of what is written.
            let mut decoder = FrameDecoder::new(usize::MAX, Crc32Variant::Ieee);
            prop_assume!(!expected.is_empty());
            let frame = decoder.decode(&mut ours).unwrap().unwrap();
            prop_assert_eq!((&frame[..], ours.len()), (&expected[..], 0));
            prop_assert_eq!(decode_envelope(Bytes::from(expected)).unwrap(), envelope);
        }
    }

    /// What most envelopes are.
    fn plain() -> impl Strategy<Value = Envelope> {
        let (message, reply, call) = (Kind::Message, Kind::Reply, Kind::Call);
        let kind = prop::sample::select(vec![message, reply, call]);
        let call = (
            number(),
            any::<u64>().prop_filter("a method", |it| *it != 0),
        );
        let payload = prop::collection::vec(any::<u8>(), 0..300);
        (kind, call, prop::option::of(number()), payload).prop_map(
            |(kind, (call, method), timeout_us, payload)| {
                let begins = kind == Kind::Call;
                Envelope {
                    kind: kind.into(),
                    call: Some(call),
                    method: if begins { method } else { 0 },
                    timeout_us: timeout_us.filter(|_| begins),
                    last: begins,
                    payload: Some(payload.into()),
                    ..Envelope::default()
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_most_envelopes_are_is_read_as_prost_reads_it(envelope in plain(), cut in any::<prop::sample::Index>(), flipped in any::<(prop::sample::Index, u8)>()) {
            let bytes = Bytes::from(envelope.encode_to_vec());
            prop_assert_eq!(peers::without_prost(&bytes), vec![envelope]);
            // What is damaged is either left to prost, or read as prost reads it.
            let mut damaged = bytes.to_vec();
            damaged[flipped.0.index(bytes.len())] ^= flipped.1;
            for bytes in [bytes.slice(..cut.index(bytes.len())), Bytes::from(damaged)] {
                for read in peers::without_prost(&bytes) {
                    prop_assert_eq!(&decode_envelope(bytes.clone()).unwrap(), &read);
                }
            }
        }
    }

    #[test]
    fn what_would_not_fit_is_not_written() {
        let mut buffer = BytesMut::from(&b"before"[..]);
        let payload = Encoded(Bytes::from_static(&[0; 100]));
        let head = Head {
            kind: Kind::Call,
            call: Some(1),
            ..Head::default()
        };
        let size = head.encoded_len(Some(100));
        let result = append_envelope(
            &mut buffer,
            Crc32Variant::Ieee,
            size - 1,
            &head,
            Some(&payload),
        );
        assert_eq!(
            result,
            Err(Oversize {
                size,
                max_size: size - 1
            })
        );
        assert_eq!(buffer, &b"before"[..]);
        assert!(
            append_envelope(&mut buffer, Crc32Variant::Ieee, size, &head, Some(&payload)).is_ok()
        );
    }
}
