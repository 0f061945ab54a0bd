//! Section 3 of the contract, and the timeouts and limits of a connection.
//!
//! **Invariant**: what is silent is told apart from what is slow by waiting for the server's word.

use std::time::{Duration, Instant};

use super::{
    conformance_server::{ConformanceServer, LIMIT},
    peer::{
        CALL, COUNT, DEADLINE_EXCEEDED, ECHO, FAILED_PRECONDITION, Fields, GOAWAY, HELLO, Hello,
        INVALID_ARGUMENT, Message, Peer, RESOURCE_EXHAUSTED, echo, envelope, frame, on_call, unary,
    },
};

const CONFORMANCE: &[u8] = b"daemoneye.conformance.v1.Conformance";

#[test]
fn the_server_says_who_it_is_and_what_it_takes() {
    let server = ConformanceServer::start(
        "--max-frame-bytes 8192 --max-calls 7 --stream-credit 1234 --max-connections 3",
    );
    let mut peer = Peer::connect(&server.endpoint());
    peer.send(&Hello::default().envelope());
    let hello = peer.receive();
    let hello = Fields::parse(hello.blocks(10).next().expect("its fields"));
    let numbers = [1, 3, 4, 5].map(|field| hello.number(field));
    assert_eq!(numbers, [1, 8192, 7, 1234]);
    let agent = hello.blocks(2).next().expect("an agent");
    assert!(agent.starts_with(b"daemoneye-ipc/"), "{agent:?}");
    let names: Vec<Vec<u8>> = hello
        .blocks(6)
        .map(|offer| {
            Fields::parse(offer)
                .blocks(1)
                .next()
                .expect("a name")
                .to_vec()
        })
        .collect();
    assert!(names.contains(&CONFORMANCE.to_vec()), "{names:?}");
}

#[test]
fn calls_may_follow_the_hello_at_once() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::connect(&server.endpoint());
    peer.send_all(&[Hello::default().envelope(), echo(1, b"a"), echo(2, b"b")]);
    assert_eq!(peer.receive().kind(), HELLO);
    peer.receive().assert_reply(1);
    peer.receive().assert_reply(2);
}

#[test]
fn the_first_frame_is_hello_and_there_is_one() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::connect(&server.endpoint());
    peer.send(&echo(1, b"too early"));
    let reason = peer.assert_goaway(INVALID_ARGUMENT);
    assert!(reason.contains("HELLO"), "{reason}");

    let mut peer = Peer::connect(&server.endpoint());
    peer.send(&envelope(77));
    peer.assert_goaway(INVALID_ARGUMENT);

    let mut peer = Peer::new(&server.endpoint());
    peer.send(&Hello::default().envelope());
    let reason = peer.assert_goaway(INVALID_ARGUMENT);
    assert!(reason.contains("second HELLO"), "{reason}");
}

#[test]
fn a_hello_that_nothing_can_be_built_on_is_refused() {
    let server = ConformanceServer::start("");
    let refused = |hello: Message, code| {
        let mut peer = Peer::connect(&server.endpoint());
        peer.send(&hello);
        peer.assert_goaway(code)
    };
    let usual = Hello::default();
    let reason = refused(
        Hello {
            protocol: 2,
            ..usual
        }
        .envelope(),
        FAILED_PRECONDITION,
    );
    assert!(reason.contains('2') && reason.contains('1'), "{reason}");
    refused(
        Hello {
            max_frame_bytes: 0,
            ..usual
        }
        .envelope(),
        INVALID_ARGUMENT,
    );
    let tiny = Hello {
        max_frame_bytes: 80,
        ..usual
    };
    let reason = refused(tiny.envelope(), RESOURCE_EXHAUSTED);
    assert!(reason.contains("HELLO"), "{reason}");
    refused(envelope(HELLO), INVALID_ARGUMENT);
    let large = usual.fields().block(99, &[0; 16 << 10]);
    refused(envelope(HELLO).block(10, &large.0), INVALID_ARGUMENT);
}

#[test]
fn schemas_are_judged_and_a_client_may_insist() {
    let server = ConformanceServer::start("");
    let offer = |name: &[u8], require| {
        Message::new()
            .block(1, name)
            .fixed64(3, 0xBAD)
            .number(6, require)
    };
    let greet = |require| {
        let mut peer = Peer::connect(&server.endpoint());
        let fields = Hello::default()
            .fields()
            .block(6, &offer(CONFORMANCE, require).0)
            .block(6, &offer(b"of.Nobody", require).0);
        peer.send(&envelope(HELLO).block(10, &fields.0));
        let hello = peer.receive();
        let hello = Fields::parse(hello.blocks(10).next().expect("its fields"));
        let verdict = |name: &[u8]| {
            let mut offers = hello.blocks(6).map(Fields::parse);
            let offer = offers.find(|offer| offer.blocks(1).next() == Some(name));
            offer.expect("an offer").number(4)
        };
        assert_eq!((verdict(CONFORMANCE), verdict(b"of.Nobody")), (3, 4));
        peer
    };
    greet(0).assert_echo(1);
    let mut strict = greet(1);
    strict.send(&echo(1, b"x"));
    let end = strict.receive();
    end.assert_end(1, FAILED_PRECONDITION, true);
    let reason = end.reason();
    assert!(
        reason.contains("daemoneye.conformance.v1.Conformance"),
        "{reason}"
    );
    assert!(
        reason.contains("0xbad") || reason.contains("0000bad"),
        "{reason}"
    );
}

