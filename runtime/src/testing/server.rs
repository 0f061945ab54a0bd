//! A server within a test.
//!
//! **Invariant**: everything around the service but the socket is what runs in production.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinHandle};

use super::faults::{self, Faults};
use crate::{
    client::{Channel, ChannelBuilder, Dial},
    config::IpcConfig,
    error::IpcError,
    server::{DrainReport, InProcess, Server, ServerBuilder, ServerStats, Service},
    transport::Peer,
};

/// Serves one service with the default settings, within the process.
///
/// # Panics
/// Outside of a tokio runtime.
///
/// ```
/// # use daemoneye_ipc::health::{HealthReporter};
/// # use daemoneye_ipc::__private::{HandlerSlot, ServerCall, Service};
/// # use daemoneye_ipc::descriptor::ServiceDescriptor;
/// # use daemoneye_ipc::schema::health::v1::{HEALTH_SERVICE, HealthClient, PingRequest, PingResponse};
/// # struct HealthServer;
/// # impl HealthServer { fn new(_: HealthReporter) -> Self { Self } }
/// # impl Service for HealthServer {
/// #     fn descriptor(&self) -> &'static ServiceDescriptor { HEALTH_SERVICE }
/// #     fn dispatch(&self, _: usize, call: ServerCall, slot: &mut HandlerSlot) {
/// #         slot.run(async move {
/// #             if let Some(request) = call.request::<PingRequest>() {
/// #                 call.reply(Ok(PingResponse { payload: request.payload }));
/// #             }
/// #         });
/// #     }
/// # }
/// # let handler = HealthReporter::new();
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
/// let server = daemoneye_ipc::testing::serve(HealthServer::new(handler));
/// let client = HealthClient::new(server.channel());
/// assert_eq!(client.ping(PingRequest { payload: "x".into() }).await.unwrap().payload, "x");
/// # });
/// ```
#[must_use]
pub fn serve(service: impl Service) -> TestServer {
    let builder = Server::builder(IpcConfig::default()).add_service(service);
    #[expect(
        clippy::expect_used,
        reason = "the default settings and one service are always right"
    )]
    TestServer::start(builder).expect("the default settings are right")
}

/// A running server that only this process can reach. It stops when it is dropped.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
///
/// let client = HealthClient::new(server.channel());
/// client.ping(PingRequest::default()).await?;
/// assert_eq!(server.stats().calls_started(), 1);
/// assert_eq!(server.stop(std::time::Duration::from_secs(1)).await.aborted, 0);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug)]
pub struct TestServer {
    within: InProcess,
    stats: ServerStats,
    stop: Option<oneshot::Sender<Duration>>,
    served: JoinHandle<Result<DrainReport, IpcError>>,
}

impl TestServer {
    /// Starts the server that `builder` describes, whatever its endpoint.
    ///
    /// # Errors
    /// [`IpcError::Config`] for a setting or a service that is there twice.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(builder: ServerBuilder) -> Result<Self, IpcError> {
        let (server, within) = builder.in_process()?;
        let stats = server.stats();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.serve_with_grace(async {
            // A test that drops the server does not wait for anything.
            stopped.await.unwrap_or_default()
        }));
        Ok(Self {
            within,
            stats,
            stop: Some(stop),
            served,
        })
    }

    /// A channel to the server, connected by its first call, with the server's settings.
    ///
    /// # Panics
    /// Never: the settings were checked when the server was started.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.caller().channel()
    }

    /// Begins a channel that differs: another user, a bad connection, other settings, interceptors.
    #[must_use]
    pub fn caller(&self) -> TestCaller {
        TestCaller {
            within: self.within.clone(),
            config: self.within.config().clone(),
            peer: Peer::current(),
            faults: None,
        }
    }

    /// What the server holds now.
    #[must_use]
    pub const fn stats(&self) -> &ServerStats {
        &self.stats
    }

    /// Drains the server as [`Server::serve_until`] does.
    ///
    /// # Panics
    /// If the server's task has panicked.
    pub async fn stop(mut self, grace: Duration) -> DrainReport {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(grace);
        }
        #[expect(clippy::expect_used, reason = "a test wants to know")]
        let served = (&mut self.served).await.expect("the server panicked");
        served.unwrap_or_default()
    }
}

type PerConnection = Arc<dyn Fn(u64) -> Faults + Send + Sync>;

/// Who connects to a [`TestServer`], and how: [`TestServer::caller`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
/// use daemoneye_ipc::testing::{Fault, Faults};
/// use daemoneye_ipc::{IpcError, transport::Peer};
///
/// let stranger = Peer { uid: 12_345, gid: 12_345, gids: vec![], pid: None };
/// let client = HealthClient::new(server.caller().peer(stranger).channel());
/// let refused = client.ping(PingRequest::default()).await.unwrap_err();
/// assert!(matches!(refused.kind(), IpcError::PermissionDenied { .. }));
///
/// // The first connection is damaged; Ping may be sent again, and is.
/// let damaged = |number| match number {
///     0 => Faults::new().to_client(Fault::FlipBit { at: 9, bit: 0 }),
///     _ => Faults::new(),
/// };
/// let client = HealthClient::new(server.caller().faults(damaged).channel());
/// client.ping(PingRequest::default()).await?;
/// # Ok(()) })
/// # }
/// ```
#[derive(Clone)]
pub struct TestCaller {
    within: InProcess,
    config: IpcConfig,
    peer: Peer,
    faults: Option<PerConnection>,
}

impl TestCaller {
    /// Whom the server sees, in place of this process.
    #[must_use]
    pub fn peer(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// What is wrong with each connection, by its number from 0.
    #[must_use]
    pub fn faults(mut self, faults: impl Fn(u64) -> Faults + Send + Sync + 'static) -> Self {
        self.faults = Some(Arc::new(faults));
        self
    }

    /// The channel's settings, in place of the server's.
    #[must_use]
    pub fn config(mut self, config: IpcConfig) -> Self {
        self.config = config;
        self
    }

    /// A builder with all this, to add interceptors.
    #[must_use]
    pub fn builder(self) -> ChannelBuilder {
        let dialled = AtomicU64::new(0);
        let Self {
            within,
            config,
            peer,
            faults,
        } = self;
        let dial = move || {
            let link = within.dial_as(&peer)?;
            let number = dialled.fetch_add(1, Ordering::Relaxed);
            Ok(match &faults {
                Some(faults) => faults::relay(link, faults(number)),
                None => link,
            })
        };
        ChannelBuilder::new(config).dial(Dial::Within(Arc::new(dial)))
    }

    /// A channel with all this, connected by its first call.
    ///
    /// # Panics
    /// If [`config`](Self::config) was given settings that are wrong.
    #[must_use]
    pub fn channel(self) -> Channel {
        #[expect(clippy::expect_used, reason = "a test wants to know")]
        self.builder().lazy().expect("the settings are right")
    }
}

impl fmt::Debug for TestCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCaller")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
