//! What generated code is handed: a call to answer, and a place to run its handler in.
//!
//! **Invariant**: a call that is dropped without an answer is answered, and its slot is freed.

use std::{
    future::{Future, poll_fn},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_core::Stream;
use parking_lot::Mutex;
use prost::Message;
use tokio::task::AbortHandle;
use tokio_util::sync::ReusableBoxFuture;

use super::{
    connection::Connection,
    context::CallContext,
    inbound::{Inbound, decode},
    interceptor::Response,
    outbound::Outbound,
};
use crate::{
    descriptor::ServiceDescriptor,
    metadata::Metadata,
    session::{CallId, Front, ServerSession, StartCall},
    status::Status,
    validate::{Check, Validate},
    wire::Payload,
};

/// A service that a server can run: implemented by the generated `…Server` types.
///
/// ```
/// use daemoneye_ipc::__private::{HandlerSlot, ServerCall, Service};
/// use daemoneye_ipc::descriptor::ServiceDescriptor;
/// use daemoneye_ipc::schema::health::v1::{HEALTH_SERVICE, PingRequest, PingResponse};
///
/// /// What the generator writes around a handler.
/// struct OnlyPing;
///
/// impl Service for OnlyPing {
///     fn descriptor(&self) -> &'static ServiceDescriptor {
///         HEALTH_SERVICE
///     }
///
///     fn dispatch(&self, method: usize, call: ServerCall, slot: &mut HandlerSlot) {
///         match method {
///             2 => slot.run(async move {
///                 if let Some(request) = call.request::<PingRequest>() {
///                     call.reply(Ok(PingResponse { payload: request.payload }));
///                 }
///             }),
///             _ => call.unimplemented(),
///         }
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
/// # use daemoneye_ipc::schema::health::v1::{CheckRequest, HealthClient};
/// # let server = daemoneye_ipc::testing::serve(OnlyPing);
/// # let client = HealthClient::new(server.channel());
/// # assert!(client.ping(PingRequest::default()).await.is_ok());
/// # assert!(client.check(CheckRequest::default()).await.is_err());
/// # });
/// ```
pub trait Service: Send + Sync + 'static {
    /// The service's descriptor.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    /// Sets the handler of the method with index `method` up in `slot`.
    fn dispatch(&self, method: usize, call: ServerCall, slot: &mut HandlerSlot);
}

/// A call on its way through generated code. All methods that answer are the handler's last word.
///
/// ```
/// use daemoneye_ipc::__private::{HandlerSlot, ServerCall, Service};
/// use daemoneye_ipc::descriptor::ServiceDescriptor;
/// use daemoneye_ipc::schema::health::v1::{HEALTH_SERVICE, PingRequest, PingResponse};
///
/// /// What the generator writes around a handler.
/// struct OnlyPing;
///
/// impl Service for OnlyPing {
///     fn descriptor(&self) -> &'static ServiceDescriptor {
///         HEALTH_SERVICE
///     }
///
///     fn dispatch(&self, method: usize, call: ServerCall, slot: &mut HandlerSlot) {
///         match method {
///             2 => slot.run(async move {
///                 if let Some(request) = call.request::<PingRequest>() {
///                     call.reply(Ok(PingResponse { payload: request.payload }));
///                 }
///             }),
///             _ => call.unimplemented(),
///         }
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
/// # use daemoneye_ipc::schema::health::v1::{CheckRequest, HealthClient};
/// # let server = daemoneye_ipc::testing::serve(OnlyPing);
/// # let client = HealthClient::new(server.channel());
/// # assert!(client.ping(PingRequest::default()).await.is_ok());
/// # assert!(client.check(CheckRequest::default()).await.is_err());
/// # });
/// ```
#[derive(Debug)]
pub struct ServerCall {
    payload: Mutex<Option<Bytes>>,
    way: Way,
}

