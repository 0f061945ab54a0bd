//! Memory of a server by connections, each of which has made one call and is idle.
//!
//! **Invariant**: memory is what is resident, as the kernel counts it, in units of 1000 bytes.

use bytes::Bytes;

use super::{Bench, Client, Contender, Sample};
use crate::measure::resident_kib;

pub(super) const FIGURES: &[(&str, &str)] = &[
    ("server", "KB/connection"),
    ("both", "KB/connection"),
    ("growth", "x"),
];

pub(super) async fn run<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let mut sample = Sample::default();
    let mut clients = Vec::with_capacity(1001);
    let kb = |process| Ok::<_, anyhow::Error>(resident_kib(process)? as f64 * 1.024);
    let now = || Ok::<_, anyhow::Error>((kb(bench.server.id())?, kb(std::process::id())?));
    let (mut before, mut half) = ((0.0, 0.0), 0.0);
    for count in 0..=1000 {
        // The first connection is in what a server takes without any: code pages, the allocator's own.
        let mut client = bench.connect::<C>().await?;
        client.echo(Bytes::from_static(&[7; 64])).await?;
        clients.push(client);
        if count == 0 {
            before = now()?;
        }
        if count % 100 == 0 {
            let server = now()?.0;
            sample.curve.push((f64::from(count), server));
            if count == 500 {
                half = server;
            }
        }
    }
    let after = now()?;
    let server = (after.0 - before.0) / 1000.0;
    let client = (after.1 - before.1) / 1000.0;
    // What the second half of the connections takes, against the first.
    let growth = (after.0 - half) / (half - before.0);
    let sample = sample.with("server", server).with("both", server + client);
    Ok(sample.with("growth", growth))
}
