//! Server-streaming calls, and streams of responses.
//!
//! **Invariant**: the server may send more only as the application takes what came; dropping a stream
//! cancels its call.

use std::{
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use prost::Message;

use super::{
    call_options,
    flight::{Flight, Place},
    interceptor::Reply,
    open::Spec,
    unary::{check_request, decode, decode_message},
};
use crate::{
    error::CallError,
    metadata::Metadata,
    session::{Messages, cost},
    validate::Check,
    wire::Encoded,
};

/// A server-streaming call: resolves to the [`Streaming`] responses once the request is queued.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use daemoneye_ipc::schema::health::v1::{HealthClient, HealthStatus, WatchRequest};
///
/// let client = HealthClient::new(server.channel());
/// let mut states = client.watch(WatchRequest::default()).await?;
/// while let Some(state) = states.message().await? {
///     if state.status() == HealthStatus::Healthy {
///         break; // dropping the stream cancels the call
///     }
/// }
/// # Ok(()) })
/// # }
/// ```
#[must_use = "a call does nothing until it is awaited"]
pub struct ServerStreamingCall<Req, Rep> {
    spec: Spec,
    request: Req,
    flight: Option<Flight>,
    request_check: Option<Check<Req>>,
    response_check: Option<Check<Rep>>,
}

impl<Req, Rep> ServerStreamingCall<Req, Rep> {
    pub(crate) const fn new(spec: Spec, request: Req) -> Self {
        Self {
            spec,
            request,
            flight: None,
            request_check: None,
            response_check: None,
        }
    }

    const fn spec(&self) -> &Spec {
        &self.spec
    }

    const fn spec_mut(&mut self) -> &mut Spec {
        &mut self.spec
    }
}

call_options!(ServerStreamingCall<Req, Rep>);

impl<Req, Rep> Unpin for ServerStreamingCall<Req, Rep> {}

impl<Req: Message, Rep: Message + Default> Future for ServerStreamingCall<Req, Rep> {
    type Output = Result<Streaming<Rep>, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.flight.is_none() {
            check_request(this.request_check, &this.request, &this.spec)?;
        }
        let begin = || {
            let request = Encoded(this.request.encode_to_vec().into());
            Flight::new(&this.spec, Some(request))
        };
        let departed = ready!(poll_departure(&mut this.flight, begin, cx));
        Poll::Ready(departed.map(|flight| Streaming::new(flight, this.response_check)))
    }
}

/// Ready when the call, begun by the first poll, is in flight.
pub(super) fn poll_departure(
    slot: &mut Option<Flight>,
    begin: impl FnOnce() -> Flight,
    cx: &mut Context<'_>,
) -> Poll<Result<Flight, CallError>> {
    let mut flight = slot.take().unwrap_or_else(begin);
    match flight.poll_departure(cx) {
        Poll::Ready(departed) => Poll::Ready(departed.map(|()| flight)),
        Poll::Pending => {
            *slot = Some(flight);
            Poll::Pending
        }
    }
}

/// A stream of responses. Dropping it cancels the call.
///
/// Ends with `None` after the last message, or with one error.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use daemoneye_ipc::schema::health::v1::{HealthClient, HealthStatus, WatchRequest};
///
/// let client = HealthClient::new(server.channel());
/// let mut states = client.watch(WatchRequest::default()).await?;
/// while let Some(state) = states.message().await? {
///     if state.status() == HealthStatus::Healthy {
///         break; // dropping the stream cancels the call
///     }
/// }
/// # Ok(()) })
/// # }
/// ```
pub struct Streaming<M> {
    pub(super) flight: Flight,
    batch: Messages,
    /// Bytes of the longest message that certainly takes no more memory than it may.
    harmless: usize,
    /// Credit cost of the messages that were taken and not reported yet.
    consumed: i64,
    messages: u64,
    ended: bool,
    error: Option<CallError>,
    trailers: Metadata,
    /// The one response of a call without a response stream.
    response: Option<Bytes>,
    check: Option<Check<M>>,
}

impl<M: Message + Default> Streaming<M> {
    /// The stream of a call that is in flight.
    pub(super) fn new(flight: Flight, check: Option<Check<M>>) -> Self {
        Self {
            harmless: flight.spec.harmless_bytes(),
            flight,
            batch: Messages::new(),
            consumed: 0,
            messages: 0,
            ended: false,
            error: None,
            trailers: Metadata::new(),
            response: None,
            check,
        }
    }

