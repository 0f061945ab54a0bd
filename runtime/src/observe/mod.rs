//! Interceptors that watch: an audit log, and with the features of their names metrics and tracing
//! spans.
//!
//! ```
//! use daemoneye_ipc::{IpcConfig, Server, health::HealthReporter, observe::AuditLog};
//! let builder = Server::builder(IpcConfig::default())
//!     .health(HealthReporter::new())
//!     .interceptor(AuditLog::new(|record| println!("{record}")));
//! ```
//!
//! **Invariant**: what is reported of a call is who, what, how long and how it ended; never a message,
//! never metadata, never the text of a status.

mod audit;
mod ended;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tracing")]
mod spans;

pub use self::audit::{AuditLog, AuditRecord};
#[cfg(feature = "metrics")]
pub use self::metrics::Metrics;
#[cfg(feature = "tracing")]
pub use self::spans::Spans;
