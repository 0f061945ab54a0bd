//! The table of calls: slots, holds, deadlines and how handlers are stopped.
//!
//! **Invariant**: a slot is freed when nothing of the call's handler is left, not before.

use std::{collections::hash_map::Entry, time::Instant};

use bytes::Bytes;

use super::{MethodIndex, ServerSession};
use crate::{
    descriptor::MethodDescriptor,
    metadata::Metadata,
    session::{CallId, credit::Receiver, waiting::WaitList},
    status::{Code, Status},
};

/// Why a call was stopped before its handler had its last word.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// # let metadata = Metadata::new();
/// # let call = OpenCall { service: HEALTH_SERVICE, method: &HEALTH_SERVICE.methods[2], deadline: None, metadata: &metadata };
/// # let request = Encoded(Bytes::new());
/// # let Poll::Ready(Ok(id)) = client.poll_open(now, &cx, &mut None, &call, Some(&request)) else { panic!() };
/// # client.poll_transmit(&mut wire);
/// # let (frames, written) = take(&mut wire);
/// # client.handle_written(written);
/// # let mut start = None;
/// # for frame in frames {
/// #     if let Incoming::Start(call) = server.handle_frame(now, frame).unwrap() { start = Some(call); }
/// # }
/// # let start = start.unwrap();
/// client.cancel(id);
/// client.poll_transmit(&mut wire);
/// let (frames, written) = take(&mut wire);
/// client.handle_written(written);
/// for frame in frames {
///     server.handle_frame(now, frame).unwrap();
/// }
/// assert_eq!(server.interruption(start.call), Some(Interruption::Cancelled));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Interruption {
    /// The client lost interest.
    Cancelled,
    /// Its deadline passed.
    DeadlineExceeded,
    /// The client broke the rules of its stream.
    Refused,
    /// The connection was lost, or the server stopped it at the end of a drain.
    ConnectionLost,
}

impl Interruption {
    /// The canonical code that stands for it in logs and metrics.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Cancelled => Code::Cancelled,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Refused => Code::InvalidArgument,
            Self::ConnectionLost => Code::Unavailable,
        }
    }
}

/// A call from its CALL until its handler is gone.
#[derive(Debug)]
pub(super) struct Call<A> {
    method: &'static MethodDescriptor,
    since: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) receiver: Option<Receiver>,
    /// Its terminal frame is queued, or nobody wants one any more.
    pub(super) ended: bool,
    interrupted: Option<Interruption>,
    /// The handler, and blocking work that it started.
    holds: u32,
    /// Memory that was taken for its requests.
    memory: u64,
    abort: Option<A>,
    /// Who waits for the call to be of no more use.
    pub(super) waiting: WaitList,
}

impl<A> Call<A> {
    pub(super) fn queued_bytes(&self) -> usize {
        self.receiver.as_ref().map_or(0, Receiver::queued_bytes)
    }
}

/// A call whose handler is to be started.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// # let metadata = Metadata::new();
/// # let call = OpenCall { service: HEALTH_SERVICE, method: &HEALTH_SERVICE.methods[2], deadline: None, metadata: &metadata };
/// # let request = Encoded(Bytes::new());
/// # let Poll::Ready(Ok(id)) = client.poll_open(now, &cx, &mut None, &call, Some(&request)) else { panic!() };
/// # client.poll_transmit(&mut wire);
/// # let (frames, written) = take(&mut wire);
/// # client.handle_written(written);
/// # let mut start = None;
/// # for frame in frames {
/// #     if let Incoming::Start(call) = server.handle_frame(now, frame).unwrap() { start = Some(call); }
/// # }
/// # let start = start.unwrap();
/// assert_eq!((start.call, start.method.name), (id, "Ping"));
/// assert_eq!((start.deadline, start.metadata.len()), (None, 0));
/// // What the handler does about it:
/// server.fail(start.call, &Status::unavailable("not now"));
/// ```
#[derive(Debug)]
pub struct StartCall {
    /// Its id.
    pub call: CallId,
    /// Where its handler is.
    pub index: MethodIndex,
    /// Its method.
    pub method: &'static MethodDescriptor,
    /// The request, absent on a request stream.
    pub payload: Option<Bytes>,
    /// Request metadata.
    pub metadata: Metadata,
    /// When its CALL was whole.
    pub received: Instant,
    /// When the client stops waiting.
    pub deadline: Option<Instant>,
}

/// What is known of a call that holds a slot.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// # let metadata = Metadata::new();
/// # let call = OpenCall { service: HEALTH_SERVICE, method: &HEALTH_SERVICE.methods[2], deadline: None, metadata: &metadata };
/// # let request = Encoded(Bytes::new());
/// # let Poll::Ready(Ok(id)) = client.poll_open(now, &cx, &mut None, &call, Some(&request)) else { panic!() };
/// # client.poll_transmit(&mut wire);
/// # let (frames, written) = take(&mut wire);
/// # client.handle_written(written);
/// # let mut start = None;
/// # for frame in frames {
/// #     if let Incoming::Start(call) = server.handle_frame(now, frame).unwrap() { start = Some(call); }
/// # }
/// # let start = start.unwrap();
/// for call in server.report_calls() {
///     let age = now.saturating_duration_since(call.since);
///     println!("call {} of {} since {age:?}, ended: {}", call.call, call.method.path, call.ended);
/// }
/// # drop((start, id));
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CallReport {
    /// Its id.
    pub call: CallId,
    /// Its method.
    pub method: &'static MethodDescriptor,
    /// When its CALL was whole.
    pub since: Instant,
    /// When the client stops waiting.
    pub deadline: Option<Instant>,
    /// It is over for the client, and work of its handler goes on.
    pub ended: bool,
    /// Bytes of its request stream that the handler has not taken.
    pub inbound_bytes: usize,
    /// Bytes of its response stream that have not left.
    pub outbound_bytes: usize,
}

