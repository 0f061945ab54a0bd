//! `daemoneye-agent`: runs tasks on the process monitor, watches it, and raises alerts.
//!
//! [`run`] is the whole daemon; the binary only parses the command line. The parts: `link` follows the
//! process monitor, [`rules`] judge what it tells, `alerts` keeps the verdicts, `tasks` runs single
//! operations, `service` answers calls.
//!
//! **Invariant**: the agent serves whether the process monitor is there or not, and never looks at
//! processes by itself.

mod alerts;
mod daemon;
mod link;
pub mod rules;
mod service;
mod state;
mod tasks;

pub use self::daemon::{DEFAULT_ENDPOINT, Options, run, run_with_rules};
