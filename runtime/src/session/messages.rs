//! Messages of a stream that came and wait to be taken.
//!
//! Small ones are copied one behind the other, so that a message that waits for long keeps no buffer of many
//! times its size, and hundreds cost one allocation.
//!
//! **Invariant**: messages leave in the order in which they came, byte for byte.

use std::{collections::VecDeque, mem};

use bytes::{Buf, Bytes, BytesMut};

/// Up to this size, messages are copied out of the read buffer.
pub(crate) const MAX_COPIED_BYTES: usize = 4 << 10;

/// Bytes of messages that are copied into one buffer at most, which a message taken from it keeps alive.
const RUN_BYTES: usize = 8 << 10;

/// Room that the first message of a buffer is given at least.
const FIRST_BYTES: usize = 512;

/// Encoded messages in order.
///
/// ```
/// use bytes::Bytes;
/// use daemoneye_ipc::session::Messages;
///
/// let mut messages = Messages::from_iter([Bytes::from_static(b"one"), Bytes::new()]);
/// assert_eq!((messages.len(), messages.pop_front()), (2, Some(Bytes::from_static(b"one"))));
/// assert_eq!((messages.pop_front(), messages.pop_front()), (Some(Bytes::new()), None));
/// ```
#[derive(Debug, Default)]
pub struct Messages {
    runs: VecDeque<Run>,
    /// Messages in all of them.
    len: usize,
}

/// Some messages.
#[derive(Debug)]
enum Run {
    /// One behind the other in one buffer.
    Copied {
        bytes: BytesMut,
        lengths: VecDeque<u32>,
    },
    /// The same, once messages are taken from it: the first of all, if any is.
    Opened {
        bytes: Bytes,
        lengths: VecDeque<u32>,
    },
    /// One that is not copied.
    Whole(Bytes),
}

/// The message in front, to be decoded: what is not read of it is gone with this.
#[derive(Debug)]
pub(crate) struct Front<'a> {
    bytes: &'a mut Bytes,
    left: usize,
}

impl<'a> Front<'a> {
    /// A message that is all of `bytes`.
    pub(crate) const fn all(bytes: &'a mut Bytes) -> Self {
        let left = bytes.len();
        Self { bytes, left }
    }
}

impl Buf for Front<'_> {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.get(..self.left).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.left -= count;
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.left -= count;
        self.bytes.split_to(count)
    }
}

impl Drop for Front<'_> {
    fn drop(&mut self) {
        self.bytes.advance(self.left);
    }
}

impl Messages {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            runs: VecDeque::new(),
            len: 0,
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the first out.
    pub fn pop_front(&mut self) -> Option<Bytes> {
        let mut front = self.take_front()?;
        Some(front.copy_to_bytes(front.left))
    }

    /// Takes the first out where it lies, which makes no handle of its own.
    pub(crate) fn take_front(&mut self) -> Option<Front<'_>> {
        self.len = self.len.checked_sub(1)?;
        if let Some(Run::Opened { lengths, .. }) = self.runs.front()
            && lengths.is_empty()
        {
            self.runs.pop_front();
        }
        let run = self.runs.front_mut()?;
        run.open();
        let Run::Opened { bytes, lengths } = run else {
            return None;
        };
        let left = lengths.pop_front().map_or(bytes.len(), |len| len as usize);
        Some(Front { bytes, left })
    }

    /// Throws all away.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |run: &Run| match run {
            Run::Copied { bytes, .. } => bytes.len(),
            Run::Opened { bytes, .. } | Run::Whole(bytes) => bytes.len(),
        };
        self.runs.iter().map(bytes).sum()
    }

    /// Appends a message; a small one is copied.
    pub(crate) fn push(&mut self, message: Bytes) {
        if message.len() <= MAX_COPIED_BYTES {
            return self.push_copy(&message);
        }
        self.len += 1;
        self.runs.push_back(Run::Whole(message));
    }

    /// Appends a copy of a message of at most [`MAX_COPIED_BYTES`].
    pub(crate) fn push_copy(&mut self, message: &[u8]) {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        self.len += 1;
        if let Some(Run::Copied { bytes, lengths }) = self.runs.back_mut()
            && bytes.len() + message.len() <= RUN_BYTES
        {
            bytes.extend_from_slice(message);
            lengths.push_back(length);
            return;
        }
        // A run that was filled is followed by another of its size.
        let room = if self.runs.is_empty() {
            FIRST_BYTES
        } else {
            RUN_BYTES
        };
        let mut bytes = BytesMut::with_capacity(room.max(message.len()));
        bytes.extend_from_slice(message);
        let lengths = VecDeque::from([length]);
        self.runs.push_back(Run::Copied { bytes, lengths });
    }

    /// Moves all of `from` to the end.
    pub(crate) fn append(&mut self, from: &mut Self) {
        if self.is_empty() {
            // One that all was taken from may be left.
            self.runs.clear();
            mem::swap(self, from);
        } else {
            self.runs.append(&mut from.runs);
            self.len += mem::take(&mut from.len);
        }
    }
}

impl Run {
    /// Makes it one that messages are taken from.
    fn open(&mut self) {
        let (bytes, lengths) = match self {
            Self::Opened { .. } => return,
            Self::Copied { bytes, lengths } => (mem::take(bytes).freeze(), mem::take(lengths)),
            Self::Whole(message) => (mem::take(message), VecDeque::new()),
        };
        *self = Self::Opened { bytes, lengths };
    }
}

impl FromIterator<Bytes> for Messages {
    fn from_iter<I: IntoIterator<Item = Bytes>>(messages: I) -> Self {
        let mut all = Self::new();
        messages.into_iter().for_each(|message| all.push(message));
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out(sizes in prop::collection::vec(prop_oneof![0usize..200, 3000usize..6000], 0..200), takes in prop::collection::vec(0usize..50, 1..20)) {
            let mut expected: VecDeque<Bytes> = VecDeque::new();
            let (mut held, mut batch) = (Messages::new(), Messages::new());
            let mut takes = takes.into_iter().cycle();
            for (number, size) in sizes.into_iter().enumerate() {
                let message = Bytes::from(vec![number as u8; size]);
                held.push(message.clone());
                expected.push_back(message);
                prop_assert_eq!(held.bytes() + batch.bytes(), expected.iter().map(Bytes::len).sum::<usize>());
                if takes.next() == Some(0) {
                    batch.append(&mut held);
                    prop_assert!(held.is_empty() && held.pop_front().is_none());
                }
                if takes.next().is_some_and(|count| count > 40) && let Some(message) = batch.pop_front() {
                    prop_assert_eq!(Some(message), expected.pop_front());
                }
            }
            batch.append(&mut held);
            prop_assert_eq!(batch.len(), expected.len());
            for message in expected {
                prop_assert_eq!(batch.pop_front(), Some(message));
            }
            prop_assert_eq!(batch.pop_front(), None);
        }
    }

    #[test]
    fn a_small_message_that_waits_does_not_keep_the_read_buffer() {
        let buffer = Bytes::from(vec![0; 1 << 20]);
        let mut messages = Messages::new();
        messages.push(buffer.slice(..100));
        assert!(buffer.is_unique() && messages.bytes() == 100);
    }
}
