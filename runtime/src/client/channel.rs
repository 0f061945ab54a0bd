//! A channel: one connection at a time to one endpoint, shared by all clones, that comes back by
//! itself.
//!
//! **Invariant**: a server is trusted before a byte is sent to it, and connecting never waits without
//! a limit.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    builder::{ChannelBuilder, Dial},
    connection::Connection,
    interceptor::DynInterceptor,
    keeper::{self, Breaker},
};
use crate::{
    config::IpcConfig,
    descriptor::ServiceDescriptor,
    error::{CallError, IpcError},
    session::{SchemaPolicy, SessionConfig},
    transport::{Peer, PeerPolicy},
    wire::Hello,
};

/// The path of the pseudo-method that [`Channel::ping`] reports in its errors.
const PING_PATH: &str = "PING";

/// A connection to a server, shared by all its clones.
///
/// It connects when it is first needed (or in [`Channel::connect`]), and again, with backoff, when
/// the connection is lost. It closes when the last clone is dropped and the last call has ended.
///
/// ```no_run
/// # async fn example() -> Result<(), daemoneye_ipc::IpcError> {
/// use daemoneye_ipc::{Channel, IpcConfig};
/// let channel = Channel::connect(IpcConfig::new("/run/user/1000/app/app.sock")).await?;
/// println!("{:?}", channel.state());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Channel(Arc<Owner>);

/// Dropped with the last clone.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the channel, its calls and the task that keeps it connected share.
pub(crate) struct Shared {
    pub(crate) config: IpcConfig,
    pub(crate) session: SessionConfig,
    pub(crate) policy: SchemaPolicy,
    pub(crate) endpoint: Arc<str>,
    pub(crate) dial: Dial,
    pub(crate) trust: PeerPolicy,
    interceptors: Arc<[Arc<dyn DynInterceptor>]>,
    validates: bool,
    services: Mutex<Vec<&'static ServiceDescriptor>>,
    current: Mutex<Option<Arc<Connection>>>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) last_failure: Mutex<Option<IpcError>>,
    pub(crate) breaker: Mutex<Breaker>,
    pub(crate) wanted: Notify,
    keeper_runs: Mutex<bool>,
    pub(crate) counters: Counters,
}

/// How connecting goes: the state, and how many attempts have failed since the channel was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) state: ChannelState,
    pub(crate) failures: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connects: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) retries: AtomicU64,
}

/// How long to wait for a server that cannot be reached now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all, once an attempt has failed.
    None,
    /// Until the next attempt has succeeded or failed.
    OneAttempt,
    /// Through as many attempts as the configuration allows.
    Attempts,
}

/// Where a channel stands.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use daemoneye_ipc::ChannelState;
///
/// let channel = server.channel();
/// assert_eq!(channel.state(), ChannelState::Idle);
/// channel.ping().await?;
/// assert_eq!(channel.state(), ChannelState::Ready);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelState {
    /// Not connected, and nothing asks for it.
    Idle,
    /// An attempt is under way.
    Connecting,
    /// Connected, handshake done.
    Ready,
    /// The last attempt failed; the next is made after a pause.
    Backoff,
    /// Several attempts in a row failed: calls fail at once until the next attempt.
    CircuitOpen,
    /// The one attempt that decides whether the circuit closes again is under way.
    CircuitHalfOpen,
    /// Closed by this side for good.
    Closed,
}

/// Counts since the channel was made.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
///
/// let channel = server.channel();
/// HealthClient::new(channel.clone()).ping(PingRequest::default()).await?;
/// let stats = channel.stats();
/// assert_eq!((stats.connects, stats.calls, stats.retries), (1, 1, 0));
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Connections that were made.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub failed_attempts: u64,
    /// Calls that were begun.
    pub calls: u64,
    /// Times that a call was sent again.
    pub retries: u64,
    /// Calls without an outcome on the current connection.
    pub calls_open: usize,
}

impl Channel {
    /// Begins a channel with `config`.
    #[must_use]
    pub const fn builder(config: IpcConfig) -> ChannelBuilder {
        ChannelBuilder::new(config)
    }

    /// Connects and waits for the server's HELLO: [`ChannelBuilder::connect`].
    ///
    /// # Errors
    /// [`IpcError::Config`] for a wrong setting, else why the attempt failed.
    pub async fn connect(config: IpcConfig) -> Result<Self, IpcError> {
        Self::builder(config).connect().await
    }

