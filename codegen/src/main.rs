//! The command of the generator, for code that is checked in. It builds when that code does not.
//!
//! **Invariant**: only arguments and exit codes are handled here; the work is the library's.
#![expect(
    clippy::print_stdout,
    reason = "a command's report goes to standard output"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use daemoneye_ipc_codegen::{Error, project::Project};

#[derive(Parser)]
#[command(version, about = "Generates Rust from the schemas of a folder")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Brings generated code up to date with its schemas
    Generate {
        /// Writes nothing; fails, with a diff, when something is out of date
        #[arg(long)]
        check: bool,
        /// The folder of the schemas
        #[arg(long, default_value = "schemas")]
        schemas: PathBuf,
        /// Puts all packages into this folder, whatever generate.toml in the schemas' folder says
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let Command::Generate {
        check,
        schemas,
        out,
    } = Arguments::parse().command;
    match generate(check, schemas, out) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(check: bool, schemas: PathBuf, out: Option<PathBuf>) -> Result<ExitCode, Error> {
    let project = match out {
        Some(out) => Project::single(schemas, &out),
        None => Project::open(schemas)?,
    };
    if !check {
        println!("{}", project.write()?);
        return Ok(ExitCode::SUCCESS);
    }
    let staleness = project.check()?;
    println!("{staleness}");
    Ok(if staleness.is_fresh() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
