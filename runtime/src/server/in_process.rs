//! A server without an endpoint: clients within the same process connect to it through memory.
//!
//! **Invariant**: all but the socket is the real thing: frames, checksums, limits, deadlines, drain.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    client::{ChannelBuilder, Dial},
    config::IpcConfig,
    error::IpcError,
    transport::{Link, Peer, memory_pair},
};

/// Bytes that one direction of a connection holds, as a socket's buffer does.
const BUFFER_BYTES: usize = 64 << 10;

/// Connections that wait to be accepted.
const BACKLOG: usize = 128;

/// Connects to a server of the same process: [`ServerBuilder::in_process`](crate::ServerBuilder::in_process).
///
/// ```
/// use std::time::Duration;
/// use daemoneye_ipc::{IpcConfig, Server, health::HealthReporter};
/// use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let builder = Server::builder(IpcConfig::default()).health(HealthReporter::new());
/// let (server, within) = builder.in_process()?;
/// tokio::spawn(server.serve_until(std::future::pending(), Duration::ZERO));
///
/// let client = HealthClient::new(within.channel().connect().await?);
/// assert_eq!(client.ping(PingRequest { payload: "hello".into() }).await?.payload, "hello");
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct InProcess {
    config: IpcConfig,
    links: mpsc::Sender<Link>,
}

/// Where a server's connections come from when it has no endpoint.
#[derive(Debug)]
pub(super) struct Links(mpsc::Receiver<Link>);

impl InProcess {
    pub(super) fn new(config: IpcConfig) -> (Self, Links) {
        let (links, accepted) = mpsc::channel(BACKLOG);
        (Self { config, links }, Links(accepted))
    }

    /// Begins a channel to the server, with the server's own settings. It reconnects as one to an
    /// endpoint does.
    #[must_use]
    pub fn channel(&self) -> ChannelBuilder {
        let within = self.clone();
        let dial = Dial::Within(Arc::new(move || within.dial()));
        ChannelBuilder::new(self.config.clone()).dial(dial)
    }

    pub(crate) const fn config(&self) -> &IpcConfig {
        &self.config
    }

    /// A connection to the server, for a client that is not this library's.
    ///
    /// # Errors
    /// [`IpcError::ServerNotFound`] if the server has ended; [`IpcError::Busy`] if it does not accept.
    pub fn dial(&self) -> Result<Link, IpcError> {
        self.dial_as(&Peer::current())
    }

    /// A connection that the server sees as coming from `peer`.
    pub(crate) fn dial_as(&self, peer: &Peer) -> Result<Link, IpcError> {
        let (client, server) = memory_pair(BUFFER_BYTES);
        let server = server.with_peer(peer.clone());
        self.links.try_send(server).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => IpcError::ServerNotFound {
                endpoint: self.config.endpoint_path.display().to_string(),
            },
            mpsc::error::TrySendError::Full(_) => IpcError::Busy {
                reason: format!("{BACKLOG} connections wait to be accepted"),
            },
        })?;
        Ok(client)
    }
}

impl Links {
    pub(super) async fn accept(&mut self) -> Link {
        match self.0.recv().await {
            Some(link) => link,
            // Nobody can connect any more; those who are connected are still served.
            None => std::future::pending().await,
        }
    }
}
