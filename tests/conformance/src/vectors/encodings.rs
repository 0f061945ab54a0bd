//! Vectors of the codec alone: checksums, ordinals, envelopes with their frames, bytes to refuse.
//!
//! `docs/wire.md` shows them in its last section; the tests hold the two, and the runtime, together.
//!
//! **Invariant**: frames are made by prost and by this crate's own framing, never by the runtime's.

use std::fmt::Write as _;

use daemoneye_ipc::{
    bytes::Bytes,
    prost::Message,
    schema::ipc::v1::{Metadata, ServiceOffer},
    wire::{Crc32Variant, Envelope, Hello, Kind},
};
use daemoneye_ipc_generated::conformance::v1::{
    CONFORMANCE_SERVICE, CollectRequest, EchoRequest, EchoResponse, InspectRequest,
};
use serde::Serialize;

use super::{
    data::{Data, checksum, frame, frame_with},
    envelope::{call, credit, half_close, hello, message, of, on, open, ping},
    present::Fields,
};

const VARIANTS: [Crc32Variant; 2] = [Crc32Variant::Ieee, Crc32Variant::Castagnoli];

/// The limit of the receiver that refuses what is to be refused.
const MAX_FRAME_BYTES: u32 = 1 << 20;

/// A checksum of known bytes.
#[derive(Debug, Serialize)]
pub struct Checksum {
    /// The variant.
    pub variant: Crc32Variant,
    /// The bytes.
    pub of: Data,
    /// Their checksum, in 8 hexadecimal digits.
    pub crc32: String,
}

/// The ordinal of a method.
#[derive(Debug, Serialize)]
pub struct Ordinal {
    /// What is hashed.
    pub path: &'static str,
    /// The number, in 16 hexadecimal digits.
    pub ordinal: String,
}

/// The fingerprint of a service.
#[derive(Debug, Serialize)]
pub struct Fingerprint {
    /// Full name.
    pub service: &'static str,
    /// The number, in 16 hexadecimal digits.
    pub fingerprint: String,
}

/// A frame and what it says.
#[derive(Debug, Serialize)]
pub struct Frame {
    /// Its name.
    pub id: &'static str,
    /// In words.
    pub means: &'static str,
    /// The variant of its checksum.
    pub crc: Crc32Variant,
    /// The whole frame.
    pub bytes: Data,
    /// The envelope's fields that are present, by their names.
    pub envelope: Fields,
    /// The envelope itself.
    #[serde(skip)]
    pub decoded: Envelope,
}

/// Bytes that a receiver refuses.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// The error.
    pub error: &'static str,
    /// The variant that the diagnosis names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_variant: Option<Crc32Variant>,
    /// The variant that the receiver expects.
    pub crc: Crc32Variant,
    /// The largest payload that it takes.
    pub max_frame_bytes: u32,
    /// What comes.
    pub bytes: Data,
    /// The code of the GOAWAY that answers it.
    pub goaway_code: u32,
}

/// All vectors of the codec.
#[derive(Debug, Serialize)]
pub struct Encodings {
    /// Checksums.
    pub checksums: Vec<Checksum>,
    /// Ordinals of the conformance service.
    pub ordinals: Vec<Ordinal>,
    /// Fingerprint of the conformance service.
    pub fingerprints: Vec<Fingerprint>,
    /// Frames.
    pub frames: Vec<Frame>,
    /// What is refused.
    pub refused: Vec<Refused>,
}

/// The vectors of the codec.
#[must_use]
pub fn encodings() -> Encodings {
    let check = b"123456789";
    let checksums = VARIANTS.map(|variant| Checksum {
        variant,
        of: Data::from(check),
        crc32: format!("{:08x}", checksum(variant, check)),
    });
    let ordinals = CONFORMANCE_SERVICE.methods.iter().map(|method| Ordinal {
        path: method.path,
        ordinal: format!("{:016x}", method.ordinal),
    });
    Encodings {
        checksums: checksums.into(),
        ordinals: ordinals.collect(),
        fingerprints: vec![Fingerprint {
            service: CONFORMANCE_SERVICE.name,
            fingerprint: format!("{:016x}", CONFORMANCE_SERVICE.fingerprint),
        }],
        frames: frames(),
        refused: refused(),
    }
}

