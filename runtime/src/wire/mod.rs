//! The wire: frames, checksums, envelopes. Bytes in, bytes out.
//!
//! `docs/wire.md` is the contract that this module implements; it can be used alone, for example to
//! write a raw peer in a test.
//!
//! **Invariant**: names no runtime, no socket, no clock, and nothing of the floors above.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod crc;
mod envelope;
mod excess;
mod frame;
mod frames;
mod scan;

pub use self::{
    crc::Crc32Variant,
    envelope::{Encoded, Head, Oversize, Payload, append_envelope, append_head, decode_envelope},
    frame::{FrameDecoder, FrameError, HEADER_LEN, append_frame},
    scan::{DecodeLimits, Inflated, MAX_NESTING, measure},
};
pub(crate) use self::{
    envelope::{MessageHead, PlainCall, carried, plain_call},
    frames::Frames,
    scan::harmless_bytes,
};
pub use crate::schema::ipc::v1::{Envelope, Hello, Kind, Verdict};

/// The version of the wire contract that this library speaks (`Hello.protocol`).
pub const PROTOCOL_VERSION: u32 = 1;

/// Default for the largest frame payload: 1 MiB.
pub const DEFAULT_MAX_FRAME_BYTES: usize = 1 << 20;

/// The largest HELLO that a server takes: 16 KiB (wire contract, section 3).
pub const MAX_HELLO_BYTES: usize = 16 << 10;

/// What a client may have written before the server's HELLO is in: 64 KiB (wire contract, section 3).
pub const MAX_PIPELINED_BYTES: usize = 64 << 10;

/// The longest payload of a PING: 64 bytes (wire contract, section 2).
pub const MAX_PING_BYTES: usize = 64;

/// What a stream message costs in credit beyond its length (wire contract, section 4).
pub const MESSAGE_OVERHEAD: usize = 32;
