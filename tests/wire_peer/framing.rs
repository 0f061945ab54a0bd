//! Section 1 of the contract: what is not a frame ends its connection, and nothing else.
//!
//! **Invariant**: after the error of a connection, another one is shown to go on.

use super::{
    conformance_server::ConformanceServer,
    peer::{
        DATA_LOSS, HELLO, Hello, INVALID_ARGUMENT, Message, Peer, castagnoli, echo, envelope,
        frame, frame_with, ieee,
    },
};

/// Sends `bytes` after the handshake; returns the reason of the GOAWAY with `code`. Another
/// connection of the same server goes on.
#[track_caller]
fn refused(server: &ConformanceServer, bytes: &[u8], code: u64) -> String {
    let mut bystander = Peer::new(&server.endpoint());
    bystander.assert_echo(1);
    let mut peer = Peer::new(&server.endpoint());
    peer.send_bytes(bytes);
    let reason = peer.assert_goaway(code);
    bystander.assert_echo(2);
    reason
}

#[test]
fn a_length_is_judged_from_the_header_alone() {
    let server = ConformanceServer::start("--max-frame-bytes 4096");
    for length in [4097_u32, u32::MAX] {
        let header = [length.to_le_bytes(), [0; 4]].concat();
        let reason = refused(&server, &header, INVALID_ARGUMENT);
        assert!(reason.contains(&length.to_string()), "{reason}");
        assert!(reason.contains("4096"), "{reason}");
    }
    let reason = refused(&server, &[0; 8], INVALID_ARGUMENT);
    assert!(reason.contains("length 0"), "{reason}");
}

#[test]
fn the_largest_frame_is_taken_and_one_byte_more_is_not() {
    let server = ConformanceServer::start("--max-frame-bytes 4096");
    let overhead = echo(1, &[0; 4000]).0.len() - 4000;
    let mut peer = Peer::new(&server.endpoint());
    let largest = echo(1, &vec![7; 4096 - overhead]);
    assert_eq!(largest.0.len(), 4096);
    peer.send(&largest);
    peer.receive().assert_reply(1);
    peer.send(&echo(2, &vec![7; 4097 - overhead]));
    peer.assert_goaway(INVALID_ARGUMENT);
}

#[test]
fn a_damaged_frame_is_data_loss_and_nothing_behind_it_is_run() {
    let server = ConformanceServer::start("");
    let call = echo(1, b"x");
    for bit in [0, 7, call.0.len() * 8 - 1] {
        let mut damaged = call.0.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let mut bytes = frame_with(ieee(&call.0), &damaged);
        bytes.extend(frame(&echo(2, b"behind").0));
        let reason = refused(&server, &bytes, DATA_LOSS);
        assert!(reason.contains("checksum"), "{reason}");
    }
}

#[test]
fn the_other_variant_is_named_on_the_first_frame_only() {
    let server = ConformanceServer::start("");
    let hello = Hello::default().envelope();
    let mut peer = Peer::connect(&server.endpoint());
    peer.send_bytes(&frame_with(castagnoli(&hello.0), &hello.0));
    let reason = peer.assert_goaway(DATA_LOSS);
    assert!(reason.contains("castagnoli"), "{reason}");

    let call = echo(1, b"x").0;
    let reason = refused(&server, &frame_with(castagnoli(&call), &call), DATA_LOSS);
    assert!(!reason.contains("castagnoli"), "{reason}");
}

#[test]
fn both_variants_serve() {
    let server = ConformanceServer::start("--crc castagnoli");
    let hello = Hello::default().envelope();
    let mut peer = Peer::connect(&server.endpoint());
    peer.send_bytes(&frame_with(ieee(&hello.0), &hello.0));
    let mut header = [0; 8];
    peer.receive_bytes(&mut header);
    let mut payload = vec![0; usize::from(header[0]) + 256 * usize::from(header[1])];
    peer.receive_bytes(&mut payload);
    assert_eq!(header[4..], castagnoli(&payload).to_le_bytes());
    let goaway = super::peer::Fields::parse(&payload);
    assert_eq!(goaway.code(), DATA_LOSS);
    assert!(goaway.reason().contains("ieee"), "{}", goaway.reason());
    peer.assert_closed();
}

#[test]
fn what_is_not_an_envelope_ends_the_connection() {
    let server = ConformanceServer::start("");
    let truncated = envelope(HELLO)
        .0
        .into_iter()
        .chain([0x7A, 0x05, 1])
        .collect::<Vec<u8>>();
    let not_utf8 = Message::new().number(1, 10).block(8, &[0xFF]).0;
    for payload in [vec![0xFF], vec![0; 64], truncated, not_utf8] {
        refused(&server, &frame(&payload), INVALID_ARGUMENT);
    }
}

#[test]
fn frames_may_come_in_any_pieces() {
    let server = ConformanceServer::start("");
    let mut peer = Peer::connect(&server.endpoint());
    let bytes = [
        frame(&Hello::default().envelope().0),
        frame(&echo(1, b"in pieces").0),
    ]
    .concat();
    for piece in bytes.chunks(3) {
        peer.send_bytes(piece);
    }
    assert_eq!(peer.receive().kind(), HELLO);
    peer.receive().assert_reply(1);
}
