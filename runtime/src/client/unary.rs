//! Unary calls: one request, one response.
//!
//! **Invariant**: the request is kept until the outcome is known, so that a call that provably was
//! not run can be sent again.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use prost::Message;

use super::{
    call_options,
    open::{Active, Opening},
};
use crate::{
    error::{CallError, IpcError},
    session::Outcome,
    status::Status,
};

/// A unary call: begins when it is first polled, is cancelled when it is dropped.
///
/// Its deadline is `read_timeout_ms` unless [`timeout`](Self::timeout) sets another.
#[must_use = "a call does nothing until it is awaited"]
pub struct UnaryCall<Req, Rep> {
    opening: Opening,
    request: Req,
    active: Option<Active>,
    response: PhantomData<fn() -> Rep>,
}

impl<Req, Rep> UnaryCall<Req, Rep> {
    pub(crate) const fn new(opening: Opening, request: Req) -> Self {
        Self {
            opening,
            request,
            active: None,
            response: PhantomData,
        }
    }
}

call_options!(UnaryCall<Req, Rep>);

impl<Req, Rep> Unpin for UnaryCall<Req, Rep> {}

impl<Req: Message, Rep: Message + Default> Future for UnaryCall<Req, Rep> {
    type Output = Result<Rep, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let Some(active) = &mut this.active else {
                this.active = Some(ready!(this.opening.poll_open(cx, Some(&this.request)))?);
                continue;
            };
            let outcome = ready!(active.poll_outcome(cx));
            if this.opening.retry(&outcome) {
                this.active = None;
                continue;
            }
            return Poll::Ready(decode(active, outcome));
        }
    }
}

/// The response in an outcome that has to hold one.
pub(super) fn decode<Rep: Message + Default>(
    active: &Active,
    outcome: Outcome,
) -> Result<Rep, CallError> {
    let (payload, _trailers) = active.result(outcome)?;
    let payload =
        payload.ok_or_else(|| active.status(Status::internal("the response is missing")))?;
    Rep::decode(payload).map_err(|error| active.error(IpcError::Decode(error), true))
}