    /// The next message, or `None` at the end.
    ///
    /// # Errors
    /// Why the call failed; nothing follows.
    pub async fn message(&mut self) -> Result<Option<M>, CallError> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// What the server sent at the end of the stream; empty before.
    #[must_use]
    pub const fn trailers(&self) -> &Metadata {
        &self.trailers
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<M>, CallError>> {
        ready!(self.poll_fill(cx));
        let Some(payload) = self.batch.take_front() else {
            return Poll::Ready(self.error.take().map_or(Ok(None), Err));
        };
        let (spec, length) = (&self.flight.spec, payload.remaining());
        self.consumed += cost(length);
        let checked = match length <= self.harmless {
            true => Ok(()),
            false => spec.check_memory(payload.chunk()),
        };
        let decoded = checked.and_then(|()| decode_message(spec, self.check, payload));
        match decoded {
            Ok(message) => {
                self.report();
                Poll::Ready(Ok(Some(message)))
            }
            Err(error) => {
                self.batch.clear();
                self.ended = true;
                self.flight.abandon();
                Poll::Ready(Err(error))
            }
        }
    }

    /// Ready when a message is there, or the stream is at its end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.batch.is_empty() && !self.ended {
            let Some(Place { conn, id }) = self.flight.place() else {
                match self.flight.poll_run(cx) {
                    Poll::Ready(reply) => self.end(reply),
                    Poll::Pending if self.flight.place().is_some() => {}
                    Poll::Pending => return Poll::Pending,
                }
                continue;
            };
            let consumed = mem::take(&mut self.consumed);
            let moved = match conn.poll_messages(*id, consumed, &mut self.batch, cx) {
                Poll::Ready(true) => {
                    self.flight.commit();
                    self.messages += self.batch.len() as u64;
                    continue;
                }
                Poll::Ready(false) => self.flight.poll_end(self.messages, cx),
                Poll::Pending => self.flight.poll_interceptors(cx),
            };
            if let Some(reply) = ready!(moved) {
                self.end(reply);
            }
        }
        Poll::Ready(())
    }

    fn end(&mut self, reply: Result<Reply, CallError>) {
        self.ended = true;
        match reply {
            Ok(reply) => {
                self.response = reply.payload;
                self.trailers = reply.trailers;
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Waits for the outcome of a call without a response stream.
    pub(super) async fn outcome(mut self) -> Result<(M, Metadata), CallError> {
        poll_fn(|cx| self.poll_fill(cx)).await;
        match self.error.take() {
            Some(error) => Err(error),
            None => decode(&self.flight.spec, self.check, self.response, self.trailers),
        }
    }

    /// Ready with where the call takes requests, or with `None` when it takes no more. A call that no
    /// handler saw is begun again.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Option<Place>> {
        loop {
            let place = self.flight.place().cloned();
            if let Some(place) = place.as_ref().filter(|place| place.is_open()) {
                return Poll::Ready(Some(place.clone()));
            }
            let filled = self.poll_fill(cx);
            match filled {
                Poll::Ready(()) => return Poll::Ready(None),
                Poll::Pending if self.flight.place() == place.as_ref() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }

    /// Ready when a request may be sent at `place`; with `false` when the call takes no more there.
    pub(super) fn poll_room(&mut self, place: &Place, cx: &mut Context<'_>) -> Poll<bool> {
        if let Poll::Ready(Some(reply)) = self.flight.poll_interceptors(cx) {
            self.end(reply);
            return Poll::Ready(false);
        }
        place.poll_room(cx)
    }

    /// Tells the session of what was consumed, when it may be enough for a grant.
    fn report(&mut self) {
        let Some(Place { conn, id }) = self.flight.place() else {
            return;
        };
        if self.consumed >= i64::from(conn.stream_credit / 4) && !self.batch.is_empty() {
            let consumed = mem::take(&mut self.consumed);
            conn.with(|session| session.consume(*id, consumed));
        }
    }
}

impl<M: Message + Default> Stream for Streaming<M> {
    type Item = Result<M, CallError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(cx).map(Result::transpose)
    }
}

impl<M> Unpin for Streaming<M> {}

impl<M> fmt::Debug for Streaming<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("method", &self.flight.spec.method.path)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
