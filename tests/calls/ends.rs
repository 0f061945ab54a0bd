//! Connections that cannot be had, that end, and that come back.
//!
//! **Invariant**: waits for what the other side does, never for a pause to be long enough.

use std::{sync::Arc, time::Duration};

use daemoneye_ipc::{Channel, ChannelState, DrainReport, IpcError};
use daemoneye_ipc_generated::conformance::v1::{ConformanceClient, CountRequest, SleepRequest};

use super::{Running, config, echo, folder, sleep, until, with_looks_and_without, within};

with_looks_and_without! {
    the_connection_limit_is_told_to_the_client
    nobody_there_is_said_at_once_and_waiting_is_a_choice
    drain_answers_what_is_in_flight_and_the_channel_comes_back
    a_drain_ends_when_work_that_outlived_its_call_does
    a_stuck_handler_does_not_hold_up_shutdown
    calls_lost_with_their_server_are_never_run_twice
}

async fn the_connection_limit_is_told_to_the_client(spin_us: u64) {
    let folder = folder();
    let mut config = config(folder.path(), spin_us);
    config.max_connections = 2;
    let server = Running::start(config).await;
    let held = (server.client().await, server.client().await);
    let error = Channel::connect(server.config.clone())
        .await
        .expect_err("full");
    assert!(matches!(error, IpcError::Busy { .. }), "{error}");
    drop(held.0);
    until("a place is free", || server.stats.connections() < 2).await;
    server
        .client()
        .await
        .echo(echo("in"))
        .await
        .expect("an echo");
}

async fn nobody_there_is_said_at_once_and_waiting_is_a_choice(spin_us: u64) {
    let folder = folder();
    let mut config = config(folder.path(), spin_us);
    config.reconnect.max_backoff_ms = 50;
    let error = Channel::connect(config.clone()).await.expect_err("nobody");
    assert!(matches!(error, IpcError::ServerNotFound { .. }), "{error}");

    let channel = Channel::lazy(config.clone()).expect("valid");
    let client = ConformanceClient::new(channel.clone());
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.echo(echo("late")).wait_for_ready(true).await }
    });
    until("an attempt failed", || channel.stats().failed_attempts > 0).await;
    let server = Running::start(config).await;
    within(waiting).await.expect("no panic").expect("an echo");
    until("it is ready", || channel.state() == ChannelState::Ready).await;
    server.stop().await;
}

async fn drain_answers_what_is_in_flight_and_the_channel_comes_back(spin_us: u64) {
    let folder = folder();
    let mut server = Running::start(config(folder.path(), spin_us)).await;
    let channel = server.channel().await;
    let client = ConformanceClient::new(channel.clone());
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.sleep(sleep(200)).await }
    });
    until("the handler runs", || server.stats.handlers() == 1).await;
    server.begin_stop();
    within(call)
        .await
        .expect("no panic")
        .expect("the call in flight is answered");
    let report = within(server.served)
        .await
        .expect("no panic")
        .expect("no error");
    assert_eq!(
        report,
        DrainReport {
            finished: 1,
            aborted: 0
        }
    );
    assert!(!server.config.endpoint_path.exists(), "the socket is gone");

    let server = Running::start(server.config).await;
    within(client.echo(echo("again")).wait_for_ready(true))
        .await
        .expect("an echo");
    // The answer may be there before the channel's own task has counted the connection that carried it.
    until("it is counted", || channel.stats().connects == 2).await;
    server.stop().await;
}

async fn a_drain_ends_when_work_that_outlived_its_call_does(spin_us: u64) {
    let folder = folder();
    let mut config = config(folder.path(), spin_us);
    config.limits.drain_timeout_ms = 600_000;
    let server = Running::start(config).await;
    let client = server.client().await;
    let blocking = SleepRequest {
        millis: 300,
        blocking: true,
    };
    let call = client.sleep(blocking).timeout(Duration::from_millis(20));
    within(call)
        .await
        .expect_err("it is over before the work is");
    // The server began to count later, and nothing tells that it has come to the end.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.stats.handlers(), 1, "the work goes on");
    assert_eq!(server.stop().await, DrainReport::default());
}

async fn a_stuck_handler_does_not_hold_up_shutdown(spin_us: u64) {
    let folder = folder();
    let mut config = config(folder.path(), spin_us);
    config.limits.drain_timeout_ms = 100;
    let server = Running::start(config).await;
    let client = server.client().await;
    let call = tokio::spawn(async move { client.sleep(sleep(600_000)).await });
    let stats = server.stats.clone();
    until("the handler runs", || stats.handlers() == 1).await;
    assert_eq!(
        server.stop().await,
        DrainReport {
            finished: 0,
            aborted: 1
        }
    );
    let error = within(call).await.expect("no panic").expect_err("aborted");
    assert!(matches!(error.kind(), IpcError::PeerClosed), "{error}");
    assert!(error.was_maybe_run());
}

async fn calls_lost_with_their_server_are_never_run_twice(spin_us: u64) {
    let folder = folder();
    let mut config = config(folder.path(), spin_us);
    config.limits.drain_timeout_ms = 1;
    let server = Running::start(config.clone()).await;
    let client = server.client().await;
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let (mut sure, mut unsure) = (0u64, 0u64);
                for _ in 0..100 {
                    match client.count(CountRequest { add: 1 }).await {
                        Ok(_) => sure += 1,
                        Err(error) => unsure += u64::from(error.was_maybe_run()),
                    }
                }
                (sure, unsure)
            })
        })
        .collect();
    let (stats, service) = (server.stats.clone(), Arc::clone(&server.service));
    until("calls are run", || stats.calls_started() > 200).await;
    server.stop().await;
    let (mut sure, mut unsure) = (0, 0);
    for call in calls {
        let counted = within(call).await.expect("no panic");
        sure += counted.0;
        unsure += counted.1;
    }
    let total = service.total();
    assert!(
        (sure..=sure + unsure).contains(&total),
        "{sure} answered, {unsure} unknown, {total} run"
    );
}