/// Where the handler's last word goes.
#[derive(Debug)]
enum Way {
    /// To the client.
    Direct {
        context: CallContext,
        ending: Ending,
    },
    /// To the interceptors around the handler.
    Intercepted {
        context: Arc<CallContext>,
        conn: Arc<Connection>,
        call: CallId,
        held: Arc<Held>,
    },
}

/// A handler's last word, on its way through the interceptors.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Option<Result<Response, Status>>>);

impl Held {
    pub(super) fn take(&self) -> Option<Result<Response, Status>> {
        self.0.lock().take()
    }
}

/// What the client is told of a handler that had no last word: one that panicked.
pub(super) fn handler_failed() -> Status {
    Status::internal("the handler failed")
}

/// Answers a call at most once; when it is dropped without an answer, the call fails, or its slot is
/// freed if nobody wants an answer.
#[derive(Debug)]
pub(super) struct Ending {
    conn: Arc<Connection>,
    call: CallId,
    answered: AtomicBool,
}

impl Ending {
    pub(super) fn new(conn: Arc<Connection>, call: CallId) -> Self {
        let counters = &conn.core.counters;
        counters.calls_started.add(conn.id);
        counters.handlers.add(conn.id);
        Self {
            conn,
            call,
            answered: AtomicBool::new(false),
        }
    }

    pub(super) fn reply<P: Payload>(&self, payload: &P, trailers: &Metadata) {
        self.answer(|session, call| session.reply(call, payload, trailers));
    }

    pub(super) fn finish(&self, trailers: &Metadata) {
        self.answer(|session, call| session.finish(call, trailers));
    }

    pub(super) fn fail(&self, status: &Status) {
        self.answer(|session, call| session.fail(call, status));
    }

    fn answer(&self, answer: impl FnOnce(&mut ServerSession<AbortHandle>, CallId) -> bool) {
        if !self.answered.load(Ordering::Relaxed) {
            let accepted = self.conn.with(|session| answer(session, self.call));
            self.answered.store(accepted, Ordering::Relaxed);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !*self.answered.get_mut() {
            self.conn.with(|session| {
                // Only a handler that panicked, or was dropped by its runtime, has not had its last word
                // on a call that is still wanted.
                if !session.fail(self.call, &handler_failed()) {
                    session.release(self.call);
                }
            });
        }
        self.conn.core.counters.handlers.sub(self.conn.id);
    }
}

impl ServerCall {
    pub(crate) fn new(conn: Arc<Connection>, mut start: StartCall) -> Self {
        let context = CallContext::new(Arc::clone(&conn), &mut start);
        let ending = Ending::new(conn, start.call);
        Self {
            payload: Mutex::new(start.payload),
            way: Way::Direct { context, ending },
        }
    }

    /// A call whose answer goes to `held`.
    pub(super) fn intercepted(
        context: Arc<CallContext>,
        conn: Arc<Connection>,
        call: CallId,
        payload: Option<Bytes>,
        held: Arc<Held>,
    ) -> Self {
        Self {
            payload: Mutex::new(payload),
            way: Way::Intercepted {
                context,
                conn,
                call,
                held,
            },
        }
    }

    /// What the handler may know of its call.
    #[must_use]
    pub fn context(&self) -> &CallContext {
        match &self.way {
            Way::Direct { context, .. } => context,
            Way::Intercepted { context, .. } => context,
        }
    }

    const fn place(&self) -> (&Arc<Connection>, CallId) {
        match &self.way {
            Way::Direct { ending, .. } => (&ending.conn, ending.call),
            Way::Intercepted { conn, call, .. } => (conn, *call),
        }
    }

    /// The request. `None` if it does not decode, and the call is answered.
    pub fn request<M: Message + Default>(&self) -> Option<M> {
        self.request_with(None)
    }

    /// The request. `None` if it does not decode or breaks the rules of its schema, and the call is
    /// answered.
    pub fn valid_request<M: Message + Default + Validate>(&self) -> Option<M> {
        self.request_with(Some(M::validate))
    }

