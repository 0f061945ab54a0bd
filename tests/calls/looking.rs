//! Callers that look at the socket themselves: nothing that arrives is lost on anybody else.
//!
//! **Invariant**: every wait is for a condition and has a limit; whether a look finds something is left to the machine.

use std::{future::Future, pin::pin, process::Command, task::Poll, time::Duration};

use daemoneye_ipc::{
    Channel, ChannelState,
    schema::health::v1::{HealthClient, PingRequest},
};
use daemoneye_ipc_generated::conformance::v1::ConformanceClient;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::Builder;

use super::{Running, config, echo, folder, on_all_runtimes, sleep, within};

/// More calls in a row than looks in vain are followed by waits without one.
const CALLS: u8 = 250;

/// Calls one after the other, as those do who look.
async fn warm_up(client: &ConformanceClient) {
    for number in 0..CALLS {
        let reply = within(client.echo(echo(vec![number; 40]))).await;
        assert_eq!(reply.expect("answered").payload, vec![number; 40]);
    }
}

/// The server leaves, which the client learns although it waits for nothing.
async fn a_shutdown_between_calls_is_seen(spin_us: u64) {
    for _ in 0..20 {
        let folder = folder();
        let mut server = Running::start(config(folder.path(), spin_us)).await;
        let channel = server.channel().await;
        warm_up(&ConformanceClient::new(channel.clone())).await;
        server.begin_stop();
        within(channel.state_changed(ChannelState::Ready)).await;
        within(server.served)
            .await
            .expect("no panic")
            .expect("served");
    }
}

async fn a_call_that_nobody_polls_holds_up_nothing(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let channel = server.channel().await;
    let client = ConformanceClient::new(channel.clone());
    for _ in 0..20 {
        warm_up(&client).await;
        let mut held = pin!(client.sleep(sleep(5)));
        let first = std::future::poll_fn(|cx| Poll::Ready(held.as_mut().poll(cx))).await;
        assert!(first.is_pending(), "{first:?}");
        within(channel.ping()).await.expect("a PONG");
        let health = HealthClient::new(channel.clone());
        let ping = health.ping(PingRequest::default());
        within(ping).await.expect("answered beside it");
        within(held).await.expect("answered in the end");
    }
    server.stop().await;
}

on_all_runtimes! {
    a_shutdown_between_calls_is_seen: a_shutdown_between_calls_is_seen(20);
    a_shutdown_is_seen_without_looks: a_shutdown_between_calls_is_seen(0);
    a_shutdown_is_seen_with_long_looks: a_shutdown_between_calls_is_seen(1000);
    a_held_call_holds_up_nothing: a_call_that_nobody_polls_holds_up_nothing(20);
    a_held_call_holds_up_nothing_without_looks: a_call_that_nobody_polls_holds_up_nothing(0);
    a_held_call_holds_up_nothing_with_long_looks: a_call_that_nobody_polls_holds_up_nothing(1000);
}

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
    let this = "looking::nobody_looks_where_there_is_one_processor";
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
