//! What stands around every call of a server: interceptors, and how a call passes through them.
//!
//! **Invariant**: an interceptor sees what is decided of a call and never its stream messages; a
//! handler runs at most once, whatever interceptors do.

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prost::Message;

use super::{
    call::{Ending, HandlerSlot, Held, ServerCall, Service, handler_failed},
    connection::Connection,
    context::CallContext,
};
use crate::{
    session::{CallId, Interruption, StartCall},
    status::Status,
    wire::Encoded,
};

/// Something to do around every call of a server: authorise, annotate, measure, log.
///
/// The one that was added first is the outermost. A call that nobody wants any more (cancelled, past its
/// deadline, connection lost) is dropped, and the interceptors with it: what has to be done at the end
/// of every call belongs in a `Drop`, where [`InterceptedCall::interruption`] says why.
///
/// ```
/// use daemoneye_ipc::Status;
/// use daemoneye_ipc::server::{InterceptedCall, Next, Response, ServerInterceptor};
///
/// /// Lets root alone call methods that change something.
/// struct ReadOnly;
///
/// impl ServerInterceptor for ReadOnly {
///     async fn intercept(&self, call: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
///         let changes = !call.context().method().idempotency.allows_retry();
///         if changes && !call.context().peer().is_superuser() {
///             return Err(Status::permission_denied("only root may do this"));
///         }
///         next.run().await
///     }
/// }
/// ```
pub trait ServerInterceptor: Send + Sync + 'static {
    /// Does what is to be done before the handler, runs `next`, and does what is to be done after it.
    /// What this returns is what the client gets; without [`Next::run`] no handler sees the call.
    fn intercept(
        &self,
        call: &InterceptedCall,
        next: Next<'_>,
    ) -> impl Future<Output = Result<Response, Status>> + Send;
}

type Intercepting<'a> = Pin<Box<dyn Future<Output = Result<Response, Status>> + Send + 'a>>;

/// [`ServerInterceptor`], for a list of several types.
pub(crate) trait DynInterceptor: Send + Sync + 'static {
    fn intercept<'a>(&'a self, call: &'a InterceptedCall, next: Next<'a>) -> Intercepting<'a>;
}

impl<I: ServerInterceptor> DynInterceptor for I {
    fn intercept<'a>(&'a self, call: &'a InterceptedCall, next: Next<'a>) -> Intercepting<'a> {
        Box::pin(ServerInterceptor::intercept(self, call, next))
    }
}

/// A call, as interceptors see it.
///
/// ```
/// use daemoneye_ipc::Status;
/// use daemoneye_ipc::server::{InterceptedCall, Next, Response, ServerInterceptor};
///
/// /// Tells the handler whom it serves.
/// struct Identify;
///
/// struct Principal(String);
///
/// impl ServerInterceptor for Identify {
///     async fn intercept(&self, call: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
///         let name = call.context().peer().user().to_string();
///         // A handler finds it with `ctx.extension::<Principal>()`.
///         call.context().insert_extension(Principal(name));
///         next.run().await
///     }
/// }
/// ```
pub struct InterceptedCall {
    context: Arc<CallContext>,
    id: CallId,
    connection: u64,
    request: Option<Bytes>,
    received: Instant,
}

impl InterceptedCall {
    /// What the handler knows of the call. Trailers and extensions may be added to it.
    #[must_use]
    pub fn context(&self) -> &CallContext {
        &self.context
    }

    /// Id of the call on its connection.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Number of the connection that the call came over; the server counts them from 1.
    #[must_use]
    pub const fn connection(&self) -> u64 {
        self.connection
    }

    /// The encoded request; `None` for a stream of requests.
    #[must_use]
    pub const fn request(&self) -> Option<&Bytes> {
        self.request.as_ref()
    }

    /// The request as a message of type `M`, or the default if there is none.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if it does not decode.
    pub fn decode_request<M: Message + Default>(&self) -> Result<M, Status> {
        Ok(M::decode(self.request.clone().unwrap_or_default())?)
    }

    /// When the call came, on the runtime's clock.
    #[must_use]
    pub const fn received(&self) -> Instant {
        self.received
    }

    /// Time since the call came.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        crate::driver::now().saturating_duration_since(self.received)
    }

    /// Why the call was stopped before it had an answer, if it was.
    #[must_use]
    pub fn interruption(&self) -> Option<Interruption> {
        self.context.interruption()
    }
}

