//! Frames: `[length: u32 LE][crc32: u32 LE][payload]`.
//!
//! A large payload is summed as it comes, while it is in the processor's cache.
//!
//! **Invariant**: the length is judged from the eight header bytes, before one byte of payload is
//! taken or allocated. After an error the decoder has nothing more to say: there is no resynchronising.

use bytes::{Buf, Bytes, BytesMut};

use super::{Crc32Variant, crc::Sum};

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 8;

/// Payloads of this size and above are summed as they come; smaller ones seldom come in parts.
const SUMMED_IN_PARTS: usize = 16 << 10;

/// Why bytes are not a frame. Each is fatal to the connection.
///
/// ```
/// use bytes::BytesMut;
/// use daemoneye_ipc::wire::{Crc32Variant, FrameDecoder, FrameError};
///
/// // 4 GiB less one byte are announced: the eight bytes of the header are enough to refuse.
/// let mut buffer = BytesMut::from(&[0xFF; 8][..]);
/// let refused = FrameDecoder::new(1024, Crc32Variant::Ieee).decode(&mut buffer);
/// assert_eq!(refused, Err(FrameError::TooLarge { size: 0xFFFF_FFFF, max_size: 1024 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is zero.
    #[error("a frame of length 0")]
    InvalidLength {
        /// The announced length.
        length: usize,
    },
    /// The length is over the limit of this side.
    #[error("a frame of {size} bytes, over the limit of {max_size}")]
    TooLarge {
        /// The announced length in bytes.
        size: usize,
        /// The limit in bytes.
        max_size: usize,
    },
    /// The checksum does not fit the payload.
    #[error("checksum {actual:#010x} where {expected:#010x} was announced{}", hint(*.other_variant))]
    CrcMismatch {
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the payload.
        actual: u32,
        /// On the first frame of a connection: the variant that fits, if the other one does.
        other_variant: Option<Crc32Variant>,
    },
}

fn hint(other: Option<Crc32Variant>) -> String {
    other
        .map(|v| format!("; the peer uses `crc32_variant: {v}`, configure both alike"))
        .unwrap_or_default()
}

/// Takes frames off the front of a growing buffer.
///
/// ```
/// use bytes::BytesMut;
/// use daemoneye_ipc::wire::{Crc32Variant, FrameDecoder, append_frame};
///
/// let mut buffer = BytesMut::new();
/// append_frame(&mut buffer, Crc32Variant::Ieee, b"hello");
/// let mut decoder = FrameDecoder::new(1024, Crc32Variant::Ieee);
/// assert_eq!(decoder.decode(&mut buffer)?.as_deref(), Some(&b"hello"[..]));
/// assert_eq!(decoder.decode(&mut buffer)?, None);
/// # Ok::<(), daemoneye_ipc::wire::FrameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FrameDecoder {
    max_frame_bytes: usize,
    crc: Crc32Variant,
    first: bool,
    /// Bytes at the front of the buffer that are whole frames, whose checksums fit.
    sound: usize,
    /// The sum of what came of a payload that is not whole yet, and of how many bytes.
    begun: Option<(Sum, usize)>,
}

impl FrameDecoder {
    /// A decoder that takes payloads of up to `max_frame_bytes`.
    #[must_use]
    pub const fn new(max_frame_bytes: usize, crc: Crc32Variant) -> Self {
        Self {
            max_frame_bytes,
            crc,
            first: true,
            sound: 0,
            begun: None,
        }
    }

    /// Changes the limit for the frames that follow.
    pub const fn set_max_frame_bytes(&mut self, max_frame_bytes: usize) {
        self.max_frame_bytes = max_frame_bytes;
    }

