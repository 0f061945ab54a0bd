//! The demo's child processes: this program again, as procmond, as the agent, or idle.
//!
//! **Invariant**: a child never outlives the demo: it is killed when its handle is dropped, and on Linux
//! the kernel kills it when the demo itself is killed.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use daemoneye_ipc::shutdown_signal;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    args::DemoRole,
    explain::{self, Explanation},
    failure::Failure,
};

/// How long a daemon may take to say that it is ready.
const START_LIMIT: Duration = Duration::from_secs(30);

/// procmond's shortest time between two looks at the processes, so that nobody waits for the demo.
const WATCH_INTERVAL_MS: u64 = 50;

/// The longest temporary directory that leaves room for a socket's name: paths of sockets end at 103
/// bytes on some systems.
const LONGEST_PLACE: usize = 60;

/// A daemon that serves.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: &'static str,
    child: Child,
    pid: u32,
    /// Held open, for what a daemon that reads it ends with it.
    stdin: Option<ChildStdin>,
    /// Held open, so that the daemon's standard output stays writable.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Daemon {
    /// Starts `name` with `args` and waits until it prints `ready`. What it logs goes to a file in
    /// `folder`.
    pub(crate) async fn start(
        name: &'static str,
        args: &[&OsStr],
        folder: &Path,
    ) -> Result<Self, Failure> {
        let log = folder.join(format!("{name}.log"));
        let (mut child, pid) = spawn(name, args, &log)?;
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| not_started(name, "it has no standard output", &log))?;
        let mut stdout = BufReader::new(stdout).lines();
        match timeout(START_LIMIT, ready(&mut stdout)).await {
            Ok(Ok(true)) => Ok(Self {
                name,
                stdin: child.stdin.take(),
                child,
                pid,
                _stdout: stdout,
            }),
            Ok(Ok(false)) => {
                let status = child
                    .wait()
                    .await
                    .map_or_else(|error| error.to_string(), |s| s.to_string());
                Err(not_started(
                    name,
                    &format!("it ended before it was ready ({status})"),
                    &log,
                ))
            }
            Ok(Err(error)) => Err(not_started(name, &error.to_string(), &log)),
            Err(_) => Err(not_started(
                name,
                &format!("it was not ready within {} s", START_LIMIT.as_secs()),
                &log,
            )),
        }
    }

    /// Its process id.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it as kill -9 does, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Result<(), Failure> {
        self.child
            .kill()
            .await
            .map_err(|error| self.unstoppable(&error.to_string()))
    }

    /// Asks it to end, as service managers do (on Windows: by the end of its standard input), gives it `grace`
    /// to drain, and returns how it ended.
    pub(crate) async fn stop(mut self, grace: Duration) -> Result<ExitStatus, Failure> {
        #[cfg(unix)]
        terminate(self.pid);
        drop(self.stdin.take());
        match timeout(grace, self.child.wait()).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(self.unstoppable(&error.to_string())),
            Err(_) => Err(self.unstoppable(&format!(
                "it did not end within {} s of being asked to",
                grace.as_secs()
            ))),
        }
    }

    fn unstoppable(&self, why: &str) -> Failure {
        Failure::failed(
            format!("{} (process {}) does not end", self.name, self.pid),
            Explanation::new(
                why,
                format!(
                    "it is killed now; if it is still there: kill -9 {}",
                    self.pid
                ),
            ),
        )
    }
}

/// A process that does nothing until it is told to end.
#[derive(Debug)]
pub(crate) struct Idler {
    child: Child,
    pid: u32,
    stdin: Option<ChildStdin>,
}

impl Idler {
    /// Starts one.
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut child = command(&[OsStr::new("idle")])
            .and_then(|mut command| command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn())
            .map_err(|error| cannot_spawn("a child", &error))?;
        let pid = child
            .id()
            .ok_or_else(|| cannot_spawn("a child", &io::Error::other("it ended at once")))?;
        let stdin = child.stdin.take();
        Ok(Self { child, pid, stdin })
    }

    /// Its process id.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it and waits until it is gone.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        drop(self.stdin.take());
        self.child.wait().await.map(drop).map_err(|error| {
            Failure::failed(
                format!("child {} does not end", self.pid),
                Explanation::new(error.to_string(), format!("kill -9 {}", self.pid)),
            )
        })
    }
}

