//! What a generated client is made of.
//!
//! **Invariant**: adds nothing to a call but which method it is.

use std::time::Duration;

use super::{
    BidiStreamingCall, Channel, ClientStreamingCall, ServerStreamingCall, UnaryCall, open::Spec,
};
use crate::{descriptor::ServiceDescriptor, metadata::Metadata};

/// A channel and the service that is called on it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use daemoneye_ipc::client::{Stub, UnaryCall};
/// use daemoneye_ipc::schema::health::v1::{HEALTH_SERVICE, PingRequest, PingResponse};
///
/// // What a generated client does for its third method:
/// let stub = Stub::new(server.channel(), HEALTH_SERVICE);
/// let call: UnaryCall<_, PingResponse> = stub.unary(2, PingRequest { payload: "hello".into() });
/// assert_eq!(call.await?.payload, "hello");
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Stub {
    channel: Channel,
    service: &'static ServiceDescriptor,
}

impl Stub {
    /// Calls `service` over `channel`.
    #[must_use]
    pub fn new(channel: Channel, service: &'static ServiceDescriptor) -> Self {
        channel.register(service);
        Self { channel, service }
    }

    /// The channel.
    #[must_use]
    pub const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// A call of the unary method with index `method`.
    ///
    /// # Panics
    /// As all four: if the service has no method with that index.
    pub fn unary<Req, Rep>(&self, method: usize, request: Req) -> UnaryCall<Req, Rep> {
        let timeout = self.channel.shared().session.read_timeout;
        UnaryCall::new(self.spec(method, Some(timeout)), request)
    }

    /// A call of the server-streaming method with index `method`.
    pub fn server_streaming<Req, Rep>(
        &self,
        method: usize,
        request: Req,
    ) -> ServerStreamingCall<Req, Rep> {
        ServerStreamingCall::new(self.spec(method, None), request)
    }

    /// A call of the client-streaming method with index `method`.
    pub fn client_streaming<Req, Rep>(&self, method: usize) -> ClientStreamingCall<Req, Rep> {
        ClientStreamingCall::new(self.spec(method, None))
    }

    /// A call of the bidirectional method with index `method`.
    pub fn bidi_streaming<Req, Rep>(&self, method: usize) -> BidiStreamingCall<Req, Rep> {
        BidiStreamingCall::new(self.spec(method, None))
    }

    fn spec(&self, method: usize, timeout: Option<Duration>) -> Spec {
        Spec {
            channel: self.channel.clone(),
            service: self.service,
            method: &self.service.methods[method],
            timeout,
            deadline: None,
            metadata: Metadata::new(),
            wait_for_ready: false,
        }
    }
}
