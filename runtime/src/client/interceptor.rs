//! What stands around every call of a channel: interceptors, and how a call passes through them.
//!
//! **Invariant**: a call whose fate is unknown is begun again only where an interceptor asks for it.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use prost::Message;

use super::{
    flight::Line,
    open::{Opening, Spec},
    unary,
};
use crate::{
    descriptor::{MethodDescriptor, ServiceDescriptor},
    driver::now,
    error::{CallError, IpcError},
    metadata::Metadata,
    status::Status,
    transport::Peer,
    wire::Encoded,
};

/// Something to do around every call of a channel: annotate, measure, log, try again.
///
/// The one that was added first is the outermost. A call whose future or stream is dropped takes the
/// interceptors with it: what has to be done at the end of every call belongs in a `Drop`.
///
/// ```
/// use daemoneye_ipc::CallError;
/// use daemoneye_ipc::client::{ClientInterceptor, ClientNext, OutgoingCall, Reply};
///
/// /// Names the caller's session, and tries a call that no handler saw three times.
/// struct Session(String);
///
/// impl ClientInterceptor for Session {
///     async fn intercept(&self, call: &mut OutgoingCall, next: ClientNext<'_>) -> Result<Reply, CallError> {
///         call.metadata_mut().insert("session", self.0.clone());
///         let mut tries = 1;
///         loop {
///             match next.run(call).await {
///                 Err(error) if error.is_retryable() && tries < 3 => tries += 1,
///                 outcome => return outcome,
///             }
///         }
///     }
/// }
/// ```
pub trait ClientInterceptor: Send + Sync + 'static {
    /// Does what is to be done before the call, runs `next`, and does what is to be done after it. What
    /// this returns is what the caller gets; for a stream, at its end. Running `next` again begins the
    /// call again; one whose stream has carried a message cannot be.
    fn intercept(
        &self,
        call: &mut OutgoingCall,
        next: ClientNext<'_>,
    ) -> impl Future<Output = Result<Reply, CallError>> + Send;
}

type Intercepting<'a> = Pin<Box<dyn Future<Output = Result<Reply, CallError>> + Send + 'a>>;

/// [`ClientInterceptor`], for a list of several types.
pub(crate) trait DynInterceptor: Send + Sync + 'static {
    fn intercept<'a>(
        &'a self,
        call: &'a mut OutgoingCall,
        next: ClientNext<'a>,
    ) -> Intercepting<'a>;
}

impl<I: ClientInterceptor> DynInterceptor for I {
    fn intercept<'a>(
        &'a self,
        call: &'a mut OutgoingCall,
        next: ClientNext<'a>,
    ) -> Intercepting<'a> {
        Box::pin(ClientInterceptor::intercept(self, call, next))
    }
}

/// A call that is about to be made, as interceptors see it.
///
/// ```
/// use daemoneye_ipc::{CallError, Status};
/// use daemoneye_ipc::client::{ClientInterceptor, ClientNext, OutgoingCall, Reply};
///
/// /// Calls nothing that changes something.
/// struct DryRun;
///
/// impl ClientInterceptor for DryRun {
///     async fn intercept(&self, call: &mut OutgoingCall, next: ClientNext<'_>) -> Result<Reply, CallError> {
///         if call.method().idempotency.allows_retry() {
///             return next.run(call).await;
///         }
///         Err(call.reject(Status::aborted(format!("{} was not called", call.method().path))))
///     }
/// }
/// ```
pub struct OutgoingCall {
    spec: Spec,
    request: Option<Bytes>,
    begun: Instant,
    runs: u32,
}

impl OutgoingCall {
    /// The call begins.
    pub(super) fn begin(mut spec: Spec, request: Option<Bytes>) -> Self {
        let begun = now();
        spec.begin(begun);
        Self {
            spec,
            request,
            begun,
            runs: 0,
        }
    }

    /// The method that is called.
    #[must_use]
    pub const fn method(&self) -> &'static MethodDescriptor {
        self.spec.method
    }

    /// The service of the method.
    #[must_use]
    pub const fn service(&self) -> &'static ServiceDescriptor {
        self.spec.service
    }

    /// Path of the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.spec.channel.endpoint()
    }

    /// The server's process, as the kernel knows it; `None` while there is no connection.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.spec.channel.peer()
    }

    /// What is sent beside the request.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.spec.metadata
    }

    /// What is sent beside the request, to be changed.
    pub const fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.spec.metadata
    }

    /// The encoded request; `None` for a stream of requests.
    #[must_use]
    pub const fn request(&self) -> Option<&Bytes> {
        self.request.as_ref()
    }

    /// When the call has to be over.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.spec.deadline
    }

    /// Moves the deadline.
    pub const fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.spec.deadline = deadline;
    }

    /// When the call began, on the runtime's clock.
    #[must_use]
    pub const fn begun(&self) -> Instant {
        self.begun
    }

    /// Time since the call began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.begun)
    }

    /// The error that ends the call here with `status`: no handler has seen it.
    #[must_use]
    pub fn reject(&self, status: Status) -> CallError {
        self.spec.error(IpcError::Status(status), false)
    }

    fn attempt(&mut self) -> Opening {
        if self.runs > 0 {
            let counters = &self.spec.channel.shared().counters;
            counters.retries.fetch_add(1, Ordering::Relaxed);
        }
        self.runs += 1;
        Opening::new(self.spec.clone())
    }
}

