//! What a peer may send that keeps to no rule, and the service that it finds.
//!
//! **Invariant**: any envelope can come out of the right bytes; likely ones take few.

use std::{
    io::IoSlice,
    time::{Duration, Instant},
};

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::{Bytes, BytesMut};
use daemoneye_ipc::{
    IpcConfig,
    descriptor::{
        Footprint, Idempotency, MethodDescriptor, MethodKind, Revision, ServiceDescriptor,
    },
    prost::Message,
    schema::ipc::v1::{Metadata, ServiceOffer},
    session::{SessionConfig, Transmit, Written},
    wire::{Crc32Variant, Envelope, FrameDecoder, Hello, decode_envelope},
};

/// Calls that each side takes.
pub const MAX_CALLS: usize = 8;

/// Bytes granted to each stream at its start.
pub const STREAM_CREDIT: usize = 1 << 10;

/// Bytes of the largest frame.
pub const MAX_FRAME_BYTES: usize = 1 << 10;

/// Bytes queued above which new calls are refused.
pub const MAX_QUEUED_BYTES: usize = 4 << 10;

/// What one side may have to write: the bound of docs/wire.md, section 4.
pub const MAX_TO_WRITE: usize = 2 * MAX_QUEUED_BYTES
    + (96 << 10)
    + 5 * (MAX_FRAME_BYTES + 8)
    + MAX_CALLS * ((64 << 10) + 2 * (MAX_FRAME_BYTES + 8) + 128);

/// One method of each kind, with ordinals 1 to 4.
pub static SERVICE: ServiceDescriptor = ServiceDescriptor {
    name: "fuzz.Service",
    revision: 1,
    fingerprint: 42,
    compatible: &[Revision {
        number: 1,
        fingerprint: 41,
    }],
    methods: &[
        method(1, MethodKind::Unary),
        method(2, MethodKind::ServerStreaming),
        method(3, MethodKind::ClientStreaming),
        method(4, MethodKind::BidiStreaming),
    ],
    file_descriptor_set: &[],
};

const fn method(ordinal: u64, kind: MethodKind) -> MethodDescriptor {
    MethodDescriptor {
        name: "M",
        path: "/fuzz.Service/M",
        ordinal,
        kind,
        idempotency: Idempotency::Unknown,
        input: "fuzz.In",
        output: "fuzz.Out",
        access: &[],
        request: Footprint::OPAQUE,
        response: Footprint::OPAQUE,
    }
}

/// Settings with small limits, so that few frames reach them.
#[must_use]
pub fn settings() -> SessionConfig {
    let mut config = IpcConfig {
        max_frame_bytes: MAX_FRAME_BYTES,
        ..IpcConfig::default()
    };
    config.limits.max_calls = MAX_CALLS;
    config.limits.stream_credit_bytes = STREAM_CREDIT;
    config.limits.max_queued_bytes = MAX_QUEUED_BYTES;
    SessionConfig::from(&config)
}

/// One frame's payload.
#[derive(Debug)]
pub struct Frame(pub Bytes);

impl<'a> Arbitrary<'a> for Frame {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let bytes = match u.int_in_range(0..=7u8)? {
            0 => Vec::<u8>::arbitrary(u)?,
            _ => envelope(u)?.encode_to_vec(),
        };
        Ok(Self(Bytes::from(bytes)))
    }
}

/// A field that is mostly absent.
fn seldom<'a, T: Arbitrary<'a> + Default>(u: &mut Unstructured<'a>) -> Result<T> {
    if u.ratio(1, 6)? {
        T::arbitrary(u)
    } else {
        Ok(T::default())
    }
}

