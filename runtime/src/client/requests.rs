//! Calls with a stream of requests: client-streaming and bidirectional.
//!
//! **Invariant**: requests leave as fast as the server takes them, no faster; what is dropped before
//! its end is never taken for complete.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use prost::Message;

use super::{
    Streaming, call_options,
    flight::{Flight, Place, over},
    open::Spec,
    streaming::poll_departure,
    unary::check_request,
};
use crate::{error::CallError, metadata::Metadata, status::Status, validate::Check};

macro_rules! request_stream_call {
    ($(#[$doc:meta])* $call:ident) => {
        $(#[$doc])*
        #[must_use = "a call does nothing until it is awaited"]
        pub struct $call<Req, Rep> {
            spec: Spec,
            flight: Option<Flight>,
            request_check: Option<Check<Req>>,
            response_check: Option<Check<Rep>>,
        }

        impl<Req, Rep> $call<Req, Rep> {
            pub(crate) const fn new(spec: Spec) -> Self {
                Self {
                    spec,
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

        call_options!($call<Req, Rep>);
    };
}

request_stream_call! {
    /// A client-streaming call: resolves to the [`ClientStream`] to send requests on.
    ///
    /// ```
    /// # use daemoneye_ipc::{CallError, client::{ClientStream, ClientStreamingCall}};
    /// # async fn begin<Req, Rep>(call: ClientStreamingCall<Req, Rep>) -> Result<ClientStream<Req, Rep>, CallError>
    /// # where
    /// #     Req: daemoneye_ipc::prost::Message,
    /// #     Rep: daemoneye_ipc::prost::Message + Default,
    /// # {
    /// call.timeout(std::time::Duration::from_secs(60)).metadata("file", "rules.yaml").await
    /// # }
    /// ```
    ClientStreamingCall
}

request_stream_call! {
    /// A bidirectional call: resolves to the [`BidiStream`].
    ///
    /// ```
    /// # use daemoneye_ipc::{CallError, client::{BidiStream, BidiStreamingCall}};
    /// # async fn begin<Req, Rep>(call: BidiStreamingCall<Req, Rep>) -> Result<BidiStream<Req, Rep>, CallError>
    /// # where
    /// #     Req: daemoneye_ipc::prost::Message,
    /// #     Rep: daemoneye_ipc::prost::Message + Default,
    /// # {
    /// call.wait_for_ready(true).await
    /// # }
    /// ```
    BidiStreamingCall
}

impl<Req: Message, Rep: Message + Default> Future for ClientStreamingCall<Req, Rep> {
    type Output = Result<ClientStream<Req, Rep>, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let begin = || Flight::new(&this.spec, None);
        let flight = ready!(poll_departure(&mut this.flight, begin, cx))?;
        Poll::Ready(Ok(ClientStream {
            responses: Streaming::new(flight, this.response_check),
            check: this.request_check,
        }))
    }
}

impl<Req: Message, Rep: Message + Default> Future for BidiStreamingCall<Req, Rep> {
    type Output = Result<BidiStream<Req, Rep>, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let begin = || Flight::new(&this.spec, None);
        let flight = ready!(poll_departure(&mut this.flight, begin, cx))?;
        Poll::Ready(Ok(BidiStream {
            responses: Streaming::new(flight, this.response_check),
            check: this.request_check,
        }))
    }
}

/// The requests of a client-streaming call. Dropping it cancels the call.
///
/// ```
/// # use daemoneye_ipc::{CallError, prost::Message};
/// # use daemoneye_ipc::client::ClientStreamingCall;
/// # async fn upload<Req: Message, Rep: Message + Default>(
/// #     call: ClientStreamingCall<Req, Rep>,
/// #     chunks: Vec<Req>,
/// # ) -> Result<Rep, CallError> {
/// let mut upload = call.await?; // `client.upload()`
/// for chunk in chunks {
///     upload.send(chunk).await?; // waits while the server takes no more
/// }
/// upload.finish().await
/// # }
/// ```
pub struct ClientStream<Req, Rep> {
    responses: Streaming<Rep>,
    check: Option<Check<Req>>,
}

impl<Req: Message, Rep: Message + Default> ClientStream<Req, Rep> {
    /// Sends a request, waiting until the server takes more.
    ///
    /// # Errors
    /// [`TooLarge`](crate::IpcError::TooLarge) if the message does not fit a frame, INVALID_ARGUMENT if
    /// it is checked and breaks a rule of its schema, and the call goes on; otherwise the call is over, and [`finish`](Self::finish) tells how it ended.
    pub async fn send(&mut self, request: Req) -> Result<(), CallError> {
        send(&mut self.responses, self.check, &request).await
    }

    /// Waits until the call takes no more requests because it is over: the server may end it, or its
    /// time, while this side waits for its next request to come from somewhere.
    /// [`finish`](Self::finish) then tells at once how it ended. May be dropped and called again.
    ///
    /// ```
    /// # use daemoneye_ipc::{CallError, client::ClientStream, prost::Message};
    /// # async fn upload<Req: Message, Rep: Message + Default>(
    /// #     mut call: ClientStream<Req, Rep>,
    /// #     mut source: tokio::sync::mpsc::Receiver<Req>,
    /// # ) -> Result<Rep, CallError> {
    /// loop {
    ///     let next = tokio::select! {
    ///         next = source.recv() => next,
    ///         () = call.closed() => None,
    ///     };
    ///     match next {
    ///         Some(request) => call.send(request).await?,
    ///         None => return call.finish().await,
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.responses.poll_fill(cx)).await;
    }

    /// Ends the requests and waits for the response.
    ///
    /// # Errors
    /// Why the call failed.
    pub async fn finish(self) -> Result<Rep, CallError> {
        self.finish_with_trailers()
            .await
            .map(|(response, _)| response)
    }

    /// As [`finish`](Self::finish), and returns what the server sent beside the response.
    ///
    /// # Errors
    /// Why the call failed.
    pub async fn finish_with_trailers(mut self) -> Result<(Rep, Metadata), CallError> {
        half_close(&mut self.responses).await;
        self.responses.outcome().await
    }
}

impl<Req, Rep> fmt::Debug for ClientStream<Req, Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream").finish_non_exhaustive()
    }
}

