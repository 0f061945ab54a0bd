//! Throughput against calls in flight on one connection, of which 64 is the row of the table.
//!
//! **Invariant**: as many calls are in flight as the point says, as soon as one is answered the next is made.

use std::time::Instant;

use bytes::Bytes;

use super::{Bench, Client, Contender, Sample};

pub(super) const FIGURES: &[(&str, &str)] = &[("calls", "1/s"), ("cpu", "us/call")];

pub(super) async fn run<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let mut sample = Sample::default();
    for calls in [1, 4, 16, 64, 256] {
        let client = bench.connect::<C>().await?;
        let payload = Bytes::from_static(&[7; 64]);
        let time = if calls == 64 {
            bench.time
        } else {
            bench.time / 5
        };
        let (cpu, begin) = (bench.cpu()?, Instant::now());
        let count = client.pipelined(payload, calls, begin + time).await? as f64;
        let rate = count / begin.elapsed().as_secs_f64();
        sample.curve.push((calls as f64, rate));
        if calls == 64 {
            let cpu = (bench.cpu()? - cpu) / count * 1e6;
            sample = sample.with("calls", rate).with("cpu", cpu);
        }
    }
    Ok(sample)
}
