//! Bytes in, bytes out: checksums, frames, envelopes.
//!
//! **Invariant**: names nothing of the floors above `wire`.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use daemoneye_ipc::{
    schema::ipc::v1::Metadata,
    wire::{
        Crc32Variant, Encoded, FrameDecoder, HEADER_LEN, Head, Kind, append_envelope, append_frame,
        decode_envelope,
    },
};

use crate::Turn;

const CRC: Crc32Variant = Crc32Variant::Ieee;
const MAX: usize = 1 << 20;

pub(super) fn checksum(variant: Crc32Variant, size: usize) -> Turn {
    let bytes = vec![7; size];
    Box::new(move || {
        black_box(variant.checksum(black_box(&bytes)));
    })
}

pub(super) fn encode_frame(size: usize) -> Turn {
    let (payload, mut buffer) = (vec![7; size], BytesMut::new());
    Box::new(move || {
        buffer.clear();
        append_frame(&mut buffer, CRC, black_box(&payload));
    })
}

/// As a connection decodes: out of a buffer that bytes come into.
pub(super) fn decode_frame(size: usize) -> Turn {
    let (mut frame, mut buffer) = (BytesMut::new(), BytesMut::new());
    append_frame(&mut frame, CRC, &vec![7; size]);
    let mut decoder = FrameDecoder::new(MAX, CRC);
    Box::new(move || {
        buffer.extend_from_slice(black_box(&frame));
        black_box(decoder.decode(&mut buffer)).expect("whole and sound");
    })
}

fn call() -> Head<'static> {
    Head {
        kind: Kind::Call,
        call: Some(1_000),
        method: 0x0123_4567_89AB_CDEF,
        timeout_us: Some(5_000_000),
        last: true,
        ..Head::default()
    }
}

fn reply() -> Head<'static> {
    Head {
        kind: Kind::Reply,
        call: Some(1_000),
        ..Head::default()
    }
}

fn metadata() -> Vec<Metadata> {
    let entry = |key: &str, size| Metadata {
        key: key.to_owned(),
        value: vec![7; size].into(),
    };
    vec![
        entry("trace-id", 16),
        entry("tenant", 8),
        entry("token", 40),
    ]
}

fn encode(
    head: impl Fn() -> Head<'static> + 'static,
    metadata: Vec<Metadata>,
    size: usize,
) -> Turn {
    let (payload, mut buffer) = (Encoded(vec![7; size].into()), BytesMut::new());
    Box::new(move || {
        buffer.clear();
        let head = Head {
            metadata: &metadata,
            ..head()
        };
        append_envelope(&mut buffer, CRC, MAX, black_box(&head), Some(&payload)).expect("it fits");
    })
}

pub(super) fn encode_call(size: usize) -> Turn {
    encode(call, Vec::new(), size)
}

pub(super) fn encode_reply(size: usize) -> Turn {
    encode(reply, Vec::new(), size)
}

pub(super) fn encode_metadata() -> Turn {
    encode(call, metadata(), 0)
}

fn decode(head: &Head<'_>, size: usize) -> Turn {
    let mut buffer = BytesMut::new();
    let payload = Encoded(vec![7; size].into());
    append_envelope(&mut buffer, CRC, MAX, head, Some(&payload)).expect("it fits");
    let envelope: Bytes = buffer.split_off(HEADER_LEN).freeze();
    Box::new(move || {
        black_box(decode_envelope(black_box(&envelope).clone())).expect("an envelope");
    })
}

pub(super) fn decode_call(size: usize) -> Turn {
    decode(&call(), size)
}

pub(super) fn decode_reply(size: usize) -> Turn {
    decode(&reply(), size)
}

pub(super) fn decode_metadata() -> Turn {
    let head = Head {
        metadata: &metadata(),
        ..call()
    };
    decode(&head, 0)
}
