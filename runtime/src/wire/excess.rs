//! Envelopes that would take far more memory than their bytes: with metadata or offers by the hundred thousand.
//!
//! **Invariant**: an envelope that a well-behaved peer writes is not touched. What is taken out of another one is more of
//! it than any limit lets through, so that the envelope is refused as before.

use std::mem::size_of;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{DecodeContext, decode_key, skip_field};

use super::scan::{DecodeLimits, MAX_NESTING, measure};
use crate::{
    descriptor::Footprints,
    schema::ipc::v1::{Envelope, Hello, Metadata, ServiceOffer},
};

/// The most pairs of metadata that any limit lets through, and one.
const MAX_ENTRIES: usize = 65_537;

/// What envelopes may take beside their bytes.
const FREE_BYTES: u64 = 256 << 10;

/// What they may take per byte: ten bytes for each pair of metadata suffice.
const FREE_FACTOR: u64 = 16;

/// An envelope of so many bytes takes little whatever is in it.
const SMALL: u64 = 1 << 10;

const METADATA: u32 = 9;
const HELLO: u32 = 10;

// The kinds of fields are those of `MessageFootprint`: 0 a string, 4 numbers, 5 a message, 6 many.
static ENVELOPE: Footprints = Footprints::new(&[
    (
        size_of::<Envelope>() as u32,
        &[[8, 0, 0], [METADATA, 6, 1], [HELLO, 5, 2]],
    ),
    (size_of::<Metadata>() as u32, &[[1, 0, 0]]),
    (size_of::<Hello>() as u32, &[[2, 0, 0], [6, 6, 3]]),
    (size_of::<ServiceOffer>() as u32, &[[1, 0, 0], [5, 4, 8]]),
]);

/// The envelope, without what is too much in it.
pub(super) fn cut(envelope: Bytes) -> Bytes {
    let len = envelope.len() as u64;
    if len <= SMALL {
        return envelope;
    }
    let memory = FREE_BYTES + FREE_FACTOR * len;
    let limits = DecodeLimits {
        memory,
        nesting: MAX_NESTING,
    };
    match measure(&envelope, &ENVELOPE.of(0), &limits, memory) {
        Ok(_) => envelope,
        Err(_) => without_excess(&envelope),
    }
}

fn without_excess(envelope: &Bytes) -> Bytes {
    let (mut kept, mut entries) = (BytesMut::new(), 0);
    let mut rest = envelope.clone();
    while rest.has_remaining() {
        let start = rest.clone();
        let field = decode_key(&mut rest).and_then(|(number, wire_type)| {
            skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
            Ok(number)
        });
        let Ok(number) = field else {
            // Decoding stops here as well.
            kept.put(start);
            break;
        };
        entries += usize::from(number == METADATA);
        if number != HELLO && (number != METADATA || entries <= MAX_ENTRIES) {
            let len = start.len() - rest.len();
            kept.put(start.take(len));
        }
    }
    kept.freeze()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn entry(len: usize) -> Metadata {
        Metadata {
            key: "k".repeat(len),
            value: Bytes::from(vec![0; len]),
        }
    }

    #[test]
    fn what_peers_send_is_not_touched() {
        for envelope in [
            Envelope {
                metadata: vec![entry(60); 64],
                payload: Some(Bytes::from(vec![0; 1 << 20])),
                ..Envelope::default()
            },
            Envelope {
                metadata: vec![entry(4); 65_536],
                ..Envelope::default()
            },
            Envelope {
                hello: Some(Hello {
                    services: vec![
                        ServiceOffer {
                            name: "a.service.v1.Name".into(),
                            compatible: vec![1; 16],
                            ..ServiceOffer::default()
                        };
                        80
                    ],
                    ..Hello::default()
                }),
                ..Envelope::default()
            },
        ] {
            let bytes = Bytes::from(envelope.encode_to_vec());
            assert_eq!(cut(bytes.clone()), bytes);
        }
    }

    #[test]
    fn empty_pairs_and_offers_by_the_hundred_thousand_are_cut() {
        let metadata = Bytes::from([0x4a, 0].repeat(500_000));
        let left = Envelope::decode(cut(metadata)).expect("an envelope");
        assert_eq!(left.metadata.len(), MAX_ENTRIES);
        let offers = Hello {
            services: vec![ServiceOffer::default(); 100_000],
            ..Hello::default()
        };
        let envelope = Envelope {
            call: Some(7),
            hello: Some(offers),
            ..Envelope::default()
        };
        let left = Envelope::decode(cut(envelope.encode_to_vec().into())).expect("an envelope");
        assert_eq!((left.call, left.hello), (Some(7), None));
    }
}
