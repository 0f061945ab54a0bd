//! Serving: accepts connections, checks who they are, and runs the services' handlers.
//!
//! **Invariant**: a peer that the policy does not let in is closed before one byte of it is read.

mod access;
mod admission;
mod builder;
mod call;
mod connection;
mod context;
mod driver;
mod in_process;
mod inbound;
mod interceptor;
mod outbound;
mod signal;
mod stats;
mod tasks;
mod vetting;

use std::{
    fmt,
    future::Future,
    path::Path,
    pin::pin,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use self::{
    access::Access,
    admission::{Roster, admit},
    connection::Connection,
    in_process::Links,
    interceptor::DynInterceptor,
    stats::Counters,
    tasks::Tasks,
};
pub use self::{
    builder::ServerBuilder,
    call::{HandlerSlot, ServerCall, Service},
    context::{CallContext, Cancellation},
    in_process::InProcess,
    inbound::Inbound,
    interceptor::{InterceptedCall, Next, Response, ServerInterceptor},
    signal::shutdown_signal,
    stats::ServerStats,
};
pub(crate) use self::{connection::Connection as ServerConnection, context::Detached};
use crate::{
    config::IpcConfig,
    error::IpcError,
    log::Throttle,
    session::{Registry, SessionConfig},
    transport::{Link, Listener, PeerPolicy},
};

/// Time that connections have to notice that they were aborted, after the grace of a drain.
const ABORT_WAIT: Duration = Duration::from_millis(50);

/// What the connections of a server share.
pub(crate) struct ServerCore {
    pub(crate) session: SessionConfig,
    pub(crate) registry: Arc<Registry>,
    pub(crate) services: Vec<Arc<dyn Service>>,
    pub(crate) access: Access,
    pub(crate) interceptors: Vec<Arc<dyn DynInterceptor>>,
    pub(crate) validate_responses: bool,
    pub(crate) counters: Counters,
    /// Cancelled when the server begins to drain.
    pub(crate) draining: CancellationToken,
    connections: Mutex<Roster>,
    /// Lines in the log about connections that were refused, calls that were, and connections that ended in a fault.
    refusals: Throttle,
    pub(crate) denials: Throttle,
    pub(crate) faults: Throttle,
    next_id: AtomicU64,
}

impl ServerCore {
    pub(crate) fn forget(&self, id: u64) {
        // The connection is dropped after the lock is released.
        let gone = self.connections.lock().remove(id);
        if let Some(conn) = gone {
            self.counters.absorb(&conn);
        }
    }

    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        self.connections.lock().all()
    }
}

impl fmt::Debug for ServerCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.registry.services().iter().map(|service| service.name);
        f.debug_struct("ServerCore")
            .field("services", &services.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A server that is bound to its endpoint.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.sock");
/// use std::time::Duration;
/// use daemoneye_ipc::{IpcConfig, Server, health::HealthReporter};
///
/// let server = Server::builder(IpcConfig::new(path)).health(HealthReporter::new()).bind().await?;
/// let shutdown = async {}; // in a daemon: daemoneye_ipc::shutdown_signal()
/// let report = server.serve_until(shutdown, Duration::from_secs(10)).await?;
/// assert_eq!(report.aborted, 0);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    core: Arc<ServerCore>,
    source: Source,
    config: IpcConfig,
    policy: PeerPolicy,
}

/// Where connections come from.
#[derive(Debug)]
enum Source {
    Endpoint(Box<Listener>),
    Within(Links),
}

impl Source {
    async fn accept(&mut self) -> Result<Link, IpcError> {
        match self {
            Self::Endpoint(listener) => listener.accept().await,
            Self::Within(links) => Ok(links.accept().await),
        }
    }
}

/// How a server ended.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// let report = server.stop(std::time::Duration::from_secs(10)).await;
/// println!("{} calls finished, {} were stopped", report.finished, report.aborted);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrainReport {
    /// Calls that were in flight when the drain began and were answered.
    pub finished: usize,
    /// Calls that were not answered within the grace and were stopped.
    pub aborted: usize,
}