/// Both streams of a bidirectional call. Dropping it cancels the call.
///
/// ```
/// # use daemoneye_ipc::{CallError, prost::Message};
/// # use daemoneye_ipc::client::BidiStreamingCall;
/// # async fn chat<Req: Message, Rep: Message + Default>(
/// #     call: BidiStreamingCall<Req, Rep>,
/// #     question: Req,
/// # ) -> Result<Option<Rep>, CallError> {
/// let mut chat = call.await?; // `client.chat()`
/// chat.send(question).await?;
/// let answer = chat.message().await?;
/// chat.half_close().await;
/// while chat.message().await?.is_some() {}
/// Ok(answer)
/// # }
/// ```
pub struct BidiStream<Req, Rep> {
    responses: Streaming<Rep>,
    check: Option<Check<Req>>,
}

impl<Req: Message, Rep: Message + Default> BidiStream<Req, Rep> {
    /// Sends a request, waiting until the server takes more.
    ///
    /// # Errors
    /// As [`ClientStream::send`]; [`message`](Self::message) tells how the call ended.
    pub async fn send(&mut self, request: Req) -> Result<(), CallError> {
        send(&mut self.responses, self.check, &request).await
    }

    /// Ends the requests; responses may still come.
    pub async fn half_close(&mut self) {
        half_close(&mut self.responses).await;
    }

    /// The next response, or `None` at the end.
    ///
    /// # Errors
    /// Why the call failed.
    pub async fn message(&mut self) -> Result<Option<Rep>, CallError> {
        self.responses.message().await
    }

