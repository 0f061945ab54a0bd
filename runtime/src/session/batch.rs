//! Messages of a stream on their way to the outbox.
//!
//! **Invariant**: needs no lock; never takes more than one message beyond the room that there was.

use super::{CallId, credit::cost};
use crate::wire::{Crc32Variant, Frames, MessageHead, Oversize, Payload};

/// Bytes of messages that are encoded before they are queued together.
const BATCH_BYTES: usize = 16 << 10;

/// What may be queued on a stream.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub(super) crc: Crc32Variant,
    pub(super) max_frame_bytes: usize,
    pub(super) credit: i64,
    pub(super) bytes: usize,
}

/// Messages of one stream, encoded where no lock is held, to be queued together.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// use daemoneye_ipc::session::Batch;
/// let batch = Batch::default();
/// assert!(batch.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) frames: Frames,
    pub(super) cost: i64,
    /// What the latest message began with.
    head: Option<(CallId, MessageHead)>,
}

impl Batch {
    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether nothing more may be queued behind it, where there was such `room`: the socket, or the peer, has to take
    /// something first.
    #[must_use]
    pub fn fills(&self, room: &Room) -> bool {
        self.cost >= room.credit || self.frames.len() >= room.bytes
    }

    /// Appends a message; `false` when `room` is used up with it, and the batch has to be queued.
    ///
    /// # Errors
    /// If the message does not fit a frame that the peer takes; the batch is as it was.
    pub fn push<P: Payload>(
        &mut self,
        room: &Room,
        call: CallId,
        payload: &P,
    ) -> Result<bool, Oversize> {
        let head = match &self.head {
            Some((of, head)) if *of == call => head,
            _ => &self.head.insert((call, MessageHead::of(call))).1,
        };
        let (crc, max) = (room.crc, room.max_frame_bytes);
        let len = self.frames.push_message(crc, max, head, payload)?;
        self.cost = self.cost.saturating_add(cost(len));
        Ok(self.cost < room.credit && self.frames.len() < room.bytes.min(BATCH_BYTES))
    }
}
