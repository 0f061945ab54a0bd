//! The healthy part of the demo: handshake, the machine's processes, events, health.
//!
//! **Invariant**: everything shown came over the socket; the demo reads nothing about processes itself.

use std::{cmp::Reverse, process, time::Instant};

use daemoneye_ipc::{Channel, Streaming, schema::health::v1::HealthClient, wire::Verdict};
use daemoneye_ipc_generated::procmond::v1::{
    ProcessEventKind, ProcessFilter, ProcessMonitorClient, WatchProcessesRequest,
    WatchProcessesResponse, watch_processes_response::Item,
};
use tokio::time::timeout;

use super::{Demo, STEP_LIMIT, child::Idler};
use crate::{
    commands,
    explain::Explanation,
    failure::Failure,
    format, records,
    report::{Check, Verdict as State},
};

/// Processes shown of those that were listed, besides the demo itself.
const SHOWN: usize = 8;

/// Where the table is cut, so that command lines do not bury the demo.
const LONGEST_LINE: usize = 110;

/// Connects to procmond and shows what the two sides agreed on.
pub(crate) async fn handshake(demo: &mut Demo<'_>) -> Result<Channel, Failure> {
    demo.out.section("Handshake")?;
    let start = Instant::now();
    let channel =
        Channel::lazy(demo.config.clone()).map_err(|error| demo.connect_failed(&error))?;
    // Clients that exist before the connection have their schemas named, and judged, in the handshake.
    let _named = (
        ProcessMonitorClient::new(channel.clone()),
        HealthClient::new(channel.clone()),
    );
    channel
        .ping()
        .await
        .map_err(|error| demo.connect_failed(error.kind()))?;
    let took = start.elapsed();
    let Some(hello) = channel.server_hello() else {
        let why = Explanation::new("the connection was lost right away", "run the demo again");
        return Err(Failure::failed("no HELLO from procmond", why));
    };
    let detail = format!(
        "{}, protocol {}, frames up to {}, {} calls at once",
        hello.agent,
        hello.protocol,
        format::bytes(u64::from(hello.max_frame_bytes)),
        hello.max_calls
    );
    demo.record(
        Check::passed("connect", detail)
            .took(took)
            .fact("protocol", hello.protocol),
    )?;
    let named = |verdict| {
        let of = hello
            .services
            .iter()
            .filter(move |service| service.verdict() == verdict);
        of.map(|service| service.name.as_str()).collect::<Vec<_>>()
    };
    let exact = named(Verdict::Exact);
    let detail = format!("same on both sides: {}", exact.join(", "));
    demo.record(Check::passed("schemas", detail).fact("exact", exact))?;
    Ok(channel)
}

/// Lists the processes of this machine and finds the demo itself among them.
pub(crate) async fn processes(demo: &mut Demo<'_>, channel: &Channel) -> Result<(), Failure> {
    demo.out.section("Processes of this machine, over IPC")?;
    let start = Instant::now();
    let listed = records::list(channel, ProcessFilter::default()).await;
    let mut all = listed.map_err(|error| demo.call_failed(&error))?;
    let took = start.elapsed();
    let (me, count) = (process::id(), all.len());
    let Some(own) = all.iter().position(|record| record.pid == me) else {
        let why = Explanation::new(
            format!("process {me}, this demo, is not among the {count} that procmond lists"),
            "check that /proc is mounted and not hidden (hidepid)",
        );
        return Err(Failure::failed("procmond does not see this process", why));
    };
    let own = all.swap_remove(own);
    all.sort_by_key(|record| Reverse(record.memory_bytes));
    all.truncate(SHOWN);
    all.push(own);
    demo.out
        .table(&records::table(&all), 2, Some(LONGEST_LINE))?;
    let detail = format!(
        "{} listed; the largest are shown, and this one (pid {me})",
        format::count(count as u64)
    );
    let check = Check::passed("processes", detail).took(took);
    demo.record(check.fact("processes", count).fact("own_pid", me))?;
    Ok(())
}

