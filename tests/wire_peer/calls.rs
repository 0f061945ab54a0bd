//! Sections 2 and 5 of the contract: what ends one call, what ends the connection, what is skipped.
//!
//! **Invariant**: after the error of a call, the same connection is shown to go on.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    conformance_server::{ConformanceServer, LIMIT},
    peer::{
        CALL, CANCEL, COLLECT, CREDIT, DEADLINE_EXCEEDED, ECHO, EMIT, END, FAIL, Hello, INTERNAL,
        INVALID_ARGUMENT, MESSAGE, Message, PING, PONG, Peer, REPLY, RESOURCE_EXHAUSTED, SLEEP,
        UNIMPLEMENTED, echo, envelope, on_call, sleep, unary,
    },
};

#[test]
fn calls_are_answered_once_each_and_the_slow_delay_nobody() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    peer.send(&sleep(1, 300));
    let calls: Vec<Message> = (2..=100).map(|call| echo(call, &[call as u8])).collect();
    peer.send_all(&calls);
    let mut open: BTreeSet<u64> = (2..=100).collect();
    while !open.is_empty() {
        let reply = peer.receive();
        assert_eq!(reply.kind(), REPLY);
        assert!(open.remove(&reply.call()), "call {}", reply.call());
        let expected = [reply.call() as u8];
        assert_eq!(reply.payload().blocks(1).next(), Some(&expected[..]));
    }
    peer.receive().assert_reply(1);
}

#[test]
fn what_is_wrong_with_a_call_ends_that_call_alone() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    let mut metadata = unary(5, ECHO, &Message::new());
    for _ in 0..65 {
        metadata = metadata.block(9, &Message::new().block(1, b"k").0);
    }
    let large = Message::new().block(1, b"k").block(2, &[0; 8192]);
    let wrong = [
        (
            on_call(CALL, 1).fixed64(3, 42).number(5, 1).block(15, b""),
            UNIMPLEMENTED,
        ),
        (
            on_call(CALL, 2).fixed64(3, ECHO).number(5, 1),
            INVALID_ARGUMENT,
        ),
        (
            on_call(CALL, 3).fixed64(3, ECHO).block(15, b""),
            INVALID_ARGUMENT,
        ),
        (
            on_call(CALL, 4).fixed64(3, EMIT).block(15, b""),
            INVALID_ARGUMENT,
        ),
        (metadata, RESOURCE_EXHAUSTED),
        (
            unary(6, ECHO, &Message::new()).block(9, &large.0),
            RESOURCE_EXHAUSTED,
        ),
        (echo(7, b"").number(4, 0), DEADLINE_EXCEEDED),
    ];
    for (call, (envelope, code)) in (1..).zip(wrong) {
        peer.send(&envelope);
        peer.receive().assert_end(call, code, true);
    }
    peer.send(
        &on_call(CALL, 8)
            .fixed64(3, ECHO)
            .number(5, 1)
            .block(15, &[0xFF]),
    );
    peer.receive().assert_end(8, INVALID_ARGUMENT, false);
    let after = peer.inspect(9);
    assert_eq!(after, (1, 1, 1), "nothing is left of them");
    peer.assert_echo(10);
}

#[test]
fn a_failing_handler_is_one_failed_call() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    for code in 1..=16 {
        peer.send(&unary(
            code,
            FAIL,
            &Message::new().number(1, code).block(2, b"as asked"),
        ));
        let end = peer.receive();
        end.assert_end(code, code, false);
        assert_eq!(end.reason(), "as asked");
    }
    peer.send(&unary(17, FAIL, &Message::new().number(3, 1)));
    let end = peer.receive();
    end.assert_end(17, INTERNAL, false);
    assert!(!end.reason().contains("panic"), "{}", end.reason());
    peer.assert_echo(18);
}

#[test]
fn a_peer_that_breaks_the_protocol_is_told_and_cut_off() {
    let server = ConformanceServer::start("");
    let broken = [
        (vec![echo(0, b"")], "call id 0"),
        (
            vec![unary(1, ECHO, &Message::new()).number(2, 0)],
            "call id 0",
        ),
        (vec![envelope(CALL).fixed64(3, ECHO)], "call id 0"),
        (vec![sleep(5, 60_000), sleep(5, 60_000)], "call id 5"),
        (vec![sleep(5, 60_000), sleep(4, 60_000)], "call id 4"),
        (vec![on_call(MESSAGE, 1).block(15, b"")], "never opened"),
        (vec![sleep(1, 60_000), on_call(CANCEL, 2)], "never opened"),
        (vec![on_call(CREDIT, 9).number(6, 1)], "never opened"),
        (vec![envelope(MESSAGE)], "never opened"),
        (vec![sleep(1, 60_000), on_call(REPLY, 1)], "REPLY"),
        (vec![on_call(END, 1)], "END"),
        (vec![envelope(PING).block(15, &[0; 65])], "PING"),
    ];
    for (envelopes, word) in broken {
        let mut peer = Peer::new(&server.endpoint());
        peer.send_all(&envelopes);
        let reason = peer.assert_goaway(INVALID_ARGUMENT);
        assert!(reason.contains(word), "{reason}");
    }
    let mut peer = Peer::new(&server.endpoint());
    let start = Instant::now();
    for call in 1.. {
        if peer.inspect(call) == (1, 1, 1) {
            break;
        }
        assert!(start.elapsed() < LIMIT, "handlers of lost connections stay");
    }
}

