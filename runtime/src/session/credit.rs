//! Byte credit of one direction of one stream, for the side that receives it, with the messages that
//! came and were not taken yet.
//!
//! **Invariant**: the bytes held never exceed the window by more than one message: the sender may
//! overdraw once, and only while its credit is above zero.

use std::{
    task::Waker,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::messages::Messages;
use crate::wire::MESSAGE_OVERHEAD;

/// What a stream message of `len` payload bytes costs.
pub(crate) fn cost(len: usize) -> i64 {
    i64::try_from(len.saturating_add(MESSAGE_OVERHEAD)).unwrap_or(i64::MAX)
}

/// How many times its first size a window may grow to.
pub(crate) const MOST_WINDOWS: u32 = 4;

/// A window that is consumed in less is too small: one side waits for the other again and again, and to wake it takes a tenth
/// of this or more (`docs/performance.md`).
const SHORT: Duration = Duration::from_millis(1);

/// The receiving end of a stream.
#[derive(Debug)]
pub(crate) struct Receiver {
    queue: Messages,
    /// Credit that the sender has left, as far as this side knows.
    available: i64,
    window: u32,
    /// What it was at first.
    base: u32,
    /// Since when a window's worth is being consumed, and how much of it was.
    turn: Option<(Instant, i64)>,
    /// Consumed since the last grant, and what the window has grown by; below zero once it has shrunk.
    consumed: i64,
    /// The sender has said that nothing more follows.
    last: bool,
    pub(crate) waker: Option<Waker>,
}

/// The peer sent past its credit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overdrawn;

impl Receiver {
    pub(crate) const fn new(window: u32) -> Self {
        Self {
            queue: Messages::new(),
            available: window as i64,
            window,
            base: window,
            turn: None,
            consumed: 0,
            last: false,
            waker: None,
        }
    }

    /// A message that cost nothing, because it came inside the CALL.
    pub(crate) fn push_free(&mut self, payload: Bytes) {
        self.consumed = self.consumed.saturating_sub(cost(payload.len()));
        self.queue.push(payload);
    }

    pub(crate) fn push(&mut self, payload: Bytes) -> Result<(), Overdrawn> {
        self.pay(payload.len())?;
        self.queue.push(payload);
        Ok(())
    }

    /// The same for a message of at most [`MAX_COPIED_BYTES`](super::messages::MAX_COPIED_BYTES), which is copied.
    pub(crate) fn push_copy(&mut self, payload: &[u8]) -> Result<(), Overdrawn> {
        self.pay(payload.len())?;
        self.queue.push_copy(payload);
        Ok(())
    }

    fn pay(&mut self, len: usize) -> Result<(), Overdrawn> {
        if self.available <= 0 {
            return Err(Overdrawn);
        }
        self.available = self.available.saturating_sub(cost(len));
        Ok(())
    }

    pub(crate) const fn finish(&mut self) {
        self.last = true;
    }

    pub(crate) const fn is_finished(&self) -> bool {
        self.last
    }

    /// Whether a message, or the end, is there to be taken.
    pub(crate) fn is_ready(&self) -> bool {
        self.last || !self.queue.is_empty()
    }

    /// Moves all messages that came to `batch`; they count as consumed once [`Self::consume`] says so.
    pub(crate) fn take(&mut self, batch: &mut Messages) {
        batch.append(&mut self.queue);
    }

    /// Counts `bytes` of cost as consumed; returns the grant to send once a quarter of the window is used, so that the sender
    /// goes on while most of what it sent is still to be taken.
    pub(crate) fn consume(&mut self, bytes: i64) -> Option<u32> {
        self.consumed = self.consumed.saturating_add(bytes);
        if self.last || self.consumed < i64::from((self.window / 4).max(1)) {
            return None;
        }
        let grant = u32::try_from(self.consumed).unwrap_or(u32::MAX);
        self.available = self.available.saturating_add(i64::from(grant));
        self.consumed = 0;
        Some(grant)
    }

    /// Other calls wait behind what the window carries: it is half of what it was at first, with which such a call takes three
    /// quarters of the time (`docs/performance.md`).
    pub(crate) fn give_way(&mut self) {
        self.resize((self.base / 2).max(1));
    }

    /// Sees how fast the stream is, of which `bytes` are about to be consumed, and doubles a window that is too small for that.
    pub(crate) fn pace(&mut self, bytes: i64, now: Instant) {
        let Some((since, consumed)) = &mut self.turn else {
            self.turn = Some((now, 0));
            return;
        };
        *consumed = consumed.saturating_add(bytes);
        if *consumed < i64::from(self.window) {
            return;
        }
        let took = now.saturating_duration_since(*since);
        self.turn = Some((now, 0));
        if took < SHORT {
            let most = self.base.saturating_mul(MOST_WINDOWS);
            self.resize(self.window.saturating_mul(2).min(most));
        }
    }

    /// What a window has grown by is granted with what is consumed next; what it has shrunk by is not granted again.
    fn resize(&mut self, window: u32) {
        self.consumed += i64::from(window) - i64::from(self.window);
        self.window = window;
    }

    /// Payload bytes that wait to be taken.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_message_may_overdraw_and_no_second() {
        let mut receiver = Receiver::new(100);
        assert_eq!(receiver.push(Bytes::from(vec![0; 5000])), Ok(()));
        assert_eq!(receiver.push(Bytes::new()), Err(Overdrawn));
    }

    #[test]
    fn a_message_inside_the_call_is_not_granted_back() {
        let mut receiver = Receiver::new(100);
        receiver.push_free(Bytes::from(vec![0; 500]));
        assert_eq!(receiver.consume(cost(500)), None);
        assert_eq!(receiver.available, 100);
    }

    #[test]
    fn a_window_grows_while_it_is_consumed_fast_and_nobody_waits_behind_it() {
        let mut receiver = Receiver::new(100);
        let mut now = Instant::now();
        let mut windows = |step: Duration, alone: bool| {
            now += step;
            match alone {
                true => receiver.pace(i64::from(receiver.window), now),
                false => receiver.give_way(),
            }
            receiver.window
        };
        assert_eq!([(); 5].map(|()| windows(SHORT, true)), [100; 5]);
        let fast = [(); 4].map(|()| windows(SHORT / 2, true));
        assert_eq!(fast, [200, 400, 400, 400]);
        assert_eq!(windows(2 * SHORT, true), 400);
        assert_eq!(windows(SHORT / 2, false), 50);
    }

    proptest! {
        #[test]
        fn credit_is_neither_lost_nor_made(window in 1u32..5000, steps in prop::collection::vec((0usize..3000, 0u64..3, prop::bool::weighted(0.9)), 1..60)) {
            let mut receiver = Receiver::new(window);
            let mut sender = i64::from(window);
            let mut now = Instant::now();
            for (size, millis, alone) in steps {
                now += Duration::from_millis(millis);
                if sender > 0 {
                    sender -= cost(size);
                    receiver.push(Bytes::from(vec![0; size])).unwrap();
                }
                let mut batch = Messages::new();
                receiver.take(&mut batch);
                while let Some(message) = batch.pop_front() {
                    match alone {
                        true => receiver.pace(cost(message.len()), now),
                        false => receiver.give_way(),
                    }
                    sender += i64::from(receiver.consume(cost(message.len())).unwrap_or(0));
                }
                prop_assert_eq!(sender, receiver.available);
                prop_assert_eq!(sender + receiver.consumed, i64::from(receiver.window));
                prop_assert!(receiver.window >= window / 2 && receiver.window <= window * MOST_WINDOWS);
                prop_assert!(sender > 0, "a consumed stream must be able to go on");
            }
        }
    }
}
