//! `daemoneye-agent`: runs tasks on the process monitor, watches it, and raises alerts.
//!
//! [`run`] is the whole daemon; the binary only parses the command line. The parts: `link` follows the
//! process monitor and asks it for `hashes`, [`rules`] judge what it tells, `upload` takes rules in and
//! `ruleset` holds those in force, `alerts` keeps the verdicts, `tasks` runs single operations, `service`
//! answers calls.
//!
//! **Invariant**: the agent serves whether the process monitor is there or not, and never looks at
//! processes by itself.

mod alerts;
mod daemon;
mod hashes;
mod link;
pub mod rules;
mod ruleset;
mod service;
mod state;
mod tasks;
mod upload;

pub use self::daemon::{DEFAULT_ENDPOINT, Options, run, run_with_rules};
