//! The test vectors of the wire contract, as data.
//!
//! They depend on nothing but the limits that a server announces, so that `vectors` can print them,
//! `check` can play them, and the documents can be held to them.
//!
//! **Invariant**: every vector is written once, here.

mod builder;
mod calls;
mod data;
mod encodings;
mod envelope;
mod errors;
mod framing;
mod handshake;
mod kinds;
mod lifetime;
mod present;
mod protocol;
mod script;
mod streams;

use daemoneye_ipc::wire::Crc32Variant;
use serde::Serialize;

pub use self::{
    data::{Data, checksum, frame},
    encodings::{Checksum, Encodings, Fingerprint, Frame, Ordinal, Refused, encodings},
    envelope::describe,
    handshake::FIRST,
    present::Fields,
    script::{Expected, Field, Rule, Sent, Service, Step, Value, Vector, name_of},
};

/// What the conversations depend on: the checksum, and the limits in the server's HELLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// The checksum of the frames.
    pub crc: Crc32Variant,
    /// The largest payload of a frame that the server takes.
    pub max_frame_bytes: u32,
    /// Calls in flight that the server allows on one connection.
    pub max_calls: u32,
    /// Bytes that the server grants at the start of each stream.
    pub stream_credit: u32,
}

impl Default for Limits {
    /// What `ipc-conformance serve` announces unless it is told otherwise.
    fn default() -> Self {
        Self {
            crc: Crc32Variant::Ieee,
            max_frame_bytes: 1 << 20,
            max_calls: 256,
            stream_credit: 256 << 10,
        }
    }
}

/// All vectors.
#[derive(Debug, Serialize)]
pub struct Vectors {
    /// The version of this form; `docs/conformance.md` describes it.
    pub format: u32,
    /// What the conversations were made for.
    pub limits: Limits,
    /// Of the codec alone.
    #[serde(flatten)]
    pub encodings: Encodings,
    /// With a server.
    pub conversations: Vec<Vector>,
}

/// All vectors, for a server with those limits.
#[must_use]
pub fn all(limits: &Limits) -> Vectors {
    Vectors {
        format: 1,
        limits: *limits,
        encodings: encodings(),
        conversations: conversations(limits),
    }
}

/// The conversations with a server, in the order in which they are played.
#[must_use]
pub fn conversations(limits: &Limits) -> Vec<Vector> {
    [
        handshake::vectors(limits),
        framing::vectors(limits),
        calls::vectors(limits),
        kinds::vectors(limits),
        errors::vectors(limits),
        protocol::vectors(limits),
        streams::vectors(limits),
        lifetime::vectors(limits),
    ]
    .concat()
}
