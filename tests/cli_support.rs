//! Runs the command-line program and the daemons as real processes.
//!
//! **Invariant**: every process that is started here is killed when its handle is dropped, and every
//! wait has a limit.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// The longest wait for anything; far above what is normal, for machines under load.
const LIMIT: Duration = Duration::from_secs(60);

/// The command-line program.
pub(crate) const CLI: &str = env!("CARGO_BIN_EXE_tests-cli");

/// The process monitor.
pub(crate) const PROCMOND: &str = env!("CARGO_BIN_EXE_tests-procmond");

/// A private directory with the endpoint that a test uses.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("de-cli-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in("/tmp")
            .expect("a directory");
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn endpoint(&self) -> PathBuf {
        self.path().join("x.sock")
    }

    /// A copy of a program that any user may run.
    pub(crate) fn copy(&self, program: &str) -> PathBuf {
        let copy = self.path().join("program");
        fs::copy(program, &copy).expect("a copy");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("chmod");
        copy
    }
}

/// A daemon that has said that it is ready.
pub(crate) struct Daemon {
    child: Child,
    _stdout: BufReader<ChildStdout>,
}

impl Daemon {
    /// Starts `command` on `endpoint` and waits until it serves.
    pub(crate) fn start(mut command: Command, endpoint: &Path) -> Self {
        command
            .arg("--endpoint")
            .arg(endpoint)
            .env("RUST_LOG", "error");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the daemon starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (told, ready) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("standard output");
            // Nobody listens when the wait below has given up.
            let _ = told.send((line, stdout));
        });
        let (line, stdout) = ready.recv_timeout(LIMIT).expect("a line in time");
        assert_eq!(line.trim_end(), format!("ready {}", endpoint.display()));
        Self {
            child,
            _stdout: stdout,
        }
    }

    /// `procmond` with the defaults.
    pub(crate) fn procmond(endpoint: &Path) -> Self {
        Self::procmond_with(endpoint, &[])
    }

    /// `procmond` with settings in the environment.
    pub(crate) fn procmond_with(endpoint: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = bare(Command::new(PROCMOND));
        command.envs(settings.iter().copied());
        Self::start(command, endpoint)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as Ctrl-Z does, and waits until the kernel says so.
    pub(crate) fn freeze(&self) {
        signal(self.pid(), "STOP");
        let stat = format!("/proc/{}/stat", self.pid());
        await_that("the daemon is stopped", || {
            fs::read_to_string(&stat).is_ok_and(|stat| {
                stat.rsplit_once(')')
                    .is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
            })
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` holds.
pub(crate) fn await_that(what: &str, condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "waited in vain: {what}");
        thread::yield_now();
    }
}

/// Sends the signal of that name.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(status.expect("kill runs").success());
}

/// What a run of the command-line program gave.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The check of that name in the report.
    pub(crate) fn check(&self, name: &str) -> serde_json::Value {
        let report = self.json();
        let checks = report["checks"].as_array().expect("checks");
        let check = checks.iter().find(|check| check["name"] == name);
        check
            .unwrap_or_else(|| panic!("no check {name}: {self}"))
            .clone()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit code {}\n{}\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// Runs the command-line program with the words of `line`, and `endpoint` if one is given.
pub(crate) fn cli(line: &str, endpoint: Option<&Path>) -> Run {
    cli_with(line, endpoint, &[])
}

/// [`cli`] with settings in the environment.
pub(crate) fn cli_with(line: &str, endpoint: Option<&Path>, settings: &[(&str, &str)]) -> Run {
    let mut command = bare(Command::new(CLI));
    command
        .args(line.split_whitespace())
        .envs(settings.iter().copied());
    if let Some(endpoint) = endpoint {
        command.arg("--endpoint").arg(endpoint);
    }
    run(command)
}

/// Runs `command` to its end.
pub(crate) fn run(mut command: Command) -> Run {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.expect("the program starts");
    let pid = child.id();
    let (told, ended) = mpsc::channel();
    thread::spawn(move || told.send(child.wait_with_output()));
    let output: Output = match ended.recv_timeout(LIMIT) {
        Ok(output) => output.expect("output"),
        Err(_) => {
            signal(pid, "KILL");
            panic!("the program did not end within {} s", LIMIT.as_secs());
        }
    };
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// `command` without the settings of whoever runs the tests.
pub(crate) fn bare(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("DAEMONEYE_") {
            command.env_remove(name);
        }
    }
    command
}
