//! A `tracing` span around each call.
//!
//! **Invariant**: fields name methods, peers and codes; nothing that travels in a message.

use tracing::{Instrument, Span, field::Empty};

use super::ended::{self, Ended};
use crate::{
    client::{ClientInterceptor, ClientNext, OutgoingCall, Reply},
    error::CallError,
    server::{InterceptedCall, Next, Response, ServerInterceptor},
    status::Status,
};

/// An interceptor, for servers and for channels, that puts a span around each call (feature `tracing`).
///
/// Spans have level INFO and are called `ipc.server` and `ipc.client`. Their fields follow
/// OpenTelemetry's conventions for RPC where these have a name: `otel.kind`, `rpc.system`, `rpc.method`
/// (`/<full service name>/<Method name>`), and `peer.user`, `peer.pid`, `endpoint`. When the call is
/// over, `code` and `messages` are recorded. What a handler logs is inside the span.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// use daemoneye_ipc::{IpcConfig, Server, health::HealthReporter, observe::Spans, testing::TestServer};
/// use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
///
/// let builder = Server::builder(IpcConfig::default()).health(HealthReporter::new()).interceptor(Spans);
/// let server = TestServer::start(builder)?;
/// let channel = server.caller().builder().interceptor(Spans).lazy()?;
/// HealthClient::new(channel).ping(PingRequest::default()).await?; // seen on both sides
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Spans;

impl ServerInterceptor for Spans {
    async fn intercept(&self, call: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
        let (method, peer) = (call.context().method().path, call.context().peer());
        let span = tracing::info_span!(
            "ipc.server",
            otel.kind = "server",
            rpc.system = "daemoneye-ipc",
            rpc.method = method,
            peer.user = %peer.user(),
            peer.pid = peer.pid,
            code = Empty,
            messages = Empty,
        );
        let report = span.clone();
        ended::serve(call, next, move |ended| record(&report, ended))
            .instrument(span)
            .await
    }
}

impl ClientInterceptor for Spans {
    async fn intercept(
        &self,
        call: &mut OutgoingCall,
        next: ClientNext<'_>,
    ) -> Result<Reply, CallError> {
        let span = tracing::info_span!(
            "ipc.client",
            otel.kind = "client",
            rpc.system = "daemoneye-ipc",
            rpc.method = call.method().path,
            endpoint = call.endpoint(),
            code = Empty,
            messages = Empty,
        );
        let report = span.clone();
        ended::call(call, next, move |ended| record(&report, ended))
            .instrument(span)
            .await
    }
}

fn record(span: &Span, ended: Ended) {
    span.record("code", ended.code.name());
    span.record("messages", ended.messages);
}
