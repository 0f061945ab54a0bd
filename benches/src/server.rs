//! The server's process: the conformance service on one socket, bytes back as they came on another.
//!
//! **Invariant**: the process is killed when its handle is dropped.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use daemoneye_ipc::{IpcConfig, Server};
use daemoneye_ipc_generated::conformance::v1::ConformanceServer;
use ipc_conformance::ConformanceService;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

/// Where the server listens.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A folder of its own.
    folder: PathBuf,
}

/// The socket of the conformance service.
pub(crate) fn ipc(folder: &Path) -> PathBuf {
    folder.join("ipc.sock")
}

/// The socket without a protocol.
pub(crate) fn bare(folder: &Path) -> PathBuf {
    folder.join("bare.sock")
}

/// The handle of the process.
pub(crate) struct Process(Child);

impl Process {
    /// Starts it, and waits until it serves.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("the program does not know its own path")?;
        let mut child = Command::new(program)
            .arg("serve")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the server does not start")?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let process = Self(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim() != "ready" {
            bail!("the server ended before it served; it has said why");
        }
        Ok(process)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves until the process is killed.
pub(crate) async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let service = ConformanceService::default();
    let stats = service.stats_slot();
    let server = Server::builder(IpcConfig::new(ipc(&arguments.folder)))
        .add_service(ConformanceServer::new(service))
        .bind()
        .await?;
    let _ = stats.set(server.stats());
    let listener = UnixListener::bind(bare(&arguments.folder))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(return_bytes(stream));
        }
    });
    println!("ready");
    server
        .serve_until(std::future::pending(), Duration::ZERO)
        .await?;
    Ok(())
}

async fn return_bytes(mut stream: UnixStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
