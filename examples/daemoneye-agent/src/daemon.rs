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

use daemoneye_ipc::{
    Channel, DrainReport, IpcConfig, IpcError, Server, health::HealthReporter, observe::AuditLog,
};
use daemoneye_ipc_generated::{
    agent::v1::AgentServer, collector::v1::CollectorControlServer, eventbus::v1::EventBusServer,
    procmond::v1::ProcessMonitorClient,
};
use tokio::sync::Semaphore;

use crate::{
    alerts::Alerts,
    announce::Announcer,
    bus::{Bus, Limits},
    collectors::{Control, Registry},
    epoch,
    eventbus::EventBusService,
    link::Link,
    rules::{self, Rule},
    service::AgentService,
    state::State,
    tasks::Running,
    upload::UPLOADS,
};

/// Where the agent serves unless told otherwise.
#[cfg(windows)]
pub const DEFAULT_ENDPOINT: &str = r"\\.\pipe\daemoneye\agent";

/// Where the agent serves unless told otherwise.
#[cfg(not(windows))]
pub const DEFAULT_ENDPOINT: &str = "/var/run/daemoneye/agent.sock";

/// What the agent is told when it is started.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Socket to serve [default: /var/run/daemoneye/agent.sock]
    #[arg(long, value_name = "PATH")]
    pub endpoint: Option<PathBuf>,
    /// Socket of procmond [default: endpoint_path of the configuration, as procmond and its tools read it]
    #[arg(long, value_name = "PATH")]
    pub procmond: Option<PathBuf>,
    /// YAML file with an `ipc:` section; DAEMONEYE_IPC_* variables come on top
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Time between two beats of a collector; after three without one it is degraded, after six lost
    #[arg(
        long,
        value_name = "MS",
        default_value_t = DEFAULT_HEARTBEAT_MS,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000)
    )]
    pub heartbeat_interval: u64,
}

/// Soon enough to see a collector that is stuck, seldom enough to cost nothing.
const DEFAULT_HEARTBEAT_MS: u64 = 1_000;

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            procmond: None,
            config: None,
            heartbeat_interval: DEFAULT_HEARTBEAT_MS,
        }
    }
}

/// Runs the agent with the [default rules](rules::defaults) until `shutdown` is ready, then drains.
///
/// Prints one line `ready PATH` on standard output once callers can connect, whether procmond is there
/// or not. Make `shutdown` before (see [`daemoneye_ipc::shutdown_signal`]), so that a signal that comes
/// right after that line is caught.
///
/// # Errors
/// [`IpcError::Config`] for a wrong setting, [`IpcError::Endpoint`] if the socket cannot be served.
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<DrainReport, IpcError> {
    let rules = rules::defaults().map_err(|error| refused(error.to_string()))?;
    run_with_rules(options, rules, shutdown).await
}

/// As [`run`], with other rules.
///
/// # Errors
/// As [`run`].
pub async fn run_with_rules(
    options: Options,
    rules: Vec<Rule>,
    shutdown: impl Future<Output = ()>,
) -> Result<DrainReport, IpcError> {
    let heartbeat = Duration::from_millis(options.heartbeat_interval);
    let (own, procmond) = configure(options)?;
    let grace = Duration::from_millis(own.limits.drain_timeout_ms);
    let health = HealthReporter::new();
    let state = Arc::new(State::new(health.clone()));
    let bus = Arc::new(Bus::new(epoch::name(), Limits::default()));
    let announcer = Announcer::new(Arc::clone(&bus));
    let alerts = Arc::new(Alerts::new(rules, announcer.clone()));
    let registry = Registry::new(heartbeat, health.clone());
    let client = ProcessMonitorClient::new(Channel::lazy(procmond.clone())?);
    let service = AgentService {
        client: client.clone(),
        state: Arc::clone(&state),
        alerts: Arc::clone(&alerts),
        registry: Arc::clone(&registry),
        running: Running::default(),
        uploads: Semaphore::new(UPLOADS),
    };
    let control = Control::new(Arc::clone(&registry));
    let builder = Server::builder(own)
        .interceptor(AuditLog::default())
        .add_service(AgentServer::new(service))
        .add_service(EventBusServer::new(EventBusService { bus }))
        .add_service(CollectorControlServer::new(control))
        .health(health)
        .introspection()
        .reflection();
    let server = Server::from_env(builder).await?;
    announce(server.endpoint());
    let link = Link::new(client, &procmond, state, Arc::clone(&alerts), announcer).run();
    let shutdown = async {
        tokio::select! {
            () = shutdown => {}
            () = link => {}
            () = registry.watch() => {}
        }
        tracing::info!("draining");
        // A follower never ends by itself, and would hold the drain up.
        alerts.close();
    };
    let report = server.serve_until(shutdown, grace).await?;
    tracing::info!(
        finished = report.finished,
        aborted = report.aborted,
        "drained"
    );
    Ok(report)
}

/// The agent's own settings, and those of its link.
fn configure(options: Options) -> Result<(IpcConfig, IpcConfig), IpcError> {
    let mut procmond = IpcConfig::load(options.config.as_deref())?;
    if let Some(path) = options.procmond {
        procmond.endpoint_path = path;
    }
    let mut own = procmond.clone();
    own.endpoint_path = options.endpoint.unwrap_or_else(|| DEFAULT_ENDPOINT.into());
    if own.endpoint_path == procmond.endpoint_path {
        return Err(refused(format!(
            "{} would be both the agent's socket and procmond's; set --endpoint or --procmond to another path",
            own.endpoint_path.display()
        )));
    }
    Ok((own, procmond))
}

const fn refused(message: String) -> IpcError {
    IpcError::Config {
        message,
        location: None,
    }
}

fn announce(endpoint: &Path) {
    tracing::info!(endpoint = %endpoint.display(), "serving");
    let mut out = io::stdout().lock();
    // Whoever started this may not care, and have closed it.
    let _ = writeln!(out, "ready {}", endpoint.display()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_does_not_serve_where_it_expects_procmond() {
        let same = Some(PathBuf::from("/run/x.sock"));
        let options = Options {
            endpoint: same.clone(),
            procmond: same,
            ..Options::default()
        };
        let error = configure(options).expect_err("refused").to_string();
        assert!(
            error.contains("/run/x.sock") && error.contains("--procmond"),
            "{error}"
        );
    }
}
