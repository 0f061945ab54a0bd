//! What looks at the socket cost: none are kept up that find nothing.
//!
//! **Invariant**: what counts is processor time, which is the same on a machine under load.

use std::{process::Command, time::Duration};

use daemoneye_ipc::Channel;
use daemoneye_ipc_generated::conformance::v1::ConformanceClient;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::Builder;

use super::{Running, config, echo, folder, sleep, within};

/// Processor time that this thread took so far.
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts");
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("nanoseconds"))
}

/// The processor time that a client takes for calls, with such looks, on a thread that does nothing else.
fn client_time(spin_us: u64, calls: u32, call: impl AsyncFn(&ConformanceClient)) -> Duration {
    let folder = folder();
    let threads = Builder::new_multi_thread()
        .enable_all()
        .worker_threads(1)
        .build();
    let threads = threads.expect("a runtime");
    let server = threads.block_on(Running::start(config(folder.path(), spin_us)));
    let alone = Builder::new_current_thread().enable_all().build();
    alone.expect("a runtime").block_on(async {
        let client = server.client().await;
        let before = thread_time();
        for _ in 0..calls {
            call(&client).await;
        }
        thread_time() - before
    })
}

#[test]
fn looks_in_vain_are_given_up() {
    // Each would take a millisecond, and the answer takes two.
    let time = client_time(1_000, 300, async |client| {
        within(client.sleep(sleep(2))).await.expect("answered");
    });
    assert!(time < Duration::from_millis(150), "{time:?} of 300 ms");
}

#[test]
fn connections_that_take_turns_are_not_looked_at() {
    let folder = folder();
    let threads = Builder::new_multi_thread()
        .enable_all()
        .worker_threads(1)
        .build();
    let threads = threads.expect("a runtime");
    let server = threads.block_on(Running::start(config(folder.path(), 5_000)));
    let served = || {
        let time = threads.block_on(threads.spawn(async { thread_time() }));
        time.expect("no panic")
    };
    let mut without_looks = server.config.clone();
    without_looks.spin_us = 0;
    let alone = Builder::new_current_thread().enable_all().build();
    let before = served();
    alone.expect("a runtime").block_on(async {
        let mut clients = Vec::new();
        for _ in 0..12 {
            let channel = within(Channel::connect(without_looks.clone())).await;
            clients.push(ConformanceClient::new(channel.expect("it serves")));
        }
        for _ in 0..40 {
            for client in &clients {
                within(client.echo(echo("turn"))).await.expect("answered");
            }
        }
    });
    // Each look would take five milliseconds, of some 90 after those that come before any look.
    let time = served() - before;
    assert!(time < Duration::from_millis(200), "{time:?}");
}

/// Tells the process that it has one processor.
const ONE_PROCESSOR: &str = "TESTS_ONE_PROCESSOR";

#[test]
fn nobody_looks_where_there_is_one_processor() {
    if std::env::var_os(ONE_PROCESSOR).is_some() {
        assert_eq!(
            std::thread::available_parallelism().expect("known").get(),
            1
        );
        // A look would last until the kernel lets the server have the processor, milliseconds later.
        let time = client_time(10_000, 100, async |client| {
            within(client.echo(echo("now"))).await.expect("answered");
        });
        assert!(time < Duration::from_millis(100), "{time:?} for 100 calls");
        return;
    }
    let this = "cost::nobody_looks_where_there_is_one_processor";
    // A process has the processors of the thread that starts it.
    let output = std::thread::spawn(move || {
        let all = sched_getaffinity(None).expect("known");
        let mut one = CpuSet::new();
        one.set(
            (0..CpuSet::MAX_CPU)
                .find(|cpu| all.is_set(*cpu))
                .expect("one"),
        );
        sched_setaffinity(None, &one).expect("it is one of ours");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", this]).env(ONE_PROCESSOR, "1");
        command.output().expect("it runs")
    });
    let output = output.join().expect("no panic");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}
