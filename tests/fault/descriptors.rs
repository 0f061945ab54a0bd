//! Descriptors that run out, of the process and of the system: who comes then is told at once, and the server goes on.
//!
//! **Invariant**: a real server, and the kernel's own refusals; those of the system are put in by strace, since to use up
//! the system's descriptors would be to use up those of everybody.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::{
    conformance_server::{ConformanceServer, LIMIT},
    peer::{GOAWAY, HELLO, Hello, Peer, RESOURCE_EXHAUSTED, frame},
};

/// Connects and says HELLO: a connection, or why there is none.
fn knock(server: &ConformanceServer) -> Result<Peer, String> {
    let mut peer = Peer::connect(&server.endpoint());
    peer.offer(&frame(&Hello::default().envelope().0));
    let answer = peer.receive();
    match answer.kind() {
        HELLO => Ok(peer),
        GOAWAY => {
            assert_eq!(answer.code(), RESOURCE_EXHAUSTED);
            Err(answer.reason())
        }
        kind => panic!("kind {kind}"),
    }
}

/// Processor time of a process so far, in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let times = fields.skip(11).take(2);
    times.map(|time| time.parse::<u64>().unwrap()).sum()
}

#[test]
fn who_comes_when_descriptors_are_used_up_is_told_at_once() {
    let server = ConformanceServer::start("--max-connections 200");
    let mut first = Peer::new(&server.endpoint());
    let open = fs::read_dir(format!("/proc/{}/fd", server.id()))
        .unwrap()
        .count() as u64;
    let limit = Rlimit {
        current: Some(open + 3),
        maximum: Some(open + 3),
    };
    prlimit(
        Pid::from_raw(i32::try_from(server.id()).unwrap()),
        Resource::Nofile,
        limit,
    )
    .unwrap();
    let mut served = Vec::new();
    let told = loop {
        match knock(&server) {
            Ok(peer) => served.push(peer),
            Err(told) => break told,
        }
        assert!(served.len() < 20, "there are descriptors without end");
    };
    assert!(told.contains("no file descriptors left"), "{told}");
    // Each of many is told, and costs no more than a refusal.
    let (start, before) = (Instant::now(), ticks(server.id()));
    for _ in 0..50 {
        assert!(knock(&server).is_err());
    }
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    let used = ticks(server.id()) - before;
    assert!(used < 100, "{used} ticks");
    first.assert_echo(1);
    // One that goes makes room for one, once the server has seen it.
    drop(served.pop());
    let start = Instant::now();
    while let Err(told) = knock(&server) {
        assert!(start.elapsed() < LIMIT, "{told}");
    }
}

#[test]
fn a_system_without_descriptors_is_waited_for() {
    const STRACE: &str =
        "strace -D -f -qq -o /dev/null -e trace=accept4 -e inject=accept4:error=ENFILE:when=1..6";
    let is_there = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    if !is_there.is_ok_and(|status| status.success()) {
        eprintln!(
            "a_system_without_descriptors…: not run, since there is no `strace` that may trace"
        );
        return;
    }
    let server = ConformanceServer::start_under(STRACE, "");
    // Six refusals of the kernel later it is served, by the same server.
    let mut peer = Peer::new(&server.endpoint());
    peer.assert_echo(1);
    Peer::new(&server.endpoint()).assert_echo(1);
}