#[test]
fn silence_and_dribbling_end_with_the_handshake_timeout() {
    let server = ConformanceServer::start("--handshake-timeout-ms 150 --read-timeout-ms 60000");
    let mut silent = Peer::connect(&server.endpoint());
    let reason = silent.assert_goaway(DEADLINE_EXCEEDED);
    assert!(reason.contains("HELLO"), "{reason}");
    dribble(
        Peer::connect(&server.endpoint()),
        &frame(&Hello::default().envelope().0),
    );
}

#[test]
fn a_frame_that_has_begun_has_to_end_in_time() {
    let server = ConformanceServer::start("--read-timeout-ms 150");
    let mut idle = Peer::new(&server.endpoint());
    dribble(
        Peer::new(&server.endpoint()),
        &frame(&echo(1, &[0; 100_000]).0),
    );
    idle.assert_echo(1);
}

/// Sends `frame` byte by byte, slowly, until the server has had enough.
fn dribble(mut peer: Peer, frame: &[u8]) {
    let start = Instant::now();
    let mut bytes = frame.iter();
    while peer.is_silent_for(Duration::from_millis(10)) {
        assert!(start.elapsed() < LIMIT, "the server waits for ever");
        peer.offer(&[*bytes.next().expect("more than fits into the time")]);
    }
    peer.assert_goaway(DEADLINE_EXCEEDED);
}

#[test]
fn a_full_server_says_so() {
    let server = ConformanceServer::start("--max-connections 2");
    let first = Peer::new(&server.endpoint());
    let mut second = Peer::new(&server.endpoint());
    let mut third = Peer::connect(&server.endpoint());
    let reason = third.assert_goaway(RESOURCE_EXHAUSTED);
    assert!(reason.contains("2 connections"), "{reason}");
    second.assert_echo(1);

    drop(first);
    let start = Instant::now();
    loop {
        let mut peer = Peer::connect(&server.endpoint());
        peer.offer(&frame(&Hello::default().envelope().0));
        if peer.receive().kind() == HELLO {
            return peer.assert_echo(1);
        }
        assert!(start.elapsed() < LIMIT, "the place is not free again");
    }
}

#[test]
fn a_half_closed_socket_is_a_closed_connection() {
    let server = ConformanceServer::start("");
    let mut other = Peer::new(&server.endpoint());
    let mut peer = Peer::new(&server.endpoint());
    peer.send(&super::peer::sleep(1, 60_000));
    let start = Instant::now();
    let mut call = 1;
    while other.inspect(call) != (2, 2, 2) {
        assert!(start.elapsed() < LIMIT, "the call does not start");
        call += 1;
    }
    peer.stream
        .shutdown(std::net::Shutdown::Write)
        .expect("half-closed");
    peer.assert_closed();
    call += 1;
    while other.inspect(call) != (1, 1, 1) {
        assert!(start.elapsed() < LIMIT, "the handler is not dropped");
        call += 1;
    }
}

#[test]
fn a_peer_that_is_gone_in_the_middle_of_a_frame_leaves_nothing() {
    let server = ConformanceServer::start("");
    let mut other = Peer::new(&server.endpoint());
    let start = Instant::now();
    let mut call = 0;
    for sent in [1, 7, 8, 9, 5_000, 99_999] {
        let mut peer = Peer::new(&server.endpoint());
        peer.send(&super::peer::sleep(1, 60_000));
        peer.send_bytes(&frame(&echo(2, &[0; 100_000]).0)[..sent]);
        // All that the kernel does for a process that is killed.
        drop(peer);
        call += 1;
        while other.inspect(call) != (1, 1, 1) {
            assert!(start.elapsed() < LIMIT, "something is left");
            call += 1;
        }
    }
}

#[test]
fn a_client_that_leaves_gets_what_is_open_and_no_more() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    peer.send_all(&[
        super::peer::sleep(1, 100),
        envelope(GOAWAY),
        echo(2, b"late"),
    ]);
    peer.receive().assert_end(2, super::peer::UNAVAILABLE, true);
    peer.receive().assert_reply(1);
    peer.assert_closed();
}

#[test]
fn a_peer_that_takes_nothing_is_dropped() {
    let server = ConformanceServer::start("--write-timeout-ms 200 --max-frame-bytes 4194304");
    let mut other = Peer::new(&server.endpoint());
    let hello = Hello {
        max_frame_bytes: 4 << 20,
        ..Hello::default()
    };
    let mut peer = Peer::greet(&server.endpoint(), hello);
    // The answers are more than the sockets between hold, and the peer reads none of them. It may be
    // dropped before all calls are written.
    for call in 1..=4 {
        peer.offer(&frame(&echo(call, &vec![0; 1 << 20]).0));
    }
    let start = Instant::now();
    let mut call = 1;
    while other.inspect(call).0 != 1 {
        assert!(start.elapsed() < LIMIT, "the connection stays");
        call += 1;
    }
}

#[test]
fn ordinals_are_what_the_contract_says() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    peer.send(&unary(1, COUNT, &Message::new().number(1, 5)));
    let reply = peer.receive();
    reply.assert_reply(1);
    assert_eq!(reply.payload().number(1), 5);
    // One bit off is another method.
    peer.send(
        &on_call(CALL, 2)
            .fixed64(3, ECHO ^ 1)
            .number(5, 1)
            .block(15, b""),
    );
    peer.receive()
        .assert_end(2, super::peer::UNIMPLEMENTED, true);
}
