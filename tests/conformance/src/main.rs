//! `ipc-conformance`: serves the conformance service, prints the vectors of the wire contract, holds
//! servers to it, and soaks them.
//!
//! **Invariant**: standard output holds what was asked for and nothing else; everything else goes to
//! standard error.

mod options;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use daemoneye_ipc::{IpcConfig, PeerPolicy, Server, health::HealthReporter, shutdown_signal};
use daemoneye_ipc_generated::conformance::v1::ConformanceServer;
use ipc_conformance::{
    ConformanceService,
    check::{CannotCheck, Report},
    vectors::{self, Limits, Rule},
    write_json,
};

use self::options::{CheckArgs, Cli, Command, Format, Serve};

/// Wrong usage, or nothing to check.
const UNUSABLE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(io::stderr)
        .init();
    let done = match Cli::parse().command {
        Command::Serve(serve) => run(&serve).await.map(|()| ExitCode::SUCCESS),
        Command::Check(arguments) => check(arguments).await,
        #[cfg(target_os = "linux")]
        Command::Soak(arguments) => soak(&arguments).await,
        Command::Vectors(arguments) => {
            let vectors = vectors::all(&arguments.limits());
            let written = write_json(&mut io::stdout().lock(), &vectors);
            written.map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    };
    done.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        let _ = writeln!(io::stderr(), "ipc-conformance: {error:#}");
        match error.downcast_ref::<CannotCheck>() {
            Some(_) => ExitCode::from(UNUSABLE),
            None => ExitCode::FAILURE,
        }
    })
}

/// Whether whoever reads the output has seen enough, as with `head`.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn list() -> anyhow::Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    for vector in vectors::conversations(&Limits::default()) {
        let Rule { section, .. } = vector.contract;
        writeln!(stdout, "{:36} {section}  {}", vector.id, vector.shows)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(arguments: CheckArgs) -> anyhow::Result<ExitCode> {
    if arguments.list {
        return list();
    }
    let format = arguments.format;
    let mut written = Ok(());
    let report = ipc_conformance::check::run(&arguments.check(), |played| {
        if format == Format::Text && written.is_ok() {
            written = writeln!(io::stdout(), "{played}");
        }
    })
    .await?;
    written?;
    let code = exit_code(&report);
    match format {
        Format::Text => writeln!(io::stdout(), "\n{report}")?,
        Format::Json => write_json(&mut io::stdout().lock(), &report.to_json())?,
    }
    Ok(code)
}

/// Soaks, with a line of progress on standard error.
#[cfg(target_os = "linux")]
async fn soak(arguments: &options::SoakArgs) -> anyhow::Result<ExitCode> {
    let soak = ipc_conformance::soak::Soak {
        program: std::env::current_exe()?,
        time: Duration::from_secs(arguments.seconds),
        callers: arguments.callers.into(),
    };
    let report = soak
        .run(|so_far| {
            let _ = write!(
                io::stderr(),
                "\r{} calls, {} faults ",
                so_far.calls(),
                so_far.faults()
            );
        })
        .await?;
    let mut stdout = io::stdout().lock();
    writeln!(io::stderr())?;
    writeln!(stdout, "{report}")?;
    let complaints = report.complaints();
    for complaint in &complaints {
        writeln!(stdout, "WRONG: {complaint}")?;
    }
    Ok(if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn exit_code(report: &Report) -> ExitCode {
    if report.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run(serve: &Serve) -> anyhow::Result<()> {
    let config = serve.config()?;
    let grace = Duration::from_millis(config.limits.drain_timeout_ms);
    let server = bind(config, serve.allow_uid.as_deref().unwrap_or_default()).await?;
    let shutdown = shutdown_signal();
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "ready {}", server.endpoint().display())?;
    stdout.flush()?;
    drop(stdout);
    let report = server.serve_until(shutdown, grace).await?;
    tracing::info!(report.finished, report.aborted, "drained");
    Ok(())
}

#[cfg(unix)]
fn let_in(policy: PeerPolicy, uid: &u32) -> PeerPolicy {
    policy.or_uid(*uid)
}

/// Users of Windows have no numbers, so that nobody has this one.
#[cfg(not(unix))]
fn let_in(policy: PeerPolicy, _uid: &u32) -> PeerPolicy {
    policy
}

/// The service shows what its own server holds, so it learns of the server once that is bound.
async fn bind(config: IpcConfig, allowed: &[u32]) -> anyhow::Result<Server> {
    let service = ConformanceService::default();
    let stats = service.stats_slot();
    let policy = allowed.iter().fold(PeerPolicy::same_user(), let_in);
    let builder = Server::builder(config)
        .add_service(ConformanceServer::new(service))
        .health(HealthReporter::new())
        .reflection()
        .introspection()
        .peer_policy(policy);
    let server = Server::from_env(builder).await?;
    let _ = stats.set(server.stats());
    Ok(server)
}
