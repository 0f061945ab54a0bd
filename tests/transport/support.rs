//! Directories to bind in and processes to meet there.
//!
//! **Invariant**: every process is killed when its handle is dropped; a wait ends with what the process
//! said, or with its end.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of test functions"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use daemoneye_ipc::{
    IpcError,
    transport::{EndpointOptions, Link, Listener, connect},
};
use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes on a loaded machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Whether this test runs as root, which some of them need. Says so where it is skipped.
pub(crate) fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("{test}: not run, since it needs root to become another user");
    }
    root
}

/// A private directory.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o700);
    folder
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// What tells one file from another, whatever its name.
pub(crate) fn identity(path: &Path) -> (u64, u64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.dev(), metadata.ino())
}

/// Names in a directory.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) async fn bind(path: &Path) -> Result<Listener, IpcError> {
    Listener::bind(path, &EndpointOptions::default()).await
}

/// The error of a bind that must fail, with its source.
pub(crate) async fn refusal(path: &Path) -> String {
    match bind(path).await {
        Err(error @ IpcError::Endpoint { .. }) => {
            let source = std::error::Error::source(&error).map(|source| format!(" ({source})"));
            format!("{error}{}", source.unwrap_or_default())
        }
        other => panic!("must be refused: {other:?}"),
    }
}

/// Both ends of a new connection.
pub(crate) async fn meet(listener: &Listener) -> (Link, Link) {
    let (here, there) = tokio::join!(connect(listener.path(), LIMIT), listener.accept());
    (here.unwrap(), there.unwrap())
}

/// Another process at a path.
pub(crate) struct Other {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Other {
    /// Starts `endpoint-peer ROLE PATH OPTIONS…`.
    pub(crate) fn start(role: &str, path: &Path, options: &[&str]) -> Self {
        Self::of(env!("CARGO_BIN_EXE_endpoint-peer"), role, path, options)
    }

    /// Starts `PROGRAM ROLE PATH OPTIONS…`.
    pub(crate) fn of(program: &str, role: &str, path: &Path, options: &[&str]) -> Self {
        Self::by(Command::new(program), role, path, options)
    }

    /// The same by a command of which this is only the beginning.
    pub(crate) fn by(mut command: Command, role: &str, path: &Path, options: &[&str]) -> Self {
        let mut child = command
            .arg(role)
            .arg(path)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            stdin: child.stdin.take(),
            child,
            stdout,
        }
    }

    /// A process that listens at `path`, ready.
    pub(crate) fn listening(path: &Path, options: &[&str]) -> Self {
        let mut other = Self::start("listen", path, options);
        assert_eq!(other.says(), "ready");
        other
    }

    /// Its next line, once it is there; empty when it has ended.
    pub(crate) fn says(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Closes its standard input and hears its last words.
    pub(crate) fn asked(mut self) -> String {
        drop(self.stdin.take());
        self.says()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Has it end in order, and waits until it has.
    pub(crate) fn stop(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    /// Ends it without a chance to clean up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path of exactly `length` bytes below `folder`, in a directory that does not exist yet.
pub(crate) fn path_of(folder: &Path, length: usize) -> PathBuf {
    let directory = folder.join("d");
    let rest = length - directory.as_os_str().len() - 1;
    directory.join("n".repeat(rest))
}
