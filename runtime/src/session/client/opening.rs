//! How a call is opened: whether there is room for it, and whether the schemas fit.
//!
//! **Invariant**: a call that is not opened leaves nothing behind.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use super::ClientSession;
use crate::{
    descriptor::{MethodDescriptor, ServiceDescriptor},
    metadata::Metadata,
    session::{CallId, OpenError, SchemaPolicy, negotiate, waiting::Ticket},
    wire::{Head, Kind, MAX_PIPELINED_BYTES, Payload, Verdict},
};

/// What is known of a call when it is opened.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// let metadata = Metadata::from_iter([("trace-id", "4bf92f35")]);
/// let call = OpenCall {
///     service: HEALTH_SERVICE,
///     method: &HEALTH_SERVICE.methods[2],
///     deadline: now.checked_add(std::time::Duration::from_secs(1)),
///     metadata: &metadata,
/// };
/// let opened = client.poll_open(now, &cx, &mut None, &call, Some(&Encoded(Bytes::new())));
/// assert!(matches!(opened, Poll::Ready(Ok(1))));
/// # drop((server, wire));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OpenCall<'a> {
    /// The service that the method belongs to.
    pub service: &'static ServiceDescriptor,
    /// The method.
    pub method: &'static MethodDescriptor,
    /// When the call has to be over.
    pub deadline: Option<Instant>,
    /// Request metadata.
    pub metadata: &'a Metadata,
}

impl ClientSession {
    /// Opens a call: queues its CALL with `payload`. Pending while the server's HELLO, or a free
    /// slot, has to be waited for; `ticket` then keeps the caller's place. Unless the call is all that
    /// the connection waits for, its outcome wakes the task of `cx`, as if [`Self::poll_outcome`] had been asked.
    ///
    /// # Errors
    /// An [`OpenError`]; nothing was queued.
    pub fn poll_open<P: Payload>(
        &mut self,
        now: Instant,
        cx: &Context<'_>,
        ticket: &mut Ticket,
        call: &OpenCall<'_>,
        payload: Option<&P>,
    ) -> Poll<Result<CallId, OpenError>> {
        if let Some(fault) = self.closed.as_ref().or(self.going_away.as_ref()) {
            return Poll::Ready(Err(OpenError::Unusable(fault.clone())));
        }
        self.config
            .check_metadata(call.metadata)
            .map_err(OpenError::Metadata)?;
        self.check_schema(call.service)?;
        let streams = call.method.kind.client_streams();
        let head = Head {
            kind: Kind::Call,
            call: Some(self.last_id + 1),
            method: call.method.ordinal,
            timeout_us: call.deadline.map(|deadline| micros(deadline, now)),
            last: !streams,
            metadata: call.metadata.entries(),
            ..Head::default()
        };
        if !self.has_room(&head, payload) {
            self.waiting.wait(ticket, cx);
            return Poll::Pending;
        }
        let before = self.outbox.queued();
        let mark = self
            .outbox
            .push(&head, payload)
            .map_err(OpenError::TooLarge)?;
        self.pipelined += self.outbox.queued() - before;
        self.waiting.served(ticket);
        self.last_id += 1;
        self.insert_call(now, call, mark, cx);
        Poll::Ready(Ok(self.last_id))
    }

    fn has_room<P: Payload>(&self, head: &Head<'_>, payload: Option<&P>) -> bool {
        match &self.server {
            // Calls that were given up leave their CALL behind: to a server that does not read, their
            // number says nothing of the memory that they take.
            Some(server) => {
                self.open < server.max_calls as usize
                    && self.outbox.committed() <= self.config.max_queued_bytes
            }
            None => {
                let envelope = head.encoded_len(payload.map(Payload::payload_len));
                let frame = crate::wire::HEADER_LEN + envelope;
                self.pipelined + frame <= MAX_PIPELINED_BYTES
                    && self.open < self.config.max_calls as usize
            }
        }
    }

    /// Settles whether calls to `service` may be made, from the server's HELLO.
    fn check_schema(&mut self, service: &'static ServiceDescriptor) -> Result<(), OpenError> {
        let Some(server) = &self.server else {
            return Ok(());
        };
        let known = self.verdicts.iter().find(|(name, _)| *name == service.name);
        let verdict = match known {
            Some((_, verdict)) => *verdict,
            None => {
                let remote = server
                    .services
                    .iter()
                    .find(|offer| offer.name == service.name);
                let verdict = remote.map_or(Verdict::Absent, |r| negotiate::verdict(service, r));
                if verdict == Verdict::Unknown && self.policy == SchemaPolicy::Warn {
                    tracing::warn!(service = service.name, "the server's schema differs");
                }
                self.verdicts.push((service.name, verdict));
                verdict
            }
        };
        if verdict != Verdict::Unknown || self.policy != SchemaPolicy::Require {
            return Ok(());
        }
        let remote = server
            .services
            .iter()
            .find(|offer| offer.name == service.name);
        match remote {
            Some(remote) => Err(OpenError::SchemaMismatch(negotiate::mismatch(
                service, remote,
            ))),
            None => Ok(()),
        }
    }
}

/// Time left until `deadline`, in microseconds, rounded up so that a call is not cut short.
fn micros(deadline: Instant, now: Instant) -> u64 {
    let left = deadline
        .saturating_duration_since(now)
        .as_nanos()
        .div_ceil(1000);
    u64::try_from(left).unwrap_or(u64::MAX)
}
