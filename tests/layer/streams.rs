//! Streaming calls: begun again where nothing was lost, split in two, never taken for complete.
//!
//! **Invariant**: what the server saw is counted there, not guessed.

use std::time::Duration;

use daemoneye_ipc::{
    Channel, Code, IpcConfig, IpcError, Server,
    testing::{Fault, Faults, TestServer},
};
use daemoneye_ipc_generated::conformance::v1::{
    ChatRequest, CollectRequest, ConformanceClient, ConformanceServer,
};
use ipc_conformance::ConformanceService;

use super::{client, emit, serve, sleep};

fn say(text: &'static str) -> ChatRequest {
    ChatRequest {
        payload: text.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_halves_of_a_call_work_in_two_tasks() {
    let (server, _) = serve();
    let (mut sender, mut responses) = client(&server).chat().await.unwrap().split();
    let sending = tokio::spawn(async move {
        for _ in 0..1_000 {
            sender.send(say("x")).await.unwrap();
        }
        sender.finish();
    });
    let mut count = 0;
    while responses.message().await.unwrap().is_some() {
        count += 1;
    }
    sending.await.unwrap();
    assert_eq!(count, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_sender_cancels_and_a_dropped_receiver_too() {
    let (server, _) = serve();
    let (mut sender, mut responses) = client(&server).chat().await.unwrap().split();
    sender.send(say("x")).await.unwrap();
    assert!(responses.message().await.unwrap().is_some());
    drop(sender);
    assert_eq!(
        responses.message().await.unwrap_err().code(),
        Code::Cancelled
    );

    let (mut sender, responses) = client(&server).chat().await.unwrap().split();
    drop(responses);
    while sender.send(say("x")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    while server.stats().handlers() > 0 {
        tokio::task::yield_now().await;
    }
}

/// A server that takes one call at a time.
fn narrow() -> TestServer {
    let mut config = IpcConfig::default();
    config.limits.max_calls = 1;
    let service = ConformanceServer::new(ConformanceService::default());
    TestServer::start(Server::builder(config).add_service(service)).unwrap()
}

/// A channel whose first calls leave before the server's HELLO is in: they do not know its limits.
fn through_a_slow_hello(server: &TestServer) -> Channel {
    let pause = Duration::from_millis(20);
    let faults = move |_| Faults::new().to_client(Fault::Stall { at: 0, pause });
    let caller = server.caller().faults(faults);
    caller.config(IpcConfig::default()).channel()
}

#[tokio::test(start_paused = true)]
async fn streams_that_no_handler_saw_are_begun_again() {
    let server = narrow();
    // The second call is refused, unrun, until the first is over.
    let channel = through_a_slow_hello(&server);
    let client = ConformanceClient::new(channel.clone());
    let busy = tokio::spawn(client.sleep(sleep(100)));
    tokio::task::yield_now().await;
    let mut events = client.emit(emit(3)).await.unwrap();
    let mut count = 0;
    while events.message().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 3);
    busy.await.unwrap().unwrap();
    assert!(channel.stats().retries > 0);
    assert_eq!(server.stats().calls_started(), 2);
}

#[tokio::test(start_paused = true)]
async fn request_streams_that_no_handler_saw_are_begun_again() {
    for finish_at_once in [true, false] {
        let server = narrow();
        let channel = through_a_slow_hello(&server);
        let client = ConformanceClient::new(channel.clone());
        let busy = tokio::spawn(client.sleep(sleep(100)));
        tokio::task::yield_now().await;
        let mut upload = client.collect().await.unwrap();
        if !finish_at_once {
            // Whatever was refused, the first request finds a call that takes it.
            busy.await.unwrap().unwrap();
            upload
                .send(CollectRequest {
                    payload: "12345".into(),
                })
                .await
                .unwrap();
        }
        let collected = upload.finish().await.unwrap();
        assert_eq!(collected.messages, u64::from(!finish_at_once));
        assert!(channel.stats().retries > 0);
        assert_eq!(server.stats().calls_started(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_carried_a_message_is_not_begun_again() {
    let (server, _) = serve();
    let channel = server.channel();
    let client = ConformanceClient::new(channel.clone());
    let mut slow = emit(1_000);
    slow.interval_us = 1_000_000;
    let mut events = client.emit(slow).await.unwrap();
    assert!(events.message().await.unwrap().is_some());
    let stopping = tokio::spawn(server.stop(Duration::from_secs(1)));
    let lost = loop {
        match events.message().await {
            Ok(message) => assert!(message.is_some()),
            Err(error) => break error,
        }
    };
    assert!(matches!(lost.kind(), IpcError::PeerClosed), "{lost}");
    assert!(lost.was_maybe_run());
    assert_eq!(channel.stats().retries, 0);
    assert_eq!(stopping.await.unwrap().aborted, 1);
}
