//! Messages that are small on the wire and large in memory are refused before they are decoded, on both sides.
//!
//! **Invariant**: what is refused fails its own call; the connection goes on.

use std::fs;

use daemoneye_ipc::{Code, IpcConfig, IpcError, Server, testing::TestServer};

use crate::{
    conformance_server::ConformanceServer,
    inflate::{Everything, Handler, InflateClient, InflateServer, Wide},
    peer::{ECHO, Message, Peer, RESOURCE_EXHAUSTED, frame, unary},
};

const MIB: u64 = 1 << 20;

/// So many empty messages in an Echo request: two bytes each, and 288 in memory.
fn leaves(count: usize) -> Message {
    Message([0x12, 0].repeat(count))
}

/// What the process had in memory at most, or has now, in bytes.
fn memory(server: &ConformanceServer, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status
        .lines()
        .find(|found| found.starts_with(line))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[test]
fn empty_messages_by_the_mebibyte_stay_within_the_budget() {
    const PEERS: usize = 64;
    const BUDGET: u64 = 16 * MIB;
    let server = ConformanceServer::start(&format!(
        "--decode-memory-bytes {BUDGET} --max-connections {PEERS}"
    ));
    let mut peers: Vec<Peer> = (0..PEERS).map(|_| Peer::new(&server.endpoint())).collect();
    let before = memory(&server, "VmHWM");
    let flood = frame(&unary(1, ECHO, &leaves(500_000)).0);
    for peer in &mut peers {
        peer.send_bytes(&flood);
        peer.receive().assert_end(1, RESOURCE_EXHAUSTED, true);
    }
    // Those that fit are answered, also while others hold memory.
    for peer in &mut peers {
        peer.send(&unary(2, ECHO, &leaves(1_000)));
    }
    for peer in &mut peers {
        peer.receive().assert_reply(2);
    }
    let grown = memory(&server, "VmHWM") - before;
    // Each connection keeps the room that a frame has needed.
    let base = PEERS as u64 * (MIB + 64 * 1024) + 8 * MIB;
    println!(
        "{PEERS} peers with a mebibyte of empty messages each: {} KiB more at most",
        grown / 1024
    );
    assert!(grown < BUDGET + base, "{} KiB", grown / 1024);
}

#[test]
fn headers_that_claim_much_cost_nothing() {
    let server = ConformanceServer::start("");
    let mut peers: Vec<Peer> = (0..16).map(|_| Peer::new(&server.endpoint())).collect();
    let mut honest = peers.pop().unwrap();
    honest.assert_echo(1);
    let before = memory(&server, "VmRSS");
    for peer in &mut peers {
        // A header that claims a mebibyte, and one byte of it.
        peer.send_bytes(&[0, 0, 16, 0, 1, 2, 3, 4, 5]);
    }
    for call in 2..10 {
        honest.assert_echo(call);
    }
    let grown = memory(&server, "VmRSS").saturating_sub(before);
    println!(
        "15 headers that claim a mebibyte each: {} KiB more",
        grown / 1024
    );
    assert!(grown < MIB, "{} KiB", grown / 1024);
}

#[test]
fn a_tree_may_be_as_deep_as_the_limit_and_no_deeper() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    let tree = |depth: usize| {
        let nodes = (0..depth).fold(Message::new(), |inner, _| Message::new().block(1, &inner.0));
        Message::new().block(3, &nodes.0)
    };
    // The request, and a node less than the limit of 32: the innermost is there without a field.
    peer.send(&unary(1, ECHO, &tree(30)));
    peer.receive().assert_reply(1);
    peer.send(&unary(2, ECHO, &tree(31)));
    peer.receive().assert_end(2, RESOURCE_EXHAUSTED, true);
    peer.assert_echo(3);
}

#[tokio::test(start_paused = true)]
async fn requests_and_responses_have_to_fit() {
    let mut config = IpcConfig::default();
    config.limits.decode_memory_bytes = 8 << 20;
    config.reconnect.max_attempts = 1;
    let builder = Server::builder(config.clone()).add_service(InflateServer::new(Handler));
    let server = TestServer::start(builder).unwrap();
    let client = InflateClient::new(server.channel());
    let wides = |count| Everything {
        wides: vec![Wide::default(); count],
        ..Everything::default()
    };
    assert!(client.take(wides(1_000)).await.is_ok());
    let refused = client.take(wides(50_000)).await.unwrap_err();
    let IpcError::Status(status) = refused.kind() else {
        panic!("{refused:?}");
    };
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(
        status.message().contains("memory once it is decoded"),
        "{status}"
    );
    assert!(!refused.was_maybe_run());

    // A client refuses as well, whatever the server would.
    config.limits.decode_memory_bytes = 1 << 20;
    let small = InflateClient::new(server.caller().config(config).channel());
    let ask = |text: &str| Everything {
        text: text.into(),
        ..Everything::default()
    };
    assert!(small.take(ask("100")).await.is_ok());
    let refused = small.take(ask("50000")).await.unwrap_err();
    assert!(
        refused.to_string().contains("memory once it is decoded"),
        "{refused}"
    );
    assert!(refused.was_maybe_run());

    // A message of a stream is judged when it is taken.
    let mut many = client.take_many().await.unwrap();
    for _ in 0..100 {
        many.send(wides(1_000)).await.unwrap();
    }
    assert_eq!(many.finish().await.unwrap().messages, 100);
    let mut many = client.take_many().await.unwrap();
    let _ = many.send(wides(50_000)).await;
    let refused = many.finish().await.unwrap_err();
    assert!(
        refused.to_string().contains("memory once it is decoded"),
        "{refused}"
    );
    assert_eq!(server.stats().calls_in_flight(), 0);
}
