//! Runs `ipc-conformance serve` as a real process.
//!
//! **Invariant**: the process is killed when its handle is dropped, and every wait has a limit.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// The longest wait for anything; far above what is normal, for machines under load.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A conformance server on a private endpoint.
pub(crate) struct ConformanceServer {
    child: Child,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    /// A program that starts the server, with its arguments; none, and the server is started itself.
    wrapper: Vec<String>,
}

impl ConformanceServer {
    /// Starts a server with more arguments, parted by blanks, and waits until it serves.
    pub(crate) fn start(arguments: &str) -> Self {
        Self::start_under("", arguments)
    }

    /// The same by way of another program, which becomes the server or starts it.
    pub(crate) fn start_under(wrapper: &str, arguments: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("de-peer-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in("/tmp")
            .expect("a directory");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let (wrapper, arguments): (Vec<String>, Vec<String>) = (words(wrapper), words(arguments));
        let child = spawn(&folder.path().join("x.sock"), &wrapper, &arguments);
        Self {
            child,
            folder,
            arguments,
            wrapper,
        }
    }

    pub(crate) fn endpoint(&self) -> PathBuf {
        self.folder.path().join("x.sock")
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits until the process has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "the server did not end");
            thread::yield_now();
        }
    }

    /// `kill -9`, then another server at the same endpoint.
    pub(crate) fn crash_and_restart(&mut self) {
        self.crash();
        self.restart();
    }

    /// `kill -9`.
    pub(crate) fn crash(&mut self) {
        self.signal("KILL");
        self.ended();
    }

    /// Another server at the endpoint of one that has ended.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.endpoint(), &self.wrapper, &self.arguments);
    }
}

impl Drop for ConformanceServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(endpoint: &Path, wrapper: &[String], arguments: &[String]) -> Child {
    const SERVER: &str = env!("CARGO_BIN_EXE_tests-conformance");
    let mut words = wrapper.iter().map(String::as_str).chain([SERVER]);
    let mut command = Command::new(words.next().unwrap_or(SERVER));
    command
        .args(words)
        .arg("serve")
        .arg("--endpoint")
        .arg(endpoint);
    for (name, _) in env::vars_os() {
        // The settings of whoever runs the tests are not the test's.
        if name.to_string_lossy().starts_with("DAEMONEYE_") {
            command.env_remove(name);
        }
    }
    let mut child = command
        .args(arguments)
        .env("RUST_LOG", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let stdout = child.stdout.take().expect("piped");
    let (told, ready) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        // Nobody listens when the wait below has given up.
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = told.send(line);
    });
    let line = ready.recv_timeout(LIMIT).expect("a line in time");
    assert_eq!(line.trim_end(), format!("ready {}", endpoint.display()));
    child
}
