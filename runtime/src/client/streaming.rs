//! Calls with a stream in one direction or both.
//!
//! **Invariant**: the server may send more only as the application takes what came; dropping a stream
//! cancels its call.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use prost::Message;

use super::{
    call_options,
    open::{Active, Opening},
    unary::decode,
};
use crate::{
    error::{CallError, IpcError},
    metadata::Metadata,
    session::{Outcome, cost},
    status::Status,
    wire::Encoded,
};

/// A server-streaming call: resolves to the [`Streaming`] responses once the request is queued.
#[must_use = "a call does nothing until it is awaited"]
pub struct ServerStreamingCall<Req, Rep> {
    opening: Opening,
    request: Req,
    response: PhantomData<fn() -> Rep>,
}

impl<Req, Rep> ServerStreamingCall<Req, Rep> {
    pub(crate) const fn new(opening: Opening, request: Req) -> Self {
        Self {
            opening,
            request,
            response: PhantomData,
        }
    }
}

call_options!(ServerStreamingCall<Req, Rep>);

impl<Req, Rep> Unpin for ServerStreamingCall<Req, Rep> {}

impl<Req: Message, Rep: Message + Default> Future for ServerStreamingCall<Req, Rep> {
    type Output = Result<Streaming<Rep>, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let active = ready!(this.opening.poll_open(cx, Some(&this.request)))?;
        Poll::Ready(Ok(Streaming::new(active)))
    }
}

/// A client-streaming call: resolves to the [`ClientStream`] to send requests on.
#[must_use = "a call does nothing until it is awaited"]
pub struct ClientStreamingCall<Req, Rep> {
    opening: Opening,
    types: PhantomData<fn(Req) -> Rep>,
}

impl<Req, Rep> ClientStreamingCall<Req, Rep> {
    pub(crate) const fn new(opening: Opening) -> Self {
        Self {
            opening,
            types: PhantomData,
        }
    }
}

call_options!(ClientStreamingCall<Req, Rep>);

impl<Req: Message, Rep: Message + Default> Future for ClientStreamingCall<Req, Rep> {
    type Output = Result<ClientStream<Req, Rep>, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let active = ready!(self.opening.poll_open::<Encoded>(cx, None))?;
        Poll::Ready(Ok(ClientStream {
            active,
            outcome: None,
            types: PhantomData,
        }))
    }
}

/// A bidirectional call: resolves to the [`BidiStream`].
#[must_use = "a call does nothing until it is awaited"]
pub struct BidiStreamingCall<Req, Rep> {
    opening: Opening,
    types: PhantomData<fn(Req) -> Rep>,
}

impl<Req, Rep> BidiStreamingCall<Req, Rep> {
    pub(crate) const fn new(opening: Opening) -> Self {
        Self {
            opening,
            types: PhantomData,
        }
    }
}

call_options!(BidiStreamingCall<Req, Rep>);

impl<Req: Message, Rep: Message + Default> Future for BidiStreamingCall<Req, Rep> {
    type Output = Result<BidiStream<Req, Rep>, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let active = ready!(self.opening.poll_open::<Encoded>(cx, None))?;
        Poll::Ready(Ok(BidiStream {
            responses: Streaming::new(active),
            requests: PhantomData,
        }))
    }
}

/// A stream of responses. Dropping it cancels the call.
///
/// Ends with `None` after the last message, or with one error.
pub struct Streaming<M> {
    active: Active,
    batch: VecDeque<Bytes>,
    /// Credit cost of the messages that were taken and not reported yet.
    consumed: i64,
    ended: bool,
    trailers: Metadata,
    message: PhantomData<fn() -> M>,
}

impl<M: Message + Default> Streaming<M> {
    const fn new(active: Active) -> Self {
        Self {
            active,
            batch: VecDeque::new(),
            consumed: 0,
            ended: false,
            trailers: Metadata::new(),
            message: PhantomData,
        }
    }

    /// The next message, or `None` at the end.
    ///
    /// # Errors
    /// Why the call failed; nothing follows.
    pub async fn message(&mut self) -> Result<Option<M>, CallError> {
        poll_fn(|cx| self.poll_message(cx)).await.transpose()
    }

    /// What the server sent at the end of the stream; empty before.
    #[must_use]
    pub const fn trailers(&self) -> &Metadata {
        &self.trailers
    }