impl fmt::Debug for OutgoingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingCall")
            .field("method", &self.spec.method.path)
            .field("endpoint", &self.endpoint())
            .field("metadata", &self.spec.metadata)
            .field("request_bytes", &self.request.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// How a call succeeded.
///
/// ```
/// use daemoneye_ipc::{CallError, Status};
/// use daemoneye_ipc::client::{ClientInterceptor, ClientNext, OutgoingCall, Reply};
///
/// /// Prints what comes back.
/// struct Sizes;
///
/// impl ClientInterceptor for Sizes {
///     async fn intercept(&self, call: &mut OutgoingCall, next: ClientNext<'_>) -> Result<Reply, CallError> {
///         let reply = next.run(call).await?;
///         let bytes = reply.payload().map_or(0, |payload| payload.len());
///         println!("{} messages, {bytes} bytes in {:?}", reply.messages(), call.elapsed());
///         Ok(reply)
///     }
/// }
/// # fn unused(_: Status) {}
/// ```
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) payload: Option<Bytes>,
    pub(super) trailers: Metadata,
    pub(super) messages: u64,
}

impl Reply {
    /// The encoded response; `None` at the end of a stream of responses.
    #[must_use]
    pub const fn payload(&self) -> Option<&Bytes> {
        self.payload.as_ref()
    }

    /// The response as a message of type `M`, or the default if there is none.
    ///
    /// # Errors
    /// If it does not decode.
    pub fn decode<M: Message + Default>(&self) -> Result<M, prost::DecodeError> {
        M::decode(self.payload.clone().unwrap_or_default())
    }

    /// What the server sent with the response, or at the end of the stream.
    #[must_use]
    pub const fn trailers(&self) -> &Metadata {
        &self.trailers
    }

    /// Messages that came: 1, or those of the stream.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }
}

/// What an interceptor stands around: the interceptors that follow, and at last the call itself.
///
/// ```
/// use daemoneye_ipc::{CallError, Status};
/// use daemoneye_ipc::client::{ClientInterceptor, ClientNext, OutgoingCall, Reply};
///
/// /// Gives a slow server a second chance.
/// struct Again;
///
/// impl ClientInterceptor for Again {
///     async fn intercept(&self, call: &mut OutgoingCall, next: ClientNext<'_>) -> Result<Reply, CallError> {
///         match next.run(call).await {
///             Err(error) if error.is_retryable() => next.run(call).await,
///             outcome => outcome,
///         }
///     }
/// }
/// # fn unused(_: Status) {}
/// ```
#[derive(Clone, Copy)]
pub struct ClientNext<'a> {
    rest: &'a [Arc<dyn DynInterceptor>],
    /// Where the messages of a streaming call come and go.
    line: Option<&'a Line>,
}

impl ClientNext<'_> {
    /// Runs them. Within the call's deadline, a call that no handler saw is begun again by itself, as
    /// without interceptors.
    ///
    /// # Errors
    /// How the call failed.
    pub async fn run(&self, call: &mut OutgoingCall) -> Result<Reply, CallError> {
        if let Some((first, rest)) = self.rest.split_first() {
            let next = ClientNext {
                rest,
                line: self.line,
            };
            return first.intercept(call, next).await;
        }
        let request = call.request.clone().map(Encoded);
        let mut opening = call.attempt();
        match (self.line, request) {
            (Some(line), request) => line.fly(&mut opening, request.as_ref()).await,
            (None, Some(request)) => {
                let mut active = None;
                let reply = poll_fn(|cx| {
                    unary::poll_exchange(&mut opening, &mut active, &request, None, cx)
                })
                .await?;
                // Before an interceptor decodes it.
                call.spec
                    .check_memory(reply.payload().map_or(&[], |payload| &payload[..]))?;
                Ok(reply)
            }
            (None, None) => Err(call.reject(Status::internal("a unary call without a request"))),
        }
    }
}

impl fmt::Debug for ClientNext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientNext")
            .field("interceptors", &self.rest.len())
            .finish_non_exhaustive()
    }
}

/// A call on its way through the interceptors of its channel.
pub(super) type Run = Pin<Box<dyn Future<Output = Result<Reply, CallError>> + Send>>;

/// Makes a call through the interceptors of its channel.
pub(super) fn run(mut call: OutgoingCall, line: Option<Arc<Line>>) -> Run {
    let interceptors = Arc::clone(call.spec.channel.interceptors());
    Box::pin(async move {
        let next = ClientNext {
            rest: &interceptors,
            line: line.as_deref(),
        };
        next.run(&mut call).await
    })
}
