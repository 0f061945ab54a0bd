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

use tokio_util::sync::CancellationToken;

use crate::{
    feed::Feed,
    monitor::Monitor,
    registration::{Parts, Registration},
    settings::{INTERVAL_MS, Settings},
    table::Table,
};

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
        value_parser = clap::value_parser!(u64).range(INTERVAL_MS)
    )]
    pub watch_interval: u64,
    /// Socket of an agent to register with and take commands from; it may come and go
    #[arg(long, value_name = "PATH")]
    pub agent: Option<PathBuf>,
    /// Name to register under: letters, digits, `.`, `_` and `-`
    #[arg(long, value_name = "NAME", default_value = DEFAULT_ID)]
    pub collector_id: String,
}

/// The one monitor of a machine needs no other name.
const DEFAULT_ID: &str = "procmond";

/// Short enough to see most processes that do anything, long enough to cost about nothing.
const DEFAULT_INTERVAL_MS: u64 = 250;

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            config: None,
            watch_interval: DEFAULT_INTERVAL_MS,
            agent: None,
            collector_id: DEFAULT_ID.to_owned(),
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
    let settings = Arc::new(Settings::new(interval));
    let feed = Feed::new(Arc::clone(&table), health.clone(), Arc::clone(&settings));
    let monitor = Monitor::new(
        table,
        Arc::clone(&feed),
        health.clone(),
        Arc::clone(&settings),
        config.max_frame_bytes,
    );
    let draining = CancellationToken::new();
    let parts = Parts {
        settings,
        feed: Arc::clone(&feed),
        health: health.clone(),
        draining: draining.clone(),
    };
    let registration = register(&config, options.agent, options.collector_id, parts)?;
    let builder = Server::builder(config)
        .add_service(ProcessMonitorServer::new(monitor))
        .health(health)
        .introspection()
        .reflection();
    let server = Server::from_env(builder).await?;
    announce(server.endpoint());
    let shutdown = async {
        tokio::select! {
            () = shutdown => {}
            () = draining.cancelled() => {}
        }
        tracing::info!("draining");
        draining.cancel();
        // A watch never ends by itself, and would hold the drain up.
        feed.close();
    };
    let serving = server.serve_until(shutdown, grace);
    let report = match registration {
        Some(registration) => registration.keep_while(serving).await?,
        None => serving.await?,
    };
    tracing::info!(
        finished = report.finished,
        aborted = report.aborted,
        "drained"
    );
    Ok(report)
}

/// The registration with the agent, if there is to be one.
fn register(
    own: &IpcConfig,
    agent: Option<PathBuf>,
    id: String,
    parts: Parts,
) -> Result<Option<Registration>, IpcError> {
    let Some(agent) = agent else { return Ok(None) };
    if agent == own.endpoint_path {
        return Err(IpcError::Config {
            message: format!(
                "{} would be both procmond's socket and the agent's; set --endpoint or --agent to another path",
                agent.display()
            ),
            location: None,
        });
    }
    let config = IpcConfig {
        endpoint_path: agent,
        ..own.clone()
    };
    Registration::new(config, id, &own.endpoint_path, parts).map(Some)
}

fn announce(endpoint: &Path) {
    tracing::info!(endpoint = %endpoint.display(), "serving");
    let mut out = io::stdout().lock();
    // Whoever started this may not care, and have closed it.
    let _ = writeln!(out, "ready {}", endpoint.display()).and_then(|()| out.flush());
}
