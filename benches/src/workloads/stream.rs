//! A stream from the server, as fast as it is read.
//!
//! **Invariant**: the clock is looked at once in 64 messages, since to look costs more than a small one.

use std::time::Instant;

use super::{Bench, Client, Contender, Sample};

pub(super) const FIGURES: &[(&str, &str)] = &[("messages", "1/s"), ("cpu", "us/message")];

pub(super) async fn run<C: Contender>(bench: &Bench, size: u32) -> anyhow::Result<Sample> {
    let mut client = bench.connect::<C>().await?;
    let warm = Instant::now() + bench.time / 5;
    let (mut begun, mut total, mut seconds) = (None, 0_u64, 0.0);
    let mut messages = 0_u64;
    let mut cpu = Ok(0.0);
    client
        .stream(size, |_| {
            messages += 1;
            if !messages.is_multiple_of(64) {
                return true;
            }
            match begun {
                None if Instant::now() >= warm => {
                    cpu = bench.cpu();
                    begun = Some((Instant::now(), messages));
                    true
                }
                None => true,
                Some((start, before)) => {
                    total = messages - before;
                    seconds = Instant::now().duration_since(start).as_secs_f64();
                    seconds < bench.time.as_secs_f64()
                }
            }
        })
        .await?;
    let cpu = (bench.cpu()? - cpu?) / total as f64 * 1e6;
    Ok(Sample::default()
        .with("messages", total as f64 / seconds)
        .with("cpu", cpu))
}
