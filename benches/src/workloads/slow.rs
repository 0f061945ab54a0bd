//! A handler that waits, so that each call is a wait of both ends.
//!
//! **Invariant**: one call in flight; what is counted is CPU, not time.

use super::{Bench, Call, Contender, Sample};

pub(super) const FIGURES: &[(&str, &str)] = &[("cpu", "us/call"), ("p50", "us")];

pub(super) async fn run<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let mut client = bench.connect::<C>().await?;
    bench.times(&mut client, Call::Slow(1)).await
}
