//! CPU of both ends while nothing is called.
//!
//! **Invariant**: the connection has been used before.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Bench, Client, Contender, Sample};

/// After the last call, what it leaves behind may end.
const SETTLE: Duration = Duration::from_millis(100);
/// Less says nothing of an idle process.
const LEAST: Duration = Duration::from_secs(1);

pub(super) const FIGURES: &[(&str, &str)] = &[("cpu", "us/s")];

pub(super) async fn run<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let mut client = bench.connect::<C>().await?;
    for _ in 0..100 {
        client.echo(Bytes::from_static(&[7; 64])).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let (cpu, begin) = (bench.cpu()?, Instant::now());
    tokio::time::sleep(bench.time.max(LEAST)).await;
    let used = (bench.cpu()? - cpu) / begin.elapsed().as_secs_f64() * 1e6;
    drop(client);
    Ok(Sample::default().with("cpu", used))
}
