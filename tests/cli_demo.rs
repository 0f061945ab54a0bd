//! `daemoneye-cli demo` and `watch`, end to end, and what they leave behind: nothing. Linux, because
//! what is left behind is looked for in /proc.
//!
//! **Invariant**: each test runs in a directory of its own, so that anything left behind is seen.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::cli_support::{CLI, Daemon, Place, await_that, bare, run, signal};

/// Processes whose command line names `folder`.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("UTF-8");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").filter_map(Result::ok) {
        // A process may end while its files are read.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(folder) {
            found.push(line);
        }
    }
    found
}

fn demo(place: &Place) -> Command {
    let mut command = bare(Command::new(CLI));
    command.args(["demo", "--json"]).env("TMPDIR", place.path());
    command
}

fn is_clean(place: &Place) -> bool {
    processes_of(place.path()).is_empty()
        && fs::read_dir(place.path()).expect("a directory").count() == 0
}

/// Starts the demo and waits until both daemons serve.
fn started(place: &Place) -> Child {
    let child = demo(place)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    await_that("both daemons run", || processes_of(place.path()).len() >= 2);
    child
}

#[test]
fn the_demo_shows_it_all_and_leaves_nothing_behind() {
    let place = Place::new();
    let run = run(demo(&place));
    assert_eq!(run.code, 0, "{run}");
    let report = run.json();
    assert_eq!(
        (report["command"].as_str(), report["status"].as_str()),
        (Some("demo"), Some("healthy"))
    );
    let facts = |name: &str| run.check(name)["facts"].clone();
    assert!(
        facts("processes")["processes"].as_u64().expect("a number") >= 3,
        "{run}"
    );
    assert!(facts("processes")["own_pid"].is_u64(), "{run}");
    assert_eq!(facts("started")["pid"], facts("ended")["pid"], "{run}");
    let (before, after) = (
        facts("procmond")["pid"].clone(),
        facts("restart")["pid"].clone(),
    );
    assert!(
        before.is_u64() && after.is_u64() && before != after,
        "{run}"
    );
    for name in ["killed", "agent alone", "reconnected", "task"] {
        assert_eq!(run.check(name)["outcome"], "passed", "{run}");
    }
    for name in ["one at a time", "64 at once"] {
        assert!(
            facts(name)["calls_per_second"].as_f64().expect("a number") > 0.0,
            "{run}"
        );
    }
    assert!(is_clean(&place), "{:?}", processes_of(place.path()));
}

#[test]
fn ctrl_c_ends_the_demo_and_all_that_it_started() {
    let place = Place::new();
    let child = started(&place);
    signal(child.id(), "INT");
    let output = child.wait_with_output().expect("output");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    await_that("nothing is left", || is_clean(&place));
}

#[test]
fn a_killed_demo_takes_its_children_along() {
    let place = Place::new();
    let mut child = started(&place);
    child.kill().expect("kill");
    child.wait().expect("its end");
    await_that("its children are gone", || {
        processes_of(place.path()).is_empty()
    });
}

/// `watch --json` under way.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(place: &Place) -> Self {
        let mut command = bare(Command::new(CLI));
        command
            .args(["watch", "--json", "--endpoint"])
            .arg(place.endpoint());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut watch = Self { child, lines };
        // What starts from now on is seen.
        assert_eq!(watch.next()["event"], "watching");
        watch
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("a line").expect("UTF-8");
        serde_json::from_str(&line).expect("one JSON value on each line")
    }

    fn until(&mut self, event: &str, pid: Option<u32>) {
        loop {
            let value = self.next();
            if value["event"] == event && pid.is_none_or(|pid| value["process"]["pid"] == pid) {
                return;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that does nothing.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().expect("sleep"))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn watch_sees_a_process_start_and_end_until_it_is_interrupted() {
    let place = Place::new();
    let _daemon = Daemon::procmond(&place.endpoint());
    let mut watch = Watch::start(&place);
    let sleeper = Sleeper::start();
    let pid = sleeper.0.id();
    watch.until("started", Some(pid));
    drop(sleeper);
    watch.until("exited", Some(pid));
    signal(watch.child.id(), "INT");
    assert_eq!(
        watch.child.wait().expect("its end").code(),
        Some(0),
        "Ctrl-C is how a watch ends"
    );
}

#[test]
fn watch_resumes_when_procmond_is_back_and_says_what_it_missed() {
    let place = Place::new();
    let daemon = Daemon::procmond(&place.endpoint());
    let mut watch = Watch::start(&place);
    drop(daemon);
    watch.until("lost", None);
    let _daemon = Daemon::procmond(&place.endpoint());
    watch.until("gap", None);
    let sleeper = Sleeper::start();
    watch.until("started", Some(sleeper.0.id()));
}