/// What every child does first: on Linux, asks the kernel to be killed with its parent, process
/// `parent`.
pub(crate) fn tie_to_parent(parent: u32) {
    #[cfg(target_os = "linux")]
    {
        // Without it a killed demo leaves its children behind, and the demo works all the same.
        let _ =
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        if now.and_then(|pid| u32::try_from(pid).ok()) != Some(parent) {
            // The parent died before the kernel was asked.
            std::process::exit(1);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = parent;
}

#[cfg(unix)]
fn terminate(pid: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // One that has ended already cannot be signalled, and the wait for it tells.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Ready when the child is to end: by a signal, or with its standard input, which the demo holds.
async fn asked_to_end() {
    let shutdown = shutdown_signal();
    let (told, ended) = tokio::sync::oneshot::channel();
    // A thread of its own: the runtime's would keep the process from ending.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = told.send(());
    });
    tokio::select! {
        () = shutdown => {}
        _ = ended => {}
    }
}

/// Does what a child is there for, until it is asked to end.
pub(crate) async fn play(role: DemoRole, file: Option<&Path>) -> Result<u8, Failure> {
    let config = file.map(Path::to_path_buf);
    let (name, ended) = match role {
        DemoRole::Procmond { endpoint, agent } => {
            let options = procmond::Options {
                endpoint: Some(endpoint),
                config,
                watch_interval: WATCH_INTERVAL_MS,
                agent: Some(agent),
                ..procmond::Options::default()
            };
            ("procmond", procmond::run(options, asked_to_end()).await)
        }
        DemoRole::Agent { endpoint, procmond } => {
            let options = daemoneye_agent::Options {
                endpoint: Some(endpoint),
                procmond: Some(procmond),
                config,
                ..daemoneye_agent::Options::default()
            };
            (
                "the agent",
                daemoneye_agent::run(options, asked_to_end()).await,
            )
        }
        DemoRole::Idle => {
            io::copy(&mut io::stdin(), &mut io::sink())?;
            return Ok(0);
        }
    };
    ended.map_err(|error| {
        let why = Explanation::new(explain::with_sources(&error), "mend what the message names");
        Failure::failed(format!("{name} ended"), why)
    })?;
    Ok(0)
}

fn command(args: &[&OsStr]) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    let parent = std::process::id().to_string();
    command
        .args(["demo-child", "--parent", &parent])
        .args(args)
        .kill_on_drop(true);
    Ok(command)
}

fn spawn(name: &'static str, args: &[&OsStr], log: &Path) -> Result<(Child, u32), Failure> {
    let open = || File::options().create(true).append(true).open(log);
    let child = command(args).and_then(|mut command| {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(open()?)
            .spawn()
    });
    let child = child.map_err(|error| cannot_spawn(name, &error))?;
    let pid = child
        .id()
        .ok_or_else(|| cannot_spawn(name, &io::Error::other("it ended at once")))?;
    Ok((child, pid))
}

/// Waits for the line that a daemon prints when it serves; `false` when it ends without one.
async fn ready(stdout: &mut Lines<BufReader<ChildStdout>>) -> io::Result<bool> {
    while let Some(line) = stdout.next_line().await? {
        if line.starts_with("ready ") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn cannot_spawn(name: &str, error: &io::Error) -> Failure {
    Failure::failed(
        format!("{name} cannot be started"),
        Explanation::new(
            error.to_string(),
            "check that this program's file is still there and may be executed",
        ),
    )
}

fn not_started(name: &str, why: &str, log: &Path) -> Failure {
    let tail = tail(log);
    let cause = if tail.is_empty() {
        why.to_owned()
    } else {
        format!("{why}; its log ends with: {tail}")
    };
    Failure::failed(
        format!("{name} does not start"),
        Explanation::new(cause, "mend what the log says and run the demo again"),
    )
}

/// The last lines of a log, on one line.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(3)
        .collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// Where the daemon `name` of the demo serves that has its files in `folder`.
pub(crate) fn endpoint(folder: &Path, name: &str) -> PathBuf {
    if cfg!(windows) {
        let unique = folder.file_name().unwrap_or_default().to_string_lossy();
        return format!(r"\\.\pipe\{unique}\{name}").into();
    }
    folder.join(format!("{name}.sock"))
}

/// A private directory for the demo's sockets and logs, removed with all that is in it.
pub(crate) fn private_folder() -> Result<tempfile::TempDir, Failure> {
    let mut place = env::temp_dir();
    if cfg!(unix) && place.as_os_str().len() > LONGEST_PLACE {
        place = PathBuf::from("/tmp");
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix("daemoneye-demo-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(&place).map_err(|error| {
        Failure::failed(
            format!("no private directory can be made in {}", place.display()),
            Explanation::new(
                error.to_string(),
                "set TMPDIR to a directory that this user may write to",
            ),
        )
    })
}
