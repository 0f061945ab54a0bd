//! Connections one after another, each with one call.
//!
//! **Invariant**: each connection is new, and is dropped within the time.

use std::time::Instant;

use bytes::Bytes;

use super::{Bench, Client, Contender, Sample};

pub(super) const FIGURES: &[(&str, &str)] = &[("connections", "1/s"), ("cpu", "us")];

pub(super) async fn run<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let payload = Bytes::from_static(&[7; 64]);
    let (cpu, begin) = (bench.cpu()?, Instant::now());
    let mut count = 0.0;
    while begin.elapsed() < bench.time {
        let mut client = bench.connect::<C>().await?;
        client.echo(payload.clone()).await?;
        drop(client);
        count += 1.0;
    }
    let rate = count / begin.elapsed().as_secs_f64();
    Ok(Sample::default()
        .with("connections", rate)
        .with("cpu", (bench.cpu()? - cpu) / count * 1e6))
}
