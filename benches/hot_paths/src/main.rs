//! Counts the instructions of each path with callgrind, and holds them to their budgets.
//!
//! Plain callgrind, by which this program runs itself: a framework around it would need a program of its own to be
//! installed, of the same version, and its limits are per run and not in a file.
//!
//! **Invariant**: only turns are counted, not what makes them ready; each path is counted in a process of its own.

mod budgets;
mod callgrind;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Parser;
use ipc_hot_paths::{PATHS, Path, Turn};

use self::budgets::Budgets;

/// Turns that are counted.
const TURNS: u32 = 20;

/// Turns before these.
const WARM_TURNS: u32 = 20;

/// Holds the instructions of the hot paths to budgets.txt. Exit code 1: a budget is passed or missing.
#[derive(Parser)]
struct Cli {
    /// Only paths whose name has this in it.
    #[arg(long)]
    only: Option<String>,
    /// Writes what was counted to budgets.txt; tolerances stay.
    #[arg(long)]
    update: bool,
    /// Goes one path under callgrind.
    #[arg(long, hide = true)]
    turns_of: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if let Some(name) = &cli.turns_of {
        let path = PATHS.iter().find(|path| path.name == *name);
        let mut turn = path.context("there is no such path")?.warm(WARM_TURNS);
        for _ in 0..TURNS {
            counted_turn(&mut turn);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = |path: &&Path| {
        cli.only
            .as_ref()
            .is_none_or(|part| path.name.contains(part))
    };
    let paths: Vec<&Path> = PATHS.iter().filter(chosen).collect();
    if paths.is_empty() {
        bail!("no path has this in its name; without --only all are shown");
    }
    callgrind::install()?;
    let counts = callgrind::count(&paths)?;
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/budgets.txt"));
    let mut budgets = Budgets::read(&file)?;
    let verdicts = budgets.judge(&counts, cli.only.is_none());
    println!("{}", budgets::table(&verdicts));
    if cli.update {
        budgets.update(&counts, cli.only.is_none());
        budgets.write(&file)?;
        println!("written to {}", file.display());
        return Ok(ExitCode::SUCCESS);
    }
    Ok(budgets.conclude(&verdicts))
}

/// What callgrind counts: it knows this function by its name.
#[inline(never)]
fn counted_turn(turn: &mut Turn) {
    turn();
}
