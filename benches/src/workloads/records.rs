//! Realistic messages: 500 process records in one list, and one by one in a stream.
//!
//! **Invariant**: records are made for each call by the handler, and each is looked at by the caller.

use super::{Bench, Call, Contender, Sample};

pub(super) async fn run<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let mut client = bench.connect::<C>().await?;
    bench.times(&mut client, Call::List(500)).await
}

pub(super) async fn stream<C: Contender>(bench: &Bench) -> anyhow::Result<Sample> {
    let mut client = bench.connect::<C>().await?;
    bench.times(&mut client, Call::Watch(500)).await
}