/// Streams events while a child starts and ends.
pub(crate) async fn events(demo: &mut Demo<'_>, channel: &Channel) -> Result<(), Failure> {
    demo.out.section("Events, streamed as they happen")?;
    let client = ProcessMonitorClient::new(channel.clone());
    let request = WatchProcessesRequest::default();
    let mut stream = client
        .watch_processes(request)
        .await
        .map_err(|error| demo.call_failed(&error))?;
    let start = Instant::now();
    let started = |item: &Item| match item {
        Item::Started(started) => Some(started.processes),
        _ => None,
    };
    let processes = until(demo, &mut stream, "the watch to begin", started).await?;
    let detail = format!(
        "{} when it began",
        format::plural(processes as usize, "process", "processes")
    );
    demo.record(Check::passed("watch", detail).took(start.elapsed()))?;

    let start = Instant::now();
    let idler = Idler::start()?;
    let pid = idler.pid();
    let wait = format!("the start of process {pid}");
    until(demo, &mut stream, &wait, |item| {
        seen(item, pid, ProcessEventKind::Started)
    })
    .await?;
    let detail = format!("process {pid}, a child of this demo, was seen");
    demo.record(
        Check::passed("started", detail)
            .took(start.elapsed())
            .fact("pid", pid),
    )?;

    let start = Instant::now();
    idler.end().await?;
    let wait = format!("the end of process {pid}");
    until(demo, &mut stream, &wait, |item| {
        seen(item, pid, ProcessEventKind::Exited)
    })
    .await?;
    let detail = format!("process {pid} is gone again, and that was seen too");
    demo.record(
        Check::passed("ended", detail)
            .took(start.elapsed())
            .fact("pid", pid),
    )?;
    Ok(())
}

/// Runs the health check against procmond, as `health-check` does.
pub(crate) async fn health(demo: &mut Demo<'_>) -> Result<(), Failure> {
    demo.out
        .section("Health, as `daemoneye-cli health-check` sees it")?;
    let report = commands::examine(&demo.config, demo.out, false).await?;
    let verdict = report.verdict();
    let detail = format!(
        "{} with {}",
        verdict.name(),
        format::plural(report.checks().len(), "check", "checks")
    );
    let report = report.to_json();
    let check = match verdict {
        State::Healthy => Check::passed("health", detail),
        State::Degraded => Check::warned("health", detail, above()),
        State::Unhealthy | State::Unreachable => Check::failed("health", detail, above()),
    };
    demo.record(check.fact("report", report))?;
    Ok(())
}

fn above() -> Explanation {
    Explanation::new(
        "a check of procmond did not pass",
        "do what that check says, in the lines above or in its report",
    )
}

fn seen(item: &Item, pid: u32, kind: ProcessEventKind) -> Option<()> {
    let Item::Event(event) = item else {
        return None;
    };
    let same = event
        .process
        .as_ref()
        .is_some_and(|process| process.pid == pid);
    (same && event.kind() == kind).then_some(())
}

/// Reads the stream until `pick` finds what it looks for.
async fn until<T>(
    demo: &Demo<'_>,
    stream: &mut Streaming<WatchProcessesResponse>,
    what: &str,
    pick: impl Fn(&Item) -> Option<T>,
) -> Result<T, Failure> {
    let look = async {
        loop {
            let step = stream
                .message()
                .await
                .map_err(|error| demo.call_failed(&error))?;
            let Some(step) = step else {
                let why = Explanation::new("procmond ended the stream", "run the demo again");
                return Err(Failure::failed(format!("waited in vain for {what}"), why));
            };
            if let Some(found) = step.item.as_ref().and_then(&pick) {
                return Ok(found);
            }
        }
    };
    timeout(STEP_LIMIT, look).await.unwrap_or_else(|_| {
        let why = Explanation::new(
            format!("nothing of it came within {} s", STEP_LIMIT.as_secs()),
            "the machine may be overloaded: run the demo again",
        );
        Err(Failure::failed(format!("waited in vain for {what}"), why))
    })
}
