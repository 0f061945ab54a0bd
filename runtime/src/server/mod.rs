//! Serving: accepts connections, checks who they are, and runs the services' handlers.
//!
//! **Invariant**: a peer that the policy does not let in is closed before one byte of it is read.

mod call;
mod connection;
mod context;
mod driver;
mod inbound;
mod signal;
mod stats;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    path::Path,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

pub use self::{
    call::{HandlerSlot, ServerCall, Service},
    context::CallContext,
    inbound::Inbound,
    signal::shutdown_signal,
    stats::ServerStats,
};
use self::{connection::Connection, driver::Driver, stats::Counters};
use crate::{
    config::IpcConfig,
    error::IpcError,
    health::{HealthReporter, HealthService},
    reflection::ReflectionService,
    schema::{health::v1::HealthServer, reflection::v1::ReflectionServer},
    session::{Registry, SessionConfig},
    status::Code,
    transport::{EndpointOptions, Link, Listener, PeerPolicy},
    wire::{Head, Kind, append_head},
};

/// Time that connections have to notice that they were aborted, after the grace of a drain.
const ABORT_WAIT: Duration = Duration::from_millis(50);

/// What the connections of a server share.
pub(crate) struct ServerCore {
    pub(crate) session: SessionConfig,
    pub(crate) registry: Arc<Registry>,
    pub(crate) services: Vec<Arc<dyn Service>>,
    pub(crate) counters: Counters,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    next_id: AtomicU64,
}

impl ServerCore {
    pub(crate) fn forget(&self, id: u64) {
        // The connection is dropped after the lock is released.
        let gone = self.connections.lock().remove(&id);
        drop(gone);
    }

    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        self.connections.lock().values().cloned().collect()
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

/// Collects what a [`Server`] needs.
pub struct ServerBuilder {
    config: IpcConfig,
    services: Vec<Arc<dyn Service>>,
    policy: PeerPolicy,
    reflection: bool,
}

impl ServerBuilder {
    /// Adds a service, usually a generated `…Server` around a handler.
    #[must_use]
    pub fn add_service(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// Serves `daemoneye.health.v1.Health` with what `reporter` is told.
    #[must_use]
    pub fn health(self, reporter: HealthReporter) -> Self {
        self.add_service(HealthServer::new(HealthService::new(reporter)))
    }

    /// Serves `daemoneye.reflection.v1.Reflection` over all services of this server.
    #[must_use]
    pub const fn reflection(mut self) -> Self {
        self.reflection = true;
        self
    }

    /// Who may connect; by default the server's own user and root.
    #[must_use]
    pub fn peer_policy(mut self, policy: PeerPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Binds the endpoint. Nothing is served before [`Server::serve_until`].
    ///
    /// # Errors
    /// [`IpcError::Config`] for a setting or a service that is there twice; [`IpcError::Endpoint`] if
    /// the path cannot be used, for example because a live server has it.
    pub async fn bind(mut self) -> Result<Server, IpcError> {
        self.config.validate()?;
        let mut registry = Registry::default();
        if self.reflection {
            let mut described: Vec<_> = self.services.iter().map(|s| s.descriptor()).collect();
            described.push(crate::schema::reflection::v1::REFLECTION_SERVICE);
            self = self.add_service(ReflectionServer::new(ReflectionService::new(described)));
        }
        for service in &self.services {
            registry
                .add(service.descriptor())
                .map_err(IpcError::config)?;
        }
        let listener =
            Listener::bind(&self.config.endpoint_path, &EndpointOptions::default()).await?;
        let core = ServerCore {
            session: SessionConfig::from(&self.config),
            registry: Arc::new(registry),
            services: self.services,
            counters: Counters::default(),
            connections: Mutex::default(),
            next_id: AtomicU64::new(1),
        };
        Ok(Server {
            core: Arc::new(core),
            listener,
            config: self.config,
            policy: self.policy,
        })
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self
            .services
            .iter()
            .map(|service| service.descriptor().name);
        f.debug_struct("ServerBuilder")
            .field("services", &services.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A server that is bound to its endpoint.
#[derive(Debug)]
pub struct Server {
    core: Arc<ServerCore>,
    listener: Listener,
    config: IpcConfig,
    policy: PeerPolicy,
}

/// How a server ended.
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
        ServerBuilder {
            config,
            services: Vec::new(),
            policy: PeerPolicy::same_user(),
            reflection: false,
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
        ServerStats::new(&self.core)
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
        let Self {
            core,
            listener,
            config,
            policy,
        } = self;
        let connections = TaskTracker::new();
        let mut shutdown = pin!(shutdown);
        let served = loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break Ok(()),
                link = listener.accept() => match link {
                    Ok(link) => admit(&core, &config, &policy, &connections, link),
                    Err(error) => break Err(error),
                },
            }
        };
        drop(listener);
        let report = drain(&core, &connections, grace).await;
        served.map(|()| report)
    }
}

/// Lets a new connection in, or tells it why not.
fn admit(
    core: &Arc<ServerCore>,
    config: &IpcConfig,
    policy: &PeerPolicy,
    connections: &TaskTracker,
    link: Link,
) {
    if let Err(reason) = policy.evaluate(link.peer()) {
        tracing::warn!(uid = link.peer().uid, %reason, "a connection was refused");
        return refuse(config, &link, Code::PermissionDenied, &reason.to_string());
    }
    let limit = config.max_connections;
    if core.connections.lock().len() >= limit {
        tracing::warn!(
            limit,
            "a connection was refused: the server is at its limit"
        );
        let reason = format!("{limit} connections are open, which is the server's limit");
        return refuse(config, &link, Code::ResourceExhausted, &reason);
    }
    let id = core.next_id.fetch_add(1, Ordering::Relaxed);
    let conn = Arc::new(Connection::new(
        id,
        link,
        Arc::clone(core),
        crate::driver::now(),
    ));
    core.connections.lock().insert(id, Arc::clone(&conn));
    connections.spawn(Driver::new(conn));
}

/// Says GOAWAY, if the socket takes it at once, and closes.
fn refuse(config: &IpcConfig, link: &Link, code: Code, reason: &str) {
    let head = Head {
        kind: Kind::Goaway,
        code: code as u32,
        reason,
        ..Head::default()
    };
    let mut frame = BytesMut::new();
    if append_head(
        &mut frame,
        config.crc32_variant,
        config.max_frame_bytes,
        &head,
    )
    .is_ok()
    {
        let _ = link.send_now(&frame);
    }
    link.shutdown();
}

/// Ends all connections in order, and by force what is left after `grace`.
async fn drain(core: &ServerCore, connections: &TaskTracker, grace: Duration) -> DrainReport {
    let open = core.connections();
    let in_flight: usize = open
        .iter()
        .map(|conn| conn.session.lock().calls_open())
        .sum();
    for conn in &open {
        conn.drain();
    }
    connections.close();
    if tokio::time::timeout(grace, connections.wait())
        .await
        .is_ok()
    {
        return DrainReport {
            finished: in_flight,
            aborted: 0,
        };
    }
    let aborted: usize = core.connections().iter().map(|conn| conn.abort()).sum();
    let _ = tokio::time::timeout(ABORT_WAIT, connections.wait()).await;
    DrainReport {
        finished: in_flight.saturating_sub(aborted),
        aborted,
    }
}
