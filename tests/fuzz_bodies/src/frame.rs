//! The frame decoder, with the bytes in one piece and in chunks.
//!
//! **Invariant**: chunks change nothing: the same frames, the same error, in the same place.

use arbitrary::{Arbitrary, Unstructured};
use bytes::{Bytes, BytesMut};
use daemoneye_ipc::wire::{Crc32Variant, FrameDecoder, FrameError, HEADER_LEN, append_frame};

/// Larger than what the decoder sums as it comes.
const LARGEST: u32 = 40_000;

/// Bytes of a peer.
#[derive(Debug, Arbitrary)]
struct Input {
    max_frame_bytes: u16,
    castagnoli: bool,
    pieces: Vec<Piece>,
    chunks: Vec<u16>,
}

/// A part of what the peer sends.
#[derive(Debug, Arbitrary)]
enum Piece {
    Frame(Vec<u8>),
    /// A frame of so many equal bytes.
    Run(u8, u32),
    /// A frame of which one byte, counted from the front, has other bits.
    Damaged(Vec<u8>, u16, u8),
    /// A frame with the other checksum.
    OtherVariant(Vec<u8>),
    Raw(Vec<u8>),
}

impl Piece {
    fn append(self, stream: &mut BytesMut, crc: Crc32Variant) {
        let begin = stream.len();
        match self {
            Self::Raw(bytes) => stream.extend_from_slice(&bytes),
            Self::Frame(payload) => append(stream, crc, &payload),
            Self::OtherVariant(payload) => append(stream, crc.other(), &payload),
            Self::Run(byte, len) => append(stream, crc, &vec![byte; (len % LARGEST) as usize]),
            Self::Damaged(payload, at, bits) => {
                append(stream, crc, &payload);
                let at = begin + usize::from(at) % (stream.len() - begin).max(1);
                if let Some(byte) = stream.get_mut(at) {
                    *byte ^= bits;
                }
            }
        }
    }
}

/// A frame without a payload is one that no writer makes; its header can come as `Raw`.
fn append(stream: &mut BytesMut, crc: Crc32Variant, payload: &[u8]) {
    if !payload.is_empty() {
        append_frame(stream, crc, payload);
    }
}

/// What was decoded, the error if any, and how many bytes are left.
type Decoded = (Vec<Bytes>, Option<FrameError>, usize);

fn decode(
    decoder: &mut FrameDecoder,
    buffer: &mut BytesMut,
    frames: &mut Vec<Bytes>,
) -> Option<FrameError> {
    loop {
        match decoder.decode(buffer) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

fn at_once(mut decoder: FrameDecoder, stream: &[u8]) -> Decoded {
    let (mut buffer, mut frames) = (BytesMut::from(stream), Vec::new());
    let error = decode(&mut decoder, &mut buffer, &mut frames);
    (frames, error, buffer.len())
}

fn in_chunks(mut decoder: FrameDecoder, mut stream: &[u8], chunks: &[u16], max: usize) -> Decoded {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    let mut sizes = chunks
        .iter()
        .map(|size| usize::from(*size).max(1))
        .chain(std::iter::repeat(7_919));
    while !stream.is_empty() {
        let missing = decoder.missing(&buffer);
        assert!(
            (1..=max + HEADER_LEN).contains(&missing),
            "{missing} bytes are missing"
        );
        let (chunk, rest) = stream.split_at(sizes.next().map_or(1, |size| size.min(stream.len())));
        buffer.extend_from_slice(chunk);
        stream = rest;
        if let Some(error) = decode(&mut decoder, &mut buffer, &mut frames) {
            return (frames, Some(error), buffer.len() + rest.len());
        }
    }
    (frames, None, buffer.len())
}

/// Decodes what a fuzzer made of frames, damaged frames and other bytes.
pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let crc = if input.castagnoli {
        Crc32Variant::Castagnoli
    } else {
        Crc32Variant::Ieee
    };
    let max = usize::from(input.max_frame_bytes).max(1);
    let mut stream = BytesMut::new();
    input
        .pieces
        .into_iter()
        .for_each(|piece| piece.append(&mut stream, crc));

    let (frames, error, left) = at_once(FrameDecoder::new(max, crc), &stream);
    let chunked = in_chunks(FrameDecoder::new(max, crc), &stream, &input.chunks, max);
    assert_eq!((&frames, error, left), (&chunked.0, chunked.1, chunked.2));

    let mut again = BytesMut::new();
    for frame in &frames {
        assert!(
            (1..=max).contains(&frame.len()),
            "a frame of {} bytes",
            frame.len()
        );
        append_frame(&mut again, crc, frame);
    }
    assert_eq!(
        stream.get(..again.len()),
        Some(&again[..]),
        "what was decoded is what came"
    );
    assert_eq!(stream.len() - again.len(), left, "nothing is skipped");
}
