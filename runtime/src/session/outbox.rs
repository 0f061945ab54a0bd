//! What waits to be written, in the order in which it may leave.
//!
//! Control frames, requests and replies leave first; stream messages follow in turns, a quantum of
//! one stream after a quantum of the next. A stream's own end follows its messages.
//!
//! **Invariant**: a frame is never torn: what has begun to leave leaves whole. Stream data never
//! delays a control frame by more than [`FRONT_BYTES`] and one frame.

use std::{
    collections::{HashMap, VecDeque},
    task::{Context, Poll, Waker, ready},
};

use super::{
    CallId, IdHasher,
    batch::{Batch, Room},
    credit::cost,
    transmit::{Transmit, Written},
};
use crate::wire::{Crc32Variant, Encoded, Frames, Head, Kind, Oversize, Payload};

/// Bytes that are committed to an order at a time; what is queued after them may still be overtaken.
const FRONT_BYTES: usize = 64 << 10;

/// What one stream may send before the next has its turn.
const QUANTUM: usize = 32 << 10;

/// Frames of a stream are copied together up to this size.
const RUN_BYTES: usize = 8 << 10;

/// Bytes that a stream's sender may queue before it has to wait for the socket.
pub(crate) const LANE_BYTES: usize = 64 << 10;

/// Everything that one side has to say on a connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    crc: Crc32Variant,
    max_frame_bytes: usize,
    /// Bytes that were handed to the driver and are not written yet.
    in_transit: usize,
    urgent: Frames,
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

/// The sending end of one stream.
#[derive(Debug)]
struct Lane {
    /// What is queued, in runs of some messages.
    runs: VecDeque<Frames>,
    /// Bytes of these.
    bytes: usize,
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
            urgent: Frames::default(),
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

    /// Whether this side sends a stream.
    pub(crate) fn has_lanes(&self) -> bool {
        !self.lanes.is_empty()
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
        self.lanes.get(&call).map_or(0, |lane| lane.bytes)
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
        self.urgent
            .push(self.crc, self.max_frame_bytes, head, payload)?;
        self.urgent_queued += (self.urgent.len() - before) as u64;
        Ok(mark)
    }

    /// Queues a control frame; its `reason` is cut where it would not fit the peer's limit.
    pub(crate) fn push_control(&mut self, head: &Head<'_>) {
        let before = self.urgent.len();
        let (crc, max) = (self.crc, self.max_frame_bytes);
        if self.urgent.push::<Encoded>(crc, max, head, None).is_err() {
            let bare = Head {
                details: &[],
                metadata: &[],
                ..*head
            };
            let excess = bare.encoded_len(None).saturating_sub(max);
            let cut = bare.reason.len().saturating_sub(excess);
            let reason = bare
                .reason
                .get(..bare.reason.floor_char_boundary(cut))
                .unwrap_or("");
            let bare = Head { reason, ..bare };
            // A peer whose limit is below even this asked for silence.
            let _ = self.urgent.push::<Encoded>(crc, max, &bare, None);
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
            runs: VecDeque::new(),
            bytes: 0,
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
            .take_if(|_| lane.credit > 0 && lane.bytes < LANE_BYTES)
    }

    /// Ready with `true` when a message may be queued, with `false` when the stream is closed.
    pub(crate) fn poll_lane(&mut self, call: CallId, cx: &Context<'_>) -> Poll<bool> {
        let Some(lane) = self.lanes.get_mut(&call).filter(|lane| !lane.closed) else {
            return Poll::Ready(false);
        };
        if lane.credit > 0 && lane.bytes < LANE_BYTES {
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
            bytes: LANE_BYTES - lane.bytes,
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
        let bytes = batch.frames.len();
        match lane.runs.back_mut() {
            Some(run) if run.len() + bytes <= RUN_BYTES => run.append(&mut batch.frames),
            _ => lane.runs.push_back(batch.frames.split()),
        }
        lane.bytes += bytes;
        self.lane_bytes += bytes;
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
        let run = match lane.runs.pop_back() {
            Some(run) if run.len() < RUN_BYTES => run,
            full => {
                lane.runs.extend(full);
                Frames::default()
            }
        };
        let run = lane.runs.push_back_mut(run);
        let before = run.len();
        let len = run.push(self.crc, self.max_frame_bytes, head, payload)?;
        let added = run.len() - before;
        if payload.is_some() {
            lane.credit = lane.credit.saturating_sub(cost(len));
        }
        lane.bytes += added;
        self.lane_bytes += added;
        if !std::mem::replace(&mut lane.in_turn, true) {
            self.turns.push_back(call);
        }
        Ok(true)
    }

    /// No more will be queued on this stream; what is queued still leaves.
    pub(crate) fn finish_lane(&mut self, call: CallId) {
        if let Some(lane) = self.lanes.get_mut(&call) {
            lane.closed = true;
            if lane.runs.is_empty() {
                self.lanes.remove(&call);
            }
        }
    }

    /// Throws away what is queued on this stream; returns who waits to send.
    pub(crate) fn drop_lane(&mut self, call: CallId) -> Option<Waker> {
        let lane = self.lanes.remove(&call)?;
        self.lane_bytes -= lane.bytes;
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
            self.urgent.drain(|part| transmit.push(part, true));
        }
        while transmit.len() < FRONT_BYTES {
            let Some(call) = self.turns.pop_front() else {
                return;
            };
            let Some(lane) = self.lanes.get_mut(&call) else {
                continue;
            };
            let bytes = lane.hand_over(transmit);
            self.lane_bytes -= bytes;
            self.in_transit += bytes;
            lane.in_turn = !lane.runs.is_empty();
            if lane.in_turn {
                self.turns.push_back(call);
            } else if lane.closed {
                self.lanes.remove(&call);
                continue;
            }
            if lane.credit > 0 && lane.bytes < LANE_BYTES {
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

impl Lane {
    /// Hands what it may send in its turn to the driver: whole frames, at least one.
    fn hand_over(&mut self, transmit: &mut Transmit) -> usize {
        let mut taken = 0;
        while taken < QUANTUM
            && let Some(mut run) = self.runs.pop_front()
        {
            taken += run.len();
            run.drain(|part| transmit.push(part, false));
        }
        self.bytes -= taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use bytes::{Bytes, BytesMut};

    use super::*;
    use crate::wire::{FrameDecoder, decode_envelope};

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
