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

use bytes::Buf;
use futures_core::Stream;
use prost::Message;

use super::connection::Connection;
use crate::{
    descriptor::Footprint,
    session::{CALL_BYTES, CallId, Front, Messages, Reservation, SessionConfig, cost},
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
        let Some(payload) = self.batch.take_front() else {
            return Poll::Ready(None);
        };
        self.consumed += cost(payload.remaining());
        let memory = memory_for(self.source.as_ref(), &self.footprint, payload.chunk());
        let message = memory.and_then(|held| {
            self.held = held;
            decode(payload, self.check)
        });
        self.report();
        Poll::Ready(Some(message))
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

/// Memory for a message that came, unless it is small.
fn memory_for(
    source: Option<&(Arc<Connection>, CallId)>,
    footprint: &Footprint,
    payload: &[u8],
) -> Result<Option<Reservation>, Status> {
    let Some((conn, _)) = source else {
        return Ok(None);
    };
    let SessionConfig { decode, pool, .. } = &conn.core.session;
    let bytes = measure(payload, footprint, decode, CALL_BYTES)
        .map_err(|over| Status::resource_exhausted(over.to_string()))?;
    if bytes <= CALL_BYTES {
        return Ok(None);
    }
    let none = "other calls take the memory that the server has for requests";
    let held = Reservation::take(pool, bytes);
    held.map(Some)
        .ok_or_else(|| Status::resource_exhausted(none))
}

/// A message of the client's, if it is one and keeps to the rules of its schema.
#[inline]
pub(super) fn decode<M: Message + Default>(
    payload: Front<'_>,
    check: Option<Check<M>>,
) -> Result<M, Status> {
    // In place: `decode` would hand it from hand to hand.
    let mut message = M::default();
    message.merge(payload)?;
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