impl fmt::Debug for InterceptedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptedCall")
            .field("connection", &self.connection)
            .field("id", &self.id)
            .field("context", &self.context)
            .field("request_bytes", &self.request.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// How a call succeeded.
///
/// ```
/// use daemoneye_ipc::Status;
/// use daemoneye_ipc::server::{InterceptedCall, Next, Response, ServerInterceptor};
///
/// struct Sizes;
///
/// impl ServerInterceptor for Sizes {
///     async fn intercept(&self, call: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
///         let response = next.run().await?;
///         let bytes = response.payload().map_or(0, |payload| payload.len());
///         println!("{} messages, {bytes} bytes in {:?}", response.messages(), call.elapsed());
///         Ok(response)
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Response {
    payload: Option<Bytes>,
    messages: u64,
}

impl Response {
    pub(super) const fn unary(payload: Bytes) -> Self {
        Self {
            payload: Some(payload),
            messages: 1,
        }
    }

    pub(super) const fn stream(messages: u64) -> Self {
        Self {
            payload: None,
            messages,
        }
    }

    /// The encoded response; `None` at the end of a stream of responses, whose messages have been sent.
    #[must_use]
    pub const fn payload(&self) -> Option<&Bytes> {
        self.payload.as_ref()
    }

    /// Messages that the handler answered with: 1, or those of its stream.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }
}

/// What an interceptor stands around: the interceptors that follow, and at last the handler.
///
/// ```
/// use daemoneye_ipc::Status;
/// use daemoneye_ipc::server::{InterceptedCall, Next, Response, ServerInterceptor};
///
/// /// Gives every call of this server half a second.
/// struct Hurry;
///
/// impl ServerInterceptor for Hurry {
///     async fn intercept(&self, _: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
///         let limit = std::time::Duration::from_millis(500);
///         match tokio::time::timeout(limit, next.run()).await {
///             Ok(outcome) => outcome,
///             Err(_) => Err(Status::deadline_exceeded("this server answers within 500 ms")),
///         }
///     }
/// }
/// ```
pub struct Next<'a> {
    rest: &'a [Arc<dyn DynInterceptor>],
    call: &'a InterceptedCall,
    handler: Handler,
}

/// The handler that is to be run.
struct Handler {
    service: Arc<dyn Service>,
    conn: Arc<Connection>,
    method: usize,
}

impl Next<'_> {
    /// Runs them.
    ///
    /// # Errors
    /// The status that the handler, or an interceptor before it, ended the call with. A handler that
    /// panicked is INTERNAL.
    pub async fn run(self) -> Result<Response, Status> {
        let Self {
            rest,
            call,
            handler,
        } = self;
        match rest.split_first() {
            Some((first, rest)) => {
                let next = Next {
                    rest,
                    call,
                    handler,
                };
                first.intercept(call, next).await
            }
            None => handler.run(call).await,
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("interceptors", &self.rest.len())
            .finish_non_exhaustive()
    }
}

impl Handler {
    async fn run(self, call: &InterceptedCall) -> Result<Response, Status> {
        let held = Arc::new(Held::default());
        let server_call = ServerCall::intercepted(
            Arc::clone(&call.context),
            self.conn,
            call.id,
            call.request.clone(),
            Arc::clone(&held),
        );
        let mut slot = HandlerSlot::default();
        self.service.dispatch(self.method, server_call, &mut slot);
        if let Some(mut handler) = slot.take() {
            poll_fn(|cx| {
                let poll = catch_unwind(AssertUnwindSafe(|| handler.poll(cx)));
                // A handler that panicked left no answer, which is one.
                poll.unwrap_or(Poll::Ready(()))
            })
            .await;
        }
        held.take().unwrap_or_else(|| {
            let why = call.interruption();
            Err(why.map_or_else(handler_failed, |why| {
                Status::new(why.code(), "the call was stopped")
            }))
        })
    }
}

/// Runs a call through the interceptors of its server, and answers it.
pub(super) async fn run(conn: Arc<Connection>, service: Arc<dyn Service>, mut start: StartCall) {
    let core = Arc::clone(&conn.core);
    // Dropped last: the slot is freed when nothing of the call is left.
    let ending = Ending::new(Arc::clone(&conn), start.call);
    let call = InterceptedCall {
        context: Arc::new(CallContext::new(Arc::clone(&conn), &mut start)),
        id: start.call,
        connection: conn.id,
        request: start.payload,
        received: start.received,
    };
    let handler = Handler {
        service,
        conn,
        method: start.index.method,
    };
    let next = Next {
        rest: &core.interceptors,
        call: &call,
        handler,
    };
    match next.run().await {
        Ok(Response {
            payload: Some(payload),
            ..
        }) => ending.reply(&Encoded(payload), &call.context.take_trailers()),
        Ok(_) => ending.finish(&call.context.take_trailers()),
        Err(status) => ending.fail(&status),
    }
}
