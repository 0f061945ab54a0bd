//! Echo on a connection with a stream that nobody reads, against Echo without it, and against ping-pong
//! on an idle socket without a protocol.
//!
//! **Invariant**: not one message of the stream is taken.

use std::{process, time::Instant};

use anyhow::ensure;
use clap::Args;
use daemoneye_ipc::{Channel, IpcConfig};
use daemoneye_ipc_generated::conformance::v1::{
    ConformanceClient, EchoRequest, EmitRequest, InspectRequest,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::{
    measure::{Times, resident_kib},
    server,
};

/// How much is measured.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rounds; each measures all contenders.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Operations of each contender in a round.
    #[arg(long, default_value_t = 2_000)]
    operations: u32,
    /// Bytes that go there and back.
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Payload bytes of each message of the stream.
    #[arg(long, default_value_t = 4_096)]
    stream_size: u32,
}

/// Memory of both processes, in KiB.
struct Memory {
    client: u64,
    server: u64,
}

impl Memory {
    fn now(server: &server::Process) -> anyhow::Result<Self> {
        Ok(Self {
            client: resident_kib(process::id())?,
            server: resident_kib(server.id())?,
        })
    }
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server::Process::start(folder.path())?;
    let config = IpcConfig::new(server::ipc(folder.path()));
    let idle = ConformanceClient::new(Channel::connect(config.clone()).await?);
    let beside = ConformanceClient::new(Channel::connect(config).await?);
    let mut bare = UnixStream::connect(server::bare(folder.path())).await?;
    // Memory is measured: what the figures themselves take is there before.
    let room = arguments.rounds.max(2) * arguments.operations;
    let mut times = [Times::new(room), Times::new(room), Times::new(room)];
    for _ in 0..2 {
        round(&arguments, &mut bare, &idle, &beside, &mut times).await?;
    }
    times.iter_mut().for_each(Times::clear);
    let before = Memory::now(&server)?;
    let request = EmitRequest {
        count: u32::MAX,
        size: arguments.stream_size,
        interval_us: 0,
    };
    let unread = beside.emit(request).await?;
    round(&arguments, &mut bare, &idle, &beside, &mut times).await?;
    times.iter_mut().for_each(Times::clear);
    let during = Memory::now(&server)?;
    for _ in 0..arguments.rounds {
        round(&arguments, &mut bare, &idle, &beside, &mut times).await?;
    }
    let after = Memory::now(&server)?;
    let queued = beside.inspect(InspectRequest {}).await?.queued_bytes;
    drop(unread);
    report(&mut times, &[before, during, after], queued);
    Ok(())
}

/// Measures all contenders once.
async fn round(
    arguments: &Arguments,
    bare: &mut UnixStream,
    idle: &ConformanceClient,
    beside: &ConformanceClient,
    times: &mut [Times; 3],
) -> anyhow::Result<()> {
    let [ping_pong, echo, echo_beside] = times;
    let payload = vec![7; arguments.size];
    let mut back = vec![0; arguments.size];
    for _ in 0..arguments.operations {
        let start = Instant::now();
        bare.write_all(&payload).await?;
        bare.read_exact(&mut back).await?;
        ping_pong.add(start.elapsed());
    }
    for (client, times) in [(idle, echo), (beside, echo_beside)] {
        for _ in 0..arguments.operations {
            let request = EchoRequest {
                payload: payload.clone().into(),
                ..EchoRequest::default()
            };
            let start = Instant::now();
            let reply = client.echo(request).await?;
            times.add(start.elapsed());
            ensure!(reply.payload == payload, "Echo answered something else");
        }
    }
    Ok(())
}

fn report(times: &mut [Times; 3], memory: &[Memory; 3], queued: u64) {
    let names = [
        "bare socket, ping-pong",
        "Echo, nothing else on the connection",
        "Echo beside an unread stream",
    ];
    println!(
        "{:38} {:>10} {:>10} {:>7}",
        "one operation", "median us", "p99 us", "ratio"
    );
    let base = times[0].percentile(50);
    for (name, times) in names.iter().zip(times) {
        let (median, tail) = (times.percentile(50), times.percentile(99));
        println!("{name:38} {median:10.2} {tail:10.2} {:7.2}", median / base);
    }
    println!(
        "\n{:38} {:>10} {:>10}",
        "resident memory, KiB", "client", "server"
    );
    let names = [
        "before the stream",
        "stream begun, one round",
        "after all rounds",
    ];
    for (name, memory) in names.iter().zip(memory) {
        println!("{name:38} {:10} {:10}", memory.client, memory.server);
    }
    println!("\n{queued} bytes queued on the server");
}
