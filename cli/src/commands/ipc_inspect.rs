//! `ipc inspect`: connections, calls in flight and counters of a server.
//!
//! **Invariant**: shows what the server's introspection says, and nothing of what is in messages, since it
//! says nothing of that.

use std::time::Duration;

use daemoneye_ipc::{
    CallError, Channel, Code, IpcConfig,
    prost_types::Duration as ProtoDuration,
    schema::introspection::v1::{
        Call, Connection, GetStatsRequest, IntrospectionClient, ListCallsRequest,
        ListConnectionsRequest, Stats,
    },
};
use serde_json::{Value, json};

use crate::{
    args::IpcInspect,
    connect,
    explain::Explanation,
    failure::Failure,
    format,
    output::Output,
    table::{Align, Table},
};

/// What a server says of itself.
struct Inside {
    stats: Stats,
    connections: Vec<Connection>,
    calls: Vec<Call>,
}

/// Runs the command and returns the exit code.
pub(crate) async fn run(config: IpcConfig, args: IpcInspect) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    let channel = connect::channel(&config).await?;
    let inside = look(&channel).await.map_err(|error| {
        if error.code() != Code::Unimplemented {
            return Failure::call(&error, config.crc32_variant);
        }
        Failure::failed(
            "the server does not show its inside",
            Explanation::new(
                "it does not serve daemoneye.introspection.v1.Introspection",
                "add `.introspection()` to its `Server::builder(…)`",
            ),
        )
    })?;
    if out.is_json() {
        out.json(&to_json(&config, &inside))?;
        return Ok(0);
    }
    for line in summary(&inside.stats) {
        out.line(line)?;
    }
    out.line("")?;
    out.table(&connections(&inside.connections), 0, None)?;
    out.line("")?;
    out.table(&calls(&inside.calls), 0, None)?;
    Ok(0)
}

async fn look(channel: &Channel) -> Result<Inside, CallError> {
    let client = IntrospectionClient::new(channel.clone());
    let stats = client.get_stats(GetStatsRequest {}).await?;
    let connections = client.list_connections(ListConnectionsRequest {}).await?;
    let calls = client.list_calls(ListCallsRequest::default()).await?;
    Ok(Inside {
        stats: stats.stats.unwrap_or_default(),
        connections: connections.connections,
        calls: calls.calls,
    })
}

fn summary(stats: &Stats) -> Vec<String> {
    let ended: u64 = stats.calls_ended.iter().map(|code| code.count).sum();
    let failed = stats.calls_ended.iter().filter(|code| code.code != 0);
    let by_code: Vec<_> = failed
        .map(|code| {
            let name = Code::from_number(code.code).name();
            format!("{} {name}", format::count(code.count))
        })
        .collect();
    let mut lines = vec![
        format!("up {}", age(stats.uptime.as_ref())),
        format!(
            "connections: {} open, {} let in, {} denied, {} over the limit",
            stats.connections,
            format::count(stats.connections_accepted),
            format::count(stats.connections_denied),
            format::count(stats.connections_over_limit)
        ),
        format!(
            "calls: {} in flight, {} ended, {} of them refused, {} abandoned",
            stats.calls_in_flight,
            format::count(ended),
            format::count(stats.calls_refused),
            format::count(stats.calls_abandoned)
        ),
        format!(
            "bytes: {} read, {} written, {} queued",
            format::bytes(stats.bytes_read),
            format::bytes(stats.bytes_written),
            format::bytes(stats.queued_bytes)
        ),
    ];
    if !by_code.is_empty() {
        lines.push(format!("failures: {}", by_code.join(", ")));
    }
    if !stats.faults.is_empty() {
        let faults = stats.faults.iter();
        let faults: Vec<_> = faults
            .map(|fault| {
                format!(
                    "{} {}",
                    format::count(fault.count),
                    format::plain(&fault.cause)
                )
            })
            .collect();
        lines.push(format!("connections lost to faults: {}", faults.join(", ")));
    }
    lines
}

