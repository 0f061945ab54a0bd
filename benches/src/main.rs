//! `ipc-bench`: measures the call layer against what it stands on. One file per workload.
//!
//! Of calls, client and server are two processes, each with one thread; the program starts itself as the
//! server. Contenders are measured in turns, so that whatever else the machine does meets them all.
//!
//! **Invariant**: prints what was measured and judges nothing; no figure comes from another run.

mod compile_cost;
mod measure;
mod server;
mod unread;

use clap::{Parser, Subcommand};

/// Benchmarks of DaemonEye IPC. Build with `--release`, and let the machine be idle.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Debug, Subcommand)]
enum Workload {
    /// Echo beside a stream that nobody reads, against ping-pong on a bare socket.
    Unread(unread::Arguments),
    /// A crate with one service of ten methods, compiled; beside the same on tonic and on ttrpc.
    CompileCost(compile_cost::Arguments),
    /// The server's process.
    #[command(hide = true)]
    Serve(server::Arguments),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().workload {
        Workload::Unread(arguments) => unread::run(arguments).await,
        Workload::CompileCost(arguments) => compile_cost::run(arguments).await,
        Workload::Serve(arguments) => server::serve(arguments).await,
    }
}
