//! What a channel can be told before it exists.
//!
//! **Invariant**: nothing is connected before the settings are known to be right.

use std::{fmt, sync::Arc};

use super::{
    Channel,
    interceptor::{ClientInterceptor, DynInterceptor},
};
use crate::{
    config::IpcConfig,
    descriptor::ServiceDescriptor,
    error::IpcError,
    session::SchemaPolicy,
    transport::{Link, PeerPolicy},
};

/// Collects what a [`Channel`] needs: [`Channel::builder`].
///
/// ```no_run
/// # async fn example() -> Result<(), daemoneye_ipc::IpcError> {
/// use daemoneye_ipc::{Channel, IpcConfig, SchemaPolicy};
/// let channel = Channel::builder(IpcConfig::new("/run/user/1000/app/app.sock"))
///     .schema_policy(SchemaPolicy::Warn)
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
pub struct ChannelBuilder {
    pub(super) config: IpcConfig,
    pub(super) policy: SchemaPolicy,
    pub(super) interceptors: Vec<Arc<dyn DynInterceptor>>,
    pub(super) services: Vec<&'static ServiceDescriptor>,
    pub(super) dial: Dial,
    pub(super) validates: bool,
    pub(super) trust: Option<PeerPolicy>,
}

/// Where connections come from.
#[derive(Clone)]
pub(crate) enum Dial {
    /// The endpoint of the configuration.
    Endpoint,
    /// Somewhere within the process.
    Within(Arc<dyn Fn() -> Result<Link, IpcError> + Send + Sync>),
}

impl ChannelBuilder {
    pub(crate) const fn new(config: IpcConfig) -> Self {
        Self {
            config,
            policy: SchemaPolicy::Require,
            interceptors: Vec::new(),
            services: Vec::new(),
            dial: Dial::Endpoint,
            validates: false,
            trust: None,
        }
    }

    /// What to do about services whose schema is not known to be compatible with the server's; by
    /// default their calls fail.
    #[must_use]
    pub const fn schema_policy(mut self, policy: SchemaPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Puts `interceptor` around every call, inside those that were added before it.
    #[must_use]
    pub fn interceptor(mut self, interceptor: impl ClientInterceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Checks requests before they leave, and responses as they arrive, by the rules of the schema. A
    /// request that breaks them fails as it would at the server, without having been sent; for a
    /// response that does, the call fails with INTERNAL.
    #[must_use]
    pub const fn validate(mut self) -> Self {
        self.validates = true;
        self
    }

    /// Which servers are trusted, by the user that they run as: nothing is sent to any other
    /// ([`IpcError::PeerNotTrusted`]). By default whom the settings name
    /// ([`peers.trust`](crate::config::PeersConfig::trust)), which is this process's own user and root.
    ///
    /// A connection within the process asks nobody.
    #[must_use]
    pub fn trust(mut self, servers: PeerPolicy) -> Self {
        self.trust = Some(servers);
        self
    }

    /// Names a service in the handshake, for the server's verdict on its schema. A generated client
    /// names its own; one that is made before the channel connects is early enough.
    #[must_use]
    pub fn service(mut self, service: &'static ServiceDescriptor) -> Self {
        self.services.push(service);
        self
    }

    /// Takes connections from `dial` in place of the endpoint.
    pub(crate) fn dial(mut self, dial: Dial) -> Self {
        self.dial = dial;
        self
    }

    /// A channel that connects when the first call needs it. Calls leave right behind the handshake,
    /// without a round trip in between.
    ///
    /// # Errors
    /// [`IpcError::Config`] for a wrong setting.
    pub fn lazy(self) -> Result<Channel, IpcError> {
        Channel::from_builder(self)
    }

    /// Connects and waits for the server's HELLO. One attempt is made.
    ///
    /// # Errors
    /// [`IpcError::Config`] for a wrong setting, else why the attempt failed.
    pub async fn connect(self) -> Result<Channel, IpcError> {
        let channel = self.lazy()?;
        channel.shared().acquire_ready().await?;
        Ok(channel)
    }
}

impl fmt::Debug for ChannelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("endpoint", &self.config.endpoint_path)
            .field("policy", &self.policy)
            .field("interceptors", &self.interceptors.len())
            .finish_non_exhaustive()
    }
}
