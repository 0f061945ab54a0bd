//! `ipc-conformance`: serves the conformance service, for tests of any implementation of the wire
//! contract.
//!
//! **Invariant**: standard output holds `ready PATH` and nothing else; everything else is logged to
//! standard error.

mod options;

use std::{io::Write, process::ExitCode, time::Duration};

use clap::Parser;
use daemoneye_ipc::{IpcConfig, PeerPolicy, Server, health::HealthReporter, shutdown_signal};
use daemoneye_ipc_generated::conformance::v1::ConformanceServer;
use ipc_conformance::ConformanceService;

use self::options::{Cli, Command, Serve};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let Command::Serve(serve) = Cli::parse().command;
    match run(&serve).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "ipc-conformance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(serve: &Serve) -> anyhow::Result<()> {
    let config = serve.config()?;
    let grace = Duration::from_millis(config.limits.drain_timeout_ms);
    let server = bind(config, serve.allow_uid.as_deref().unwrap_or_default()).await?;
    let shutdown = shutdown_signal();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "ready {}", server.endpoint().display())?;
    stdout.flush()?;
    drop(stdout);
    let report = server.serve_until(shutdown, grace).await?;
    tracing::info!(report.finished, report.aborted, "drained");
    Ok(())
}

/// The service shows what its own server holds, so it learns of the server once that is bound.
async fn bind(config: IpcConfig, allowed: &[u32]) -> anyhow::Result<Server> {
    let service = ConformanceService::default();
    let stats = service.stats_slot();
    let policy = allowed
        .iter()
        .fold(PeerPolicy::same_user(), |policy, uid| policy.or_uid(*uid));
    let server = Server::builder(config)
        .add_service(ConformanceServer::new(service))
        .health(HealthReporter::new())
        .reflection()
        .peer_policy(policy)
        .bind()
        .await?;
    let _ = stats.set(server.stats());
    Ok(server)
}
