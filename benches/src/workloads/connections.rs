//! Many connections at once; and how throughput for each CPU second changes from 1 to 1000 of them.
//!
//! **Invariant**: connections are there before the time runs.

use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Bench, Client, Contender, Sample};

pub(super) const FIGURES: &[(&str, &str)] = &[("calls", "1/s"), ("cpu", "us/call")];
pub(super) const GROWTH: &[(&str, &str)] = &[
    ("at 1", "calls/CPU s"),
    ("at 100", "calls/CPU s"),
    ("at 1000", "calls/CPU s"),
    ("1000 to 1", "x"),
    ("1000 to 100", "x"),
];

pub(super) async fn run<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let (calls, cpu) = many::<C>(bench, 8, 32).await?;
    Ok(Sample::default()
        .with("calls", calls)
        .with("cpu", 1e6 / cpu))
}

pub(super) async fn growth<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let (_, one) = many::<C>(bench, 1, 1).await?;
    let (_, hundred) = many::<C>(bench, 100, 1).await?;
    let (_, thousand) = many::<C>(bench, 1000, 1).await?;
    let sample = Sample::default().with("at 1", one).with("at 100", hundred);
    Ok(sample
        .with("at 1000", thousand)
        .with("1000 to 1", thousand / one)
        .with("1000 to 100", thousand / hundred))
}

/// Calls by the second, and by the CPU second.
async fn many<C: Contender>(
    bench: &Bench,
    connections: usize,
    calls: usize,
) -> anyhow::Result<(f64, f64)> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut client = bench.connect::<C>().await?;
        client.echo(Bytes::from_static(&[7; 64])).await?;
        clients.push(client);
    }
    let (cpu, begin) = (bench.cpu()?, Instant::now());
    let until = begin + bench.time;
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(client.pipelined(Bytes::from_static(&[7; 64]), calls, until));
    }
    let mut total = 0;
    while let Some(count) = tasks.join_next().await {
        total += count??;
    }
    let rate = total as f64 / begin.elapsed().as_secs_f64();
    Ok((rate, total as f64 / (bench.cpu()? - cpu)))
}
