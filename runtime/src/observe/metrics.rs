//! Counters of calls, through the `metrics` facade.
//!
//! **Invariant**: labels come from the schema and the status codes alone, so that their number is known.

use ::metrics::{counter, gauge, histogram};

use super::ended::{self, Ended};
use crate::{
    client::{ClientInterceptor, ClientNext, OutgoingCall, Reply},
    error::CallError,
    server::{InterceptedCall, Next, Response, ServerInterceptor},
    status::Status,
};

/// An interceptor, for servers and for channels, that counts calls (feature `metrics`).
///
/// | name | kind | labels | what |
/// |---|---|---|---|
/// | `ipc_server_calls_in_flight` | gauge | `method` | calls that are being answered |
/// | `ipc_server_calls_total` | counter | `method`, `code` | calls that ended |
/// | `ipc_server_call_seconds` | histogram | `method` | time from CALL to end |
///
/// A channel reports the same as `ipc_client_…`. `method` is `/<full service name>/<Method name>`, `code`
/// the name of the status code, `OK` for success. A call that was dropped by its caller is `CANCELLED`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// use daemoneye_ipc::{IpcConfig, Server, health::HealthReporter, observe::Metrics, testing::TestServer};
/// use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
///
/// let builder = Server::builder(IpcConfig::default()).health(HealthReporter::new()).interceptor(Metrics);
/// let server = TestServer::start(builder)?;
/// let channel = server.caller().builder().interceptor(Metrics).lazy()?;
/// HealthClient::new(channel).ping(PingRequest::default()).await?; // seen on both sides
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Metrics;

impl ServerInterceptor for Metrics {
    async fn intercept(&self, call: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
        let method = call.context().method().path;
        gauge!("ipc_server_calls_in_flight", "method" => method).increment(1.0);
        ended::serve(call, next, |Ended { code, time, .. }| {
            gauge!("ipc_server_calls_in_flight", "method" => method).decrement(1.0);
            counter!("ipc_server_calls_total", "method" => method, "code" => code.name())
                .increment(1);
            histogram!("ipc_server_call_seconds", "method" => method).record(time);
        })
        .await
    }
}

impl ClientInterceptor for Metrics {
    async fn intercept(
        &self,
        call: &mut OutgoingCall,
        next: ClientNext<'_>,
    ) -> Result<Reply, CallError> {
        let method = call.method().path;
        gauge!("ipc_client_calls_in_flight", "method" => method).increment(1.0);
        ended::call(call, next, |Ended { code, time, .. }| {
            gauge!("ipc_client_calls_in_flight", "method" => method).decrement(1.0);
            counter!("ipc_client_calls_total", "method" => method, "code" => code.name())
                .increment(1);
            histogram!("ipc_client_call_seconds", "method" => method).record(time);
        })
        .await
    }
}