    /// The next payload, or `None` when `buffer` does not hold a whole frame yet.
    ///
    /// # Errors
    /// A [`FrameError`]; the buffer is left as it is, and no further frame can be had.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        self.decode_rest(buffer, |_| false).map(|(_, frame)| frame)
    }

    /// As [`Self::decode`], but shows payloads to `taken` first: those that it has taken, of which nothing more is needed, are
    /// counted and gone without a handle of their own.
    pub(crate) fn decode_rest(
        &mut self,
        buffer: &mut BytesMut,
        mut taken: impl FnMut(&[u8]) -> bool,
    ) -> Result<(usize, Option<Bytes>), FrameError> {
        let (mut end, mut count) = (0, 0);
        let left = loop {
            let rest = buffer.get(end..).unwrap_or_default();
            let payload = if end < self.sound {
                self.front(rest)?.and_then(|frame| frame.payload)
            } else {
                self.whole(rest)?
            };
            let Some(payload) = payload else {
                break None;
            };
            end += HEADER_LEN;
            if !taken(payload) {
                break Some(payload.len());
            }
            end += payload.len();
            count += 1;
        };
        buffer.advance(end);
        self.sound = self.sound.saturating_sub(end + left.unwrap_or(0));
        let frame = left.map(|length| buffer.split_to(length).freeze());
        Ok((count, frame))
    }

    /// Checks all frames of `buffer` that are whole, so that they can be taken later with less work. What does not fit is
    /// left to be found then.
    pub(crate) fn check_ahead(&mut self, buffer: &[u8]) {
        while let Some(rest) = buffer.get(self.sound..)
            && let Ok(Some(payload)) = self.whole(rest)
        {
            self.sound += HEADER_LEN + payload.len();
        }
    }

    /// The payload of the frame at the front of `buffer`, if it is whole and its checksum fits.
    fn whole<'b>(&mut self, buffer: &'b [u8]) -> Result<Option<&'b [u8]>, FrameError> {
        let Some(Front { payload, expected }) = self.front(buffer)? else {
            return Ok(None);
        };
        let Some(payload) = payload else {
            let came = buffer.get(HEADER_LEN..).unwrap_or_default();
            if self.missing(buffer) + came.len() >= SUMMED_IN_PARTS {
                let begun = self.begun.take().unwrap_or((self.crc.begin(), 0));
                self.begun = Some(sum_on(begun, came));
            }
            return Ok(None);
        };
        let actual = match self.begun.take() {
            None => self.crc.checksum(payload),
            Some(begun) => sum_on(begun, payload).0.finish(),
        };
        if actual != expected {
            let other = self.crc.other();
            let other_fits = self.first && other.checksum(payload) == expected;
            return Err(FrameError::CrcMismatch {
                expected,
                actual,
                other_variant: other_fits.then_some(other),
            });
        }
        self.first = false;
        Ok(Some(payload))
    }

    /// How many bytes the frame at the front of `buffer` still lacks: at least 1, at most the limit
    /// plus the header.
    #[must_use]
    pub fn missing(&self, buffer: &[u8]) -> usize {
        match self.header(buffer) {
            Ok(Some((length, _))) => (HEADER_LEN + length).saturating_sub(buffer.len()).max(1),
            _ => HEADER_LEN.saturating_sub(buffer.len()).max(1),
        }
    }

    /// The frame at the front of `buffer`, if its header is there.
    fn front<'b>(&self, buffer: &'b [u8]) -> Result<Option<Front<'b>>, FrameError> {
        let header = self.header(buffer)?;
        Ok(header.map(|(length, expected)| Front {
            payload: buffer.get(HEADER_LEN..HEADER_LEN + length),
            expected,
        }))
    }

    fn header(&self, buffer: &[u8]) -> Result<Option<(usize, u32)>, FrameError> {
        let Some(header) = buffer.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length == 0 {
            return Err(FrameError::InvalidLength { length });
        }
        if length > self.max_frame_bytes {
            return Err(FrameError::TooLarge {
                size: length,
                max_size: self.max_frame_bytes,
            });
        }
        Ok(Some((length, u32::from_le_bytes([c0, c1, c2, c3]))))
    }
}

/// A frame whose header has come.
struct Front<'b> {
    /// `None` if it is not whole.
    payload: Option<&'b [u8]>,
    /// The checksum that was announced.
    expected: u32,
}

/// Goes on with a sum of so many bytes, to one of all that came.
fn sum_on((mut sum, summed): (Sum, usize), came: &[u8]) -> (Sum, usize) {
    sum.update(came.get(summed..).unwrap_or_default());
    (sum, came.len())
}

