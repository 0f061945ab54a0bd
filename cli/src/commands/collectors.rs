//! `collectors`: the programs that collect for the agent, listed and commanded.
//!
//! **Invariant**: a command is reported as done only when the collector itself has said so.

use std::{path::Path, time::Duration};

use daemoneye_ipc::{CallError, IpcConfig};
use daemoneye_ipc_generated::{
    agent::v1::{AgentClient, GetStatusRequest},
    collector::v1::{
        CollectorConfig as Settings, CollectorControlClient, CollectorLiveness, CollectorState,
        CollectorStatus, PauseRequest, ResumeRequest, ShutdownRequest, UpdateConfigRequest,
        UpdateConfigResponse, update_config_request::Change,
    },
};
use serde_json::{Value, json};

use crate::{
    args::{AgentTarget, CollectorConfig, Collectors, CollectorsList},
    connect,
    failure::Failure,
    format,
    output::Output,
    table::{Align, Table},
};

/// Runs the command and returns the exit code.
pub(crate) async fn run(file: Option<&Path>, command: Collectors) -> Result<u8, Failure> {
    match command {
        Collectors::List(args) => list(file, args).await,
        Collectors::Pause(args) => {
            let (config, client) = reach(file, &args.command.agent).await?;
            let collector_id = args.command.name.clone();
            let reason = args.reason;
            let done = client.pause(PauseRequest {
                collector_id,
                reason,
            });
            let state = done.await.map(|done| done.state());
            told(
                "pause",
                &args.command.name,
                state,
                &config,
                args.command.json,
            )
        }
        Collectors::Resume(args) => {
            let (config, client) = reach(file, &args.agent).await?;
            let collector_id = args.name.clone();
            let done = client.resume(ResumeRequest { collector_id }).await;
            let state = done.map(|done| done.state());
            told("resume", &args.name, state, &config, args.json)
        }
        Collectors::Config(args) => change(file, args).await,
        Collectors::Shutdown(args) => {
            let (config, client) = reach(file, &args.agent).await?;
            let collector_id = args.name.clone();
            let done = client.shutdown(ShutdownRequest { collector_id }).await;
            let state = done.map(|done| done.state());
            told("shutdown", &args.name, state, &config, args.json)
        }
    }
}

async fn reach(
    file: Option<&Path>,
    agent: &AgentTarget,
) -> Result<(IpcConfig, CollectorControlClient), Failure> {
    let config = connect::configuration(file, &agent.target())?;
    let channel = connect::channel(&config).await?;
    Ok((config, CollectorControlClient::new(channel)))
}

/// Shows how a command went.
fn told(
    command: &str,
    name: &str,
    state: Result<CollectorState, CallError>,
    config: &IpcConfig,
    json: bool,
) -> Result<u8, Failure> {
    let state = state.map_err(|error| Failure::call(&error, config.crc32_variant))?;
    let mut out = Output::stdout(json);
    if out.is_json() {
        out.json(&json!({
            "command": format!("collectors {command}"),
            "endpoint": config.endpoint_path,
            "collector_id": name,
            "state": state_name(state),
        }))?;
    }
    out.line(format_args!(
        "{}: {}",
        format::plain(name),
        state_name(state)
    ))?;
    Ok(0)
}

async fn change(file: Option<&Path>, args: CollectorConfig) -> Result<u8, Failure> {
    let (config, client) = reach(file, &args.agent).await?;
    let scan_interval = args.scan_interval.map(Duration::from_millis);
    let settings = Settings {
        scan_interval: scan_interval.and_then(|interval| interval.try_into().ok()),
        max_hash_bytes: args.max_hash_bytes,
    };
    let request = UpdateConfigRequest {
        collector_id: args.name.clone(),
        change: Some(match args.rollback_to {
            Some(revision) => Change::RollbackTo(revision),
            None => Change::Config(settings),
        }),
        validate_only: args.validate_only,
        expected_revision: args.expected_revision,
    };
    let UpdateConfigResponse {
        revision,
        config: settings,
    } = client
        .update_config(request)
        .await
        .map_err(|error| Failure::call(&error, config.crc32_variant))?;
    let settings = settings.unwrap_or_default();
    let mut out = Output::stdout(args.json);
    if out.is_json() {
        out.json(&json!({
            "command": "collectors config",
            "endpoint": config.endpoint_path,
            "collector_id": args.name,
            "validate_only": args.validate_only,
            "revision": revision,
            "scan_interval_ms": millis(&settings),
            "max_hash_bytes": settings.max_hash_bytes,
        }))?;
        return Ok(0);
    }
    let end = if args.validate_only {
        format!("would be accepted; revision {revision} stays in force")
    } else {
        format!("in force as revision {revision}")
    };
    out.line(format_args!(
        "{}: {}, {end}",
        format::plain(&args.name),
        shown(&settings)
    ))?;
    Ok(0)
}