    fn request_with<M: Message + Default>(&self, check: Option<Check<M>>) -> Option<M> {
        let mut payload = self.payload.lock().take().unwrap_or_default();
        decode(Front::all(&mut payload), check)
            .map_err(|status| self.fail(status))
            .ok()
    }

    /// The request stream.
    #[must_use]
    pub fn inbound<M: Message + Default>(&self) -> Inbound<M> {
        self.inbound_with(None)
    }

    /// The request stream, in whose place a message that breaks the rules of its schema is an error.
    #[must_use]
    pub fn valid_inbound<M: Message + Default + Validate>(&self) -> Inbound<M> {
        self.inbound_with(Some(M::validate))
    }

    fn inbound_with<M: Message + Default>(&self, check: Option<Check<M>>) -> Inbound<M> {
        let (conn, call) = self.place();
        let footprint = self.context().method().request;
        Inbound::new(Arc::clone(conn), call, footprint, check)
    }

    /// Answers with the one response, or fails.
    pub fn reply<M: Message>(&self, result: Result<M, Status>) {
        match (result, &self.way) {
            (Ok(response), Way::Direct { context, ending }) => {
                ending.reply(&response, &context.take_trailers());
            }
            (Ok(response), Way::Intercepted { held, .. }) => {
                let encoded = response.encode_to_vec().into();
                *held.0.lock() = Some(Ok(Response::unary(encoded)));
            }
            (Err(status), _) => self.fail(status),
        }
    }

    /// Answers as [`reply`](Self::reply) does, with a response that the server may want to see checked.
    pub fn valid_reply<M: Message + Validate>(&self, result: Result<M, Status>) {
        let check = self.response_check();
        self.reply(result.and_then(|response| checked(response, check)));
    }

    fn response_check<M: Validate>(&self) -> Option<Check<M>> {
        let (conn, _) = self.place();
        conn.core.validate_responses.then_some(M::validate)
    }

    /// Answers with a stream of responses, or fails.
    pub async fn reply_stream<M, S>(&self, result: Result<S, Status>)
    where
        M: Message,
        S: Stream<Item = Result<M, Status>>,
    {
        self.reply_stream_with(result, None).await;
    }

    /// Answers as [`reply_stream`](Self::reply_stream) does, with responses that the server may want to
    /// see checked.
    pub async fn valid_reply_stream<M, S>(&self, result: Result<S, Status>)
    where
        M: Message + Validate,
        S: Stream<Item = Result<M, Status>>,
    {
        self.reply_stream_with(result, self.response_check()).await;
    }

    async fn reply_stream_with<M, S>(&self, result: Result<S, Status>, check: Option<Check<M>>)
    where
        M: Message,
        S: Stream<Item = Result<M, Status>>,
    {
        let stream = match result {
            Ok(stream) => stream,
            Err(status) => return self.fail(status),
        };
        let mut stream = pin!(stream);
        let (conn, call) = self.place();
        let (mut sent, mut outbound) = (0, Outbound::new(conn, call));
        loop {
            let item = poll_fn(|cx| {
                let mut item = stream.as_mut().poll_next(cx);
                if item.is_pending() && outbound.holds_some() {
                    // One that only lets others have their turn goes on, so that more messages travel together.
                    item = stream.as_mut().poll_next(cx);
                }
                if item.is_pending() {
                    outbound.flush();
                }
                item
            });
            let Some(item) = item.await else { break };
            let message = match item.and_then(|message| checked(message, check)) {
                Ok(message) => message,
                Err(status) => {
                    outbound.flush();
                    return self.fail(status);
                }
            };
            // Only messages wait for credit: the end of a stream, and its failure, cost none.
            let Some(room) = outbound.room().await else {
                return;
            };
            if let Err(oversize) = outbound.push(&room, &message) {
                outbound.flush();
                let text = format!("a stream message is too large: {oversize}");
                return self.fail(Status::resource_exhausted(text));
            }
            sent += 1;
        }
        outbound.flush();
        match &self.way {
            Way::Direct { context, ending } => ending.finish(&context.take_trailers()),
            Way::Intercepted { held, .. } => *held.0.lock() = Some(Ok(Response::stream(sent))),
        }
    }

