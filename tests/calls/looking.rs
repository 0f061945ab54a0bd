//! Callers that look at the socket themselves: nothing that arrives is lost on anybody else.
//!
//! **Invariant**: every wait is for a condition and has a limit; whether a look finds something is left to the machine.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use daemoneye_ipc::{
    ChannelState,
    schema::health::v1::{HealthClient, PingRequest},
};
use daemoneye_ipc_generated::conformance::v1::{ConformanceClient, EmitRequest};

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

/// A stream whose messages are read by whoever takes them: while it is held, what arrives is seen all the same.
async fn a_stream_that_is_held_holds_up_nothing(spin_us: u64) {
    let folder = folder();
    let mut server = Running::start(config(folder.path(), spin_us)).await;
    let channel = server.channel().await;
    let client = ConformanceClient::new(channel.clone());
    let health = HealthClient::new(channel.clone());
    for _ in 0..5 {
        let mut stream = within(client.emit(emit(3_000))).await.expect("a stream");
        for number in 0..1_000 {
            let message = within(stream.message()).await.expect("a message");
            assert_eq!(message.expect("one more").index, number);
        }
        within(channel.ping()).await.expect("a PONG");
        let ping = health.ping(PingRequest::default());
        within(ping).await.expect("answered beside it");
        for number in 1_000..3_000 {
            let message = within(stream.message()).await.expect("a message");
            assert_eq!(message.expect("one more").index, number);
        }
        assert_eq!(within(stream.message()).await.expect("the end"), None);
    }
    let mut stream = within(client.emit(emit(u32::MAX))).await.expect("a stream");
    for _ in 0..1_000 {
        within(stream.message()).await.expect("a message");
    }
    server.begin_stop();
    within(channel.state_changed(ChannelState::Ready)).await;
    drop(stream);
    let served = within(server.served).await.expect("no panic");
    served.expect("served");
}

/// Whoever takes messages without ever having to wait lets others have their turn.
async fn a_stream_that_is_taken_holds_up_nothing(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let channel = server.channel().await;
    let client = ConformanceClient::new(channel.clone());
    let health = HealthClient::new(channel.clone());
    let mut stream = within(client.emit(emit(u32::MAX))).await.expect("a stream");
    let taken = tokio::spawn(async move { while let Ok(Some(_)) = stream.message().await {} });
    for _ in 0..50 {
        let ping = health.ping(PingRequest::default());
        within(ping).await.expect("answered beside it");
        within(channel.ping()).await.expect("a PONG");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(!taken.is_finished());
    taken.abort();
    server.stop().await;
}

fn emit(count: u32) -> EmitRequest {
    EmitRequest {
        count,
        size: 2_000,
        interval_us: 0,
    }
}

on_all_runtimes! {
    a_held_stream_holds_up_nothing: a_stream_that_is_held_holds_up_nothing(20);
    a_held_stream_holds_up_nothing_without_looks: a_stream_that_is_held_holds_up_nothing(0);
    a_held_stream_holds_up_nothing_with_long_looks: a_stream_that_is_held_holds_up_nothing(1000);
    a_stream_that_is_taken_holds_up_nothing: a_stream_that_is_taken_holds_up_nothing(20);
    a_stream_that_is_taken_holds_up_nothing_without_looks: a_stream_that_is_taken_holds_up_nothing(0);
    a_shutdown_between_calls_is_seen: a_shutdown_between_calls_is_seen(20);
    a_shutdown_is_seen_without_looks: a_shutdown_between_calls_is_seen(0);
    a_shutdown_is_seen_with_long_looks: a_shutdown_between_calls_is_seen(1000);
    a_held_call_holds_up_nothing: a_call_that_nobody_polls_holds_up_nothing(20);
    a_held_call_holds_up_nothing_without_looks: a_call_that_nobody_polls_holds_up_nothing(0);
    a_held_call_holds_up_nothing_with_long_looks: a_call_that_nobody_polls_holds_up_nothing(1000);
}
