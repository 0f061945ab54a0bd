//! Encoded frames on their way to a socket, which takes several slices at once.
//!
//! **Invariant**: what is taken out, part by part, is the frames byte for byte.

use bytes::{Buf, BufMut, Bytes, BytesMut, buf::UninitSlice};

use super::{
    Crc32Variant, HEADER_LEN, Head, MessageHead, Oversize, Payload, envelope::SHORT_HEAD,
    frame::header,
};

/// From this size on, a field of bytes leaves from where it is. Copying costs more than a slice of its own.
const LARGE_BYTES: usize = 4 << 10;

/// Room for what is copied of an envelope with a large payload, at first: mostly its other fields, and the key of the large one.
const LARGE_HEAD: usize = 256;

/// Bytes of the longest varint.
const MAX_VARINT: usize = 10;

/// Frames, one behind the other: what is small is encoded into one buffer, what is large is shared with its owner.
#[derive(Debug)]
pub(crate) struct Frames {
    bytes: BytesMut,
    /// Each with the place in `bytes` that it belongs to.
    large: Vec<(usize, Bytes)>,
    /// Bytes of these.
    large_bytes: usize,
    /// What is large.
    large_from: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            large_from: LARGE_BYTES,
            ..Self::in_one_piece(BytesMut::new())
        }
    }
}

impl Frames {
    /// Frames that are all copied behind what is in `bytes`.
    pub(super) const fn in_one_piece(bytes: BytesMut) -> Self {
        Self {
            bytes,
            large: Vec::new(),
            large_bytes: 0,
            large_from: usize::MAX,
        }
    }

    pub(super) fn into_one_piece(self) -> BytesMut {
        self.bytes
    }

    /// Bytes of all frames.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.large_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends a frame with an envelope of `head` and `payload`, unless it would be larger than `max_frame_bytes`. Returns
    /// the length of the payload.
    pub(crate) fn push<P: Payload>(
        &mut self,
        crc: Crc32Variant,
        max_frame_bytes: usize,
        head: &Head<'_>,
        payload: Option<&P>,
    ) -> Result<usize, Oversize> {
        let payload_len = payload.map(Payload::payload_len);
        let shared = self.large.len();
        let (start, size) = match head.is_short() {
            true => self.begin_short(max_frame_bytes, head, payload_len)?,
            false => self.begin_long(max_frame_bytes, head, payload_len)?,
        };
        if let Some(payload) = payload {
            payload.encode_into(self);
        }
        self.finish(start, size, shared, crc);
        Ok(payload_len.unwrap_or(0))
    }

    /// Appends a frame with a MESSAGE, as [`Self::push`] does.
    pub(crate) fn push_message<P: Payload>(
        &mut self,
        crc: Crc32Variant,
        max_frame_bytes: usize,
        head: &MessageHead,
        payload: &P,
    ) -> Result<usize, Oversize> {
        let (len, shared, start) = (payload.payload_len(), self.large.len(), self.bytes.len());
        self.make_room(len + MessageHead::ROOM + MAX_VARINT, Some(len));
        head.append(&mut self.bytes, len);
        let written = self.bytes.len() - start - HEADER_LEN;
        let size =
            fitting(written + len, max_frame_bytes).inspect_err(|_| self.bytes.truncate(start))?;
        payload.encode_into(self);
        self.finish(start, size, shared, crc);
        Ok(len)
    }

    /// Writes the header of the frame at `start`, whose large parts begin with that of number `shared`.
    fn finish(&mut self, start: usize, size: usize, shared: usize, crc: Crc32Variant) {
        let header = header(size, self.checksum(start + HEADER_LEN, shared, crc));
        if let Some(place) = self.bytes.get_mut(start..start + HEADER_LEN) {
            place.copy_from_slice(&header);
        }
    }

    /// Appends room for a header, and the head. Returns where the frame starts, and the size of its envelope.
    fn begin_short(
        &mut self,
        max_frame_bytes: usize,
        head: &Head<'_>,
        payload: Option<usize>,
    ) -> Result<(usize, usize), Oversize> {
        // Written first and measured after, which for numbers is less work.
        let mut short = [0; HEADER_LEN + SHORT_HEAD];
        let (_, mut rest) = short.split_at_mut(HEADER_LEN);
        head.encode(&mut rest, payload);
        let written = SHORT_HEAD - rest.len();
        let size = fitting(written + payload.unwrap_or(0), max_frame_bytes)?;
        self.make_room(size, payload);
        let start = self.bytes.len();
        let written = short.get(..HEADER_LEN + written).unwrap_or_default();
        self.bytes.extend_from_slice(written);
        Ok((start, size))
    }

