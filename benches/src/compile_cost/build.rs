//! Runs cargo, and says what it took.
//!
//! **Invariant**: settings of whoever started this program do not reach the builds.

use std::{env, fs, path::Path, process::Stdio, time::Duration, time::Instant};

use anyhow::{Context, ensure};
use tokio::process::Command;

/// What a build took, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) clock: f64,
    /// Of all processors, in user and kernel mode, of cargo and all that it started.
    pub(crate) processors: f64,
    /// Whether anything was compiled.
    pub(crate) built: bool,
}

/// Cargo, with a limit of time.
#[derive(Debug)]
pub(crate) struct Cargo {
    limit: Duration,
}

impl Cargo {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit }
    }

    /// Resolves the dependencies of a crate and downloads them.
    pub(crate) async fn fetch(&self, crate_: &Path) -> anyhow::Result<()> {
        self.run(crate_, &["fetch"]).await.map(drop)
    }

    pub(crate) async fn build(&self, crate_: &Path, release: bool) -> anyhow::Result<Cost> {
        let mut arguments = vec!["build", "--offline", "--locked"];
        arguments.extend(release.then_some("--release"));
        let (begin, before) = (Instant::now(), processors()?);
        let output = self.run(crate_, &arguments).await?;
        Ok(Cost {
            clock: begin.elapsed().as_secs_f64(),
            processors: processors()? - before,
            built: output.stderr.lines().any(|line| line.contains("Compiling")),
        })
    }

    /// The packages in a crate's tree, itself included, as cargo prints them.
    pub(crate) async fn tree(
        &self,
        crate_: &Path,
        edges: &str,
        package: &str,
    ) -> anyhow::Result<Vec<String>> {
        let arguments = [
            "tree",
            "--offline",
            "--locked",
            "--prefix=none",
            "--edges",
            edges,
            "--package",
            package,
        ];
        let output = self.run(crate_, &arguments).await?;
        let mut packages: Vec<String> = output
            .stdout
            .lines()
            .map(|line| line.trim_end_matches(" (*)").to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        packages.sort();
        packages.dedup();
        Ok(packages)
    }

    pub(crate) async fn versions(&self) -> anyhow::Result<String> {
        Ok(self
            .run(&env::temp_dir(), &["--version", "--verbose"])
            .await?
            .stdout)
    }

    async fn run(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            let where_cargo_is =
                matches!(&*text, "CARGO_HOME" | "RUSTUP_HOME" | "RUSTUP_TOOLCHAIN");
            if !where_cargo_is && (text.starts_with("CARGO") || text.starts_with("RUST")) {
                command.env_remove(name);
            }
        }
        let what = arguments.join(" ");
        let output = tokio::time::timeout(self.limit, command.output())
            .await
            .with_context(|| format!("cargo {what} took more than {} s", self.limit.as_secs()))?
            .context("cannot start cargo")?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success(),
            "cargo {what} in {} failed:\n{stderr}",
            folder.display()
        );
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Output { stdout, stderr })
    }
}

struct Output {
    stdout: String,
    stderr: String,
}

/// Seconds that processors have spent on the children of this process that have ended, and on theirs.
fn processors() -> anyhow::Result<f64> {
    let path = "/proc/self/stat";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    // Behind the name, which may hold anything: field 3 and on. `cutime` and `cstime` are 16 and 17.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>()?;
    ensure!(ticks.len() == 2, "{path} has no times of children");
    #[expect(clippy::cast_precision_loss, reason = "hundredths of seconds")]
    let seconds = ticks.iter().sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64;
    Ok(seconds)
}
