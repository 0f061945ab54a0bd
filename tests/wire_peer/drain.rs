//! Section 7 of the contract: an orderly end.
//!
//! **Invariant**: a real process gets a real signal.

use std::time::{Duration, Instant};

use super::{
    conformance_server::ConformanceServer,
    peer::{GOAWAY, Peer, UNAVAILABLE, echo, sleep},
};

#[test]
fn a_server_that_is_told_to_end_finishes_what_it_has() {
    let mut server = ConformanceServer::start("");
    let mut idle = Peer::new(&server.endpoint());
    let mut peer = Peer::new(&server.endpoint());
    peer.send(&sleep(7, 1000));
    // Once this is answered, the server has seen the call before it.
    peer.assert_echo(8);
    server.signal("TERM");
    let goaway = peer.receive();
    assert_eq!((goaway.kind(), goaway.code()), (GOAWAY, 0));
    assert_eq!(goaway.find_number(11), Some(8));
    peer.send(&echo(9, b"late"));
    peer.receive().assert_end(9, UNAVAILABLE, true);
    peer.receive().assert_reply(7);
    peer.assert_closed();

    let goaway = idle.receive();
    assert_eq!(
        (goaway.kind(), goaway.code(), goaway.find_number(11)),
        (GOAWAY, 0, Some(0))
    );
    idle.assert_closed();
    assert_eq!(server.ended().code(), Some(0));
    assert!(!server.endpoint().exists(), "the socket stays");
}

#[test]
fn a_call_that_does_not_end_is_cut_off() {
    let mut server = ConformanceServer::start("--drain-timeout-ms 200");
    let mut peer = Peer::new(&server.endpoint());
    peer.send(&sleep(1, 60_000));
    peer.assert_echo(2);
    let start = Instant::now();
    server.signal("TERM");
    assert_eq!(peer.receive().kind(), GOAWAY);
    peer.assert_closed();
    assert_eq!(server.ended().code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_second_server_starts_where_one_was_killed() {
    let mut server = ConformanceServer::start("");
    let mut peer = Peer::new(&server.endpoint());
    peer.send(&sleep(1, 60_000));
    peer.assert_echo(2);
    server.crash_and_restart();
    peer.assert_closed();
    Peer::new(&server.endpoint()).assert_echo(1);
}
