//! Envelopes: what is read is what is written, byte for byte as prost writes it.
//!
//! **Invariant**: every envelope of a known kind survives its way through the writer.

use bytes::{Bytes, BytesMut};
use daemoneye_ipc::{
    prost::Message,
    wire::{
        Crc32Variant, Encoded, Envelope, FrameDecoder, Head, Kind, Oversize, append_envelope,
        decode_envelope,
    },
};

/// More than any input has.
const ROOM: usize = 1 << 24;

/// The fields of `envelope`, but the payload; `None` for a kind that the writer does not have.
fn head(envelope: &Envelope) -> Option<Head<'_>> {
    Some(Head {
        kind: Kind::try_from(envelope.kind).ok()?,
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
    })
}

/// Reads the bytes as an envelope, and writes it again.
pub fn run(data: &[u8]) {
    let Ok(envelope) = decode_envelope(Bytes::copy_from_slice(data)) else {
        return;
    };
    let Some(head) = head(&envelope) else {
        return;
    };
    let payload = envelope.payload.clone().map(Encoded);
    let write = |max: usize| -> Result<BytesMut, Oversize> {
        let mut buffer = BytesMut::new();
        append_envelope(
            &mut buffer,
            Crc32Variant::Ieee,
            max,
            &head,
            payload.as_ref(),
        )?;
        Ok(buffer)
    };
    let by_prost = envelope.encode_to_vec();
    if by_prost.is_empty() {
        return;
    }
    let Ok(mut buffer) = write(ROOM) else {
        panic!("{} bytes do not fit {ROOM}", by_prost.len());
    };
    let decoded = FrameDecoder::new(ROOM, Crc32Variant::Ieee).decode(&mut buffer);
    let Ok(Some(frame)) = decoded else {
        panic!("our own frame: {decoded:?}");
    };
    assert_eq!(frame, by_prost);
    assert_eq!(decode_envelope(frame).as_ref(), Ok(&envelope));
    let exact = write(by_prost.len()).is_ok();
    assert!(
        exact && write(by_prost.len() - 1).is_err(),
        "the limit is exact"
    );
}
