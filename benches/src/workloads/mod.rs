//! The workloads: one file each.
//!
//! **Invariant**: a contender is checked before it is timed, and set-up is not in the timed part.

mod cold;
mod connect;
mod connections;
mod depth;
mod idle;
mod memory;
mod mixed;
mod open_loop;
mod records;
mod single;
mod slow;
mod stream;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{
    contenders::{Client, Contender, Feature, Task, with_contender},
    process::{Server, Side, cpu_seconds, many_files},
    records::Seen,
};

/// What one measurement gave.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// Figures by the names of [`About::figures`].
    pub(crate) figures: BTreeMap<String, f64>,
    /// Points of a plot: latency in microseconds by percentile, calls a second by calls in flight,
    /// memory in KB by connections.
    pub(crate) curve: Vec<(f64, f64)>,
}

impl Sample {
    fn with(mut self, name: &str, value: f64) -> Self {
        self.figures.insert(name.to_owned(), value);
        self
    }
}

/// A workload, in words.
pub(crate) struct About {
    /// As on the command line.
    pub(crate) name: &'static str,
    /// What happens.
    pub(crate) title: &'static str,
    /// What it asks of a contender.
    pub(crate) needs: &'static [Feature],
    /// Both processes always on one core.
    pub(crate) pinned: bool,
    /// Name and unit of each figure.
    pub(crate) figures: &'static [(&'static str, &'static str)],
}

/// The figures of calls one after another.
pub(crate) const LATENCY: &[(&str, &str)] = &[("p50", "us"), ("p99", "us"), ("cpu", "us/call")];

/// All of them, in the order of the table.
pub(crate) const ALL: &[About] = &[
    About {
        name: "single-64",
        title: "64 B, one in flight",
        needs: &[],
        pinned: false,
        figures: LATENCY,
    },
    About {
        name: "single-64-pinned",
        title: "64 B, one in flight, one core",
        needs: &[],
        pinned: true,
        figures: LATENCY,
    },
    About {
        name: "single-64k",
        title: "64 KiB, one in flight",
        needs: &[],
        pinned: false,
        figures: LATENCY,
    },
    About {
        name: "single-512k",
        title: "512 KiB, one in flight",
        needs: &[],
        pinned: false,
        figures: LATENCY,
    },
    About {
        name: "depth-64",
        title: "64 B, 64 in flight",
        needs: &[],
        pinned: false,
        figures: depth::FIGURES,
    },
    About {
        name: "connections",
        title: "64 B, 8 connections x 32 in flight",
        needs: &[],
        pinned: false,
        figures: connections::FIGURES,
    },
    About {
        name: "stream-64",
        title: "stream of 64 B",
        needs: &[Feature::Streams],
        pinned: false,
        figures: stream::FIGURES,
    },
    About {
        name: "stream-16k",
        title: "stream of 16 KiB",
        needs: &[Feature::Streams],
        pinned: false,
        figures: stream::FIGURES,
    },
    About {
        name: "connect",
        title: "connect + first call",
        needs: &[],
        pinned: false,
        figures: connect::FIGURES,
    },
    About {
        name: "memory",
        title: "1000 idle connections",
        needs: &[],
        pinned: false,
        figures: memory::FIGURES,
    },
    About {
        name: "mixed",
        title: "64 B beside a saturating stream of 16 KiB, one connection",
        needs: &[Feature::Streams, Feature::Multiplex],
        pinned: false,
        figures: LATENCY,
    },
    About {
        name: "growth",
        title: "64 B, one in flight on each of 1 to 1000 connections",
        needs: &[],
        pinned: false,
        figures: connections::GROWTH,
    },
    About {
        name: "open-loop",
        title: "64 B, 10000 calls/s whatever the answers",
        needs: &[Feature::Multiplex],
        pinned: false,
        figures: open_loop::FIGURES,
    },
    About {
        name: "cold",
        title: "start of the server to the first answer",
        needs: &[],
        pinned: false,
        figures: cold::FIGURES,
    },
    About {
        name: "idle",
        title: "one idle connection",
        needs: &[],
        pinned: false,
        figures: idle::FIGURES,
    },
    About {
        name: "slow",
        title: "a handler that waits 1 ms, one in flight",
        needs: &[],
        pinned: false,
        figures: slow::FIGURES,
    },
    About {
        name: "records",
        title: "list of 500 process records",
        needs: &[Feature::Records],
        pinned: false,
        figures: LATENCY,
    },
    About {
        name: "record-stream",
        title: "stream of 500 process records",
        needs: &[Feature::RecordStreams],
        pinned: false,
        figures: LATENCY,
    },
];

/// The client's arguments.
#[derive(Args, Debug)]
pub(crate) struct Driven {
    #[command(flatten)]
    pub(crate) side: Side,
    /// The workload.
    #[arg(long)]
    pub(crate) workload: String,
    /// Seconds that are timed.
    #[arg(long)]
    pub(crate) seconds: f64,
}

impl Driven {
    /// Measures in a child, and returns what it found. A child that hangs is killed.
    pub(crate) async fn in_child(&self) -> anyhow::Result<Sample> {
        let program = std::env::current_exe().context("the program does not know its own path")?;
        let mut command = Command::new(program);
        command.arg("drive").env("RUST_BACKTRACE", "0");
        self.side.tell(&mut command);
        command.arg("--workload").arg(&self.workload);
        command.arg("--seconds").arg(self.seconds.to_string());
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let limit = Duration::from_secs_f64(30.0 + self.seconds * 10.0);
        let output = tokio::time::timeout(limit, command.output())
            .await
            .with_context(|| format!("no result after {} s; it was killed", limit.as_secs()))?
            .context("the client does not start")?;
        ensure!(
            output.status.success(),
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout).context("the client printed no sample")
    }
}

