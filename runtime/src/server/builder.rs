//! What a server is told before it exists.
//!
//! **Invariant**: every mistake in it is an error before anything is served.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{
    InProcess, Server, ServerCore, ServerInterceptor, ServerStats, Service, Source, access::Access,
    interceptor::DynInterceptor, stats::Counters,
};
use crate::{
    config::IpcConfig,
    error::IpcError,
    health::{HealthReporter, HealthService},
    introspection::IntrospectionService,
    log::Throttle,
    reflection::ReflectionService,
    schema::{
        health::v1::HealthServer, introspection::v1::IntrospectionServer,
        reflection::v1::ReflectionServer,
    },
    session::{Registry, SessionConfig},
    transport::{EndpointOptions, Listener, PeerPolicy},
};

/// Collects what a [`Server`] needs.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.sock");
/// use daemoneye_ipc::{IpcConfig, PeerPolicy, Server, health::HealthReporter, observe::AuditLog};
///
/// let server = Server::builder(IpcConfig::new(path))
///     .health(HealthReporter::new())
///     .reflection()
///     .introspection()
///     .peer_policy(PeerPolicy::same_user().or_gid(50))
///     .interceptor(AuditLog::default())
///     .bind()
///     .await?;
/// # drop(server);
/// # Ok(()) })
/// # }
/// ```
pub struct ServerBuilder {
    config: IpcConfig,
    services: Vec<Arc<dyn Service>>,
    interceptors: Vec<Arc<dyn DynInterceptor>>,
    policy: Option<PeerPolicy>,
    reflection: bool,
    introspection: bool,
    diagnostics: PeerPolicy,
    validate_responses: bool,
}

impl ServerBuilder {
    pub(super) fn new(config: IpcConfig) -> Self {
        Self {
            config,
            services: Vec::new(),
            interceptors: Vec::new(),
            policy: None,
            reflection: false,
            introspection: false,
            diagnostics: PeerPolicy::same_user(),
            validate_responses: false,
        }
    }

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

    /// Serves `daemoneye.introspection.v1.Introspection`: connections, calls in flight, counters.
    #[must_use]
    pub const fn introspection(mut self) -> Self {
        self.introspection = true;
        self
    }

    /// Who may use reflection and introspection, of those who may connect; by default the server's own
    /// user and root.
    #[must_use]
    pub fn diagnostics_policy(mut self, policy: PeerPolicy) -> Self {
        self.diagnostics = policy;
        self
    }

    /// Checks what handlers answer by the rules of the schema too. An answer that breaks them is a
    /// neutral INTERNAL for the client; what is wrong with it goes to the log.
    #[must_use]
    pub const fn validate_responses(mut self) -> Self {
        self.validate_responses = true;
        self
    }

    /// Puts `interceptor` around every call, inside those that were added before it.
    #[must_use]
    pub fn interceptor(mut self, interceptor: impl ServerInterceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Who may connect; by default whom the settings name
    /// ([`peers.allow`](crate::config::PeersConfig::allow)), which is the server's own user and root.
    #[must_use]
    pub fn peer_policy(mut self, policy: PeerPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Binds the endpoint. Nothing is served before [`Server::serve_until`].
    ///
    /// # Errors
    /// [`IpcError::Config`] for a setting, for a service that is there twice, and for a user or a group that
    /// settings or a schema name and this system does not have; [`IpcError::Endpoint`] if
    /// the path cannot be used, for example because a live server has it.
    pub async fn bind(self) -> Result<Server, IpcError> {
        let (core, config, policy) = self.build()?;
        let options = EndpointOptions::of(&config.socket)?.for_clients(&policy);
        let listener = Listener::bind(&config.endpoint_path, &options).await?;
        Ok(Server::new(core, listener, config, policy))
    }

    /// Takes the endpoint's socket from the environment, or binds it: [`Server::from_env`].
    pub(super) async fn inherit_or_bind(self) -> Result<Server, IpcError> {
        let (core, config, policy) = self.build()?;
        let listener = match Listener::from_env(&config.endpoint_path)? {
            Some(listener) => listener,
            None => {
                let options = EndpointOptions::of(&config.socket)?.for_clients(&policy);
                Listener::bind(&config.endpoint_path, &options).await?
            }
        };
        Ok(Server::new(core, listener, config, policy))
    }

    /// A server without an endpoint, for clients within this process.
    ///
    /// # Errors
    /// [`IpcError::Config`] for a setting or a service that is there twice.
    pub fn in_process(self) -> Result<(Server, InProcess), IpcError> {
        let (core, config, policy) = self.build()?;
        let (within, links) = InProcess::new(config.clone());
        let server = Server {
            core,
            source: Source::Within(links),
            config,
            policy,
        };
        Ok((server, within))
    }

    fn build(mut self) -> Result<(Arc<ServerCore>, IpcConfig, PeerPolicy), IpcError> {
        self.config.validate()?;
        let own_stats = ServerStats::default();
        self = self.add_diagnostics(&own_stats);
        let mut registry = Registry::default();
        for service in &self.services {
            registry
                .add(service.descriptor())
                .map_err(IpcError::config)?;
        }
        let access = Access::of(registry.services())?;
        let policy = match self.policy {
            Some(policy) => policy,
            None => PeerPolicy::allowed_by(&self.config.peers)?,
        };
        let core = Arc::new(ServerCore {
            session: SessionConfig::from(&self.config),
            registry: Arc::new(registry),
            access,
            services: self.services,
            interceptors: self.interceptors,
            validate_responses: self.validate_responses,
            draining: CancellationToken::new(),
            counters: Counters::new(crate::driver::now()),
            connections: Mutex::default(),
            refusals: Throttle::default(),
            denials: Throttle::default(),
            faults: Throttle::default(),
            next_id: AtomicU64::new(1),
        });
        own_stats.watch(&core);
        Ok((core, self.config, policy))
    }

    /// Adds the services that show the server itself.
    fn add_diagnostics(mut self, stats: &ServerStats) -> Self {
        let policy = self.diagnostics.clone();
        if self.introspection {
            let service = IntrospectionService::new(stats.clone(), policy.clone());
            self = self.add_service(IntrospectionServer::new(service));
        }
        if self.reflection {
            let mut described: Vec<_> = self.services.iter().map(|s| s.descriptor()).collect();
            described.push(crate::schema::reflection::v1::REFLECTION_SERVICE);
            let service = ReflectionService::new(described, policy);
            self = self.add_service(ReflectionServer::new(service));
        }
        self
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