#[test]
fn races_and_the_future_are_skipped() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    peer.assert_echo(1);
    peer.send_all(&[
        on_call(CANCEL, 1),
        on_call(CREDIT, 1).number(6, 10),
        on_call(MESSAGE, 1).block(15, b"late"),
        envelope(11),
        envelope(0),
        Message::new().block(15, b"no kind"),
        envelope(PONG).block(15, b"unasked"),
        echo(2, b"x").number(14, 3).block(200, b"unknown"),
    ]);
    peer.receive().assert_reply(2);
    peer.assert_echo(3);
}

#[test]
fn pings_are_answered_with_their_payload() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    for payload in [&b""[..], b"12345678", &[9; 64]] {
        peer.send(&envelope(PING).block(15, payload));
        let pong = peer.receive();
        assert_eq!(pong.kind(), PONG);
        assert_eq!(pong.blocks(15).next(), Some(payload));
    }
}

#[test]
fn calls_over_the_limit_are_refused_and_cancel_frees_a_place() {
    let server = ConformanceServer::start("--max-calls 2");
    let mut peer = Peer::new(&server.endpoint());
    peer.send_all(&[sleep(1, 60_000), sleep(2, 60_000), echo(3, b"one too many")]);
    let end = peer.receive();
    end.assert_end(3, RESOURCE_EXHAUSTED, true);
    assert!(end.reason().contains('2'), "{}", end.reason());
    peer.send(&on_call(CANCEL, 1));
    let last = echo_until_taken(&mut peer, 4);
    // Of the cancelled call nothing was said.
    peer.assert_echo(last + 1);
}

/// Calls Echo, with ids from `call`, until one is not refused; returns its id.
fn echo_until_taken(peer: &mut Peer, mut call: u64) -> u64 {
    let start = Instant::now();
    loop {
        peer.send(&echo(call, b""));
        let answer = peer.receive();
        assert_eq!(answer.call(), call);
        if answer.kind() == REPLY {
            return call;
        }
        answer.assert_end(call, RESOURCE_EXHAUSTED, true);
        assert!(start.elapsed() < LIMIT, "no place becomes free");
        call += 1;
    }
}

#[test]
fn blocking_work_keeps_its_place_until_it_returns() {
    let server = ConformanceServer::start("--max-calls 1");
    let mut peer = Peer::new(&server.endpoint());
    let start = Instant::now();
    let blocking = Message::new().number(1, 400).number(2, 1);
    peer.send_all(&[unary(1, SLEEP, &blocking), on_call(CANCEL, 1)]);
    echo_until_taken(&mut peer, 2);
    // A cancel that comes before the work has begun may spare it altogether.
    let mut other = Peer::new(&server.endpoint());
    other.send(&unary(1, SLEEP, &blocking));
    let began = Instant::now();
    for call in 100_000.. {
        if peer.inspect(call).2 >= 2 {
            break;
        }
        assert!(start.elapsed() < LIMIT, "the work does not begin");
    }
    other.send(&on_call(CANCEL, 1));
    echo_until_taken(&mut other, 2);
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "the place was free too early"
    );
}

#[test]
fn the_server_keeps_deadlines() {
    let server = ConformanceServer::start("--max-calls 1");
    let mut peer = Peer::new(&server.endpoint());
    peer.send(&sleep(1, 60_000).number(4, 50_000));
    peer.receive().assert_end(1, DEADLINE_EXCEEDED, false);
    let next = echo_until_taken(&mut peer, 2) + 1;
    // Beyond the clock is none.
    peer.send(&echo(next, b"").number(4, u64::MAX));
    peer.receive().assert_reply(next);
}

#[test]
fn an_answer_that_the_client_cannot_take_is_refused_in_its_place() {
    let server = ConformanceServer::start("");
    let hello = Hello {
        max_frame_bytes: 1000,
        ..Hello::default()
    };
    let mut peer = Peer::greet(&server.endpoint(), hello);
    peer.send(&echo(1, &[0; 2000]));
    let end = peer.receive();
    end.assert_end(1, RESOURCE_EXHAUSTED, false);
    assert!(end.reason().contains("1000"), "{}", end.reason());
    peer.send(&unary(
        2,
        FAIL,
        &Message::new().number(1, 5).block(2, &[b'x'; 5000]),
    ));
    let end = peer.receive();
    end.assert_end(2, 5, false);
    assert!(end.reason().len() > 900, "{}", end.reason().len());
    peer.assert_echo(3);
}

#[test]
fn a_request_stream_may_come_in_any_shape() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    let item = |text: &[u8]| Message::new().block(1, text).0;
    peer.send_all(&[
        on_call(CALL, 1)
            .fixed64(3, COLLECT)
            .block(15, &item(b"first")),
        on_call(MESSAGE, 1).block(15, &item(b"second")),
        on_call(MESSAGE, 1).block(15, b""),
        on_call(MESSAGE, 1).number(5, 1),
        on_call(CALL, 2).fixed64(3, COLLECT).number(5, 1),
        on_call(CALL, 3).fixed64(3, COLLECT),
        on_call(MESSAGE, 3).number(5, 1).block(15, &item(b"only")),
    ]);
    let mut totals = [(0, 0); 3];
    for _ in 0..3 {
        let reply = peer.receive();
        assert_eq!(reply.kind(), REPLY, "{}", reply.reason());
        let total = reply.payload();
        totals[reply.call() as usize - 1] = (total.number(1), total.number(2));
    }
    assert_eq!(totals, [(3, 11), (0, 0), (1, 4)]);
}
