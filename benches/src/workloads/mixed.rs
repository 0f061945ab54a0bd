//! A small call while a stream that is never short of messages is read on the same connection.
//!
//! **Invariant**: the stream is read throughout, without a pause.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use anyhow::{Context, ensure};
use bytes::Bytes;

use super::{Bench, Call, Client, Contender, Sample};

pub(super) async fn run<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let mut client = bench.connect::<C>().await?;
    let mut reader = client.handle().context("one handle only")?;
    let (go, seen) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let (reads, counts) = (Arc::clone(&go), Arc::clone(&seen));
    let reading = tokio::spawn(async move {
        let each = |_: &[u8]| {
            counts.fetch_add(1, Ordering::Relaxed);
            reads.load(Ordering::Relaxed)
        };
        reader.stream(16 << 10, each).await
    });
    let payload = Bytes::from_static(&[7; 64]);
    let sample = bench.times(&mut client, Call::Echo(payload)).await?;
    go.store(false, Ordering::Relaxed);
    reading.await??;
    ensure!(seen.load(Ordering::Relaxed) > 100, "the stream has stalled");
    Ok(sample)
}
