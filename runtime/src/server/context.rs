//! What a handler may know of its call.
//!
//! **Invariant**: who the caller is comes from the kernel, never from what the caller says.

use std::{
    any::{Any, TypeId},
    fmt,
    future::{Future, poll_fn},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use crate::{
    access::Allow,
    descriptor::MethodDescriptor,
    metadata::Metadata,
    session::{CallId, Interruption, StartCall, Ticket},
    status::Status,
    transport::Peer,
};

/// The context of one call: who calls, what, and for how long.
///
/// ```
/// use daemoneye_ipc::{CallContext, Status};
/// /// In a handler:
/// fn check(ctx: &CallContext) -> Result<(), Status> {
///     if !ctx.peer().is_superuser() {
///         return Err(Status::permission_denied("root only"));
///     }
///     if ctx.time_left().is_some_and(|left| left.as_millis() < 5) {
///         return Err(Status::deadline_exceeded("no time to begin"));
///     }
///     ctx.add_trailer("served-by", "example");
///     Ok(())
/// }
/// ```
pub struct CallContext {
    origin: Origin,
    method: &'static MethodDescriptor,
    deadline: Option<Instant>,
    metadata: Metadata,
    trailers: Mutex<Metadata>,
    extensions: Mutex<Vec<(TypeId, Arc<dyn Any + Send + Sync>)>>,
}

/// Where a call comes from.
#[derive(Clone)]
enum Origin {
    Connection(Arc<Connection>, CallId),
    /// Nowhere: a test calls the handler.
    Detached(Arc<Detached>),
}

/// What stands for the connection of a call that came over none.
pub(crate) struct Detached {
    pub(crate) peer: Peer,
    pub(crate) cancelled: CancellationToken,
    pub(crate) draining: CancellationToken,
}

impl CallContext {
    pub(crate) fn new(conn: Arc<Connection>, start: &mut StartCall) -> Self {
        let origin = Origin::Connection(conn, start.call);
        let metadata = std::mem::take(&mut start.metadata);
        Self::with_origin(origin, start.method, start.deadline, metadata)
    }

    /// The context of a call that came over no connection.
    pub(crate) fn detached(
        detached: Arc<Detached>,
        method: &'static MethodDescriptor,
        deadline: Option<Instant>,
        metadata: Metadata,
    ) -> Self {
        Self::with_origin(Origin::Detached(detached), method, deadline, metadata)
    }

    const fn with_origin(
        origin: Origin,
        method: &'static MethodDescriptor,
        deadline: Option<Instant>,
        metadata: Metadata,
    ) -> Self {
        Self {
            origin,
            method,
            deadline,
            metadata,
            trailers: Mutex::new(Metadata::new()),
            extensions: Mutex::new(Vec::new()),
        }
    }

    /// The process that calls, as the kernel knows it.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        match &self.origin {
            Origin::Connection(conn, _) => conn.peer(),
            Origin::Detached(detached) => &detached.peer,
        }
    }

    /// The method that is called.
    #[must_use]
    pub const fn method(&self) -> &'static MethodDescriptor {
        self.method
    }

    /// What of the schema's list for the method lets the caller call it: the first that fits. `None` if the
    /// schema has no list for it ([`MethodDescriptor::access`] is empty), or if a test calls the handler.
    #[must_use]
    pub fn allowed_as(&self) -> Option<Allow<'static>> {
        match &self.origin {
            Origin::Connection(conn, _) => conn.core.access.allowing(self.method, conn.peer()),
            Origin::Detached(_) => None,
        }
    }

    /// The process that calls, as a descriptor that never comes to mean another process, for audits:
    /// [`Link::peer_process`](crate::transport::Link::peer_process).
    #[cfg(unix)]
    #[must_use]
    pub fn peer_process(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match &self.origin {
            Origin::Connection(conn, _) => conn.link.peer_process(),
            Origin::Detached(_) => None,
        }
    }

    /// When the client stops waiting; `None` if it waits for ever.
    ///
    /// Calls that the handler makes inherit it through the `inherit` of their options, for example
    /// [`UnaryCall::inherit`](crate::client::UnaryCall::inherit).
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

    /// What [`add_trailer`](Self::add_trailer) has added so far.
    #[must_use]
    pub fn trailers(&self) -> Metadata {
        self.trailers.lock().clone()
    }

    /// Leaves a value for who comes after: an interceptor for the handler, mostly. One of the same
    /// type is replaced.
    pub fn insert_extension<T: Any + Send + Sync>(&self, value: T) {
        let mut extensions = self.extensions.lock();
        extensions.retain(|(id, _)| *id != TypeId::of::<T>());
        extensions.push((TypeId::of::<T>(), Arc::new(value)));
    }

    /// The value of type `T` that [`insert_extension`](Self::insert_extension) left.
    #[must_use]
    pub fn extension<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let extensions = self.extensions.lock();
        let (_, value) = extensions.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }

    /// Tells, also where nothing can be awaited, whether the call is still wanted.
    #[must_use]
    pub fn cancellation(&self) -> Cancellation {
        Cancellation {
            origin: self.origin.clone(),
        }
    }

    /// Ready when nobody wants the call any more: cancelled, past its deadline, or its connection lost.
    ///
    /// A handler's future is dropped then anyway; this is for work that it gave to others.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        let cancellation = self.cancellation();
        async move { cancellation.cancelled().await }
    }

    /// Ready when the server drains: it takes no more calls and waits, up to its grace, for those in
    /// flight. A stream without an end should end then.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        let draining = match &self.origin {
            Origin::Connection(conn, _) => conn.core.draining.clone(),
            Origin::Detached(detached) => detached.draining.clone(),
        };
        draining.cancelled_owned()
    }

    /// Runs `work` where it may block, and keeps the call's slot until it returns, even if the call
    /// ends before: a flood of calls can start no more of it than `max_calls` allows. Long work looks
    /// at [`cancellation`](Self::cancellation) now and then.
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
        let hold = match &self.origin {
            Origin::Connection(conn, call) => Some(Hold::new(Arc::clone(conn), *call)),
            Origin::Detached(_) => None,
        };
        let task = tokio::task::spawn_blocking(move || {
            let _hold = hold;
            work()
        });
        async move { task.await? }
    }

    /// Why the call was stopped, if it was.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        match &self.origin {
            Origin::Connection(conn, call) => conn.session.lock().interruption(*call),
            Origin::Detached(detached) => detached
                .cancelled
                .is_cancelled()
                .then_some(Interruption::Cancelled),
        }
    }

    pub(crate) fn take_trailers(&self) -> Metadata {
        std::mem::take(&mut self.trailers.lock())
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("method", &self.method.path)
            .field("peer", self.peer())
            .field("deadline", &self.deadline)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// Whether a call is still wanted by its client: for threads, and for tasks that outlive the handler.
///
/// ```
/// use daemoneye_ipc::{CallContext, Status};
/// async fn sum(ctx: &CallContext, numbers: Vec<u64>) -> Result<u64, Status> {
///     let cancellation = ctx.cancellation();
///     ctx.spawn_blocking(move || {
///         let mut sum = 0_u64;
///         for chunk in numbers.chunks(1 << 20) {
///             if cancellation.is_cancelled() {
///                 return Err(Status::cancelled("nobody waits any more"));
///             }
///             sum = chunk.iter().fold(sum, |sum, number| sum.wrapping_add(*number));
///         }
///         Ok(sum)
///     })
///     .await
/// }
/// ```
#[derive(Clone)]
pub struct Cancellation {
    origin: Origin,
}

impl Cancellation {
    /// Whether nobody wants the call any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match &self.origin {
            Origin::Connection(conn, call) => !conn.session.lock().is_wanted(*call),
            Origin::Detached(detached) => detached.cancelled.is_cancelled(),
        }
    }

    /// Ready when nobody wants the call any more.
    pub async fn cancelled(&self) {
        match &self.origin {
            Origin::Connection(conn, call) => {
                let mut waiter = Waiter {
                    conn,
                    call: *call,
                    ticket: None,
                };
                poll_fn(|cx| waiter.poll(cx)).await;
            }
            Origin::Detached(detached) => detached.cancelled.cancelled().await,
        }
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// Waits for the end of a call, which keeps nothing of one who has stopped.
struct Waiter<'a> {
    conn: &'a Connection,
    call: CallId,
    ticket: Ticket,
}

impl Waiter<'_> {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let mut session = self.conn.session.lock();
        session.poll_cancelled(self.call, &mut self.ticket, cx)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.conn
                .with(|session| session.stop_waiting(self.call, ticket));
        }
    }
}

/// Keeps a call's slot while work that it started goes on.
struct Hold {
    conn: Arc<Connection>,
    call: CallId,
}

impl Hold {
    fn new(conn: Arc<Connection>, call: CallId) -> Self {
        conn.session.lock().hold(call);
        conn.core.counters.handlers.add(conn.id);
        Self { conn, call }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.conn.with(|session| session.release(self.call));
        self.conn.core.counters.handlers.sub(self.conn.id);
    }
}
