//! One file per command, and the way from the command line to each.
//!
//! **Invariant**: commands share no state; what one prints is all that it leaves behind.

mod alerts;
mod call;
mod collectors;
mod describe;
mod events;
mod health_check;
mod ipc_inspect;
mod ipc_test;
mod list;
mod ps;
mod rules;
mod schema;
mod watch;

pub(crate) use health_check::examine;

use std::{future::Future, io};

use tokio::runtime::Builder;

use crate::{
    args::{Cli, Command, DemoChild, Ipc},
    connect,
    demo::{self, child},
    explain::Explanation,
    failure::Failure,
};

/// Runs what the command line asks for and returns the exit code.
pub(crate) fn run(cli: Cli) -> Result<u8, Failure> {
    let file = cli.config.as_deref();
    match cli.command {
        Command::HealthCheck(args) => {
            let config = connect::configuration(file, &args.target)?;
            alone(health_check::run(config, args.verbose, args.json))
        }
        Command::Ipc(Ipc::Test(args)) => {
            let config = connect::configuration(file, &args.target)?;
            alone(ipc_test::run(config, args))
        }
        Command::Ipc(Ipc::Inspect(args)) => {
            let config = connect::configuration(file, &args.target)?;
            alone(ipc_inspect::run(config, args))
        }
        Command::List(args) => alone(list::run(file, args)),
        Command::Describe(args) => alone(describe::run(file, args)),
        Command::Call(args) => alone(call::run(file, args)),
        Command::Ps(args) => {
            let config = connect::configuration(file, &args.target)?;
            alone(ps::run(config, args))
        }
        Command::Watch(args) => {
            let config = connect::configuration(file, &args.target)?;
            alone(watch::run(config, args))
        }
        Command::Rules(command) => alone(rules::run(file, command)),
        Command::Alerts(args) => alone(alerts::run(file, args)),
        Command::Collectors(command) => alone(collectors::run(file, command)),
        Command::Events(args) => alone(events::run(file, args)),
        Command::Schema(command) => schema::run(file, command),
        Command::Demo(args) => alone(demo::run(connect::base(file)?, file, args.json)),
        Command::DemoChild(DemoChild { parent, role }) => {
            child::tie_to_parent(parent);
            block_on(Builder::new_multi_thread(), child::play(role, file))
        }
    }
}

/// Runs `work` on this thread: the kernel ties a child process to the thread that started it, and a
/// single thread measures latency without hand-overs.
fn alone(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    block_on(Builder::new_current_thread(), work)
}

fn block_on(
    mut runtime: Builder,
    work: impl Future<Output = Result<u8, Failure>>,
) -> Result<u8, Failure> {
    runtime
        .enable_all()
        .build()
        .map_err(|error| no_runtime(&error))?
        .block_on(work)
}

fn no_runtime(error: &io::Error) -> Failure {
    let hint = "free some memory or file descriptors (ulimit -n) and try again";
    Failure::failed(
        "the asynchronous runtime does not start",
        Explanation::new(error.to_string(), hint),
    )
}
