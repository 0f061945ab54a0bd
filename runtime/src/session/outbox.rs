//! What waits to be written, in the order in which it may leave.
//!
//! Control frames, requests and replies leave first; stream messages follow in turns, a quantum of
//! one stream after a quantum of the next. A stream's own end follows its messages.
//!
//! **Invariant**: a frame is never torn: what has begun to leave leaves whole. Stream data never
//! delays a control frame by more than [`FRONT_BYTES`] and one frame.

use std::{
    collections::{HashMap, VecDeque},
    io::IoSlice,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, BytesMut};

use super::{CallId, IdHasher, credit::cost};
use crate::wire::{
    Crc32Variant, HEADER_LEN, Head, Kind, Oversize, Payload, append_envelope, append_head,
};

/// Bytes that are committed to an order at a time; what is queued after them may still be overtaken.
const FRONT_BYTES: usize = 64 << 10;

/// What one stream may send before the next has its turn.
const QUANTUM: usize = 32 << 10;

/// Bytes of messages that are encoded before they are queued together.
const BATCH_BYTES: usize = 16 << 10;

/// Bytes that a stream's sender may queue before it has to wait for the socket.
pub(crate) const LANE_BYTES: usize = 64 << 10;

/// Everything that one side has to say on a connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    crc: Crc32Variant,
    max_frame_bytes: usize,
    /// Bytes that were handed to the driver and are not written yet.
    in_transit: usize,
    urgent: BytesMut,
    /// Bytes ever written.
    written: u64,
    /// Bytes ever queued in, and written from, the urgent queue.
    urgent_queued: u64,
    urgent_written: u64,
    /// Bytes of control frames that are not written yet; an upper bound.
    control: usize,
    lanes: HashMap<CallId, Lane, IdHasher>,
    turns: VecDeque<CallId>,
    lane_bytes: usize,
}

/// Frames in the order in which they leave: the driver's share of the outbox, so that it can write
/// without holding the session.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// let mut transmit = Transmit::default();
/// client.poll_transmit(&mut transmit); // HELLO is queued from the start
/// let mut slices = [IoSlice::new(&[]); 8];
/// let filled = transmit.slices(&mut slices);
/// let bytes: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
/// // A socket takes some, the rest stays.
/// client.handle_written(transmit.advance(bytes - 1));
/// assert!(!transmit.is_empty() && !client.is_flushed());
/// client.handle_written(transmit.advance(1));
/// assert!(transmit.is_empty() && client.is_flushed());
/// # drop((server, wire));
/// ```
#[derive(Debug, Default)]
pub struct Transmit {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

#[derive(Debug)]
struct Piece {
    bytes: BytesMut,
    urgent: bool,
}

/// What the socket took, for the session to count.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// client.poll_transmit(&mut wire);
/// let (frames, written) = take(&mut wire); // what the socket took
/// client.handle_written(written);
/// assert_eq!((frames.len(), client.is_flushed()), (1, true));
/// # drop(server);
/// ```
#[derive(Debug, Default, Clone, Copy)]
#[must_use = "the session counts what was written"]
pub struct Written {
    total: usize,
    urgent: usize,
}

impl Transmit {
    /// Whether nothing waits here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Fills `slices` with what leaves next and returns how many were filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, piece) in slices.iter_mut().zip(&self.pieces) {
            *slot = IoSlice::new(&piece.bytes);
            filled += 1;
        }
        filled
    }

    /// The socket took `written` bytes.
    pub fn advance(&mut self, written: usize) -> Written {
        let (mut left, mut urgent) = (written, 0);
        self.bytes -= written;
        while let Some(piece) = self.pieces.front_mut() {
            let taken = left.min(piece.bytes.len());
            urgent += if piece.urgent { taken } else { 0 };
            if taken < piece.bytes.len() {
                piece.bytes.advance(taken);
                break;
            }
            left -= taken;
            self.pieces.pop_front();
        }
        Written {
            total: written,
            urgent,
        }
    }

    fn push(&mut self, bytes: BytesMut, urgent: bool) {
        self.bytes += bytes.len();
        self.pieces.push_back(Piece { bytes, urgent });
    }
}