    /// Fails the call.
    pub fn fail(&self, status: Status) {
        match &self.way {
            Way::Direct { ending, .. } => ending.fail(&status),
            Way::Intercepted { held, .. } => *held.0.lock() = Some(Err(status)),
        }
    }

    /// Fails the call: generated code does not know its method.
    pub fn unimplemented(&self) {
        self.fail(Status::unimplemented(
            "the service does not implement this method",
        ));
    }
}

/// A response, if it keeps to the rules of its schema, or is not checked.
fn checked<M>(response: M, check: Option<Check<M>>) -> Result<M, Status> {
    match check.map(|check| check(&response)) {
        Some(Err(violations)) => {
            tracing::error!(%violations, "a response breaks the rules of its schema");
            Err(Status::internal("internal error"))
        }
        _ => Ok(response),
    }
}

/// Room for the handler of one method, used again by the next call.
///
/// ```
/// use daemoneye_ipc::__private::{HandlerSlot, ServerCall, Service};
/// use daemoneye_ipc::descriptor::ServiceDescriptor;
/// use daemoneye_ipc::schema::health::v1::{HEALTH_SERVICE, PingRequest, PingResponse};
///
/// /// What the generator writes around a handler.
/// struct OnlyPing;
///
/// impl Service for OnlyPing {
///     fn descriptor(&self) -> &'static ServiceDescriptor {
///         HEALTH_SERVICE
///     }
///
///     fn dispatch(&self, method: usize, call: ServerCall, slot: &mut HandlerSlot) {
///         match method {
///             2 => slot.run(async move {
///                 if let Some(request) = call.request::<PingRequest>() {
///                     call.reply(Ok(PingResponse { payload: request.payload }));
///                 }
///             }),
///             _ => call.unimplemented(),
///         }
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
/// # use daemoneye_ipc::schema::health::v1::{CheckRequest, HealthClient};
/// # let server = daemoneye_ipc::testing::serve(OnlyPing);
/// # let client = HealthClient::new(server.channel());
/// # assert!(client.ping(PingRequest::default()).await.is_ok());
/// # assert!(client.check(CheckRequest::default()).await.is_err());
/// # });
/// ```
#[derive(Default)]
pub struct HandlerSlot {
    room: Option<ReusableBoxFuture<'static, ()>>,
    set: bool,
}

impl HandlerSlot {
    /// Takes the handler of a call. It is polled by the connection's task first.
    pub fn run(&mut self, handler: impl Future<Output = ()> + Send + 'static) {
        match &mut self.room {
            Some(room) => room.set(handler),
            None => self.room = Some(ReusableBoxFuture::new(handler)),
        }
        self.set = true;
    }

    /// The handler that [`Self::run`] took.
    pub(crate) fn take(&mut self) -> Option<ReusableBoxFuture<'static, ()>> {
        mem::take(&mut self.set).then(|| self.room.take())?
    }

    /// Polls the handler once. A handler that has to wait is handed out, to be run elsewhere; one that
    /// panics is gone, and its call is answered by its own `Drop`.
    pub(crate) fn poll_once(&mut self) -> Option<ReusableBoxFuture<'static, ()>> {
        if !mem::take(&mut self.set) {
            return None;
        }
        let room = self.room.as_mut()?;
        let mut cx = Context::from_waker(Waker::noop());
        match catch_unwind(AssertUnwindSafe(|| room.poll(&mut cx))) {
            Ok(Poll::Ready(())) => None,
            Ok(Poll::Pending) => self.room.take(),
            Err(_) => {
                self.room = None;
                None
            }
        }
    }
}

impl std::fmt::Debug for HandlerSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandlerSlot")
            .field("set", &self.set)
            .finish_non_exhaustive()
    }
}
