//! `ipc-conformance check` and `vectors`: the real server passes, and servers that break one rule each
//! fail at the vectors for that rule.
//!
//! **Invariant**: what is expected of a broken server is the whole list of what it fails, no more and
//! no less.

#[path = "../conformance_server.rs"]
#[expect(dead_code, reason = "the raw peer uses the rest")]
mod conformance_server;

mod broken;
mod saboteur;
mod sound;

use std::{
    env,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// Runs the program; the endpoint is that of a server.
fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tests-conformance"));
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("DAEMONEYE_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).output().expect("it runs")
}

/// Checks a server; returns the exit code and the report.
fn check(endpoint: &Path, arguments: &str) -> (Option<i32>, Value) {
    let endpoint = endpoint.to_str().expect("UTF-8");
    let mut all = vec!["check", "--endpoint", endpoint, "--format", "json"];
    all.extend(arguments.split_whitespace());
    let output = run(&all);
    let report = serde_json::from_slice(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), report.expect(&stderr))
}

/// Plays the printed vectors with a server by `docs/player.py`; returns the exit code and its lines.
fn play(endpoint: &Path, ids: &[&str]) -> (Option<i32>, String) {
    let printed = run(&["vectors"]).stdout;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/player.py");
    let mut player = Command::new("python3")
        .arg(script)
        .arg(endpoint)
        .args(ids)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut stdin = player.stdin.take().expect("piped");
    stdin.write_all(&printed).expect("it reads");
    drop(stdin);
    let output = player.wait_with_output().expect("it ends");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code(), stdout)
}

/// The vectors of a report with that outcome.
fn with_outcome<'a>(report: &'a Value, outcome: &str) -> Vec<&'a Value> {
    let vectors = report["vectors"].as_array().expect("a list");
    let with = vectors.iter().filter(|vector| vector["outcome"] == outcome);
    with.collect()
}

fn ids<'a>(vectors: &[&'a Value]) -> Vec<&'a str> {
    let ids = vectors.iter().map(|vector| vector["id"].as_str());
    ids.map(|id| id.expect("an id")).collect()
}
