//! The daemon: from the command line to the end of its drain.
//!
//! **Invariant**: `ready` is printed only when callers can connect, and nothing else goes to standard
//! output.

use std::{
    future::Future,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use daemoneye_ipc::{DrainReport, IpcConfig, IpcError, Server, health::HealthReporter};
use daemoneye_ipc_generated::procmond::v1::ProcessMonitorServer;

use crate::{feed::Feed, monitor::Monitor, table::Table};

/// What the process monitor is told when it is started.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Socket to serve [default: endpoint_path of the configuration]
    #[arg(long, value_name = "PATH")]
    pub endpoint: Option<PathBuf>,
    /// YAML file with an `ipc:` section; DAEMONEYE_IPC_* variables come on top
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Shortest time between two looks at the processes while somebody watches
    #[arg(
        long,
        value_name = "MS",
        default_value_t = DEFAULT_INTERVAL_MS,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000)
    )]
    pub watch_interval: u64,
}

/// Short enough to see most processes that do anything, long enough to cost about nothing.
const DEFAULT_INTERVAL_MS: u64 = 250;

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            config: None,
            watch_interval: DEFAULT_INTERVAL_MS,
        }
    }
}

/// Serves this machine's processes until `shutdown` is ready, then drains.
///
/// Prints one line `ready PATH` on standard output once callers can connect. Make `shutdown` before
/// (see [`daemoneye_ipc::shutdown_signal`]), so that a signal that comes right after that line is caught.
///
/// # Errors
/// [`IpcError::Config`] for a wrong setting, [`IpcError::Endpoint`] if the socket cannot be served, for
/// example because another monitor serves it, [`IpcError::Io`] if processes cannot be read here.
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<DrainReport, IpcError> {
    let mut config = IpcConfig::load(options.config.as_deref())?;
    if let Some(endpoint) = options.endpoint {
        config.endpoint_path = endpoint;
    }
    let grace = Duration::from_millis(config.limits.drain_timeout_ms);
    let health = HealthReporter::new();
    let table = Arc::new(Table::new().map_err(IpcError::Io)?);
    let interval = Duration::from_millis(options.watch_interval);
    let feed = Feed::new(Arc::clone(&table), health.clone(), interval);
    let monitor = Monitor::new(
        table,
        Arc::clone(&feed),
        health.clone(),
        config.max_frame_bytes,
    );
    let server = Server::builder(config)
        .add_service(ProcessMonitorServer::new(monitor))
        .health(health)
        .reflection()
        .bind()
        .await?;
    announce(server.endpoint());
    let shutdown = async {
        shutdown.await;
        tracing::info!("draining");
        // A watch never ends by itself, and would hold the drain up.
        feed.close();
    };
    let report = server.serve_until(shutdown, grace).await?;
    tracing::info!(
        finished = report.finished,
        aborted = report.aborted,
        "drained"
    );
    Ok(report)
}

fn announce(endpoint: &Path) {
    tracing::info!(endpoint = %endpoint.display(), "serving");
    let mut out = io::stdout().lock();
    // Whoever started this may not care, and have closed it.
    let _ = writeln!(out, "ready {}", endpoint.display()).and_then(|()| out.flush());
}
