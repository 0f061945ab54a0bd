//! What a handler may know of its call.
//!
//! **Invariant**: who the caller is comes from the kernel, never from what the caller says.

use std::{
    fmt,
    future::{Future, poll_fn},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{connection::Connection, stats::Gauge};
use crate::{
    descriptor::MethodDescriptor, metadata::Metadata, session::CallId, status::Status,
    transport::Peer,
};

/// The context of one call: who calls, what, and for how long.
pub struct CallContext {
    conn: Arc<Connection>,
    call: CallId,
    method: &'static MethodDescriptor,
    deadline: Option<Instant>,
    metadata: Metadata,
    trailers: Mutex<Metadata>,
}

impl CallContext {
    pub(crate) const fn new(
        conn: Arc<Connection>,
        call: CallId,
        method: &'static MethodDescriptor,
        deadline: Option<Instant>,
        metadata: Metadata,
    ) -> Self {
        Self {
            conn,
            call,
            method,
            deadline,
            metadata,
            trailers: Mutex::new(Metadata::new()),
        }
    }

    /// The process that calls, as the kernel knows it.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.conn.peer()
    }

    /// The method that is called.
    #[must_use]
    pub const fn method(&self) -> &'static MethodDescriptor {
        self.method
    }

    /// When the client stops waiting; `None` if it waits for ever.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Time until [`deadline`](Self::deadline); zero when it has passed.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(crate::driver::now()))
    }

    /// What the client sent beside its request.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Adds a pair to what is sent with the response, or at the end of the response stream.
    pub fn add_trailer(&self, key: impl Into<String>, value: impl Into<bytes::Bytes>) {
        self.trailers.lock().insert(key, value);
    }

    /// Ready when nobody wants the call any more: cancelled, past its deadline, or its connection lost.
    ///
    /// A handler's future is dropped then anyway; this is for work that it gave to others.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        let (conn, call) = (Arc::clone(&self.conn), self.call);
        poll_fn(move |cx| conn.session.lock().poll_cancelled(call, cx))
    }

    /// Runs `work` where it may block, and keeps the call's slot until it returns, even if the call
    /// ends before: a flood of calls can start no more of it than `max_calls` allows.
    ///
    /// # Errors
    /// INTERNAL if `work` panics; what it returns otherwise.
    pub fn spawn_blocking<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, Status>> + Send + use<T, F>
    where
        F: FnOnce() -> Result<T, Status> + Send + 'static,
        T: Send + 'static,
    {
        let hold = Hold::new(Arc::clone(&self.conn), self.call);
        let task = tokio::task::spawn_blocking(move || {
            let _hold = hold;
            work()
        });
        async move { task.await? }
    }

    pub(crate) const fn connection(&self) -> &Arc<Connection> {
        &self.conn
    }

    pub(crate) const fn call(&self) -> CallId {
        self.call
    }

    pub(crate) fn take_trailers(&self) -> Metadata {
        std::mem::take(&mut self.trailers.lock())
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("method", &self.method.path)
            .field("call", &self.call)
            .field("peer", self.peer())
            .field("deadline", &self.deadline)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// Keeps a call's slot while work that it started goes on.
struct Hold {
    conn: Arc<Connection>,
    call: CallId,
    _counted: Gauge,
}

impl Hold {
    fn new(conn: Arc<Connection>, call: CallId) -> Self {
        conn.session.lock().hold(call);
        let counted = conn.core.counters.handlers.enter();
        Self {
            conn,
            call,
            _counted: counted,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.conn.with(|session| session.release(self.call));
    }
}
