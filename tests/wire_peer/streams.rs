//! Section 4 of the contract: credit, and streams that nobody reads.
//!
//! **Invariant**: keeps the books of credit by itself and trusts none of the server's.

use super::{
    conformance_server::ConformanceServer,
    peer::{
        CALL, CANCEL, CHAT, CREDIT, EMIT, END, Fields, Hello, INVALID_ARGUMENT, MESSAGE, Message,
        PING, PONG, Peer, RESOURCE_EXHAUSTED, on_call, sleep, unary,
    },
};

fn emit(call: u64, count: u64, size: u64) -> Message {
    unary(call, EMIT, &Message::new().number(1, count).number(2, size))
}

fn with_credit(server: &ConformanceServer, stream_credit: u64) -> Peer {
    let hello = Hello {
        stream_credit,
        ..Hello::default()
    };
    Peer::greet(&server.endpoint(), hello)
}

fn cost(message: &Fields) -> i64 {
    message.blocks(15).next().expect("a payload").len() as i64 + 32
}

/// Takes messages for as long as there is credit for them; returns the index of the next.
fn take_paid(peer: &mut Peer, call: u64, credit: &mut i64, mut next: u64) -> u64 {
    while *credit > 0 {
        let message = peer.receive();
        assert_eq!((message.kind(), message.call()), (MESSAGE, call));
        assert_eq!(message.payload().number(1), next);
        *credit -= cost(&message);
        next += 1;
    }
    next
}

/// Asserts that the server has nothing to say but what it is asked.
fn assert_quiet(peer: &mut Peer) {
    for _ in 0..20 {
        peer.send(&super::peer::envelope(PING).block(15, b"?"));
        assert_eq!(peer.receive().kind(), PONG);
    }
}

#[test]
fn a_response_stream_keeps_to_its_credit() {
    let server = ConformanceServer::start("");
    let mut peer = with_credit(&server, 1000);
    peer.send(&emit(1, 100, 100));
    let mut credit = 1000;
    let mut next = take_paid(&mut peer, 1, &mut credit, 0);
    assert!(next < 10, "{next} messages for 1000 bytes");
    assert_quiet(&mut peer);
    while next < 90 {
        peer.send(&on_call(CREDIT, 1).number(6, 500));
        credit += 500;
        next = take_paid(&mut peer, 1, &mut credit, next);
        assert_quiet(&mut peer);
    }
    peer.send(&on_call(CREDIT, 1).number(6, 100_000));
    for index in next..100 {
        assert_eq!(peer.receive().payload().number(1), index);
    }
    peer.receive().assert_end(1, 0, false);
}

#[test]
fn without_credit_nothing_is_sent_until_some_is_granted() {
    let server = ConformanceServer::start("");
    let mut peer = with_credit(&server, 0);
    peer.send(&emit(1, 1, 10));
    assert_quiet(&mut peer);
    peer.send(&on_call(CREDIT, 1).number(6, 1));
    assert_eq!(peer.receive().kind(), MESSAGE);
    peer.receive().assert_end(1, 0, false);
}

#[test]
fn a_stream_that_nobody_reads_stalls_no_other_call() {
    let server = ConformanceServer::start("");
    let mut peer = with_credit(&server, 4000);
    for call in 1..=10 {
        peer.send(&emit(call, u64::from(u32::MAX), 1000));
        let mut credit = 4000;
        take_paid(&mut peer, call, &mut credit, 0);
    }
    for call in 11..=50 {
        peer.assert_echo(call);
    }
    for call in 1..=10 {
        peer.send(&on_call(CANCEL, call));
    }
    peer.assert_echo(51);
}

#[test]
fn credit_sums_do_not_overflow() {
    let server = ConformanceServer::start("");
    let mut peer = with_credit(&server, u64::from(u32::MAX));
    let grant = on_call(CREDIT, 1).number(6, u64::from(u32::MAX));
    peer.send(&emit(1, 2000, 10));
    peer.send_all(&vec![grant; 1000]);
    for index in 0..2000 {
        assert_eq!(peer.receive().payload().number(1), index);
    }
    peer.receive().assert_end(1, 0, false);
}

/// A Chat whose handler is stuck, because it may send nothing: its requests pile up.
fn stuck_chat(peer: &mut Peer, call: u64) {
    peer.send(&on_call(CALL, call).fixed64(3, CHAT));
}

#[test]
fn a_message_past_the_credit_ends_its_call() {
    let server = ConformanceServer::start("--stream-credit 100");
    let mut peer = with_credit(&server, 0);
    stuck_chat(&mut peer, 1);
    let message = Message::new().block(1, &[7; 100]);
    for _ in 0..10 {
        peer.send(&on_call(MESSAGE, 1).block(15, &message.0));
    }
    let mut answer = peer.receive();
    while answer.kind() == CREDIT {
        answer = peer.receive();
    }
    answer.assert_end(1, RESOURCE_EXHAUSTED, false);
    peer.assert_echo(2);
}

#[test]
fn a_message_where_none_is_taken_ends_its_call() {
    let server = ConformanceServer::start("");
    let mut peer = with_credit(&server, 0);
    peer.send_all(&[sleep(1, 60_000), on_call(MESSAGE, 1).block(15, b"")]);
    peer.receive().assert_end(1, INVALID_ARGUMENT, false);
    stuck_chat(&mut peer, 2);
    let item = on_call(MESSAGE, 2).block(15, b"");
    let last = on_call(MESSAGE, 2).number(5, 1).block(15, b"");
    peer.send_all(&[item.clone(), item.clone(), last, item]);
    peer.receive().assert_end(2, INVALID_ARGUMENT, false);
    peer.assert_echo(3);
}

#[test]
fn a_chat_answers_in_order_and_ends_after_its_requests() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    peer.send(&on_call(CALL, 1).fixed64(3, CHAT));
    for index in 0..50_u8 {
        let item = Message::new().block(1, &[index]);
        peer.send(&on_call(MESSAGE, 1).block(15, &item.0));
        let answer = peer.receive();
        assert_eq!(answer.kind(), MESSAGE);
        assert_eq!(answer.payload().blocks(1).next(), Some(&[index][..]));
    }
    peer.send(&on_call(MESSAGE, 1).number(5, 1));
    let end = peer.receive();
    assert_eq!((end.kind(), end.code()), (END, 0));
}

#[test]
fn a_sender_that_keeps_to_its_credit_is_never_cut_off() {
    let server = ConformanceServer::start("--stream-credit 1000");
    let mut peer = Peer::new(&server.endpoint());
    peer.send(&on_call(CALL, 1).fixed64(3, super::peer::COLLECT));
    let item = Message::new().block(1, &[7; 200]);
    let mut credit = 1000;
    for _ in 0..100 {
        while credit <= 0 {
            let grant = peer.receive();
            assert_eq!(
                (grant.kind(), grant.call()),
                (CREDIT, 1),
                "{}",
                grant.reason()
            );
            credit += grant.number(6) as i64;
        }
        peer.send(&on_call(MESSAGE, 1).block(15, &item.0));
        credit -= item.0.len() as i64 + 32;
    }
    peer.send(&on_call(MESSAGE, 1).number(5, 1));
    let mut answer = peer.receive();
    while answer.kind() == CREDIT {
        answer = peer.receive();
    }
    answer.assert_reply(1);
    assert_eq!(
        (answer.payload().number(1), answer.payload().number(2)),
        (100, 20_000)
    );
}
