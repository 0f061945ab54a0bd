//! `daemoneye-agent`: runs tasks on the process monitor, watches it, and raises alerts.
//!
//! [`run`] is the whole daemon; the binary only parses the command line. The parts: `link` follows the
//! process monitor and asks it for `hashes`, [`rules`] judge what it tells, `upload` takes rules in and
//! `ruleset` holds those in force, `alerts` keeps the verdicts, `tasks` runs single operations, `collectors`
//! knows the programs that collect, `service` answers calls. `bus` passes events on to those who want
//! them: `announce` publishes the agent's own, `eventbus` is the service.
//!
//! **Invariant**: the agent serves whether the process monitor is there or not, and never looks at
//! processes by itself.

mod alerts;
mod announce;
mod bus;
mod collectors;
mod daemon;
mod epoch;
mod eventbus;
mod hashes;
mod link;
pub mod rules;
mod ruleset;
mod service;
mod state;
mod tasks;
mod upload;

pub use self::daemon::{DEFAULT_ENDPOINT, Options, run, run_with_rules};
