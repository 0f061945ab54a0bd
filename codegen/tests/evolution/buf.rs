//! The reference program: `@bufbuild/buf` of npm, in the version that `.ci/run` installs.
//!
//! **Invariant**: it is asked once for many schemas, since its start takes longer than its work.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// A line of buf's output; of ours, the same keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub(crate) struct Line {
    pub(crate) path: String,
    pub(crate) start_line: u32,
    pub(crate) start_column: u32,
    pub(crate) end_line: u32,
    pub(crate) end_column: u32,
    #[serde(rename = "type")]
    pub(crate) rule: String,
    pub(crate) message: String,
}

/// Where the program is: what `BUF` names, else where `.ci/run` puts it.
pub(crate) fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("BUF") {
        return Some(named.into());
    }
    let modules =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/buf/node_modules/@bufbuild");
    let found = fs::read_dir(modules).ok()?.filter_map(Result::ok);
    let program = found.map(|entry| entry.path().join("bin/buf"));
    program
        .filter(|path| path.is_file() && path.parent().is_some_and(|bin| !bin.ends_with("buf/bin")))
        .min()
}

/// What buf says of the schemas in two folders, or the files that it does not take.
pub(crate) fn breaking(
    program: &Path,
    new: &Path,
    old: &Path,
    names: &[&str],
) -> Result<Vec<Line>, BTreeSet<String>> {
    let home = tempfile::tempdir().expect("a temporary folder");
    let config = serde_json::json!({ "version": "v2", "breaking": { "use": names } });
    let output = Command::new(program)
        .args([
            "breaking",
            ".",
            "--error-format",
            "json",
            "--config",
            &config.to_string(),
        ])
        .arg("--against")
        .arg(old)
        .current_dir(new)
        .env("HOME", home.path())
        .output()
        .expect("buf starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = text
        .lines()
        .chain(error.lines())
        .filter(|line| line.starts_with('{'));
    let lines = lines.map(|line| serde_json::from_str::<Line>(line).expect("a line of buf's"));
    let lines: Vec<Line> = lines.collect();
    let broken = lines.iter().filter(|line| line.rule == "COMPILE");
    let broken: BTreeSet<String> = broken.map(|line| line.path.clone()).collect();
    match output.status.code() {
        Some(0 | 100) if broken.is_empty() => Ok(lines),
        _ if !broken.is_empty() => Err(broken),
        code => panic!("buf ends with {code:?}:\n{text}{error}"),
    }
}