    /// A channel that connects when the first call needs it: [`ChannelBuilder::lazy`].
    ///
    /// # Errors
    /// [`IpcError::Config`] for a wrong setting.
    pub fn lazy(config: IpcConfig) -> Result<Self, IpcError> {
        Self::builder(config).lazy()
    }

    pub(super) fn from_builder(builder: ChannelBuilder) -> Result<Self, IpcError> {
        let ChannelBuilder {
            config,
            policy,
            interceptors,
            services,
            dial,
            validates,
            trust,
        } = builder;
        config.validate()?;
        let trust = match trust {
            Some(trust) => trust,
            None => PeerPolicy::trusted_by(&config.peers)?,
        };
        let idle = Progress {
            state: ChannelState::Idle,
            failures: 0,
        };
        let shared = Shared {
            session: SessionConfig::from(&config),
            policy,
            endpoint: config.endpoint_path.to_string_lossy().into(),
            dial,
            interceptors: interceptors.into(),
            validates,
            trust,
            services: Mutex::new(services),
            current: Mutex::default(),
            progress: watch::Sender::new(idle),
            last_failure: Mutex::default(),
            breaker: Mutex::new(Breaker::new(&config.circuit_breaker)),
            wanted: Notify::new(),
            keeper_runs: Mutex::new(false),
            counters: Counters::default(),
            config,
        };
        Ok(Self(Arc::new(Owner(Arc::new(shared)))))
    }

