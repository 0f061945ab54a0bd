//! The run: every contender with every workload, in turns, round after round.
//!
//! **Invariant**: one measurement at a time, and every contender's in each round of a workload. One that
//! fails is told of at the end, and stops no other.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::{
    bars::judge,
    contenders::{Contender, NAMES, Task, with_contender},
    page,
    process::Side,
    results::Results,
    table::{table, verdict_table},
    workloads::{ALL, About, Driven},
};

/// What is run.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Rounds; each measures all contenders.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Only these contenders, in this order, with commas between.
    #[arg(long, value_delimiter = ',')]
    contender: Vec<String>,
    /// Only these workloads, with commas between.
    #[arg(long, value_delimiter = ',')]
    workload: Vec<String>,
    /// Seconds that each measurement is timed: from 0.05 to 20.
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// Client and server on one core, in all workloads.
    #[arg(long)]
    pin: bool,
    /// Threads of the runtime of client and server each; without, its default, one for each processor.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The file for all samples, as JSON; without, `run.json` beside the program.
    #[arg(long)]
    json: Option<PathBuf>,
    /// The file for the tables and plots, which needs no other file to be looked at; without, `run.html` beside the program.
    #[arg(long)]
    html: Option<PathBuf>,
}

impl Arguments {
    fn contenders(&self) -> anyhow::Result<Vec<String>> {
        let all = NAMES.iter().map(|name| (*name).to_owned());
        only("contender", all.collect(), &self.contender)
    }

    fn workloads(&self) -> anyhow::Result<Vec<&'static About>> {
        let all = ALL.iter().map(|about| about.name.to_owned());
        let names = only("workload", all.collect(), &self.workload)?;
        let wanted = |about: &&About| names.iter().any(|name| name == about.name);
        Ok(ALL.iter().filter(wanted).collect())
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            (0.05..=20.0).contains(&self.seconds),
            "--seconds takes 0.05 to 20, not {}",
            self.seconds
        );
        for path in [self.json()?, self.html()?] {
            ensure!(
                folder(&path).is_dir() && !path.is_dir(),
                "{} cannot be written: it must be a file in a folder that exists",
                path.display()
            );
        }
        Ok(())
    }

    fn json(&self) -> anyhow::Result<PathBuf> {
        self.json.clone().map_or_else(|| beside("run.json"), Ok)
    }

    fn html(&self) -> anyhow::Result<PathBuf> {
        self.html.clone().map_or_else(|| beside("run.html"), Ok)
    }

    fn driven(&self, contender: &str, about: &About) -> Driven {
        let core = (self.pin || about.pinned).then(last_core);
        Driven {
            side: Side {
                contender: contender.to_owned(),
                core,
                threads: self.threads.map(usize::from),
            },
            workload: about.name.to_owned(),
            seconds: self.seconds,
        }
    }

    /// What figures depend on.
    fn settings(&self) -> serde_json::Value {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo").lines().find_map(|line| {
            Some(
                line.strip_prefix("model name")?
                    .split_once(": ")?
                    .1
                    .to_owned(),
            )
        });
        json!({
            "rounds": self.rounds,
            "seconds": self.seconds,
            "pin": self.pin,
            "threads": self.threads,
            "processors": last_core() + 1,
            "processor": processor,
            "kernel": read("/proc/sys/kernel/osrelease").trim(),
        })
    }
}

/// The names that are wanted; all, when none is.
fn only(kind: &str, all: Vec<String>, wanted: &[String]) -> anyhow::Result<Vec<String>> {
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!(
            "--{kind}: there is no {kind} {unknown:?}; there are {}",
            all.join(", ")
        );
    }
    Ok(if wanted.is_empty() {
        all
    } else {
        wanted.to_vec()
    })
}

/// The command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (contenders, workloads) = (arguments.contenders()?, arguments.workloads()?);
    arguments.check()?;
    if cfg!(debug_assertions) {
        eprintln!("built without --release: the figures say nothing about a release");
    }
    let mut results = Results {
        contenders,
        ..Results::default()
    };
    measure(&arguments, &workloads, &mut results).await?;
    let (source, verdicts) = judge(&results)?;
    println!("{}\n", table(&results, &workloads));
    if !verdicts.is_empty() {
        println!("{source}:\n{}", verdict_table(&verdicts));
    }
    let all = json!({ "settings": arguments.settings(), "results": results, "bars": verdicts });
    write(&arguments.json()?, &serde_json::to_vec_pretty(&all)?)?;
    let page = page::html(&results, &workloads, &source, &verdicts)?;
    write(&arguments.html()?, page.as_bytes())?;
    println!(
        "samples: {}\npage: {}",
        arguments.json()?.display(),
        arguments.html()?.display()
    );
    ensure!(
        results.failures.is_empty(),
        "{} measurements failed:\n{}",
        results.failures.len(),
        results.failures.join("\n")
    );
    Ok(())
}

async fn measure(
    arguments: &Arguments,
    workloads: &[&About],
    results: &mut Results,
) -> anyhow::Result<()> {
    let mut turns = Vec::new();
    for about in workloads {
        for contender in &results.contenders {
            if with_contender(contender, Can(about))? {
                turns.push((*about, contender.clone()));
            }
        }
    }
    let bar = ProgressBar::new(u64::from(arguments.rounds) * turns.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len}, {eta} left: {msg}",
    )?);
    bar.enable_steady_tick(Duration::from_secs(1));
    for round in 1..=arguments.rounds {
        for (about, contender) in &turns {
            bar.set_message(format!("{contender}, {}", about.name));
            match arguments.driven(contender, about).in_child().await {
                Ok(sample) => results.add(about.name, contender, sample),
                Err(error) => results.failures.push(format!(
                    "{contender}, {}, round {round}: {error:#}",
                    about.name
                )),
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Whether a contender can do what a workload asks.
struct Can<'a>(&'a About);

impl Task for Can<'_> {
    type Output = bool;

    fn with<C: Contender>(self) -> anyhow::Result<bool> {
        let needs = self.0.needs.iter();
        Ok(needs.copied().all(|need| C::FEATURES.contains(&need)))
    }
}

fn last_core() -> usize {
    std::thread::available_parallelism().map_or(0, |cores| cores.get() - 1)
}

/// A file beside this program.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the program does not know its own path")?;
    Ok(program.with_file_name(name))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Writes a file whole or not at all. A device or a pipe is written to, and not replaced.
fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let done = || {
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            std::fs::write(path, content)?;
            return Ok(());
        }
        let mut file = NamedTempFile::new_in(folder(path))?;
        file.write_all(content)?;
        file.persist(path)?;
        anyhow::Ok(())
    };
    done().with_context(|| format!("cannot write {}", path.display()))
}