impl<A> ServerSession<A> {
    pub(super) fn insert_call(
        &mut self,
        start: &StartCall,
        receiver: Option<Receiver>,
        credit: u32,
        memory: u64,
    ) {
        let call = Call {
            method: start.method,
            since: start.received,
            deadline: start.deadline,
            receiver,
            ended: false,
            interrupted: None,
            holds: 1,
            memory,
            abort: None,
            waiting: WaitList::default(),
        };
        self.calls.insert(start.call, call);
        if start.method.kind.server_streams() {
            self.outbox.open_lane(start.call, credit);
        }
        self.open += 1;
        if let Some(deadline) = start.deadline {
            self.next_deadline = Some(
                self.next_deadline
                    .map_or(deadline, |next| next.min(deadline)),
            );
        }
    }

    /// Remembers what stops the handler, now that it runs in a task of its own. A call that is over
    /// by now gives the handle back.
    ///
    /// # Errors
    /// The handle, to be used at once.
    pub fn set_abort(&mut self, call: CallId, abort: A) -> Result<(), A> {
        match self.calls.get_mut(&call) {
            Some(entry) if !entry.ended => {
                entry.abort = Some(abort);
                Ok(())
            }
            Some(_) => Err(abort),
            None => Ok(()),
        }
    }

    /// Why the call was stopped, if it was and something of it is left.
    #[must_use]
    pub fn interruption(&self, call: CallId) -> Option<Interruption> {
        self.calls.get(&call)?.interrupted
    }

    /// The calls that hold a slot, oldest first.
    #[must_use]
    pub fn report_calls(&self) -> Vec<CallReport> {
        let report = |(id, call): (&CallId, &Call<A>)| CallReport {
            call: *id,
            method: call.method,
            since: call.since,
            deadline: call.deadline,
            ended: call.ended,
            inbound_bytes: call.queued_bytes(),
            outbound_bytes: self.outbox.lane_queued(*id),
        };
        let mut calls: Vec<_> = self.calls.iter().map(report).collect();
        calls.sort_unstable_by_key(|report| report.call);
        calls
    }

    /// Something more than the handler keeps the call's slot, until [`Self::release`].
    pub fn hold(&mut self, call: CallId) {
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.holds += 1;
        }
    }

    /// What [`Self::hold`] was called for, or a handler that never had its last word, is gone.
    pub fn release(&mut self, call: CallId) {
        let Entry::Occupied(mut entry) = self.calls.entry(call) else {
            return;
        };
        entry.get_mut().holds -= 1;
        if entry.get().holds == 0 {
            let gone = entry.remove();
            self.forget(&gone);
        }
    }

    /// Nothing is left of a call that was taken out of the table: its place and its memory are free.
    fn forget(&mut self, gone: &Call<A>) {
        self.holdings.give_memory(gone.memory);
        self.holdings.count_calls(self.calls.len());
    }

    /// The call's terminal frame is about to be queued by its handler, which is then done. `false` if
    /// nobody wants it any more.
    pub(super) fn end_call(&mut self, call: CallId) -> bool {
        let Entry::Occupied(mut entry) = self.calls.entry(call) else {
            return false;
        };
        let its = entry.get_mut();
        if its.ended {
            return false;
        }
        its.ended = true;
        its.abort = None;
        its.holds -= 1;
        self.wakers.extend(its.waiting.wake_all());
        if its.holds == 0 {
            let gone = entry.remove();
            self.forget(&gone);
        }
        self.open -= 1;
        true
    }

    /// Nobody wants the call any more: its handler is stopped, and keeps its slot until it is gone.
    /// `false` if it had ended by itself.
    pub(super) fn stop(&mut self, call: CallId, why: Interruption) -> bool {
        let Some(entry) = self.calls.get_mut(&call).filter(|entry| !entry.ended) else {
            return false;
        };
        entry.ended = true;
        entry.interrupted = Some(why);
        if matches!(why, Interruption::Cancelled | Interruption::ConnectionLost) {
            self.tally.abandoned += 1;
        }
        self.aborts.extend(entry.abort.take());
        self.wakers.extend(entry.waiting.wake_all());
        if let Some(receiver) = &mut entry.receiver {
            receiver.finish();
            self.wakers.extend(receiver.waker.take());
        }
        self.wakers.extend(self.outbox.drop_lane(call));
        self.open -= 1;
        true
    }

    /// Ends the calls whose deadline is over, and finds the next deadline.
    pub(super) fn expire_calls(&mut self, now: Instant) {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| now >= deadline);
        let open = self.calls.iter().filter(|(_, call)| !call.ended);
        let expired: Vec<CallId> = open
            .filter(|(_, call)| is_over(call.deadline))
            .map(|(id, _)| *id)
            .collect();
        for call in expired {
            self.stop(call, Interruption::DeadlineExceeded);
            self.push_end(
                call,
                &Status::deadline_exceeded("the deadline passed"),
                false,
            );
        }
        let open = self.calls.values().filter(|call| !call.ended);
        self.next_deadline = open.filter_map(|call| call.deadline).min();
    }
}
