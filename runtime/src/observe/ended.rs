//! The end of a call, whatever it is: an answer, or that nobody wants one any more.
//!
//! **Invariant**: each call is reported once.

use std::time::{Duration, Instant};

use crate::{
    client::{ClientNext, OutgoingCall, Reply},
    driver::now,
    error::CallError,
    server::{InterceptedCall, Next, Response},
    session::Interruption,
    status::{Code, Status},
};

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) code: Code,
    pub(super) time: Duration,
    /// Messages of the response.
    pub(super) messages: u64,
}

/// Runs a call of a server and tells `report` how it ended.
pub(super) async fn serve(
    call: &InterceptedCall,
    next: Next<'_>,
    report: impl FnMut(Ended) + Send,
) -> Result<Response, Status> {
    let dropped = || {
        call.interruption()
            .map_or(Code::Cancelled, Interruption::code)
    };
    let mut guard = Guard::new(call.received(), dropped, report);
    let outcome = next.run().await;
    match &outcome {
        Ok(response) => guard.end(Code::Ok, response.messages()),
        Err(status) => guard.end(status.code(), 0),
    }
    outcome
}

/// Makes a call of a channel and tells `report` how it ended; one that its caller drops is CANCELLED.
#[cfg_attr(
    not(any(feature = "metrics", feature = "tracing")),
    expect(dead_code, reason = "these two watch channels")
)]
pub(super) async fn call(
    call: &mut OutgoingCall,
    next: ClientNext<'_>,
    report: impl FnMut(Ended) + Send,
) -> Result<Reply, CallError> {
    let mut guard = Guard::new(call.begun(), || Code::Cancelled, report);
    let outcome = next.run(call).await;
    match &outcome {
        Ok(reply) => guard.end(Code::Ok, reply.messages()),
        Err(error) => guard.end(error.code(), 0),
    }
    outcome
}

/// Reports the end of a call, at the latest when it is dropped.
struct Guard<D: Fn() -> Code, R: FnMut(Ended)> {
    since: Instant,
    /// How a call ended that was dropped.
    dropped: D,
    report: R,
    reported: bool,
}

impl<D: Fn() -> Code, R: FnMut(Ended)> Guard<D, R> {
    const fn new(since: Instant, dropped: D, report: R) -> Self {
        Self {
            since,
            dropped,
            report,
            reported: false,
        }
    }

    fn end(&mut self, code: Code, messages: u64) {
        if !std::mem::replace(&mut self.reported, true) {
            let time = now().saturating_duration_since(self.since);
            (self.report)(Ended {
                code,
                time,
                messages,
            });
        }
    }
}

impl<D: Fn() -> Code, R: FnMut(Ended)> Drop for Guard<D, R> {
    fn drop(&mut self) {
        if !self.reported {
            self.end((self.dropped)(), 0);
        }
    }
}