/// A pair of metadata.
pub(super) fn pair(key: &str, value: &[u8]) -> Metadata {
    Metadata {
        key: key.to_owned(),
        value: Bytes::copy_from_slice(value),
    }
}

fn announced(services: Vec<ServiceOffer>) -> Envelope {
    hello(Hello {
        protocol: 1,
        agent: "vectors/1".to_owned(),
        max_frame_bytes: MAX_FRAME_BYTES,
        max_calls: 256,
        stream_credit: 256 << 10,
        services,
    })
}

fn frames() -> Vec<Frame> {
    let ieee = Crc32Variant::Ieee;
    let mut frames: Vec<Frame> = handshakes()
        .into_iter()
        .chain(calls())
        .chain(answers())
        .chain(connection())
        .map(|(id, means, envelope)| made(id, means, ieee, envelope))
        .collect();
    let castagnoli = "the same PING with the other checksum";
    let other = ping(b"12345678");
    frames.push(made(
        "ping-castagnoli",
        castagnoli,
        Crc32Variant::Castagnoli,
        other,
    ));
    frames
}

fn made(id: &'static str, means: &'static str, crc: Crc32Variant, envelope: Envelope) -> Frame {
    Frame {
        id,
        means,
        crc,
        bytes: Data(frame(crc, &envelope.encode_to_vec())),
        envelope: Fields::new(&envelope),
        decoded: envelope,
    }
}

type Named = (&'static str, &'static str, Envelope);

fn handshakes() -> Vec<Named> {
    let offer = ServiceOffer {
        name: CONFORMANCE_SERVICE.name.to_owned(),
        revision: 3,
        fingerprint: 0x1122_3344_5566_7788,
        compatible: vec![1, 2],
        require: true,
        ..ServiceOffer::default()
    };
    vec![
        (
            "hello",
            "HELLO: protocol 1, agent `vectors/1`, max_frame_bytes 1 MiB, max_calls 256, stream_credit 256 KiB",
            announced(Vec::new()),
        ),
        (
            "hello-with-service",
            "the same with the service Conformance: revision 3, fingerprint 0x1122334455667788, compatible 1 and 2, require",
            announced(vec![offer]),
        ),
    ]
}

fn calls() -> Vec<Named> {
    let echo = EchoRequest {
        payload: Bytes::from_static(b"hello"),
        ..EchoRequest::default()
    };
    let echo = Envelope {
        timeout_us: Some(1_000_000),
        ..call(1, "Echo", &echo)
    };
    let inspect = Envelope {
        metadata: vec![pair("trace", &[0, 0xFF])],
        ..call(2, "Inspect", &InspectRequest {})
    };
    let item = CollectRequest {
        payload: Bytes::from_static(b"abc"),
    };
    vec![
        (
            "call-echo",
            "CALL 1 of Echo: one second, last, an EchoRequest with the payload `hello`",
            echo,
        ),
        (
            "call-with-metadata",
            "CALL 2 of Inspect: metadata `trace` = 00 ff, last, an empty message",
            inspect,
        ),
        (
            "call-open-stream",
            "CALL 3 of Collect: no message yet",
            open(3, "Collect"),
        ),
        (
            "message",
            "MESSAGE on 3: a CollectRequest with the payload `abc`",
            message(3, &item),
        ),
        (
            "message-empty",
            "MESSAGE on 3: an empty message",
            message(3, &CollectRequest::default()),
        ),
        (
            "message-half-close",
            "MESSAGE on 3: last, no message",
            half_close(3),
        ),
        ("cancel", "CANCEL of 3", on(Kind::Cancel, 3)),
        ("credit", "CREDIT on 3: 4096 bytes", credit(3, 4096)),
    ]
}

