//! The table of calls: slots, holds, deadlines and how handlers are stopped.
//!
//! **Invariant**: a slot is freed when nothing of the call's handler is left, not before.

use std::{task::Waker, time::Instant};

use bytes::Bytes;

use super::{MethodIndex, ServerSession};
use crate::{
    descriptor::MethodDescriptor,
    metadata::Metadata,
    session::{CallId, credit::Receiver},
    status::Status,
};

/// A call from its CALL until its handler is gone.
#[derive(Debug)]
pub(super) struct Call<A> {
    pub(super) deadline: Option<Instant>,
    pub(super) receiver: Option<Receiver>,
    /// Its terminal frame is queued, or nobody wants one any more.
    pub(super) ended: bool,
    /// The handler, and blocking work that it started.
    holds: u32,
    abort: Option<A>,
    pub(super) cancel_wakers: Vec<Waker>,
}

impl<A> Call<A> {
    pub(super) fn queued_bytes(&self) -> usize {
        self.receiver.as_ref().map_or(0, Receiver::queued_bytes)
    }
}

/// A call whose handler is to be started.
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
    /// When the client stops waiting.
    pub deadline: Option<Instant>,
}

impl<A> ServerSession<A> {
    pub(super) fn insert_call(
        &mut self,
        start: &StartCall,
        receiver: Option<Receiver>,
        credit: u32,
    ) {
        let call = Call {
            deadline: start.deadline,
            receiver,
            ended: false,
            holds: 1,
            abort: None,
            cancel_wakers: Vec::new(),
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

    /// Something more than the handler keeps the call's slot, until [`Self::release`].
    pub fn hold(&mut self, call: CallId) {
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.holds += 1;
        }
    }

    /// What [`Self::hold`] was called for, or a handler that never had its last word, is gone.
    pub fn release(&mut self, call: CallId) {
        let Some(entry) = self.calls.get_mut(&call) else {
            return;
        };
        entry.holds -= 1;
        if entry.holds == 0 {
            self.calls.remove(&call);
        }
    }

    /// The call's terminal frame is about to be queued by its handler, which is then done. `false` if
    /// nobody wants it any more.
    pub(super) fn end_call(&mut self, call: CallId) -> bool {
        let Some(entry) = self.calls.get_mut(&call).filter(|entry| !entry.ended) else {
            return false;
        };
        entry.ended = true;
        entry.abort = None;
        entry.holds -= 1;
        self.wakers.append(&mut entry.cancel_wakers);
        if entry.holds == 0 {
            self.calls.remove(&call);
        }
        self.open -= 1;
        true
    }

    /// Nobody wants the call any more: its handler is stopped, and keeps its slot until it is gone.
    /// `false` if it had ended by itself.
    pub(super) fn stop(&mut self, call: CallId) -> bool {
        let Some(entry) = self.calls.get_mut(&call).filter(|entry| !entry.ended) else {
            return false;
        };
        entry.ended = true;
        self.aborts.extend(entry.abort.take());
        self.wakers.append(&mut entry.cancel_wakers);
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
            self.stop(call);
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
