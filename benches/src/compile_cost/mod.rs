//! What it costs to compile a crate with one service of ten methods, beside the same crate on tonic and
//! on ttrpc: time, dependencies, generated lines, size.
//!
//! Each door is a crate of its own in a temporary folder, with the dependencies that cargo resolves today
//! and with the default profiles. It is built in turns with the others, and its program has to give the
//! right answer. Besides the time on the clock there is the time of all processors, which other work on
//! the machine disturbs less.
//!
//! **Invariant**: nothing is fetched while the clock runs, and no door has settings that another has not.

mod build;
mod door;
mod size;
mod table;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Args;

use self::{
    build::{Cargo, Cost},
    door::{Door, Edit},
    table::Table,
};

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rounds; each builds all crates, debug and release.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    doors: Vec<Door>,
    /// No round begins after so many minutes.
    #[arg(long, default_value_t = 120)]
    minutes: u64,
    /// A build that takes more minutes than this has failed.
    #[arg(long, default_value_t = 20)]
    build_minutes: u64,
    /// Also writes all figures here, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Builds that are timed.
const CLEAN_DEBUG: &str = "clean debug build";
const CLEAN_RELEASE: &str = "clean release build";
const FIELD: &str = "rebuild: a field more";
const METHOD: &str = "rebuild: a method more";
const HANDLER: &str = "rebuild: handler edited";

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let doors = match arguments.doors.as_slice() {
        [] => Door::ALL,
        some => some,
    };
    let cargo = Cargo::new(Duration::from_secs(60 * arguments.build_minutes));
    let mut table = Table::new(doors);
    for &door in doors {
        let crate_ = folder.path().join(door.name());
        door.lay_out(&crate_)?;
        eprintln!("{}: fetching", door.name());
        cargo.fetch(&crate_).await?;
        size::dependencies(door, &crate_, &cargo, &mut table).await?;
    }
    let begin = Instant::now();
    for round in 1..=arguments.rounds {
        if begin.elapsed() > Duration::from_secs(60 * arguments.minutes) {
            eprintln!("no time for round {round}");
            break;
        }
        for &door in doors {
            let crate_ = folder.path().join(door.name());
            eprintln!("round {round} of {}, {}", arguments.rounds, door.name());
            turn(door, &crate_, &cargo, &mut table)
                .await
                .with_context(|| format!("{}, round {round}", door.name()))?;
        }
    }
    println!("{}", table.markdown());
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&table.json(&cargo.versions().await?))?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// All builds of one crate.
async fn turn(door: Door, crate_: &Path, cargo: &Cargo, table: &mut Table) -> anyhow::Result<()> {
    door.clear(crate_)?;
    let mut add = |row: &'static str, cost: Cost| {
        eprintln!(
            "  {row}: {:.1} s, {:.1} s of processors",
            cost.clock, cost.processors
        );
        table.add_time(door, row, cost);
    };
    door.lay_out(crate_)?;
    add(CLEAN_DEBUG, cargo.build(crate_, false).await?);
    answers(crate_, "debug", "7 crate").await?;
    for (edit, row) in [
        (Edit::Field, FIELD),
        (Edit::Method, METHOD),
        (Edit::Handler, HANDLER),
    ] {
        door.edit(crate_, edit)?;
        let cost = cargo.build(crate_, false).await?;
        ensure!(cost.built, "an edit has rebuilt nothing ({row})");
        add(row, cost);
    }
    answers(crate_, "debug", "7 box").await?;
    door.lay_out(crate_)?;
    add(CLEAN_RELEASE, cargo.build(crate_, true).await?);
    answers(crate_, "release", "7 crate").await?;
    size::generated_lines(door, crate_, table)?;
    size::program(door, crate_, table).await
}

/// Lets the program serve, call itself, and print what the call gave.
async fn answers(crate_: &Path, profile: &str, expected: &str) -> anyhow::Result<()> {
    let socket = crate_.join("socket");
    if socket.exists() {
        std::fs::remove_file(&socket)?;
    }
    let program = crate_.join("target").join(profile).join("depot");
    let run = tokio::process::Command::new(&program)
        .arg(&socket)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .with_context(|| format!("{} does not end", program.display()))??;
    let (said, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success() && said.trim() == expected,
        "the program said `{said}` and not `{expected}`\n{error}"
    );
    Ok(())
}
