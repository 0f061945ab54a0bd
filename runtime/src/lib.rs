//! Schema-first RPC between the processes of one machine.
//!
//! The `.proto` schema is the one source of truth: the generator (`daemoneye-ipc-codegen`, in a
//! `build.rs`) or the attribute `#[ipc_service]` (feature `macros`) turns it into a handler trait, a server and a client.
//! This crate carries them: checksummed frames over Unix domain sockets and named pipes, any number of calls at once on
//! one connection, deadlines, cancellation and flow control, peers that the kernel vouches for.
//!
//! ```
//! use daemoneye_ipc::{Channel, IpcConfig, Server};
//! use daemoneye_ipc::health::HealthReporter;
//! use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! let config = IpcConfig::new(dir.path().join("app.sock"));
//! let server = Server::builder(config.clone()).health(HealthReporter::new()).bind().await?;
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let serving = tokio::spawn(server.serve_until(async { let _ = stopped.await; }, Duration::from_secs(5)));
//!
//! let client = HealthClient::new(Channel::connect(config).await?);
//! let pong = client.ping(PingRequest { payload: "hello".into() }).timeout(Duration::from_secs(1)).await?;
//! assert_eq!(pong.payload, "hello");
//!
//! let _ = stop.send(());
//! assert_eq!(serving.await??.aborted, 0);
//! # Ok(()) })
//! # }
//! ```
//!
//! **Invariant**: local only. Nothing here opens a network socket.

// Generated code names this crate by its path.
extern crate self as daemoneye_ipc;

#[cfg(not(any(unix, windows)))]
compile_error!("daemoneye-ipc serves Unix domain sockets and named pipes; this target has neither");

pub mod access;
pub mod client;
pub mod config;
pub mod descriptor;
mod driver;
pub mod error;
pub mod health;
mod introspection;
mod log;
pub mod metadata;
pub mod observe;
pub mod reflection;
pub mod schema;
pub mod server;
pub mod session;
pub mod status;
pub mod testing;
pub mod transport;
pub mod validate;
pub mod wire;

#[doc(hidden)]
pub mod __private;

pub use bytes;
#[cfg(feature = "macros")]
pub use daemoneye_ipc_macros::ipc_service;
pub use futures_core::Stream;
pub use prost;
pub use prost_types;

pub use self::{
    client::{Channel, ChannelBuilder, ChannelState, ChannelStats, Streaming},
    config::IpcConfig,
    error::{CallError, IpcError},
    metadata::Metadata,
    server::{
        CallContext, Cancellation, DrainReport, Inbound, Server, ServerBuilder, shutdown_signal,
    },
    session::SchemaPolicy,
    status::{Code, Status, StatusExt},
    transport::{Peer, PeerPolicy},
};

/// Includes the code that `build.rs` generated for a package.
///
/// ```text
/// daemoneye_ipc::include_schema!("inventory.v1");
/// ```
///
/// In a crate with `#![no_implicit_prelude]`, the module that it is in needs `use ::core::prelude::v1::*;`.
/// The module tree (`schema.rs`) sees to that itself.
#[macro_export]
macro_rules! include_schema {
    ($package:literal) => {
        ::core::include!(::core::concat!(
            ::core::env!("OUT_DIR"),
            "/",
            $package,
            ".rs"
        ));
    };
}
