//! Calls at a fixed rate, whether earlier ones are answered or not.
//!
//! **Invariant**: a call's time runs from when it was due, not from when it was made: no coordinated
//! omission. What a thread sleeps too long is part of every contender's times.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::{runtime::Handle, task::JoinSet};

use super::{Bench, Client, Contender, Sample, latency};

pub(super) const FIGURES: &[(&str, &str)] = &[
    ("p50", "us"),
    ("p99", "us"),
    ("p99.9", "us"),
    ("cpu", "us/call"),
];

/// Between two calls.
const INTERVAL: Duration = Duration::from_micros(100);

pub(super) async fn run<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let mut client = bench.connect::<C>().await?;
    client.echo(Bytes::from_static(&[7; 64])).await?;
    let runtime = Handle::current();
    let time = bench.time;
    let (cpu, begin) = (bench.cpu()?, Instant::now());
    // The calls are made by a thread that no answer and no task can hold up.
    let calls = thread::spawn(move || calls(&client, &runtime, begin, time));
    let calls = tokio::task::spawn_blocking(|| calls.join()).await?;
    let mut calls = calls
        .ok()
        .context("the thread that makes the calls ended")??;
    let mut times = Histogram::<u64>::new(3)?;
    while let Some(time) = calls.join_next().await {
        times.record(time??.as_nanos() as u64)?;
    }
    let cpu = (bench.cpu()? - cpu) / times.len() as f64 * 1e6;
    let tail = times.value_at_percentile(99.9) as f64 / 1e3;
    Ok(latency(&times).with("p99.9", tail).with("cpu", cpu))
}

fn calls<C: Client>(
    client: &C,
    runtime: &Handle,
    begin: Instant,
    time: Duration,
) -> anyhow::Result<JoinSet<anyhow::Result<Duration>>> {
    let mut calls = JoinSet::new();
    let mut due = begin;
    while due < begin + time {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut client = client.handle().context("one handle only")?;
        let call = async move {
            client.echo(Bytes::from_static(&[7; 64])).await?;
            Ok(due.elapsed())
        };
        calls.spawn_on(call, runtime);
        due += INTERVAL;
    }
    Ok(calls)
}