impl Server {
    /// Begins a server with `config`.
    #[must_use]
    pub fn builder(config: IpcConfig) -> ServerBuilder {
        ServerBuilder::new(config)
    }

    /// The server that `builder` describes, on the socket that a service manager has opened for it, or,
    /// if there is none, on its endpoint as [`ServerBuilder::bind`] does.
    ///
    /// Socket activation as sd_listen_fds(3) says (`LISTEN_FDS`, `LISTEN_PID`): of the sockets that were
    /// passed, the one is taken whose path is the endpoint. Clients can connect before the server runs,
    /// and while it is restarted: they wait. The socket is not removed when the server ends.
    ///
    /// The variables are removed from the environment, so call this before other threads read it.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), daemoneye_ipc::IpcError> {
    /// use daemoneye_ipc::{IpcConfig, Server, health::HealthReporter};
    /// let builder = Server::builder(IpcConfig::new("/run/app/app.sock")).health(HealthReporter::new());
    /// let server = Server::from_env(builder).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`ServerBuilder::bind`]; also if sockets were passed and none of them listens at the endpoint.
    pub async fn from_env(builder: ServerBuilder) -> Result<Self, IpcError> {
        builder.inherit_or_bind().await
    }

    fn new(
        core: Arc<ServerCore>,
        listener: Listener,
        config: IpcConfig,
        policy: PeerPolicy,
    ) -> Self {
        Self {
            core,
            source: Source::Endpoint(Box::new(listener)),
            config,
            policy,
        }
    }

    /// Path of the socket.
    #[must_use]
    pub fn endpoint(&self) -> &Path {
        &self.config.endpoint_path
    }

    /// A handle to the server's counters.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let stats = ServerStats::default();
        stats.watch(&self.core);
        stats
    }

    /// As [`Self::serve_until`], with a grace that `shutdown` resolves to.
    pub(crate) async fn serve_with_grace(
        self,
        shutdown: impl Future<Output = Duration>,
    ) -> Result<DrainReport, IpcError> {
        let Self {
            core,
            mut source,
            config,
            policy,
        } = self;
        let connections = Tasks::new();
        let mut shutdown = pin!(shutdown);
        let served = loop {
            tokio::select! {
                biased;
                grace = &mut shutdown => break Ok(grace),
                link = source.accept() => match link {
                    Ok(link) => {
                        admit(&core, &config, &policy, &connections, link);
                        // Those who connect together say HELLO before they are counted as silent.
                        tokio::task::yield_now().await;
                    }
                    Err(error) => break Err(error),
                },
            }
        };
        drop(source);
        let grace = served.as_ref().copied().unwrap_or_default();
        let report = drain(&core, connections, grace).await;
        served.map(|_| report)
    }

    /// Serves until `shutdown` is ready; then takes no more connections and calls, lets those in
    /// flight finish for up to `grace`, stops what is left, and removes the socket.
    ///
    /// # Errors
    /// If the listener fails for good.
    pub async fn serve_until(
        self,
        shutdown: impl Future<Output = ()>,
        grace: Duration,
    ) -> Result<DrainReport, IpcError> {
        self.serve_with_grace(async {
            shutdown.await;
            grace
        })
        .await
    }
}

/// Ends all connections in order, and by force what is left after `grace`.
async fn drain(core: &ServerCore, mut connections: Tasks, grace: Duration) -> DrainReport {
    let open = core.connections();
    let in_flight: usize = open
        .iter()
        .map(|conn| conn.session.lock().calls_open())
        .sum();
    core.draining.cancel();
    for conn in &open {
        conn.drain();
    }
    if tokio::time::timeout(grace, connections.ended())
        .await
        .is_ok()
    {
        return DrainReport {
            finished: in_flight,
            aborted: 0,
        };
    }
    let aborted: usize = core.connections().iter().map(|conn| conn.abort()).sum();
    let _ = tokio::time::timeout(ABORT_WAIT, connections.ended()).await;
    DrainReport {
        finished: in_flight.saturating_sub(aborted),
        aborted,
    }
}
