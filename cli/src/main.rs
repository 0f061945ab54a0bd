//! `daemoneye-cli`: diagnoses DaemonEye IPC endpoints, shows what they serve, works on their schemas.
//!
//! Each command is one file under `commands`; what they share is around them: [`args`] parses,
//! [`output`] writes, [`report`] judges, [`explain`] says why and what next.
//!
//! **Invariant**: `main` alone decides the exit code, and every way out passes through it, so that
//! temporary files and child processes are gone by then.

mod args;
mod commands;
mod connect;
mod demo;
mod endpoint;
mod examination;
mod explain;
mod failure;
mod format;
mod output;
mod probe;
mod process;
mod records;
mod report;
mod socket;
mod stats;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::{args::Cli, failure::Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn report(failure: &Failure) {
    if let Some(message) = failure.message() {
        // Standard error may be gone too; there is nobody left to tell.
        let _ = std::io::Write::write_fmt(&mut anstream::stderr(), format_args!("{message}\n"));
    }
}
