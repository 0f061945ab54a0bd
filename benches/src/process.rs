//! The two processes of a measurement: the client's, which starts the server's; their CPU and memory.
//!
//! **Invariant**: a server is killed when its handle is dropped, and ends when the client has, however
//! that came; figures are the kernel's.

use std::{
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::contenders::{Contender, Task, with_contender};

/// What both processes are told.
#[derive(Args, Clone, Debug)]
pub(crate) struct Side {
    /// The contender.
    #[arg(long)]
    pub(crate) contender: String,
    /// The one core to run on; without, any.
    #[arg(long)]
    pub(crate) core: Option<usize>,
    /// Worker threads; without, as many as the runtime starts.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
}

/// The server's arguments.
#[derive(Args, Debug)]
pub(crate) struct Served {
    #[command(flatten)]
    side: Side,
    /// The socket.
    path: PathBuf,
}

impl Side {
    /// Stays on the core from now on, with all threads to come.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        if let Some(core) = self.core {
            let mut cores = CpuSet::new();
            cores.set(core);
            sched_setaffinity(None, &cores).context("the process cannot choose its core")?;
        }
        Ok(())
    }

    /// The rest of a command line for a child that is told the same.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.arg("--contender").arg(&self.contender);
        if let Some(core) = self.core {
            command.arg("--core").arg(core.to_string());
        }
        if let Some(threads) = self.threads {
            command.arg("--threads").arg(threads.to_string());
        }
    }

    /// Runs a future as an application's tasks are run: on a worker of a runtime.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> anyhow::Result<T> {
        let mut builder = match self.threads {
            Some(1) => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        if let Some(threads) = self.threads {
            builder.worker_threads(threads);
        }
        let runtime = builder.enable_all().build()?;
        runtime.block_on(async { tokio::spawn(future).await? })
    }
}

/// Serves until the process is killed, or the one that started it has ended.
pub(crate) fn serve(served: Served) -> anyhow::Result<()> {
    served.side.settle()?;
    many_files()?;
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0);
    });
    let name = served.side.contender.clone();
    with_contender(&name, served)
}

impl Task for Served {
    type Output = ();

    fn with<C: Contender>(self) -> anyhow::Result<()> {
        let path = self.path;
        self.side
            .run(async move { C::serve(&path, || println!("ready")).await })
    }
}

/// Room for as many connections as the system lets a process have.
pub(crate) fn many_files() -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("no room for connections")
}

/// The server's process.
pub(crate) struct Server(Child);

impl Server {
    /// Starts it, and waits until it serves.
    pub(crate) fn start(side: &Side, path: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("the program does not know its own path")?;
        let mut command = Command::new(program);
        command.arg("serve-contender");
        side.tell(&mut command);
        command
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("the server does not start")?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let server = Self(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim() != "ready" {
            bail!("the server ended before it served; it has said why");
        }
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds that a process has run, with all threads that it ever had.
pub(crate) fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(process)?))?;
    let time = Duration::from(clock_gettime(clock)?);
    Ok(time.as_secs_f64())
}