fn answers() -> Vec<Named> {
    let reply = EchoResponse {
        payload: Bytes::from_static(b"hello"),
        ..EchoResponse::default()
    };
    let reply = Envelope {
        payload: Some(reply.encode_to_vec().into()),
        ..on(Kind::Reply, 1)
    };
    let busy = Envelope {
        code: 8,
        reason: "busy".to_owned(),
        unrun: true,
        ..on(Kind::End, 300)
    };
    let detailed = Envelope {
        code: 9,
        metadata: vec![pair("trace", &[1])],
        details: Bytes::from_static(&[8, 9]),
        ..on(Kind::End, 1)
    };
    vec![
        (
            "reply",
            "REPLY to 1: an EchoResponse with the payload `hello`",
            reply,
        ),
        ("end-ok", "END of 3: code 0", on(Kind::End, 3)),
        (
            "end-refused",
            "END of 300: code 8, reason `busy`, unrun",
            busy,
        ),
        (
            "end-with-details",
            "END of 1: code 9, trailing metadata `trace` = 01, details 08 09",
            detailed,
        ),
    ]
}

fn connection() -> Vec<Named> {
    let pong = Envelope {
        kind: Kind::Pong.into(),
        ..ping(b"12345678")
    };
    let drain = Envelope {
        last_call: Some(7),
        ..of(Kind::Goaway)
    };
    let idle = Envelope {
        last_call: Some(0),
        ..of(Kind::Goaway)
    };
    let fault = Envelope {
        code: 15,
        reason: "checksum".to_owned(),
        ..of(Kind::Goaway)
    };
    vec![
        ("ping", "PING with `12345678`", ping(b"12345678")),
        ("pong", "PONG with `12345678`", pong),
        ("goaway-drain", "GOAWAY: code 0, last_call 7", drain),
        (
            "goaway-drain-idle",
            "GOAWAY: code 0, last_call 0, which is present",
            idle,
        ),
        ("goaway-fault", "GOAWAY: code 15, reason `checksum`", fault),
    ]
}

fn refused() -> Vec<Refused> {
    let crc = Crc32Variant::Ieee;
    let ping = ping(b"12345678").encode_to_vec();
    let one = |error, other_variant, bytes: Vec<u8>, goaway_code| Refused {
        error,
        other_variant,
        crc,
        max_frame_bytes: MAX_FRAME_BYTES,
        bytes: Data(bytes),
        goaway_code,
    };
    let large = [(MAX_FRAME_BYTES + 1).to_le_bytes(), [0; 4]].concat();
    vec![
        one("InvalidLength", None, vec![0; 8], 3),
        one("TooLarge", None, large, 3),
        one(
            "CrcMismatch",
            None,
            frame_with(checksum(crc, &ping) ^ 1, &ping),
            15,
        ),
        one(
            "CrcMismatch",
            Some(crc.other()),
            frame(crc.other(), &ping),
            15,
        ),
        one("Decode", None, frame(crc, &[0xFF]), 3),
    ]
}

impl Encodings {
    /// The lines that `docs/wire.md` shows.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut lines = String::new();
        // Writing to a String does not fail.
        let _ = self.write_lines(&mut lines);
        lines
    }

    fn write_lines(&self, lines: &mut String) -> std::fmt::Result {
        for Checksum { variant, crc32, .. } in &self.checksums {
            writeln!(lines, "crc {variant} {crc32}")?;
        }
        for Ordinal { path, ordinal } in &self.ordinals {
            writeln!(lines, "ordinal {path} {ordinal}")?;
        }
        for Fingerprint {
            service,
            fingerprint,
        } in &self.fingerprints
        {
            writeln!(lines, "fingerprint {service} {fingerprint}")?;
        }
        for Frame { id, crc, bytes, .. } in &self.frames {
            writeln!(lines, "frame {id} {crc} {bytes}")?;
        }
        for refused in &self.refused {
            let other = refused.other_variant.map(|other| format!("/{other}"));
            let (error, bytes) = (refused.error, &refused.bytes);
            writeln!(
                lines,
                "refused {error}{} {bytes}",
                other.unwrap_or_default()
            )?;
        }
        Ok(())
    }

    /// The table of names that `docs/wire.md` shows.
    #[must_use]
    pub fn table(&self) -> String {
        let rows = self.frames.iter();
        rows.map(|frame| format!("| {} | {} |\n", frame.id, frame.means))
            .collect()
    }
}
