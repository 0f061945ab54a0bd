//! What generated code is handed: a call to answer, and a place to run its handler in.
//!
//! **Invariant**: a call that is dropped without an answer is answered, and its slot is freed.

use std::{
    future::{Future, poll_fn},
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
use tokio_util::sync::ReusableBoxFuture;

use super::{connection::Connection, context::CallContext, inbound::Inbound, stats::Gauge};
use crate::{descriptor::ServiceDescriptor, session::StartCall, status::Status};

/// A service that a server can run: implemented by the generated `…Server` types.
pub trait Service: Send + Sync + 'static {
    /// The service's descriptor.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    /// Sets the handler of the method with index `method` up in `slot`.
    fn dispatch(&self, method: usize, call: ServerCall, slot: &mut HandlerSlot);
}

/// A call on its way through generated code. All methods that answer are the handler's last word.
#[derive(Debug)]
pub struct ServerCall {
    context: CallContext,
    payload: Mutex<Option<Bytes>>,
    answered: AtomicBool,
    _counted: Gauge,
}

impl ServerCall {
    pub(crate) fn new(conn: Arc<Connection>, start: StartCall) -> Self {
        let counters = &conn.core.counters;
        counters.started();
        let counted = counters.handlers.enter();
        let StartCall {
            call,
            method,
            payload,
            metadata,
            deadline,
            ..
        } = start;
        Self {
            context: CallContext::new(conn, call, method, deadline, metadata),
            payload: Mutex::new(payload),
            answered: AtomicBool::new(false),
            _counted: counted,
        }
    }

    /// What the handler may know of its call.
    #[must_use]
    pub const fn context(&self) -> &CallContext {
        &self.context
    }

    /// The request. `None` if it does not decode, and the call is answered.
    pub fn request<M: Message + Default>(&self) -> Option<M> {
        let payload = self.payload.lock().take().unwrap_or_default();
        match M::decode(payload) {
            Ok(request) => Some(request),
            Err(error) => {
                self.fail(&Status::from(error));
                None
            }
        }
    }

    /// The request stream.
    #[must_use]
    pub fn inbound<M: Message + Default>(&self) -> Inbound<M> {
        Inbound::new(Arc::clone(self.context.connection()), self.context.call())
    }

    /// Answers with the one response, or fails.
    pub fn reply<M: Message>(&self, result: Result<M, Status>) {
        match result {
            Ok(response) => {
                let (call, trailers) = (self.context.call(), self.context.take_trailers());
                self.answer(|c| c.with(|session| session.reply(call, &response, &trailers)));
            }
            Err(status) => self.fail(&status),
        }
    }

    /// Answers with a stream of responses, or fails.
    pub async fn reply_stream<M, S>(&self, result: Result<S, Status>)
    where
        M: Message,
        S: Stream<Item = Result<M, Status>>,
    {
        let stream = match result {
            Ok(stream) => stream,
            Err(status) => return self.fail(&status),
        };
        let mut stream = pin!(stream);
        let conn = self.context.connection();
        let call = self.context.call();
        while let Some(item) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            let message = match item {
                Ok(message) => message,
                Err(status) => return self.fail(&status),
            };
            // Only messages wait for credit: the end of a stream, and its failure, cost none.
            if !poll_fn(|cx| conn.session.lock().poll_send(call, cx)).await {
                return;
            }
            if let Err(oversize) = conn.with(|session| session.send(call, &message)) {
                let text = format!("a stream message is too large: {oversize}");
                return self.fail(&Status::resource_exhausted(text));
            }
        }
        let trailers = self.context.take_trailers();
        self.answer(|conn| conn.with(|session| session.finish(call, &trailers)));
    }

    /// Fails the call.
    pub fn fail(&self, status: &Status) {
        let call = self.context.call();
        self.answer(|conn| conn.with(|session| session.fail(call, status)));
    }

    /// Fails the call: generated code does not know its method.
    pub fn unimplemented(&self) {
        self.fail(&Status::unimplemented(
            "the service does not implement this method",
        ));
    }

    fn answer(&self, answer: impl FnOnce(&Connection) -> bool) {
        if !self.answered.load(Ordering::Relaxed) {
            let accepted = answer(self.context.connection());
            self.answered.store(accepted, Ordering::Relaxed);
        }
    }
}

impl Drop for ServerCall {
    fn drop(&mut self) {
        if *self.answered.get_mut() {
            return;
        }
        let call = self.context.call();
        self.context.connection().with(|session| {
            // Only a handler that panicked, or was dropped by its runtime, has not had its last word
            // on a call that is still wanted.
            if !session.fail(call, &Status::internal("the handler failed")) {
                session.release(call);
            }
        });
    }
}

/// Room for the handler of one method, used again by the next call.
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

    /// Polls the handler once. A handler that has to wait is handed out, to be run elsewhere; one that
    /// panics is gone, and its call is answered by its own `Drop`.
    pub(crate) fn poll_once(&mut self) -> Option<ReusableBoxFuture<'static, ()>> {
        if !std::mem::take(&mut self.set) {
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
