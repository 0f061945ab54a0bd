//! Runs this program under callgrind, once for each path.
//!
//! **Invariant**: nothing is counted outside of `counted_turn`.

use std::{
    env,
    io::{self, Write},
    path::Path as File,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, bail};
use ipc_hot_paths::Path;

use super::TURNS;

/// Instructions of one unit of a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) name: &'static str,
    pub(crate) instructions: u64,
}

/// Installs valgrind unless it is there.
pub(crate) fn install() -> anyhow::Result<()> {
    let quiet =
        |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if quiet(Command::new("valgrind").arg("--version")).is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let as_root = quiet(Command::new("test").args(["-w", "/var/lib/dpkg"]))?.success();
    for step in [
        &["update", "-q"][..],
        &["install", "-qy", "--no-install-recommends", "valgrind"],
    ] {
        let mut command = Command::new(if as_root { "apt-get" } else { "sudo" });
        if !as_root {
            command.arg("apt-get");
        }
        let status = command.args(step).status();
        if !status.is_ok_and(|status| status.success()) {
            bail!("valgrind is missing and apt-get does not install it; install it by hand");
        }
    }
    Ok(())
}

/// Counts all paths, on all processors.
pub(crate) fn count(paths: &[&Path]) -> anyhow::Result<Vec<Count>> {
    let folder = tempfile::tempdir()?;
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = paths.len().div_ceil(workers);
    let parts: Vec<anyhow::Result<Vec<Count>>> = thread::scope(|scope| {
        let part = |paths| {
            let folder = folder.path();
            scope.spawn(move || run_all(paths, folder))
        };
        let running: Vec<_> = paths.chunks(share).map(part).collect();
        let ended = running.into_iter().map(|worker| worker.join());
        ended
            .map(|part| part.unwrap_or_else(|_| bail!("counting panicked")))
            .collect()
    });
    eprintln!();
    let mut counts = Vec::new();
    for part in parts {
        counts.extend(part?);
    }
    Ok(counts)
}

fn run_all(paths: &[&Path], folder: &File) -> anyhow::Result<Vec<Count>> {
    let count = |path: &&Path| {
        let count = run(path, folder).with_context(|| path.name.to_owned());
        let _ = write!(io::stderr(), ".");
        count
    };
    paths.iter().map(count).collect()
}

fn run(path: &Path, folder: &File) -> anyhow::Result<Count> {
    let file = folder.join(path.name.replace('/', "."));
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=*counted_turn*",
        ])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe()?)
        .args(["--turns-of", path.name])
        .output()?;
    if !output.status.success() {
        bail!(
            "callgrind failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let profile = std::fs::read_to_string(file)?;
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.context("callgrind tells no total")?.trim().parse()?;
    if total == 0 {
        bail!("callgrind did not meet `counted_turn`: is it inlined?");
    }
    Ok(Count {
        name: path.name,
        instructions: total / (path.units * u64::from(TURNS)),
    })
}