    /// Path of the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.0.0.endpoint
    }

    /// Where the channel stands.
    #[must_use]
    pub fn state(&self) -> ChannelState {
        self.0.0.progress.borrow().state
    }

    /// Waits until the state is another than `seen`, and returns it.
    pub async fn state_changed(&self, seen: ChannelState) -> ChannelState {
        let mut progress = self.0.0.progress.subscribe();
        match progress.wait_for(|progress| progress.state != seen).await {
            Ok(progress) => progress.state,
            Err(_) => ChannelState::Closed,
        }
    }

    /// Counts since the channel was made.
    #[must_use]
    pub fn stats(&self) -> ChannelStats {
        let shared = &self.0.0;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let current = shared.current.lock().clone();
        ChannelStats {
            connects: count(&shared.counters.connects),
            failed_attempts: shared.progress.borrow().failures,
            calls: count(&shared.counters.calls),
            retries: count(&shared.counters.retries),
            calls_open: current.map_or(0, |conn| conn.session.lock().calls_open()),
        }
    }

    /// The HELLO of the server that the channel is connected to.
    #[must_use]
    pub fn server_hello(&self) -> Option<Hello> {
        let current = self.0.0.current.lock().clone()?;
        current.session.lock().server_hello().cloned()
    }

    /// The server's process, as the kernel knows it; `None` while there is no connection.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        let current = self.0.0.current.lock().clone()?;
        Some(current.link.peer().clone())
    }

    /// Measures a round trip to the server's connection, without any handler. Connects if need be.
    ///
    /// # Errors
    /// If there is no connection, or it is lost, or no answer comes within `read_timeout_ms`.
    pub async fn ping(&self) -> Result<Duration, CallError> {
        let shared = &self.0.0;
        let error = |kind| CallError::new(kind, Arc::clone(&shared.endpoint), PING_PATH, false);
        let conn = shared.acquire_ready().await.map_err(error)?;
        let wait = PingWait {
            number: conn.with(|s| s.ping(crate::driver::now())),
            conn,
        };
        let pong = std::future::poll_fn(|cx| wait.conn.session.lock().poll_pong(wait.number, cx));
        match tokio::time::timeout(shared.session.read_timeout, pong).await {
            Ok(Ok(time)) => Ok(time),
            Ok(Err(fault)) => Err(error(wait.conn.error(&fault))),
            Err(_) => Err(error(IpcError::Timeout)),
        }
    }

    /// Closes the channel and all its clones: calls in flight may finish, new ones fail.
    pub fn close(&self) {
        self.0.0.close();
    }

    /// Names a service that is going to be called, so that the next handshake tells whether schemas fit.
    pub(crate) fn register(&self, service: &'static ServiceDescriptor) {
        let mut services = self.0.0.services.lock();
        if !services.iter().any(|known| known.name == service.name) {
            services.push(service);
        }
    }

    pub(super) fn interceptors(&self) -> &Arc<[Arc<dyn DynInterceptor>]> {
        &self.0.0.interceptors
    }

    pub(super) fn is_intercepted(&self) -> bool {
        !self.interceptors().is_empty()
    }

    /// Whether its calls check their messages by the rules of the schema.
    pub(super) fn validates(&self) -> bool {
        self.0.0.validates
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("endpoint", &self.endpoint())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

struct PingWait {
    conn: Arc<Connection>,
    number: u64,
}

impl Drop for PingWait {
    fn drop(&mut self) {
        self.conn.with(|session| session.forget_ping(self.number));
    }
}

impl Shared {
    pub(crate) fn services(&self) -> Vec<&'static ServiceDescriptor> {
        self.services.lock().clone()
    }

    /// The connection, whether or not new calls may be opened on it.
    pub(crate) fn current(&self) -> Option<Arc<Connection>> {
        self.current.lock().clone()
    }

    /// The connection, if new calls may be opened on it.
    fn usable(&self) -> Option<Arc<Connection>> {
        self.current().filter(|conn| conn.is_usable())
    }

    pub(crate) fn publish(&self, conn: Option<Arc<Connection>>) {
        // The old connection is dropped after the lock is released.
        let old = std::mem::replace(&mut *self.current.lock(), conn);
        drop(old);
    }

    pub(crate) fn set_state(&self, state: ChannelState) {
        self.progress.send_modify(|progress| {
            if progress.state != ChannelState::Closed {
                progress.state = state;
            }
        });
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.progress.borrow().state == ChannelState::Closed
    }

    fn close(&self) {
        self.set_state(ChannelState::Closed);
        self.wanted.notify_one();
        let current = self.current.lock().take();
        if let Some(conn) = current {
            conn.shutdown();
        }
    }

    /// Asks for a connection: starts the task that keeps one, or ends its rest.
    pub(crate) fn want(self: &Arc<Self>) {
        let runs = std::mem::replace(&mut *self.keeper_runs.lock(), true);
        if !runs {
            // Mostly the socket is connected at once: whoever wants it need not wait for another task's turn.
            let mut keeper = Box::pin(keeper::keep(Arc::clone(self)));
            let mut cx = Context::from_waker(Waker::noop());
            if keeper.as_mut().poll(&mut cx).is_pending() {
                tokio::spawn(keeper);
            }
        }
        self.wanted.notify_one();
    }

    /// The keeper's task ends: the next one who wants a connection starts another.
    pub(crate) fn keeper_ended(&self) {
        *self.keeper_runs.lock() = false;
    }

    /// Waits, as `patience` says, for a connection that calls may be opened on.
    pub(crate) async fn acquire(
        self: Arc<Self>,
        patience: Patience,
    ) -> Result<Arc<Connection>, IpcError> {
        let mut progress = self.progress.subscribe();
        let before = progress.borrow_and_update().failures;
        let attempts = match patience {
            Patience::None | Patience::OneAttempt => 1,
            Patience::Attempts => u64::from(self.config.reconnect.max_attempts),
        };
        let fails_fast = patience == Patience::None;
        loop {
            // Seen before it is looked for: what happens after is a change that wakes this task.
            let Progress { state, failures } = *progress.borrow_and_update();
            if let Some(conn) = self.usable() {
                return Ok(conn);
            }
            self.want();
            match state {
                ChannelState::Closed => return Err(IpcError::PeerClosed),
                ChannelState::CircuitOpen if fails_fast => {
                    let retry_in = self.breaker.lock().retry_in(crate::driver::now());
                    return Err(IpcError::CircuitBreakerOpen { retry_in });
                }
                ChannelState::Backoff if fails_fast => return Err(self.failure()),
                _ if failures - before >= attempts => return Err(self.failure()),
                _ if failures > before && self.failure().is_verdict() => {
                    return Err(self.failure());
                }
                _ => {}
            }
            if progress.changed().await.is_err() {
                return Err(IpcError::PeerClosed);
            }
        }
    }

    /// As [`Self::acquire`], failing fast, and waits for the handshake too.
    pub(crate) async fn acquire_ready(self: &Arc<Self>) -> Result<Arc<Connection>, IpcError> {
        let conn = Arc::clone(self).acquire(Patience::None).await?;
        match conn.handshake().await {
            Ok(_) => Ok(conn),
            Err(fault) => Err(conn.error(&fault)),
        }
    }

    fn failure(&self) -> IpcError {
        self.last_failure
            .lock()
            .as_ref()
            .map_or(IpcError::PeerClosed, IpcError::copy)
    }
}
