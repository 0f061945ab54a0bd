//! From the start of the server's process to the first answer.
//!
//! **Invariant**: nothing is there before: no process, no socket.

use std::{path::Path, time::Instant};

use bytes::Bytes;

use super::{Client, Contender, Sample, Server, Side};

pub(super) const FIGURES: &[(&str, &str)] = &[("time", "ms")];

pub(super) async fn run<C: Contender>(side: &Side, folder: &Path) -> anyhow::Result<Sample> {
    let mut times = Vec::new();
    for attempt in 0..10 {
        let path = folder.join(attempt.to_string());
        let start = Instant::now();
        let server = Server::start(side, &path)?;
        let mut client = C::connect(&path).await?;
        client.echo(Bytes::from_static(&[7; 64])).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        drop((client, server));
    }
    times.sort_by(f64::total_cmp);
    Ok(Sample::default().with("time", times[times.len() / 2]))
}
