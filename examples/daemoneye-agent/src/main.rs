//! The binary around the library: command line, log, exit code.
//!
//! **Invariant**: ends with 0 after a drain, with 2 for wrong settings, with 1 for everything else.

use std::{error::Error, process::ExitCode};

use clap::Parser;
use daemoneye_ipc::{IpcError, shutdown_signal};
use tracing_subscriber::EnvFilter;

/// Runs tasks on procmond, follows its processes and raises alerts, over local IPC.
///
/// Prints `ready PATH` when it serves; ends in order on SIGTERM and Ctrl-C. Logs to standard error what
/// RUST_LOG selects (default: info).
#[derive(Debug, Parser)]
#[command(name = "daemoneye-agent", version)]
struct Cli {
    #[command(flatten)]
    options: daemoneye_agent::Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match daemoneye_agent::run(cli.options, shutdown_signal()).await {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(if matches!(error, IpcError::Config { .. }) {
                2
            } else {
                1
            })
        }
    }
}

fn report(error: &IpcError) {
    let mut text = format!("daemoneye-agent: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // Standard error may be gone too; there is nobody left to tell.
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{text}\n"));
}