    /// The same for heads of any length.
    fn begin_long(
        &mut self,
        max_frame_bytes: usize,
        head: &Head<'_>,
        payload: Option<usize>,
    ) -> Result<(usize, usize), Oversize> {
        let size = fitting(head.encoded_len(payload), max_frame_bytes)?;
        self.make_room(size, payload);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEADER_LEN]);
        head.encode(&mut self.bytes, payload);
        Ok((start, size))
    }

    fn make_room(&mut self, size: usize, payload: Option<usize>) {
        // Of a large payload it is not known how much is copied.
        let copied = match payload {
            Some(len) if len >= self.large_from => size.min(LARGE_HEAD),
            _ => size,
        };
        self.bytes.reserve(copied + HEADER_LEN);
    }

    /// The checksum of all from `start` on, where the large part of number `shared` is the first.
    fn checksum(&self, mut start: usize, shared: usize, crc: Crc32Variant) -> u32 {
        let mut sum = crc.begin();
        for (place, part) in self.large.get(shared..).unwrap_or_default() {
            sum.update(self.bytes.get(start..*place).unwrap_or_default());
            sum.update(part);
            start = *place;
        }
        sum.update(self.bytes.get(start..).unwrap_or_default());
        sum.finish()
    }

    /// Moves the frames of `from` behind these.
    pub(crate) fn append(&mut self, from: &mut Self) {
        let end = self.bytes.len();
        self.bytes.extend_from_slice(&from.bytes);
        let moved = from
            .large
            .drain(..)
            .map(|(place, part)| (end + place, part));
        self.large.extend(moved);
        self.large_bytes += std::mem::take(&mut from.large_bytes);
        from.bytes.clear();
    }

    /// Takes all frames out; the room that is left stays here.
    pub(crate) fn split(&mut self) -> Self {
        Self {
            bytes: self.bytes.split(),
            large: std::mem::take(&mut self.large),
            large_bytes: std::mem::take(&mut self.large_bytes),
            large_from: self.large_from,
        }
    }

    /// Takes all frames out, part by part.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Bytes)) {
        let mut taken = 0;
        for (place, part) in self.large.drain(..) {
            each(self.bytes.split_to(place - taken).freeze());
            each(part);
            taken = place;
        }
        self.large_bytes = 0;
        if !self.bytes.is_empty() {
            each(self.bytes.split().freeze());
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.large.clear();
        self.large_bytes = 0;
    }
}

/// The size, if it is not over the limit.
const fn fitting(size: usize, max_size: usize) -> Result<usize, Oversize> {
    if size > max_size {
        return Err(Oversize { size, max_size });
    }
    Ok(size)
}

#[expect(
    unsafe_code,
    reason = "the trait is unsafe to implement, for the sake of those who write to the room that it shows"
)]
// SAFETY: the room is that of `BytesMut`, and is advanced there.
unsafe impl BufMut for Frames {
    fn remaining_mut(&self) -> usize {
        self.bytes.remaining_mut()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller promises it.
        unsafe { self.bytes.advance_mut(count) }
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.bytes.chunk_mut()
    }

    fn put<B: Buf>(&mut self, mut from: B) {
        let length = from.remaining();
        if length < self.large_from {
            self.bytes.put(from);
        } else {
            // Of `Bytes`, this is another handle.
            let part = from.copy_to_bytes(length);
            self.large_bytes += length;
            self.large.push((self.bytes.len(), part));
        }
    }

    fn put_slice(&mut self, from: &[u8]) {
        self.bytes.put_slice(from);
    }

    fn put_u8(&mut self, byte: u8) {
        self.bytes.put_u8(byte);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Encoded, Kind, append_envelope};

    proptest! {
        #[test]
        fn in_parts_or_in_one_piece_the_bytes_are_the_same(sizes in prop::collection::vec(prop_oneof![0usize..100, 4000usize..9000], 1..20), splits in prop::collection::vec(any::<bool>(), 20)) {
            let (mut expected, mut parts) = (BytesMut::new(), BytesMut::new());
            let (mut frames, mut front) = (Frames::default(), Frames::default());
            for (number, (size, split)) in sizes.into_iter().zip(splits).enumerate() {
                let head = Head { kind: Kind::Message, call: Some(number as u64), ..Head::default() };
                let payload = Encoded(Bytes::from(vec![number as u8; size]));
                let crc = Crc32Variant::Ieee;
                append_envelope(&mut expected, crc, usize::MAX, &head, Some(&payload)).unwrap();
                frames.push(crc, usize::MAX, &head, Some(&payload)).unwrap();
                prop_assert_eq!(parts.len() + front.len() + frames.len(), expected.len());
                if split {
                    front.append(&mut frames.split());
                    prop_assert_eq!((frames.is_empty(), frames.len()), (true, 0));
                } else {
                    front.append(&mut frames);
                    front.drain(|part| parts.extend_from_slice(&part));
                    prop_assert_eq!((front.is_empty(), front.len()), (true, 0));
                }
            }
            front.drain(|part| parts.extend_from_slice(&part));
            prop_assert_eq!(parts, expected);
        }
    }

    proptest! {
        #[test]
        fn a_message_is_what_its_head_would_say(call in prop_oneof![0u64..300, any::<u64>()], size in prop_oneof![0usize..300, 4000usize..9000], max in prop_oneof![0usize..400, Just(usize::MAX)]) {
            let (mut expected, mut frames) = (Frames::default(), Frames::default());
            let head = Head { kind: Kind::Message, call: Some(call), ..Head::default() };
            let payload = Encoded(Bytes::from(vec![7; size]));
            let crc = Crc32Variant::Ieee;
            let before = Encoded(Bytes::from_static(b"before"));
            for frames in [&mut expected, &mut frames] {
                frames.push(crc, usize::MAX, &head, Some(&before)).unwrap();
            }
            prop_assert_eq!(
                frames.push_message(crc, max, &MessageHead::of(call), &payload),
                expected.push(crc, max, &head, Some(&payload)),
            );
            let parts = [&mut frames, &mut expected].map(|frames| {
                let mut parts = Vec::new();
                frames.drain(|part| parts.push(part));
                parts
            });
            prop_assert_eq!(&parts[0], &parts[1]);
        }
    }

    #[test]
    fn a_large_field_is_shared_and_a_small_one_copied() {
        let (large, small) = (Bytes::from(vec![1; LARGE_BYTES]), Bytes::from(vec![2; 100]));
        let mut frames = Frames::default();
        for payload in [&large, &small] {
            let payload = Encoded(payload.clone());
            let head = Head::default();
            frames
                .push(Crc32Variant::Ieee, usize::MAX, &head, Some(&payload))
                .unwrap();
        }
        assert!(!large.is_unique() && small.is_unique());
        frames.clear();
        assert_eq!((large.is_unique(), frames.len()), (true, 0));
    }
}