/// What may be queued on a stream.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    crc: Crc32Variant,
    max_frame_bytes: usize,
    credit: i64,
    bytes: usize,
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
    frames: BytesMut,
    cost: i64,
}

impl Batch {
    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
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
        let head = Head {
            kind: Kind::Message,
            call: Some(call),
            ..Head::default()
        };
        let frames = &mut self.frames;
        append_envelope(frames, room.crc, room.max_frame_bytes, &head, Some(payload))?;
        self.cost = self.cost.saturating_add(cost(payload.payload_len()));
        Ok(self.cost < room.credit && self.frames.len() < room.bytes.min(BATCH_BYTES))
    }
}

/// The sending end of one stream.
#[derive(Debug)]
struct Lane {
    frames: BytesMut,
    credit: i64,
    /// Nothing more will be queued; the lane goes once it is drained.
    closed: bool,
    in_turn: bool,
    waker: Option<Waker>,
}

/// Where in the urgent queue a frame starts, to tell later whether a byte of it has left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(u64);

impl Outbox {
    pub(crate) fn new(crc: Crc32Variant, max_frame_bytes: usize) -> Self {
        Self {
            crc,
            max_frame_bytes,
            in_transit: 0,
            written: 0,
            urgent: BytesMut::new(),
            urgent_queued: 0,
            urgent_written: 0,
            control: 0,
            lanes: HashMap::default(),
            turns: VecDeque::new(),
            lane_bytes: 0,
        }
    }

    /// The peer's limit, once its HELLO is in.
    pub(crate) const fn set_max_frame_bytes(&mut self, bytes: usize) {
        self.max_frame_bytes = bytes;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queued() == 0
    }

    /// Whether something waits to be handed to the driver.
    pub(crate) fn has_queued(&self) -> bool {
        !self.urgent.is_empty() || !self.turns.is_empty()
    }

    /// Whether no stream data waits.
    pub(crate) fn is_all_urgent(&self) -> bool {
        self.turns.is_empty()
    }

    /// All bytes that are not written yet.
    pub(crate) fn queued(&self) -> usize {
        self.in_transit + self.urgent.len() + self.lane_bytes
    }

    /// Those among them that are sure to be written, whatever becomes of their calls.
    pub(crate) fn committed(&self) -> usize {
        self.in_transit + self.urgent.len()
    }

    /// Bytes ever written.
    pub(crate) const fn bytes_written(&self) -> u64 {
        self.written
    }

    /// Bytes of one stream among those that are not written.
    pub(crate) fn lane_queued(&self, call: CallId) -> usize {
        self.lanes.get(&call).map_or(0, |lane| lane.frames.len())
    }

    /// Bytes of control frames among them.
    pub(crate) const fn control_queued(&self) -> usize {
        self.control
    }

    /// Queues a request or reply.
    pub(crate) fn push<P: Payload>(
        &mut self,
        head: &Head<'_>,
        payload: Option<&P>,
    ) -> Result<Mark, Oversize> {
        let (mark, before) = (Mark(self.urgent_queued), self.urgent.len());
        append_envelope(
            &mut self.urgent,
            self.crc,
            self.max_frame_bytes,
            head,
            payload,
        )?;
        self.urgent_queued += (self.urgent.len() - before) as u64;
        Ok(mark)
    }

    /// Queues a control frame; its `reason` is cut where it would not fit the peer's limit.
    pub(crate) fn push_control(&mut self, head: &Head<'_>) {
        let before = self.urgent.len();
        if append_head(&mut self.urgent, self.crc, self.max_frame_bytes, head).is_err() {
            let bare = Head {
                details: &[],
                metadata: &[],
                ..*head
            };
            let excess = bare.encoded_len(None).saturating_sub(self.max_frame_bytes);
            let cut = bare.reason.len().saturating_sub(excess);
            let reason = bare
                .reason
                .get(..bare.reason.floor_char_boundary(cut))
                .unwrap_or("");
            let bare = Head { reason, ..bare };
            // A peer whose limit is below even this asked for silence.
            let _ = append_head(&mut self.urgent, self.crc, self.max_frame_bytes, &bare);
        }
        let added = self.urgent.len() - before;
        self.urgent_queued += added as u64;
        self.control += added;
    }

