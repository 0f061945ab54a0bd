//! A server within a test.
//!
//! **Invariant**: everything around the service but the socket is what runs in production.

use std::{
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

    /// A channel to the server, connected by its first call. It has the server's settings.
    ///
    /// # Panics
    /// Never: the settings were checked when the server was started.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.lazy(self.builder())
    }

    /// A channel that the server sees as coming from `peer`.
    ///
    /// # Panics
    /// Never: the settings were checked when the server was started.
    #[must_use]
    pub fn channel_as(&self, peer: Peer) -> Channel {
        let within = self.within.clone();
        let dial = move || within.dial_as(&peer);
        self.lazy(self.builder().dial(Dial::Within(Arc::new(dial))))
    }

    /// A channel whose connections are as bad as `faults` says, for each by its number from 0.
    ///
    /// # Panics
    /// Never: the settings were checked when the server was started.
    #[must_use]
    pub fn channel_through(
        &self,
        faults: impl Fn(u64) -> Faults + Send + Sync + 'static,
    ) -> Channel {
        let (within, dialled) = (self.within.clone(), AtomicU64::new(0));
        let dial = move || {
            let number = dialled.fetch_add(1, Ordering::Relaxed);
            Ok(faults::relay(within.dial()?, faults(number)))
        };
        self.lazy(self.builder().dial(Dial::Within(Arc::new(dial))))
    }

    /// Begins a channel to the server, to add interceptors or change its settings.
    #[must_use]
    pub fn builder(&self) -> ChannelBuilder {
        self.within.channel()
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

    #[expect(
        clippy::expect_used,
        clippy::unused_self,
        reason = "a server with these settings runs"
    )]
    fn lazy(&self, builder: ChannelBuilder) -> Channel {
        builder.lazy().expect("the settings are right")
    }
}
