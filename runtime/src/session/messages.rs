//! Messages of a stream that came and wait to be taken.
//!
//! Small ones are copied one behind the other, so that a message that waits for long keeps no buffer of many
//! times its size, and hundreds cost one allocation.
//!
//! **Invariant**: messages leave in the order in which they came, byte for byte.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

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

/// Messages one behind the other in one buffer.
#[derive(Debug)]
struct Run {
    bytes: BytesMut,
    lengths: VecDeque<u32>,
    /// A message that is not to be copied, in place of the above.
    whole: Option<Bytes>,
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
        let run = self.runs.front_mut()?;
        self.len -= 1;
        if let Some(whole) = run.whole.take() {
            self.runs.pop_front();
            return Some(whole);
        }
        let length = run.lengths.pop_front().unwrap_or_default() as usize;
        if run.lengths.is_empty() {
            return self.runs.pop_front().map(|run| run.bytes.freeze());
        }
        Some(run.bytes.split_to(length).freeze())
    }

    /// Throws all away.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        let whole = |run: &Run| run.whole.as_ref().map_or(0, Bytes::len);
        self.runs
            .iter()
            .map(|run| run.bytes.len() + whole(run))
            .sum()
    }

    /// Appends a message; a small one is copied.
    pub(crate) fn push(&mut self, message: Bytes) {
        if message.len() <= MAX_COPIED_BYTES {
            return self.push_copy(&message);
        }
        self.len += 1;
        self.runs.push_back(Run {
            bytes: BytesMut::new(),
            lengths: VecDeque::new(),
            whole: Some(message),
        });
    }

    /// Appends a copy of a message of at most [`MAX_COPIED_BYTES`].
    pub(crate) fn push_copy(&mut self, message: &[u8]) {
        let fits =
            |run: &&mut Run| run.whole.is_none() && run.bytes.len() + message.len() <= RUN_BYTES;
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        self.len += 1;
        if let Some(run) = self.runs.back_mut().filter(fits) {
            run.bytes.extend_from_slice(message);
            run.lengths.push_back(length);
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
        self.runs.push_back(Run {
            bytes,
            lengths: VecDeque::from([length]),
            whole: None,
        });
    }

    /// Moves all of `from` to the end.
    pub(crate) fn append(&mut self, from: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, from);
        } else {
            self.runs.append(&mut from.runs);
            self.len += std::mem::take(&mut from.len);
        }
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
