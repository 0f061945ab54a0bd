//! `ipc-bench`: measures the call layer against what it stands on. One file per workload.
//!
//! Of calls, client and server are two processes; the program starts itself as both. Contenders are
//! measured in turns, so that whatever else the machine does meets them all.
//!
//! **Invariant**: no figure comes from another run.

mod bars;
mod compile_cost;
mod contenders;
mod measure;
mod page;
mod process;
mod raw;
mod records;
mod results;
mod run;
mod server;
mod table;
mod unread;
mod workloads;

use clap::{Parser, Subcommand};

/// Benchmarks of DaemonEye IPC. Build with `--release`, and let the machine be idle.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Debug, Subcommand)]
enum Workload {
    /// All contenders with all workloads, in turns; a table, and the bars.
    Run(run::Arguments),
    /// Echo beside a stream that nobody reads, against ping-pong on a bare socket.
    Unread(unread::Arguments),
    /// A crate with one service of ten methods, compiled; beside the same on tonic and on ttrpc.
    CompileCost(compile_cost::Arguments),
    /// The server's process.
    #[command(hide = true)]
    Serve(server::Arguments),
    /// A contender's server.
    #[command(hide = true)]
    ServeContender(process::Served),
    /// A contender's client.
    #[command(hide = true)]
    Drive(workloads::Driven),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().workload {
        Workload::Run(arguments) => in_one_thread(run::run(arguments)),
        Workload::Unread(arguments) => in_one_thread(unread::run(arguments)),
        Workload::CompileCost(arguments) => in_one_thread(compile_cost::run(arguments)),
        Workload::Serve(arguments) => in_one_thread(server::serve(arguments)),
        Workload::ServeContender(arguments) => process::serve(arguments),
        Workload::Drive(arguments) => workloads::drive(arguments),
    }
}

fn in_one_thread(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(command)
}
