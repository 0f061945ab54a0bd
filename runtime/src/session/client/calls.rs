//! The table of calls: how they enter it and how they end.
//!
//! **Invariant**: `open` counts exactly the calls without an outcome.

use std::{
    task::{Context, Waker},
    time::Instant,
};

use bytes::Bytes;

use super::{ClientSession, OpenCall};
use crate::{
    descriptor::MethodKind,
    session::{CallId, Fault, Outcome, credit::Receiver, outbox::Mark},
};

/// A call from its CALL to the moment when its outcome is taken.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) kind: MethodKind,
    pub(super) deadline: Option<Instant>,
    pub(super) mark: Mark,
    pub(super) receiver: Option<Receiver>,
    pub(super) outcome: Option<Outcome>,
    pub(super) waker: Option<Waker>,
}

impl Call {
    /// Payload bytes that the application has not taken.
    pub(super) fn queued_bytes(&self) -> usize {
        let reply = match &self.outcome {
            Some(Outcome::Success { payload, .. }) => payload.as_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        reply + self.receiver.as_ref().map_or(0, Receiver::queued_bytes)
    }
}

impl ClientSession {
    /// Bytes that wait to be written, or to be taken by the application.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        let inbound: usize = self.calls.values().map(Call::queued_bytes).sum();
        self.outbox.queued() + inbound
    }

    pub(super) fn insert_call(
        &mut self,
        now: Instant,
        call: &OpenCall<'_>,
        mark: Mark,
        cx: &Context<'_>,
    ) {
        let kind = call.method.kind;
        if kind.client_streams() {
            let credit = self
                .server
                .as_ref()
                .map_or(0, |server| server.stream_credit);
            self.outbox.open_lane(self.last_id, credit);
        }
        self.vitals.call_opened(now, self.open == 0);
        self.open += 1;
        self.streams += usize::from(kind != MethodKind::Unary);
        self.watched = false;
        let is_alone = self.calls.is_empty() && !self.needs_reader();
        if !is_alone {
            self.spin.crowd();
        }
        let entry = Call {
            kind,
            deadline: call.deadline,
            mark,
            receiver: kind
                .server_streams()
                .then(|| Receiver::new(self.config.stream_credit)),
            outcome: None,
            waker: (!is_alone).then(|| cx.waker().clone()),
        };
        self.calls.insert(self.last_id, entry);
        if let Some(deadline) = call.deadline {
            self.timer_is_late |= self.armed.is_none_or(|armed| deadline < armed);
            self.next_deadline = Some(
                self.next_deadline
                    .map_or(deadline, |next| next.min(deadline)),
            );
        }
    }

    /// Gives a call its outcome, unless it has one.
    pub(super) fn settle(&mut self, call: CallId, outcome: Outcome) {
        let Some(entry) = self
            .calls
            .get_mut(&call)
            .filter(|entry| entry.outcome.is_none())
        else {
            return;
        };
        entry.outcome = Some(outcome);
        if let Some(receiver) = &mut entry.receiver {
            receiver.finish();
        }
        self.wakers.extend(entry.waker.take());
        let kind = entry.kind;
        if kind.client_streams() {
            self.wakers.extend(self.outbox.drop_lane(call));
        }
        self.open -= 1;
        self.streams -= usize::from(kind != MethodKind::Unary);
        self.wakers.extend(self.waiting.wake_one());
    }

    /// Ends all calls as lost with the connection; `may_run` is `false` if it is known that none ran.
    pub(super) fn fail_calls(&mut self, fault: &Fault, may_run: bool) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            let left = self
                .calls
                .get(&call)
                .is_some_and(|c| self.outbox.has_left(c.mark));
            self.settle(
                call,
                Outcome::Lost {
                    fault: fault.clone(),
                    maybe_run: may_run && left,
                },
            );
        }
    }

    /// Ends the calls whose deadline is over, and finds the next deadline.
    pub(super) fn expire_calls(&mut self, now: Instant) {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| now >= deadline);
        let open = self.calls.iter().filter(|(_, call)| call.outcome.is_none());
        let expired: Vec<(CallId, bool)> = open
            .filter(|(_, call)| is_over(call.deadline))
            .map(|(id, call)| (*id, self.outbox.has_left(call.mark)))
            .collect();
        for (call, maybe_run) in expired {
            self.settle(call, Outcome::DeadlineExceeded { maybe_run });
            self.cancel_on_wire(call);
        }
        let open = self.calls.values().filter(|call| call.outcome.is_none());
        self.next_deadline = open.filter_map(|call| call.deadline).min();
    }
}
