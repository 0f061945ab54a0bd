//! `daemoneye-cli`: diagnoses DaemonEye IPC endpoints, shows and calls what they serve, works on their
//! schemas.
//!
//! Each command is one file under `commands`; what they share is around them: `args` parses,
//! `output` writes, `report` judges, `explain` says why and what next.
//!
//! **Invariant**: `main` alone decides the exit code, and every way out passes through it, so that
//! temporary files and child processes are gone by then.

mod args;
mod commands;
mod connect;
mod demo;
#[cfg(unix)]
mod endpoint;
#[cfg(windows)]
#[path = "endpoint_windows.rs"]
mod endpoint;
mod examination;
mod explain;
mod failure;
mod format;
mod output;
mod printer;
mod probe;
mod process;
mod records;
mod reflection;
mod report;
mod rules_file;
mod schema;
mod socket;
mod stats;
mod table;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::{
    args::{Cli, Command},
    failure::Failure,
};

/// The whole program: parses the command line, runs what it asks for, returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log(if matches!(cli.command, Command::DemoChild(_)) {
        "info"
    } else {
        "off"
    });
    match commands::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Logs to standard error what RUST_LOG selects, else what `default` does.
fn log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

fn report(failure: &Failure) {
    if let Some(message) = failure.message() {
        // Standard error may be gone too; there is nobody left to tell.
        let _ = std::io::Write::write_fmt(&mut anstream::stderr(), format_args!("{message}\n"));
    }
}
