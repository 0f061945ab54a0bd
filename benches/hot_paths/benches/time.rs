//! How long one turn of each path takes.
//!
//! **Invariant**: times what the instructions are counted of.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipc_hot_paths::PATHS;

fn time(criterion: &mut Criterion) {
    for path in PATHS {
        let (group, rest) = path.name.split_once('/').unwrap_or((path.name, ""));
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(path.units));
        group.bench_function(rest, |bencher| {
            let mut turn = path.warm(10);
            bencher.iter(&mut turn);
        });
        group.finish();
    }
}

fn briefly() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
}

criterion_group! {
    name = paths;
    config = briefly();
    targets = time
}
criterion_main!(paths);