    /// Queues a PING or PONG.
    pub(crate) fn push_echo<P: Payload>(&mut self, kind: Kind, payload: &P) {
        let before = self.urgent.len();
        if self
            .push(
                &Head {
                    kind,
                    ..Head::default()
                },
                Some(payload),
            )
            .is_ok()
        {
            self.control += self.urgent.len() - before;
        }
    }

    /// Whether a byte of the frame at `mark` has been written.
    pub(crate) const fn has_left(&self, mark: Mark) -> bool {
        self.urgent_written > mark.0
    }

    /// Opens the sending end of a stream.
    pub(crate) fn open_lane(&mut self, call: CallId, credit: u32) {
        let lane = Lane {
            frames: BytesMut::new(),
            credit: i64::from(credit),
            closed: false,
            in_turn: false,
            waker: None,
        };
        self.lanes.insert(call, lane);
    }

    /// Adds credit and returns who waits for it.
    pub(crate) fn grant(&mut self, call: CallId, credit: u32) -> Option<Waker> {
        let lane = self.lanes.get_mut(&call)?;
        lane.credit = lane.credit.saturating_add(i64::from(credit));
        lane.waker
            .take_if(|_| lane.credit > 0 && lane.frames.len() < LANE_BYTES)
    }

    /// Ready with `true` when a message may be queued, with `false` when the stream is closed.
    pub(crate) fn poll_lane(&mut self, call: CallId, cx: &Context<'_>) -> Poll<bool> {
        let Some(lane) = self.lanes.get_mut(&call).filter(|lane| !lane.closed) else {
            return Poll::Ready(false);
        };
        if lane.credit > 0 && lane.frames.len() < LANE_BYTES {
            return Poll::Ready(true);
        }
        lane.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// What may be queued on a stream at present: ready when that is anything, `None` when the stream is closed.
    pub(crate) fn poll_room(&mut self, call: CallId, cx: &Context<'_>) -> Poll<Option<Room>> {
        if !ready!(self.poll_lane(call, cx)) {
            return Poll::Ready(None);
        }
        let lane = self.lanes.get(&call);
        Poll::Ready(lane.map(|lane| Room {
            crc: self.crc,
            max_frame_bytes: self.max_frame_bytes,
            credit: lane.credit,
            bytes: LANE_BYTES - lane.frames.len(),
        }))
    }

    /// Queues the messages of a batch that was filled within the stream's [`Room`].
    pub(crate) fn push_batch(&mut self, call: CallId, batch: &mut Batch) {
        let Some(lane) = self.lanes.get_mut(&call).filter(|lane| !lane.closed) else {
            return batch.frames.clear();
        };
        if batch.frames.is_empty() {
            return;
        }
        lane.credit = lane.credit.saturating_sub(std::mem::take(&mut batch.cost));
        self.lane_bytes += batch.frames.len();
        if lane.frames.is_empty() {
            lane.frames = batch.frames.split();
        } else {
            lane.frames.extend_from_slice(&batch.frames);
            batch.frames.clear();
        }
        if !std::mem::replace(&mut lane.in_turn, true) {
            self.turns.push_back(call);
        }
    }

    /// Queues a message of a stream, or its end; `false` if there is no such stream. Messages are paid from its credit.
    pub(crate) fn push_lane<P: Payload>(
        &mut self,
        call: CallId,
        head: &Head<'_>,
        payload: Option<&P>,
    ) -> Result<bool, Oversize> {
        let Some(lane) = self.lanes.get_mut(&call) else {
            return Ok(false);
        };
        let before = lane.frames.len();
        append_envelope(
            &mut lane.frames,
            self.crc,
            self.max_frame_bytes,
            head,
            payload,
        )?;
        if let Some(payload) = payload {
            lane.credit = lane.credit.saturating_sub(cost(payload.payload_len()));
        }
        self.lane_bytes += lane.frames.len() - before;
        if !std::mem::replace(&mut lane.in_turn, true) {
            self.turns.push_back(call);
        }
        Ok(true)
    }

    /// No more will be queued on this stream; what is queued still leaves.
    pub(crate) fn finish_lane(&mut self, call: CallId) {
        if let Some(lane) = self.lanes.get_mut(&call) {
            lane.closed = true;
            if lane.frames.is_empty() {
                self.lanes.remove(&call);
            }
        }
    }

    /// Throws away what is queued on this stream; returns who waits to send.
    pub(crate) fn drop_lane(&mut self, call: CallId) -> Option<Waker> {
        let lane = self.lanes.remove(&call)?;
        self.lane_bytes -= lane.frames.len();
        if lane.in_turn {
            // While the socket is full nobody else takes it out: a peer that opens and cancels would
            // have this grow for ever.
            self.turns.retain(|in_turn| *in_turn != call);
        }
        lane.waker
    }

    /// Throws away all stream data; returns everybody who waits to send.
    pub(crate) fn drop_all_lanes(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.lane_bytes = 0;
        self.turns.clear();
        std::mem::take(&mut self.lanes)
            .into_values()
            .filter_map(|lane| lane.waker)
    }

    /// Hands frames to the driver: the urgent ones first, then streams in turns. Senders whose stream
    /// has room again are added to `wakers`.
    pub(crate) fn transmit(&mut self, transmit: &mut Transmit, wakers: &mut Vec<Waker>) {
        if !self.urgent.is_empty() {
            self.in_transit += self.urgent.len();
            transmit.push(self.urgent.split(), true);
        }
        while transmit.bytes < FRONT_BYTES {
            let Some(call) = self.turns.pop_front() else {
                return;
            };
            let Some(lane) = self.lanes.get_mut(&call) else {
                continue;
            };
            let bytes = take_frames(&mut lane.frames, QUANTUM);
            self.lane_bytes -= bytes.len();
            self.in_transit += bytes.len();
            transmit.push(bytes, false);
            lane.in_turn = !lane.frames.is_empty();
            if lane.in_turn {
                self.turns.push_back(call);
            } else if lane.closed {
                self.lanes.remove(&call);
                continue;
            }
            if lane.credit > 0 && lane.frames.len() < LANE_BYTES {
                wakers.extend(lane.waker.take());
            }
        }
    }

    /// The driver has written.
    pub(crate) fn written(&mut self, written: Written) {
        self.in_transit -= written.total;
        self.written += written.total as u64;
        self.urgent_written += written.urgent as u64;
        self.control = self.control.saturating_sub(written.urgent);
    }
}

/// Splits whole frames off the front of `frames`: at least one, and no more once `quantum` is passed.
fn take_frames(frames: &mut BytesMut, quantum: usize) -> BytesMut {
    if frames.len() <= quantum {
        return frames.split();
    }
    let mut end = 0;
    while end < quantum {
        let Some(header) = frames.get(end..).and_then(|rest| rest.first_chunk::<4>()) else {
            return frames.split();
        };
        end += HEADER_LEN + u32::from_le_bytes(*header) as usize;
    }
    frames.split_to(end.min(frames.len()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::{Encoded, FrameDecoder, decode_envelope};

    fn outbox() -> Outbox {
        Outbox::new(Crc32Variant::Ieee, 1 << 20)
    }

    fn message(call: CallId) -> Head<'static> {
        Head {
            kind: Kind::Message,
            call: Some(call),
            ..Head::default()
        }
    }

    fn payload(len: usize) -> Encoded {
        Encoded(Bytes::from(vec![7; len]))
    }

    /// Writes up to `limit` bytes and returns them.
    fn write(outbox: &mut Outbox, transmit: &mut Transmit, limit: usize) -> Vec<u8> {
        outbox.transmit(transmit, &mut Vec::new());
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = transmit.slices(&mut slices);
        let mut bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
        bytes.truncate(limit);
        outbox.written(transmit.advance(bytes.len()));
        bytes
    }

    fn calls_in_order(outbox: &mut Outbox, chunk: usize) -> Vec<u64> {
        let (mut buffer, mut order) = (BytesMut::new(), Vec::new());
        let mut transmit = Transmit::default();
        let mut decoder = FrameDecoder::new(1 << 20, Crc32Variant::Ieee);
        while !outbox.is_empty() {
            buffer.extend_from_slice(&write(outbox, &mut transmit, chunk));
            while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
                order.push(decode_envelope(frame).unwrap().call());
            }
        }
        assert!(buffer.is_empty());
        order
    }

    #[test]
    fn control_frames_overtake_stream_data_and_frames_stay_whole() {
        let mut outbox = outbox();
        outbox.open_lane(1, u32::MAX);
        for _ in 0..20 {
            outbox
                .push_lane(1, &message(1), Some(&payload(10_000)))
                .unwrap();
        }
        let mut transmit = Transmit::default();
        let mut bytes = BytesMut::from(&write(&mut outbox, &mut transmit, 100)[..]);
        outbox.push_control(&Head {
            kind: Kind::Cancel,
            call: Some(9),
            ..Head::default()
        });
        while !outbox.is_empty() {
            bytes.extend_from_slice(&write(&mut outbox, &mut transmit, 100));
        }
        let mut decoder = FrameDecoder::new(1 << 20, Crc32Variant::Ieee);
        let mut calls = Vec::new();
        while let Some(frame) = decoder.decode(&mut bytes).unwrap() {
            calls.push(decode_envelope(frame).unwrap().call());
        }
        let place = calls.iter().position(|call| *call == 9).unwrap();
        assert!(
            place <= 2 * FRONT_BYTES / 10_000,
            "{place} messages went first"
        );
        assert_eq!((calls.len(), bytes.len()), (21, 0));
    }

    #[test]
    fn streams_take_turns() {
        let mut outbox = outbox();
        for call in [1, 2] {
            outbox.open_lane(call, u32::MAX);
            for _ in 0..10 {
                outbox
                    .push_lane(call, &message(call), Some(&payload(20_000)))
                    .unwrap();
            }
        }
        let order = calls_in_order(&mut outbox, 7777);
        assert_eq!(order.len(), 20);
        let first_of_two = order.iter().position(|call| *call == 2).unwrap();
        assert!(first_of_two <= 2, "{order:?}");
    }

    #[test]
    fn a_sender_waits_without_credit_and_is_woken_by_a_grant() {
        let mut outbox = outbox();
        outbox.open_lane(1, 100);
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(outbox.poll_lane(1, &cx), Poll::Ready(true));
        outbox
            .push_lane(1, &message(1), Some(&payload(5000)))
            .unwrap();
        assert_eq!(outbox.poll_lane(1, &cx), Poll::Pending);
        assert!(outbox.grant(1, 10).is_none());
        assert!(outbox.grant(1, 10_000).is_some());
        assert_eq!(outbox.poll_lane(1, &cx), Poll::Ready(true));
        outbox.finish_lane(1);
        assert_eq!(outbox.poll_lane(1, &cx), Poll::Ready(false));
        assert_eq!(calls_in_order(&mut outbox, 1000), [1]);
        assert!(outbox.lanes.is_empty());
    }

    #[test]
    fn a_dropped_stream_leaves_nothing_behind_although_the_socket_is_full() {
        let mut outbox = outbox();
        for call in 1..100 {
            outbox.open_lane(call, u32::MAX);
            let sent = outbox.push_lane(call, &message(call), Some(&payload(100)));
            sent.unwrap();
            outbox.drop_lane(call);
        }
        assert!(outbox.is_empty() && !outbox.has_queued() && outbox.turns.is_empty());
    }

    #[test]
    fn a_reason_that_does_not_fit_is_cut() {
        let mut outbox = Outbox::new(Crc32Variant::Ieee, 40);
        let reason = "ü".repeat(500);
        let head = Head {
            kind: Kind::End,
            call: Some(1),
            code: 8,
            reason: &reason,
            ..Head::default()
        };
        outbox.push_control(&head);
        assert!((20..=48).contains(&outbox.queued()), "{}", outbox.queued());
        assert_eq!(calls_in_order(&mut outbox, 1000), [1]);
    }
}