/// The client's process: measures, and prints the sample as JSON.
pub(crate) fn drive(driven: Driven) -> anyhow::Result<()> {
    driven.side.settle()?;
    many_files()?;
    let name = driven.side.contender.clone();
    let sample = with_contender(&name, driven)?;
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

impl Task for Driven {
    type Output = Sample;

    fn with<C: Contender>(self) -> anyhow::Result<Sample> {
        let side = self.side.clone();
        side.run(async move { measure::<C>(&self).await })
    }
}

async fn measure<C: Contender>(driven: &Driven) -> anyhow::Result<Sample> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("s");
    if driven.workload == "cold" {
        return cold::run::<C>(&driven.side, folder.path()).await;
    }
    let server = Server::start(&driven.side, &path)?;
    let bench = Bench {
        path,
        server,
        time: Duration::from_secs_f64(driven.seconds),
    };
    if driven.workload != "memory" {
        check::<C>(&bench)
            .await
            .with_context(|| format!("{} answers wrongly", C::NAME))?;
    }
    match driven.workload.as_str() {
        "single-64" | "single-64-pinned" => single::run::<C>(&bench, 64).await,
        "single-64k" => single::run::<C>(&bench, 64 << 10).await,
        "single-512k" => single::run::<C>(&bench, 512 << 10).await,
        "depth-64" => depth::run::<C>(&bench).await,
        "connections" => connections::run::<C>(&bench).await,
        "growth" => connections::growth::<C>(&bench).await,
        "stream-64" => stream::run::<C>(&bench, 64).await,
        "stream-16k" => stream::run::<C>(&bench, 16 << 10).await,
        "connect" => connect::run::<C>(&bench).await,
        "memory" => memory::run::<C>(&bench).await,
        "mixed" => mixed::run::<C>(&bench).await,
        "open-loop" => open_loop::run::<C>(&bench).await,
        "idle" => idle::run::<C>(&bench).await,
        "slow" => slow::run::<C>(&bench).await,
        "records" => records::run::<C>(&bench).await,
        "record-stream" => records::stream::<C>(&bench).await,
        other => anyhow::bail!("there is no workload {other:?}"),
    }
}

/// What a workload works with.
pub(crate) struct Bench {
    path: PathBuf,
    server: Server,
    time: Duration,
}

impl Bench {
    async fn connect<C: Contender>(&self) -> anyhow::Result<C::Client> {
        C::connect(&self.path).await
    }

    /// CPU seconds of both processes until now.
    fn cpu(&self) -> anyhow::Result<f64> {
        Ok(cpu_seconds(std::process::id())? + cpu_seconds(self.server.id())?)
    }

    /// Calls one after another for the time, after a fifth of it unmeasured.
    async fn times<T: Client>(&self, client: &mut T, call: Call) -> anyhow::Result<Sample> {
        let warm = Instant::now() + self.time / 5;
        while Instant::now() < warm {
            call.make(client).await?;
        }
        let mut times = Histogram::<u64>::new(3)?;
        let (cpu, begin) = (self.cpu()?, Instant::now());
        while begin.elapsed() < self.time {
            let start = Instant::now();
            call.make(client).await?;
            times.record(start.elapsed().as_nanos() as u64)?;
        }
        let cpu = (self.cpu()? - cpu) / times.len() as f64 * 1e6;
        Ok(latency(&times).with("cpu", cpu))
    }
}

/// A call that is made again and again.
enum Call {
    Echo(Bytes),
    List(u32),
    Watch(u32),
    Slow(u32),
}

impl Call {
    async fn make<C: Client>(&self, client: &mut C) -> anyhow::Result<()> {
        match self {
            Self::Echo(payload) => client.echo(payload.clone()).await.map(drop),
            Self::List(count) => client.list(*count).await.map(drop),
            Self::Watch(count) => client.watch(*count).await.map(drop),
            Self::Slow(millis) => client.slow(*millis).await,
        }
    }
}

/// Percentiles, and their curve.
fn latency(times: &Histogram<u64>) -> Sample {
    let at = |percent: f64| times.value_at_percentile(percent) as f64 / 1e3;
    let percents = [
        1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.99,
    ];
    let curve = percents
        .iter()
        .map(|percent| (*percent, at(*percent)))
        .collect();
    Sample {
        curve,
        ..Sample::default()
    }
    .with("p50", at(50.0))
    .with("p99", at(99.0))
}

/// Whether the contender does what it says.
async fn check<C: Contender>(bench: &Bench) -> anyhow::Result<()> {
    let mut client = bench.connect::<C>().await?;
    for size in [0, 1, 64, 64 << 10, 512 << 10] {
        let payload: Bytes = (0..size)
            .map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        ensure!(
            client.echo(payload.clone()).await? == payload,
            "{size} bytes came back as others"
        );
    }
    if C::FEATURES.contains(&Feature::Records) {
        ensure!(
            client.list(500).await? == Seen::of(500),
            "the list is another"
        );
    }
    if C::FEATURES.contains(&Feature::RecordStreams) {
        ensure!(
            client.watch(500).await? == Seen::of(500),
            "the stream of records is another"
        );
    }
    if C::FEATURES.contains(&Feature::Streams) {
        let (mut left, mut right) = (1000, true);
        client
            .stream(64, |payload| {
                left -= 1;
                right &= payload.len() == 64 && payload.iter().all(|byte| *byte == 7);
                left > 0
            })
            .await?;
        ensure!(right && left == 0, "the stream is another");
    }
    Ok(())
}
