//! A request stream, as a handler reads it.
//!
//! **Invariant**: the client may send more only as the handler takes what came.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;
use prost::Message;

use super::connection::Connection;
use crate::{
    descriptor::Footprint,
    session::{CALL_BYTES, CallId, Messages, Reservation, SessionConfig, cost},
    status::Status,
    validate::Check,
    wire::measure,
};

/// The messages that the client of a client-streaming or bidirectional call sends.
///
/// Ends with `None` when the client half-closes, and in no other way: what came before `None` is all that
/// the client sent.
///
/// ```
/// use daemoneye_ipc::{Inbound, Status, prost_types::Duration};
///
/// /// What a handler of a client-streaming method does.
/// async fn total(mut requests: Inbound<Duration>) -> Result<i64, Status> {
///     let mut seconds = 0;
///     while let Some(request) = requests.message().await? {
///         seconds += request.seconds;
///     }
///     Ok(seconds)
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let requests = [1, 2, 3].map(|seconds| Duration { seconds, nanos: 0 });
/// assert_eq!(total(daemoneye_ipc::testing::inbound(requests)).await, Ok(6));
/// # });
/// ```
pub struct Inbound<M> {
    /// Where more comes from; `None` if all is in `batch`.
    source: Option<(Arc<Connection>, CallId)>,
    batch: Messages,
    consumed: i64,
    ended: bool,
    check: Option<Check<M>>,
    footprint: Footprint,
    /// Memory of the last message, which is taken to be gone when the next is asked for.
    held: Option<Reservation>,
}

impl<M: Message + Default> Inbound<M> {
    pub(crate) const fn new(
        conn: Arc<Connection>,
        call: CallId,
        footprint: Footprint,
        check: Option<Check<M>>,
    ) -> Self {
        Self {
            source: Some((conn, call)),
            batch: Messages::new(),
            consumed: 0,
            ended: false,
            check,
            footprint,
            held: None,
        }
    }

    /// A stream of encoded messages that are all there.
    pub(crate) const fn given(batch: Messages) -> Self {
        Self {
            source: None,
            batch,
            consumed: 0,
            ended: true,
            check: None,
            footprint: Footprint::OPAQUE,
            held: None,
        }
    }

    /// The next message, or `None` at the end.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the message does not decode, or breaks a rule of its schema; RESOURCE_EXHAUSTED if it would
    /// take more memory than there is for it; CANCELLED, once, when the client goes away or
    /// cancels before it half-closes, or the call's deadline passes. A handler's own future is dropped
    /// then; this is for what it gave to others, and for one that runs at that very moment.
    pub async fn message(&mut self) -> Result<Option<M>, Status> {
        poll_fn(|cx| self.poll_message(cx)).await.transpose()
    }

    fn poll_message(&mut self, cx: &Context<'_>) -> Poll<Option<Result<M, Status>>> {
        self.held = None;
        if self.batch.is_empty()
            && !self.ended
            && let Some((conn, call)) = &self.source
        {
            let (consumed, batch) = (std::mem::take(&mut self.consumed), &mut self.batch);
            let (more, is_wanted) = conn.with(|session| {
                let more = session.poll_messages(*call, consumed, batch, cx);
                (more, session.is_wanted(*call))
            });
            self.ended = !std::task::ready!(more);
            if self.ended && !is_wanted {
                let why = "the call ended before its client had sent all";
                return Poll::Ready(Some(Err(Status::cancelled(why))));
            }
        }
        Poll::Ready(self.batch.pop_front().map(|payload| {
            self.consumed += cost(payload.len());
            self.report();
            self.take_memory(&payload)?;
            decode(payload, self.check)
        }))
    }

    /// Takes memory for a message, unless it is small.
    fn take_memory(&mut self, payload: &[u8]) -> Result<(), Status> {
        let Some((conn, _)) = &self.source else {
            return Ok(());
        };
        let SessionConfig { decode, pool, .. } = &conn.core.session;
        let bytes = measure(payload, &self.footprint, decode, CALL_BYTES)
            .map_err(|over| Status::resource_exhausted(over.to_string()))?;
        if bytes > CALL_BYTES {
            let none = "other calls take the memory that the server has for requests";
            let held = Reservation::take(pool, bytes);
            self.held = Some(held.ok_or_else(|| Status::resource_exhausted(none))?);
        }
        Ok(())
    }

    /// Tells the session of what was consumed, when it may be enough for a grant.
    fn report(&mut self) {
        let Some((conn, call)) = &self.source else {
            return;
        };
        let quarter = i64::from(conn.core.session.stream_credit / 4);
        if self.consumed >= quarter && !self.batch.is_empty() {
            let consumed = std::mem::take(&mut self.consumed);
            conn.with(|session| session.consume(*call, consumed));
        }
    }
}

impl<M: Message + Default> Stream for Inbound<M> {
    type Item = Result<M, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(cx)
    }
}

/// A message of the client's, if it is one and keeps to the rules of its schema.
pub(super) fn decode<M: Message + Default>(
    payload: Bytes,
    check: Option<Check<M>>,
) -> Result<M, Status> {
    let message = M::decode(payload)?;
    match check.map(|check| check(&message)) {
        Some(Err(violations)) => Err(violations.into()),
        _ => Ok(message),
    }
}

impl<M> Unpin for Inbound<M> {}

impl<M> fmt::Debug for Inbound<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
