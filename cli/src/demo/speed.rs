//! How fast the connection is: calls one after the other, and many at once.
//!
//! **Invariant**: what is timed is whole calls, from the request in hand to the reply in hand, over the
//! real socket to the other process.

use std::time::{Duration, Instant};

use daemoneye_ipc::{
    CallError, Channel,
    bytes::Bytes,
    schema::health::v1::{HealthClient, PingRequest},
};
use tokio::task::JoinSet;

use super::Demo;
use crate::{
    failure::Failure,
    format,
    report::Check,
    stats::{Latencies, Summary},
};

/// How long each measurement takes.
const SPAN: Duration = Duration::from_millis(750);
/// Calls in flight in the second measurement.
const AT_ONCE: usize = 64;
/// The size of a request's payload and of its echo.
const PAYLOAD: usize = 64;

/// Measures and reports both.
pub(crate) async fn measure(demo: &mut Demo<'_>, channel: &Channel) -> Result<(), Failure> {
    demo.out.section(&format!(
        "Speed: echoes of {PAYLOAD} bytes between two processes"
    ))?;
    let client = HealthClient::new(channel.clone());
    for (name, at_once) in [("one at a time", 1), ("64 at once", AT_ONCE)] {
        let start = Instant::now();
        let latencies = calls(&client, at_once)
            .await
            .map_err(|error| demo.call_failed(&error))?;
        let took = start.elapsed();
        let Some(summary) = latencies.summary() else {
            continue;
        };
        demo.record(check(name, at_once, took, &summary))?;
    }
    Ok(())
}

fn check(name: &str, at_once: usize, took: Duration, summary: &Summary) -> Check {
    let per_second = summary.samples as f64 / took.as_secs_f64();
    let detail = format!(
        "{} calls/s; {}",
        format::count(per_second as u64),
        summary.line()
    );
    Check::passed(name, detail)
        .took(took)
        .fact("in_flight", at_once)
        .fact("calls", summary.samples)
        .fact("calls_per_second", per_second.round())
        .fact("min_us", summary.min_us)
        .fact("median_us", summary.median_us)
        .fact("p90_us", summary.p90_us)
        .fact("p99_us", summary.p99_us)
        .fact("max_us", summary.max_us)
}

async fn calls(client: &HealthClient, at_once: usize) -> Result<Latencies, CallError> {
    let end = Instant::now() + SPAN;
    let mut callers = JoinSet::new();
    for _ in 0..at_once {
        callers.spawn(caller(client.clone(), end));
    }
    let mut all = Latencies::new();
    while let Some(one) = callers.join_next().await {
        // A caller neither panics nor is it aborted while this waits for it.
        if let Ok(latencies) = one {
            all.merge(&latencies?);
        }
    }
    Ok(all)
}

async fn caller(client: HealthClient, end: Instant) -> Result<Latencies, CallError> {
    let payload = Bytes::from_static(&[0xA5; PAYLOAD]);
    let mut latencies = Latencies::new();
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(latencies);
        }
        client
            .ping(PingRequest {
                payload: payload.clone(),
            })
            .await?;
        latencies.record(start.elapsed());
    }
}