    fn poll_message(&mut self, cx: &Context<'_>) -> Poll<Option<Result<M, CallError>>> {
        while self.batch.is_empty() {
            if self.ended {
                return Poll::Ready(None);
            }
            let consumed = std::mem::take(&mut self.consumed);
            let (active, batch) = (&self.active, &mut self.batch);
            let poll = active
                .conn
                .with(|session| session.poll_messages(active.id, consumed, batch, cx));
            if !ready!(poll) {
                let outcome = ready!(self.active.poll_outcome(cx));
                self.ended = true;
                match self.active.result(outcome) {
                    Ok((_, trailers)) => self.trailers = trailers,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            }
        }
        Poll::Ready(self.batch.pop_front().map(|payload| {
            self.consumed += cost(payload.len());
            self.report();
            M::decode(payload).map_err(|error| self.active.error(IpcError::Decode(error), true))
        }))
    }

    /// Tells the session of what was consumed, when it may be enough for a grant.
    fn report(&mut self) {
        let quarter = i64::from(self.active.conn.stream_credit / 4);
        if self.consumed >= quarter && !self.batch.is_empty() {
            let (id, consumed) = (self.active.id, std::mem::take(&mut self.consumed));
            self.active
                .conn
                .with(|session| session.consume(id, consumed));
        }
    }
}

impl<M: Message + Default> Stream for Streaming<M> {
    type Item = Result<M, CallError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(cx)
    }
}

impl<M> Unpin for Streaming<M> {}

impl<M> fmt::Debug for Streaming<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The requests of a client-streaming call. Dropping it cancels the call.
pub struct ClientStream<Req, Rep> {
    active: Active,
    outcome: Option<Outcome>,
    types: PhantomData<fn(Req) -> Rep>,
}

impl<Req: Message, Rep: Message + Default> ClientStream<Req, Rep> {
    /// Sends a request, waiting until the server takes more.
    ///
    /// # Errors
    /// TOO_LARGE if the message does not fit a frame, and the call goes on; otherwise the call is over,
    /// and [`finish`](Self::finish) tells how it ended.
    pub async fn send(&mut self, request: Req) -> Result<(), CallError> {
        send(&self.active, &request).await
    }

    /// Ends the requests and waits for the response.
    ///
    /// # Errors
    /// Why the call failed.
    pub async fn finish(mut self) -> Result<Rep, CallError> {
        half_close(&self.active);
        let outcome = match self.outcome.take() {
            Some(outcome) => outcome,
            None => poll_fn(|cx| self.active.poll_outcome(cx)).await,
        };
        decode(&self.active, outcome)
    }
}

impl<Req, Rep> fmt::Debug for ClientStream<Req, Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream").finish_non_exhaustive()
    }
}

/// Both streams of a bidirectional call. Dropping it cancels the call.
pub struct BidiStream<Req, Rep> {
    responses: Streaming<Rep>,
    requests: PhantomData<fn(Req)>,
}

impl<Req: Message, Rep: Message + Default> BidiStream<Req, Rep> {
    /// Sends a request, waiting until the server takes more.
    ///
    /// # Errors
    /// As [`ClientStream::send`]; [`message`](Self::message) tells how the call ended.
    pub async fn send(&mut self, request: Req) -> Result<(), CallError> {
        send(&self.responses.active, &request).await
    }

    /// Ends the requests; responses may still come.
    pub fn half_close(&mut self) {
        half_close(&self.responses.active);
    }

    /// The next response, or `None` at the end.
    ///
    /// # Errors
    /// Why the call failed.
    pub async fn message(&mut self) -> Result<Option<Rep>, CallError> {
        self.responses.message().await
    }
}

impl<Req, Rep> fmt::Debug for BidiStream<Req, Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BidiStream")
            .field("responses", &self.responses)
            .finish_non_exhaustive()
    }
}

async fn send<Req: Message>(active: &Active, request: &Req) -> Result<(), CallError> {
    if !poll_fn(|cx| active.conn.session.lock().poll_send(active.id, cx)).await {
        return Err(active.status(Status::cancelled("the call takes no more requests")));
    }
    active
        .conn
        .with(|session| session.send(active.id, Some(request), false))
        .map_err(|over| {
            active.error(
                IpcError::TooLarge {
                    size: over.size,
                    max_size: over.max_size,
                },
                true,
            )
        })
}

fn half_close(active: &Active) {
    // A half-close is a few bytes and always fits.
    let _ = active
        .conn
        .with(|session| session.send::<Encoded>(active.id, None, true));
}
