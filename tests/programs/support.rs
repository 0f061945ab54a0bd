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
        let procmond = self.path("procmond.sock");
        Daemon::start(
            AGENT,
            &self.path("agent.sock"),
            &["--procmond".as_ref(), procmond.as_path()],
        )
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
pub(crate) fn command(program: &str, endpoint: &Path, args: &[&Path]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("DAEMONEYE_") {
            command.env_remove(name);
        }
    }
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

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid");
        kill_process(pid, Signal::TERM).expect("signalled");
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
