//! One call after another on one connection.
//!
//! **Invariant**: a call is timed from before it is made until its answer is there.

use bytes::Bytes;

use super::{Bench, Call, Contender, Sample};

pub(super) async fn run<C: Contender>(bench: &Bench, size: usize) -> anyhow::Result<Sample> {
    let mut client = bench.connect::<C>().await?;
    let payload = Bytes::from(vec![7; size]);
    bench.times(&mut client, Call::Echo(payload)).await
}
