//! Runs procmond and the agent as real processes.
//!
//! **Invariant**: every process that is started here is killed when its handle is dropped, and every
//! wait has a limit.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use daemoneye_ipc::{Channel, IpcConfig};
use daemoneye_ipc_generated::{agent::v1::AgentClient, procmond::v1::ProcessMonitorClient};
use rustix::process::{Pid, Signal, kill_process};

/// The longest wait for anything; far above what is normal, for machines under load.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The process monitor.
pub(crate) const PROCMOND: &str = env!("CARGO_BIN_EXE_tests-procmond");

/// The agent.
pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_tests-agent");

/// The command-line program.
pub(crate) const CLI: &str = env!("CARGO_BIN_EXE_tests-cli");

/// What a run of a program gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Runs `command` to its end. Its own waits have limits.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output();
        let output = output.expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// What it printed, if it has succeeded.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A private directory with the endpoints that a test uses.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("de-programs-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in("/tmp")
            .expect("a directory");
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn procmond(&self) -> Daemon {
        Daemon::start(PROCMOND, &self.path("procmond.sock"), &[])
    }

    pub(crate) fn agent(&self) -> Daemon {
        self.agent_with(&[])
    }

    /// The agent with more arguments.
    pub(crate) fn agent_with(&self, more: &[&str]) -> Daemon {
        let procmond = self.path("procmond.sock");
        let mut args = vec!["--procmond".as_ref(), procmond.as_path()];
        args.extend(more.iter().map(Path::new));
        Daemon::start(AGENT, &self.path("agent.sock"), &args)
    }

    /// A process monitor that registers with the agent.
    pub(crate) fn collector(&self) -> Daemon {
        self.collector_at("procmond.sock")
    }

    /// One that serves at `name`.
    pub(crate) fn collector_at(&self, name: &str) -> Daemon {
        let agent = self.path("agent.sock");
        let args = [
            "--agent".as_ref(),
            agent.as_path(),
            "--watch-interval".as_ref(),
            "20".as_ref(),
        ];
        Daemon::start(PROCMOND, &self.path(name), &args)
    }

    /// Runs the command-line program against the agent.
    pub(crate) fn cli(&self, args: &[&str]) -> Run {
        let endpoint = self.path("agent.sock");
        let mut command = bare(CLI);
        Run::of(command.args(args).arg("--endpoint").arg(endpoint))
    }

    pub(crate) fn monitor(&self) -> ProcessMonitorClient {
        ProcessMonitorClient::new(self.channel("procmond.sock"))
    }

    pub(crate) fn agent_client(&self) -> AgentClient {
        AgentClient::new(self.channel("agent.sock"))
    }

    pub(crate) fn channel(&self, name: &str) -> Channel {
        Channel::lazy(IpcConfig::new(self.path(name))).expect("a channel")
    }

    /// A program of this test's own at `name`, which waits until its standard input ends.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let original = ["/usr/bin/cat", "/bin/cat"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        fs::copy(original.expect("cat"), &path).expect("copied");
        path
    }
}

/// A daemon that has said that it is ready.
pub(crate) struct Daemon {
    child: Child,
    _stdout: BufReader<ChildStdout>,
}

/// The command of a program, without the settings of whoever runs the tests.
pub(crate) fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("DAEMONEYE_") {
            command.env_remove(name);
        }
    }
    command
}

/// The command of a daemon.
pub(crate) fn command(program: &str, endpoint: &Path, args: &[&Path]) -> Command {
    let mut command = bare(program);
    command
        .arg("--endpoint")
        .arg(endpoint)
        .args(args)
        .stdin(Stdio::null());
    command
}

impl Daemon {
    pub(crate) fn start(program: &str, endpoint: &Path, args: &[&Path]) -> Self {
        let child = command(program, endpoint, args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("the daemon starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (told, ready) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = told.send((line, stdout));
        });
        let (line, stdout) = ready.recv_timeout(LIMIT).expect("the daemon is ready");
        assert_eq!(line.trim_end(), format!("ready {}", endpoint.display()));
        Self {
            child,
            _stdout: stdout,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as kill -9 does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid");
        kill_process(pid, signal).expect("signalled");
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("waited") {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "the daemon does not end");
            thread::yield_now();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process to look at. It does nothing until it is ended.
pub(crate) struct Subject {
    child: Child,
}

impl Subject {
    pub(crate) fn start(program: &Path) -> Self {
        let child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        Self {
            child: child.expect("the program starts"),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("ended");
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
