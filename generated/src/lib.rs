//! Typed clients and servers for the DaemonEye schemas, generated from `schemas/` and checked in.
//!
//! One module per package: `daemoneye.agent.v1` is [`agent::v1`]. The packages that the runtime itself
//! speaks ([`health`], [`ipc`], [`reflection`]) are generated into `daemoneye-ipc` and appear here
//! under the same names.
//!
//! For a service `Agent`, a module holds the trait `Agent` that a handler implements, `AgentServer` that
//! serves it, `AgentClient` that calls it, and its descriptor `AGENT_SERVICE`:
//!
//! ```
//! use std::time::Duration;
//!
//! use daemoneye_ipc::{CallContext, Channel, Inbound, IpcConfig, Server, Status, Stream};
//! use daemoneye_ipc_generated::agent::v1::{
//!     Agent, AgentClient, AgentServer, GetStatusRequest, GetStatusResponse, ListAlertsRequest,
//!     ListAlertsResponse, RunTaskRequest, RunTaskResponse, UploadRulesRequest, UploadRulesResponse,
//! };
//!
//! struct Idle;
//!
//! impl Agent for Idle {
//!     async fn run_task(&self, _: &CallContext, _: RunTaskRequest) -> Result<RunTaskResponse, Status> {
//!         Err(Status::unavailable("there is no process monitor"))
//!     }
//!     async fn get_status(
//!         &self,
//!         _: &CallContext,
//!         _: GetStatusRequest,
//!     ) -> Result<GetStatusResponse, Status> {
//!         Ok(GetStatusResponse { events: 7, ..GetStatusResponse::default() })
//!     }
//!     async fn list_alerts(
//!         &self,
//!         _: &CallContext,
//!         _: ListAlertsRequest,
//!     ) -> Result<impl Stream<Item = Result<ListAlertsResponse, Status>>, Status> {
//!         Ok(futures_util::stream::empty())
//!     }
//!     async fn upload_rules(
//!         &self,
//!         _: &CallContext,
//!         mut rules: Inbound<UploadRulesRequest>,
//!     ) -> Result<UploadRulesResponse, Status> {
//!         while rules.message().await?.is_some() {}
//!         Ok(UploadRulesResponse::default())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let config = IpcConfig::new(dir.path().join("agent.sock"));
//! let server = Server::builder(config.clone()).add_service(AgentServer::new(Idle)).bind().await?;
//! tokio::spawn(server.serve_until(std::future::pending(), Duration::ZERO));
//!
//! let client = AgentClient::new(Channel::connect(config).await?);
//! assert_eq!(client.get_status(GetStatusRequest {}).await?.events, 7);
//! # Ok(())
//! # }
//! ```
//!
//! After a change of a schema: `cargo run -p daemoneye-ipc-codegen -- generate`.
//!
//! **Invariant**: holds generated code and these names for it; nothing here is written by hand.

#[rustfmt::skip]
mod generated;

pub use ::daemoneye_ipc::schema::{health, ipc, reflection};

pub use crate::generated::daemoneye::*;
