//! What all connections of a server have together, and what each has for itself.
//!
//! **Invariant**: a real server, and peers that keep to no limit.

use std::{fmt::Write as _, fs};

use crate::{
    conformance_server::ConformanceServer,
    peer::{
        COLLECT, ECHO, INSPECT, MESSAGE, Message, Peer, RESOURCE_EXHAUSTED, SLEEP, on_call, sleep,
        unary,
    },
};

/// A server with settings under `limits`.
fn server(limits: &[(&str, u64)]) -> (tempfile::TempDir, ConformanceServer) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let mut text = "ipc:\n  limits:\n".to_owned();
    for (key, value) in limits {
        writeln!(text, "    {key}: {value}").unwrap();
    }
    fs::write(&file, text).unwrap();
    let server = ConformanceServer::start(&format!(
        "--write-timeout-ms 600000 --config {}",
        file.display()
    ));
    (folder, server)
}

#[test]
fn calls_are_limited_on_all_connections_together_and_some_are_free() {
    let (_folder, server) = server(&[("max_total_calls", 4)]);
    let mut greedy = Peer::new(&server.endpoint());
    for call in 1..=12 {
        greedy.send(&sleep(call, 3_600_000));
    }
    greedy.send(&sleep(13, 1));
    let refusal = greedy.receive();
    refusal.assert_end(13, RESOURCE_EXHAUSTED, true);
    assert!(
        refusal.reason().contains("all connections"),
        "{}",
        refusal.reason()
    );
    // Another one has its eight, and no ninth while the others are taken.
    let mut modest = Peer::new(&server.endpoint());
    for call in 1..=8 {
        modest.send(&sleep(call, 3_600_000));
    }
    modest.send(&sleep(9, 1));
    modest.receive().assert_end(9, RESOURCE_EXHAUSTED, true);
    drop(greedy);
    let mut watcher = Peer::new(&server.endpoint());
    let mut call = 0;
    // Until the server has seen that it is gone, with its handlers.
    while watcher.inspect(call + 1).1 > 9 {
        call += 1;
    }
    modest.send(&sleep(10, 1));
    modest.receive().assert_reply(10);
}

#[test]
fn the_credit_of_request_streams_is_reserved() {
    let (_folder, server) = server(&[
        ("decode_memory_bytes", 1 << 20),
        ("stream_credit_bytes", 400 << 10),
    ]);
    let mut peer = Peer::new(&server.endpoint());
    let open = |call| on_call(2, call).fixed64(3, COLLECT);
    peer.send_all(&[open(1), open(2), open(3)]);
    peer.receive().assert_end(3, RESOURCE_EXHAUSTED, true);
    peer.send(&on_call(MESSAGE, 1).number(5, 1));
    peer.receive().assert_reply(1);
    peer.send(&open(4));
    peer.send(&on_call(MESSAGE, 4).number(5, 1));
    peer.receive().assert_reply(4);
}

#[test]
fn requests_in_flight_share_the_memory_and_small_ones_need_none() {
    let (_folder, server) = server(&[("decode_memory_bytes", 1 << 20)]);
    let mut peer = Peer::new(&server.endpoint());
    // An unknown field makes a request large.
    let large = |call| {
        let padding = Message::new()
            .number(1, 3_600_000)
            .block(15, &[0; 300 << 10]);
        unary(call, SLEEP, &padding)
    };
    peer.send_all(&[large(1), large(2), large(3), large(4)]);
    peer.receive().assert_end(4, RESOURCE_EXHAUSTED, true);
    let mut other = Peer::new(&server.endpoint());
    let echo = Message::new().block(1, &[7; 300 << 10]);
    other.send(&unary(1, ECHO, &echo));
    other.receive().assert_end(1, RESOURCE_EXHAUSTED, true);
    other.assert_echo(2);
    // What a cancelled call took is free as soon as its handler is gone.
    peer.send(&on_call(6, 1));
    let mut call = 3;
    while other.inspect(call).1 > 3 {
        call += 1;
    }
    other.send(&unary(call + 1, ECHO, &echo));
    other.receive().assert_reply(call + 1);
}

#[test]
fn answers_that_nobody_reads_do_not_pile_up_on_all_connections() {
    const LIMIT: u64 = 4 << 20;
    /// More than sockets take, whose buffers grow with large messages.
    const CALLS: u64 = 10;
    let (_folder, server) = server(&[("max_total_queued_bytes", LIMIT)]);
    let large = Message::new().block(1, &vec![7; 1_000_000]);
    let mut deaf: Vec<Peer> = (0..6).map(|_| Peer::new(&server.endpoint())).collect();
    for peer in &mut deaf {
        for call in 1..=CALLS {
            peer.send(&unary(call, ECHO, &large));
        }
    }
    let mut watcher = Peer::new(&server.endpoint());
    let (mut call, mut queued) = (0, 0);
    while queued < LIMIT {
        call += 1;
        watcher.send(&unary(call, INSPECT, &Message::new()));
        queued = watcher.receive().payload().number(5);
    }
    // Each may have a response more than there was room for.
    assert!(queued < LIMIT + 8 * 1_100_000, "{queued} bytes are queued");
    // One who reads has what it asks for.
    watcher.send(&unary(call + 1, ECHO, &large));
    watcher.receive().assert_reply(call + 1);
    // Each is told once it reads: some answers, and for the rest that there was no room.
    let mut refused = 0;
    for peer in &mut deaf {
        for _ in 1..=CALLS {
            refused += u64::from(peer.receive().code() == RESOURCE_EXHAUSTED);
        }
        peer.send(&unary(CALLS + 1, ECHO, &Message::new()));
        assert_ne!(
            peer.receive().code(),
            RESOURCE_EXHAUSTED,
            "who has read is served again"
        );
    }
    assert!(
        (1..=6 * CALLS - 6).contains(&refused),
        "{refused} were refused"
    );
}