fn envelope(u: &mut Unstructured<'_>) -> Result<Envelope> {
    Ok(Envelope {
        kind: u.int_in_range(0..=11)?,
        call: if u.ratio(1, 12)? {
            Option::arbitrary(u)?
        } else {
            Some(u.int_in_range(0..=16)?)
        },
        method: u.int_in_range(0..=5)?,
        timeout_us: seldom(u)?,
        last: bool::arbitrary(u)?,
        credit: if u.ratio(1, 4)? {
            u32::arbitrary(u)?
        } else {
            u.int_in_range(0..=2_000)?
        },
        code: u.int_in_range(0..=18)?,
        reason: seldom(u)?,
        metadata: seldom::<Vec<(String, Vec<u8>)>>(u)?
            .into_iter()
            .map(|(key, value)| Metadata {
                key,
                value: value.into(),
            })
            .collect(),
        hello: if u.ratio(1, 6)? {
            Some(hello(u)?)
        } else {
            None
        },
        last_call: seldom(u)?,
        details: seldom::<Vec<u8>>(u)?.into(),
        unrun: seldom(u)?,
        payload: match u.int_in_range(0..=3u8)? {
            0 => None,
            1 => Some(Bytes::from(Vec::<u8>::arbitrary(u)?)),
            _ => Some(Bytes::from(vec![7; u.int_in_range(0..=1_100)?])),
        },
    })
}

fn hello(u: &mut Unstructured<'_>) -> Result<Hello> {
    let services = (0..u.int_in_range(0..=2)?).map(|_| {
        Ok(ServiceOffer {
            name: if bool::arbitrary(u)? {
                SERVICE.name.to_owned()
            } else {
                String::arbitrary(u)?
            },
            revision: u32::arbitrary(u)?,
            fingerprint: u.int_in_range(40..=43)?,
            verdict: i32::arbitrary(u)?,
            compatible: Vec::arbitrary(u)?,
            require: bool::arbitrary(u)?,
        })
    });
    Ok(Hello {
        services: services.collect::<Result<_>>()?,
        protocol: if u.ratio(1, 8)? {
            u32::arbitrary(u)?
        } else {
            1
        },
        agent: seldom(u)?,
        max_frame_bytes: if u.ratio(1, 4)? {
            u32::arbitrary(u)?
        } else {
            1_024
        },
        max_calls: if u.ratio(1, 4)? {
            u32::arbitrary(u)?
        } else {
            8
        },
        stream_credit: if u.ratio(1, 4)? {
            u32::arbitrary(u)?
        } else {
            1_024
        },
    })
}

/// A HELLO that is taken.
#[must_use]
pub fn greeting() -> Bytes {
    let hello = Hello {
        protocol: 1,
        max_frame_bytes: 1_024,
        max_calls: 8,
        stream_credit: 1_024,
        ..Hello::default()
    };
    Bytes::from(
        Envelope {
            kind: 1,
            hello: Some(hello),
            ..Envelope::default()
        }
        .encode_to_vec(),
    )
}

/// The socket that a session writes to, which takes as many bytes as the input says.
#[derive(Debug)]
pub struct Sink {
    transmit: Transmit,
    buffer: BytesMut,
    decoder: FrameDecoder,
}

impl Default for Sink {
    fn default() -> Self {
        Self {
            transmit: Transmit::default(),
            buffer: BytesMut::new(),
            decoder: FrameDecoder::new(1 << 24, Crc32Variant::Ieee),
        }
    }
}

impl Sink {
    /// Where the session puts what leaves next.
    pub const fn transmit(&mut self) -> &mut Transmit {
        &mut self.transmit
    }

    /// Takes up to `count` bytes; `None` when there is nothing.
    pub fn take(&mut self, count: usize) -> Option<Written> {
        let mut slices = [IoSlice::new(&[]); 16];
        let filled = self.transmit.slices(&mut slices);
        let before = self.buffer.len();
        for slice in slices.get(..filled).unwrap_or_default() {
            let room = count - (self.buffer.len() - before);
            self.buffer
                .extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        let taken = self.buffer.len() - before;
        (taken > 0).then(|| self.transmit.advance(taken))
    }

    /// The envelopes that came whole: what a session writes are frames and envelopes, whatever it was told.
    pub fn envelopes(&mut self) -> Vec<Envelope> {
        let mut came = Vec::new();
        loop {
            match self.decoder.decode(&mut self.buffer) {
                Ok(Some(frame)) => match decode_envelope(frame) {
                    Ok(envelope) => came.push(envelope),
                    Err(error) => panic!("a session wrote no envelope: {error}"),
                },
                Ok(None) => return came,
                Err(error) => panic!("a session wrote no frame: {error}"),
            }
        }
    }
}

/// Time, as an input.
#[derive(Debug)]
pub struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// The present.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.0
    }

    /// Lets time pass.
    pub fn pass(&mut self, millis: u16) {
        self.0 += Duration::from_millis(millis.into());
    }
}