fn connections(connections: &[Connection]) -> Table {
    let mut table = Table::new(&[
        ("CONNECTION", Align::Right),
        ("UID", Align::Right),
        ("PID", Align::Right),
        ("AGE", Align::Right),
        ("CALLS", Align::Right),
        ("QUEUED", Align::Right),
        ("READ", Align::Right),
        ("WRITTEN", Align::Right),
        ("AGENT", Align::Left),
    ]);
    for connection in connections {
        let peer = connection.peer.unwrap_or_default();
        table.row([
            connection.id.to_string(),
            peer.uid.to_string(),
            peer.pid.map(|pid| pid.to_string()).unwrap_or_default(),
            age(connection.age.as_ref()),
            connection.calls_in_flight.to_string(),
            format::bytes(connection.queued_bytes),
            format::bytes(connection.bytes_read),
            format::bytes(connection.bytes_written),
            connection.agent.clone(),
        ]);
    }
    table
}

fn calls(calls: &[Call]) -> Table {
    let mut table = Table::new(&[
        ("CONNECTION", Align::Right),
        ("CALL", Align::Right),
        ("AGE", Align::Right),
        ("TIME LEFT", Align::Right),
        ("QUEUED", Align::Right),
        ("METHOD", Align::Left),
    ]);
    for call in calls {
        let left = match (call.ended, &call.time_left) {
            (true, _) => "ended".to_owned(),
            (false, None) => "unlimited".to_owned(),
            (false, Some(left)) => format::duration(time(Some(left))),
        };
        table.row([
            call.connection.to_string(),
            call.id.to_string(),
            format::duration(time(call.age.as_ref())),
            left,
            format::bytes(call.inbound_bytes.saturating_add(call.outbound_bytes)),
            call.method.clone(),
        ]);
    }
    table
}

fn time(duration: Option<&ProtoDuration>) -> Duration {
    duration
        .and_then(|duration| Duration::try_from(*duration).ok())
        .unwrap_or_default()
}

fn age(duration: Option<&ProtoDuration>) -> String {
    format::age(time(duration))
}

fn micros(duration: Option<&ProtoDuration>) -> u64 {
    u64::try_from(time(duration).as_micros()).unwrap_or(u64::MAX)
}

fn to_json(config: &IpcConfig, inside: &Inside) -> Value {
    let Inside {
        stats,
        connections,
        calls,
    } = inside;
    let ended = stats.calls_ended.iter();
    let ended: serde_json::Map<_, _> = ended
        .map(|code| {
            (
                Code::from_number(code.code).name().to_owned(),
                code.count.into(),
            )
        })
        .collect();
    let faults = stats.faults.iter();
    let faults: serde_json::Map<_, _> = faults
        .map(|fault| (fault.cause.clone(), fault.count.into()))
        .collect();
    json!({
        "command": "ipc inspect",
        "endpoint": config.endpoint_path,
        "uptime_us": micros(stats.uptime.as_ref()),
        "connections_accepted": stats.connections_accepted,
        "connections_denied": stats.connections_denied,
        "connections_over_limit": stats.connections_over_limit,
        "handlers": stats.handlers,
        "calls_started": stats.calls_started,
        "calls_ended": ended,
        "calls_refused": stats.calls_refused,
        "calls_abandoned": stats.calls_abandoned,
        "faults": faults,
        "queued_bytes": stats.queued_bytes,
        "bytes_read": stats.bytes_read,
        "bytes_written": stats.bytes_written,
        "connections": connections.iter().map(connection_json).collect::<Vec<_>>(),
        "calls": calls.iter().map(call_json).collect::<Vec<_>>(),
    })
}

fn connection_json(connection: &Connection) -> Value {
    let peer = connection.peer.unwrap_or_default();
    json!({
        "connection": connection.id,
        "uid": peer.uid,
        "gid": peer.gid,
        "pid": peer.pid,
        "agent": connection.agent,
        "age_us": micros(connection.age.as_ref()),
        "calls_open": connection.calls_open,
        "calls_in_flight": connection.calls_in_flight,
        "queued_bytes": connection.queued_bytes,
        "bytes_read": connection.bytes_read,
        "bytes_written": connection.bytes_written,
    })
}

fn call_json(call: &Call) -> Value {
    json!({
        "connection": call.connection,
        "call": call.id,
        "method": call.method,
        "age_us": micros(call.age.as_ref()),
        "time_left_us": call.time_left.as_ref().map(|left| micros(Some(left))),
        "ended": call.ended,
        "inbound_bytes": call.inbound_bytes,
        "outbound_bytes": call.outbound_bytes,
    })
}
