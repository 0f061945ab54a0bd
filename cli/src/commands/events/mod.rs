//! `events`: the agent's event bus.
//!
//! **Invariant**: as `commands`: what a command prints is all that it leaves behind.

mod publish;
mod stats;
mod stdin;
mod subscribe;

use std::path::Path;

use crate::{args::Events, connect, failure::Failure};

/// Runs the command and returns the exit code.
pub(crate) async fn run(file: Option<&Path>, events: Events) -> Result<u8, Failure> {
    match events {
        Events::Subscribe(args) => subscribe::run(file, args).await,
        Events::Publish(args) => {
            publish::run(connect::configuration(file, &args.agent.target())?, args).await
        }
        Events::Stats(args) => {
            stats::run(connect::configuration(file, &args.agent.target())?, args).await
        }
    }
}