/// Appends one frame with `payload`, of 1 to `u32::MAX` bytes, to `buffer`.
///
/// ```
/// use bytes::BytesMut;
/// use daemoneye_ipc::wire::{Crc32Variant, append_frame};
///
/// let mut buffer = BytesMut::new();
/// append_frame(&mut buffer, Crc32Variant::Ieee, b"123456789");
/// assert_eq!(&buffer[..8], [9, 0, 0, 0, 0x26, 0x39, 0xF4, 0xCB]);
/// ```
pub fn append_frame(buffer: &mut BytesMut, crc: Crc32Variant, payload: &[u8]) {
    buffer.extend_from_slice(&header(payload.len(), crc.checksum(payload)));
    buffer.extend_from_slice(payload);
}

/// The header of a frame.
pub(super) fn header(length: usize, checksum: u32) -> [u8; HEADER_LEN] {
    let [l0, l1, l2, l3] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let [c0, c1, c2, c3] = checksum.to_le_bytes();
    [l0, l1, l2, l3, c0, c1, c2, c3]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(payload: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::new();
        append_frame(&mut buffer, Crc32Variant::Ieee, payload);
        buffer
    }

    #[test]
    fn a_frame_is_length_checksum_payload() {
        let expected = [9, 0, 0, 0, 0x26, 0x39, 0xF4, 0xCB];
        let buffer = frame(b"123456789");
        assert_eq!(buffer[..8], expected);
        assert_eq!(&buffer[8..], b"123456789");
    }

    #[test]
    fn limits_are_judged_from_the_header_alone() {
        let mut decoder = FrameDecoder::new(16, Crc32Variant::Ieee);
        let mut huge = BytesMut::from(&[17, 0, 0, 0, 0, 0, 0, 0][..]);
        assert_eq!(
            decoder.decode(&mut huge),
            Err(FrameError::TooLarge {
                size: 17,
                max_size: 16
            })
        );
        let mut empty = BytesMut::from(&[0; 8][..]);
        assert_eq!(
            decoder.decode(&mut empty),
            Err(FrameError::InvalidLength { length: 0 })
        );
    }

    #[test]
    fn a_flipped_bit_is_found_and_the_other_variant_named_only_on_the_first_frame() {
        let mut damaged = frame(b"payload");
        damaged[10] ^= 1;
        let mut decoder = FrameDecoder::new(64, Crc32Variant::Ieee);
        let error = decoder.decode(&mut damaged).expect_err("must not pass");
        assert!(matches!(
            error,
            FrameError::CrcMismatch {
                other_variant: None,
                ..
            }
        ));

        let mut decoder = FrameDecoder::new(64, Crc32Variant::Castagnoli);
        let error = decoder
            .decode(&mut frame(b"payload"))
            .expect_err("must not pass");
        assert!(
            error.to_string().contains("`crc32_variant: ieee`"),
            "{error}"
        );

        let mut both = BytesMut::new();
        append_frame(&mut both, Crc32Variant::Castagnoli, b"one");
        append_frame(&mut both, Crc32Variant::Ieee, b"two");
        let mut decoder = FrameDecoder::new(64, Crc32Variant::Castagnoli);
        assert!(decoder.decode(&mut both).is_ok());
        let error = decoder.decode(&mut both).expect_err("must not pass");
        assert!(matches!(
            error,
            FrameError::CrcMismatch {
                other_variant: None,
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..12),
            cuts in prop::collection::vec(1usize..64, 1..64),
        ) {
            let mut bytes = BytesMut::new();
            for payload in &payloads {
                append_frame(&mut bytes, Crc32Variant::Castagnoli, payload);
            }
            let mut decoder = FrameDecoder::new(300, Crc32Variant::Castagnoli);
            let (mut buffer, mut seen, mut cuts) = (BytesMut::new(), Vec::new(), cuts.iter().cycle());
            while !bytes.is_empty() {
                let cut = (*cuts.next().unwrap_or(&1)).min(bytes.len());
                buffer.extend_from_slice(&bytes.split_to(cut));
                while let Some(payload) = decoder.decode(&mut buffer).unwrap() {
                    seen.push(payload.to_vec());
                }
                prop_assert!(decoder.missing(&buffer) >= 1);
            }
            prop_assert_eq!(seen, payloads);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = FrameDecoder::new(100, Crc32Variant::Ieee);
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decoder.decode(&mut buffer) {}
            let _ = decoder.missing(&buffer);
        }
    }
}