async fn list(file: Option<&Path>, args: CollectorsList) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    let config = connect::configuration(file, &args.agent.target())?;
    let client = AgentClient::new(connect::channel(&config).await?);
    let status = client.get_status(GetStatusRequest {}).await;
    let collectors = status
        .map_err(|error| Failure::call(&error, config.crc32_variant))?
        .collectors;
    if out.is_json() {
        let collectors: Vec<_> = collectors.iter().map(to_json).collect();
        out.json(&json!({
            "command": "collectors list",
            "endpoint": config.endpoint_path,
            "collectors": collectors,
        }))?;
        return Ok(0);
    }
    if collectors.is_empty() {
        out.line("no collector is registered")?;
        return Ok(0);
    }
    out.table(&table(&collectors), 0, None)?;
    Ok(0)
}

fn table(collectors: &[CollectorStatus]) -> Table {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("LIVENESS", Align::Left),
        ("STATE", Align::Left),
        ("PID", Align::Right),
        ("USER", Align::Right),
        ("HEARD", Align::Right),
        ("EVENTS", Align::Right),
        ("SETTINGS", Align::Left),
        ("ENDPOINT", Align::Left),
    ]);
    for collector in collectors {
        let heard = collector
            .since_beat
            .and_then(|since| Duration::try_from(since).ok());
        let settings = collector.config.unwrap_or_default();
        table.row([
            collector.collector_id.clone(),
            liveness_name(collector.liveness()),
            state_name(collector.state()),
            collector
                .pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            collector.user_id.to_string(),
            heard.map_or_else(
                || "-".to_owned(),
                |since| format!("{} ago", format::age(since)),
            ),
            format::count(collector.counters.unwrap_or_default().events),
            format!(
                "{}, revision {}",
                shown(&settings),
                collector.config_revision
            ),
            collector.endpoint.clone(),
        ]);
    }
    table
}

fn to_json(collector: &CollectorStatus) -> Value {
    let settings = collector.config.unwrap_or_default();
    let counters = collector.counters.unwrap_or_default();
    let since = collector
        .since_beat
        .and_then(|since| Duration::try_from(since).ok());
    let short = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_lowercase();
    let capabilities = collector
        .capabilities()
        .map(|one| short(one.as_str_name(), "COLLECTOR_CAPABILITY_"));
    json!({
        "collector_id": collector.collector_id,
        "kind": short(collector.kind().as_str_name(), "COLLECTOR_KIND_"),
        "version": collector.version,
        "endpoint": collector.endpoint,
        "capabilities": capabilities.collect::<Vec<_>>(),
        "pid": collector.pid,
        "user_id": collector.user_id,
        "liveness": liveness_name(collector.liveness()),
        "state": state_name(collector.state()),
        "since_beat_ms": since.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        "beats": collector.beats,
        "counters": {
            "looks": counters.looks,
            "failed_looks": counters.failed_looks,
            "events": counters.events,
            "watchers": counters.watchers,
        },
        "config": {
            "scan_interval_ms": millis(&settings),
            "max_hash_bytes": settings.max_hash_bytes,
        },
        "config_revision": collector.config_revision,
        "earlier_revisions": collector.earlier_revisions,
        "reason": collector.reason,
    })
}

/// Settings for people.
fn shown(settings: &Settings) -> String {
    let interval = match millis(settings) {
        Some(millis) => format!("looks every {millis} ms"),
        None => "looks at its own pace".to_owned(),
    };
    match settings.max_hash_bytes {
        Some(limit) if limit > 0 => format!("{interval}, hashes up to {}", format::bytes(limit)),
        Some(_) | None => interval,
    }
}

fn millis(settings: &Settings) -> Option<u64> {
    let interval = Duration::try_from(settings.scan_interval?).ok()?;
    u64::try_from(interval.as_millis()).ok()
}

fn liveness_name(liveness: CollectorLiveness) -> String {
    let name = liveness.as_str_name();
    name.trim_start_matches("COLLECTOR_LIVENESS_")
        .to_lowercase()
}

fn state_name(state: CollectorState) -> String {
    match state {
        CollectorState::Unspecified => "unknown".to_owned(),
        state => state
            .as_str_name()
            .trim_start_matches("COLLECTOR_STATE_")
            .to_lowercase(),
    }
}
