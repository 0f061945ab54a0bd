//! Testing services and clients without a socket, in paused time if need be.
//!
//! * [`serve`] runs a service, with everything around it but the socket, and hands out channels to it.
//!   [`TestServer::caller`] plays another user, or one with a bad connection.
//! * [`context`] makes a [`CallContext`] and [`inbound`] a request stream, to call a handler's own
//!   methods.
//!
//! * [`endpoint`] names a place for a test that needs a real endpoint.
//!
//! All waiting is on tokio's clock: under `#[tokio::test(start_paused = true)]` deadlines, backoff and
//! stalls pass at once, and in order.
//!
//! ```
//! use daemoneye_ipc::schema::health::v1::{HealthClient, HealthServer, PingRequest};
//! # use daemoneye_ipc::{CallContext, Status, Stream};
//! # use daemoneye_ipc::schema::health::v1::{CheckRequest, CheckResponse, Health, PingResponse, WatchRequest, WatchResponse};
//! # struct Echo;
//! # impl Health for Echo {
//! #     async fn check(&self, _: &CallContext, _: CheckRequest) -> Result<CheckResponse, Status> { Ok(CheckResponse::default()) }
//! #     async fn watch(&self, _: &CallContext, _: WatchRequest) -> Result<impl Stream<Item = Result<WatchResponse, Status>> + Send, Status> { Ok(tokio_stream()) }
//! #     async fn ping(&self, _: &CallContext, request: PingRequest) -> Result<PingResponse, Status> { Ok(PingResponse { payload: request.payload }) }
//! # }
//! # fn tokio_stream() -> impl Stream<Item = Result<WatchResponse, Status>> + Send { Nothing }
//! # struct Nothing;
//! # impl Stream for Nothing {
//! #     type Item = Result<WatchResponse, Status>;
//! #     fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> { std::task::Poll::Ready(None) }
//! # }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
//! // `Echo` is a handler: here, one of daemoneye.health.v1.Health.
//! let server = daemoneye_ipc::testing::serve(HealthServer::new(Echo));
//! let client = HealthClient::new(server.channel());
//! assert_eq!(client.ping(PingRequest { payload: "hello".into() }).await?.payload, "hello");
//! # Ok(()) })
//! # }
//! ```
//!
//! **Invariant**: what is tested is what runs: nothing of the call layer is replaced but the socket.

mod context;
mod endpoint;
mod faults;
mod server;

pub use self::{
    context::{CallControl, TestContext, context, inbound},
    endpoint::endpoint,
    faults::{Fault, Faults},
    server::{TestCaller, TestServer, serve},
};
#[cfg(doc)]
use crate::server::CallContext;
