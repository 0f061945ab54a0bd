//! A server in a process of its own, and what it holds.
//!
//! **Invariant**: the process ends with its handle.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use daemoneye_ipc_generated::conformance::v1::InspectResponse;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time,
};

/// A server that takes longer to be ready, or to end, is at fault.
const LIMIT: Duration = Duration::from_secs(30);

/// `ipc-conformance serve`, running.
#[derive(Debug)]
pub(super) struct ServerProcess {
    program: PathBuf,
    endpoint: PathBuf,
    child: Child,
}

impl ServerProcess {
    /// Starts the server, and waits until it serves.
    pub(super) async fn start(program: &Path, endpoint: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .arg("serve")
            .args([
                "--handshake-timeout-ms",
                "500",
                "--max-connections",
                "256",
                "--endpoint",
            ])
            .arg(endpoint)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            // Handlers panic on purpose, and say so.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let stdout = child.stdout.take().context("it has an output")?;
        let mut line = String::new();
        let mut lines = BufReader::new(stdout);
        time::timeout(LIMIT, lines.read_line(&mut line))
            .await
            .context("the server is not ready in time")??;
        ensure!(
            line.starts_with("ready "),
            "the server ended before it was ready"
        );
        Ok(Self {
            program: program.to_owned(),
            endpoint: endpoint.to_owned(),
            child,
        })
    }

    pub(super) fn endpoint(&self) -> &Path {
        &self.endpoint
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        self.child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
    }

    /// Kills it on the spot.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn terminate(mut self) -> anyhow::Result<()> {
        self.drain().await
    }

    /// As [`Self::terminate`], for one that is to be started again.
    pub(super) async fn drain(&mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.pid() {
            kill_process(pid, Signal::TERM)?;
        }
        let status = time::timeout(LIMIT, self.child.wait())
            .await
            .context("the server does not end")??;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    /// Another one in the place of one that is gone.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        *self = Self::start(&self.program, &self.endpoint).await?;
        Ok(())
    }
}

/// What is held at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// Of the server: connections, calls that hold a slot, handlers, bytes queued.
    pub(super) connections: u32,
    pub(super) calls: u32,
    pub(super) handlers: u32,
    pub(super) queued_bytes: u64,
    pub(super) memory: Memory,
    /// Tasks of this process's runtime.
    pub(super) tasks: usize,
}

impl Held {
    pub(super) fn measure(server: Option<Pid>, inside: &InspectResponse) -> anyhow::Result<Self> {
        Ok(Self {
            connections: inside.connections,
            calls: inside.calls_in_flight,
            handlers: inside.handlers,
            queued_bytes: inside.queued_bytes,
            memory: Memory::measure(server)?,
            tasks: tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks(),
        })
    }
}

/// Descriptors and resident bytes of the server, and of this process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) server: Footprint,
    pub(super) client: Footprint,
}

impl Memory {
    pub(super) fn measure(server: Option<Pid>) -> anyhow::Result<Self> {
        let server = server.context("the server has ended")?;
        Ok(Self {
            server: Footprint::of(&server.as_raw_nonzero().to_string())?,
            client: Footprint::of("self")?,
        })
    }
}

/// What the kernel says of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Footprint {
    pub(super) descriptors: usize,
    pub(super) resident_kib: u64,
}

impl Footprint {
    fn of(process: &str) -> anyhow::Result<Self> {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"))?.count();
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident
            .and_then(|kib| kib.trim().strip_suffix(" kB"))
            .context("no VmRSS")?;
        Ok(Self {
            descriptors,
            resident_kib: resident.trim().parse()?,
        })
    }
}