    /// What the server sent at the end of the responses; empty before.
    #[must_use]
    pub const fn trailers(&self) -> &Metadata {
        self.responses.trailers()
    }

    /// Both streams apart, for two tasks. From here on the library does not begin the call again by
    /// itself.
    #[must_use]
    pub fn split(mut self) -> (BidiSender<Req>, Streaming<Rep>) {
        let flight = &mut self.responses.flight;
        flight.commit();
        let sender = BidiSender {
            place: flight.place().cloned(),
            spec: flight.spec.clone(),
            finished: false,
            check: self.check,
        };
        (sender, self.responses)
    }
}

impl<Req, Rep> fmt::Debug for BidiStream<Req, Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BidiStream")
            .field("responses", &self.responses)
            .finish_non_exhaustive()
    }
}

/// The requests of a bidirectional call that was [split](BidiStream::split).
///
/// Dropping it before [`finish`](Self::finish) cancels the call: what was sent is not taken for all.
///
/// ```
/// # use daemoneye_ipc::{CallError, prost::Message};
/// # use daemoneye_ipc::client::BidiStreamingCall;
/// # async fn chat<Req: Message + 'static, Rep: Message + Default + std::fmt::Debug>(
/// #     call: BidiStreamingCall<Req, Rep>,
/// #     requests: Vec<Req>,
/// # ) -> Result<(), CallError> {
/// let (mut sender, mut responses) = call.await?.split();
/// let sending = tokio::spawn(async move {
///     for request in requests {
///         sender.send(request).await?;
///     }
///     sender.finish();
///     Ok::<_, CallError>(())
/// });
/// while let Some(response) = responses.message().await? {
///     println!("{response:?}");
/// }
/// # drop(sending);
/// # Ok(())
/// # }
/// ```
pub struct BidiSender<Req> {
    place: Option<Place>,
    spec: Spec,
    finished: bool,
    check: Option<Check<Req>>,
}

impl<Req: Message> BidiSender<Req> {
    /// Sends a request, waiting until the server takes more.
    ///
    /// # Errors
    /// As [`ClientStream::send`]; the other half tells how the call ended.
    pub async fn send(&mut self, request: Req) -> Result<(), CallError> {
        check_request(self.check, &request, &self.spec)?;
        if let Some(place) = &self.place
            && poll_fn(|cx| place.poll_room(cx)).await
        {
            return place.send(&request, &self.spec);
        }
        Err(over(&self.spec))
    }

    /// Ends the requests; responses may still come.
    pub fn finish(mut self) {
        self.finished = true;
        if let Some(place) = &self.place {
            place.half_close();
        }
    }
}

impl<Req> Drop for BidiSender<Req> {
    fn drop(&mut self) {
        if let Some(Place { conn, id }) = self.place.as_ref().filter(|_| !self.finished) {
            let status = Status::cancelled("the requests were dropped before their end");
            conn.with(|session| session.refuse(*id, status));
        }
    }
}

impl<Req> fmt::Debug for BidiSender<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BidiSender")
            .field("method", &self.spec.method.path)
            .finish_non_exhaustive()
    }
}

async fn send<Req, Rep>(
    responses: &mut Streaming<Rep>,
    check: Option<Check<Req>>,
    request: &Req,
) -> Result<(), CallError>
where
    Req: Message,
    Rep: Message + Default,
{
    check_request(check, request, &responses.flight.spec)?;
    while let Some(place) = poll_fn(|cx| responses.poll_open(cx)).await {
        if poll_fn(|cx| responses.poll_room(&place, cx)).await {
            place.send(request, &responses.flight.spec)?;
            responses.flight.commit();
            return Ok(());
        }
    }
    Err(over(&responses.flight.spec))
}

async fn half_close<Rep: Message + Default>(responses: &mut Streaming<Rep>) {
    if let Some(place) = poll_fn(|cx| responses.poll_open(cx)).await {
        responses.flight.half_close(&place);
    }
}
