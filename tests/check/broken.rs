//! Servers that break a rule fail at the vectors for it.
//!
//! **Invariant**: each breaks one rule, so that what it fails is what that rule is for.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    thread,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    schema::ipc::v1::ServiceOffer,
    wire::{Envelope, Hello, Kind},
};
use serde_json::Value;

use super::{
    check, ids, play,
    saboteur::{Notes, Passed, Passing, Sabotaged, framed, is, untouched},
    with_outcome,
};

/// The longest for one vector, in milliseconds.
const TIME: &str = "--timeout-ms 5000";

/// A server with these changes fails these vectors, out of all, or of those that `only` names.
#[track_caller]
fn fails(there: Passing, back: Passing, only: &[&str], expected: &[&str]) {
    let server = Sabotaged::start(there, back);
    let only = match only {
        [] => String::new(),
        ids => format!(" --only {}", ids.join(" ")),
    };
    let (code, report) = check(&server.endpoint(), &format!("{TIME}{only}"));
    assert_eq!(code, Some(1));
    let mut failed = with_outcome(&report, "failed");
    // A server without credit may or may not answer before it sees what is wrong with the request.
    failed.retain(|vector| vector["id"] != "error-message-after-last");
    assert_eq!(ids(&failed), expected, "{failed:#?}");
    for vector in failed {
        let failure = &vector["failure"];
        for key in ["expected", "came", "look_at"] {
            let words = failure[key].as_str().expect("words");
            assert!(!words.is_empty(), "{vector}");
        }
    }
}

#[test]
fn one_that_ignores_credit() {
    let generous: Passing = |mut envelope, _| {
        if let Some(hello) = &mut envelope.hello {
            hello.stream_credit = u32::MAX;
        }
        Passed::on(&[envelope])
    };
    fails(
        generous,
        untouched,
        &[],
        &[
            "credit-stops-and-goes-on",
            "credit-zero",
            "credit-one-message-overdraws",
            "stream-unread-delays-nobody",
            "credit-past",
            "stream-data-does-not-delay-control",
        ],
    );
}

#[test]
fn one_that_answers_cancelled_calls_twice() {
    let polite: Passing = |envelope, _| {
        let passed = Passed::on(std::slice::from_ref(&envelope));
        if !is(&envelope, Kind::Cancel) {
            return passed;
        }
        let end = Envelope {
            kind: Kind::End.into(),
            call: envelope.call,
            code: 1,
            ..Envelope::default()
        };
        passed.back(&end).back(&end)
    };
    fails(
        polite,
        untouched,
        &[],
        &[
            "skip-after-end",
            "cancel-is-not-answered",
            "cancel-then-message",
            "protocol-cancel-never-opened",
            "stream-unread-delays-nobody",
            "stream-data-does-not-delay-control",
            "limit-max-calls",
            "limit-blocking-work-keeps-its-place",
        ],
    );
}

#[test]
fn one_that_takes_any_call_id() {
    const NEXT: u64 = 0;
    // The notes have the server's id by the client's, with this bit, and the client's by the server's.
    const THERE: u64 = 1 << 63;
    let there: Passing = |mut envelope, notes| {
        if let (Some(id), true) = (envelope.call, is(&envelope, Kind::Call)) {
            let next = notes.get(&NEXT).copied().unwrap_or(0) + 1;
            notes.insert(NEXT, next);
            notes.insert(next, id);
            notes.insert(id | THERE, next);
            envelope.call = Some(next);
        } else if let Some(id) = envelope.call {
            envelope.call = notes.get(&(id | THERE)).copied().or(Some(u64::MAX));
        }
        Passed::on(&[envelope])
    };
    let back: Passing = |mut envelope, notes| {
        if let Some(id) = envelope.call {
            envelope.call = notes.get(&id).copied().or(Some(id));
        }
        Passed::on(&[envelope])
    };
    fails(
        there,
        back,
        &[],
        &[
            "protocol-call-0",
            "protocol-call-id-of-open-call",
            "protocol-call-id-below",
            "protocol-call-id-again",
            "protocol-call-id-of-refused-call",
        ],
    );
}

#[test]
fn one_that_does_not_say_unrun() {
    let back: Passing = |mut envelope, _| {
        envelope.unrun = false;
        Passed::on(&[envelope])
    };
    fails(
        untouched,
        back,
        &[],
        &[
            "verdict-required",
            "opening-without-payload",
            "opening-without-last",
            "error-unknown-method",
            "error-metadata",
            "protocol-call-id-of-refused-call",
            "deadline-over-already",
            "limit-max-calls",
            "unrun-has-no-effect",
        ],
    );
}

#[test]
fn one_that_tells_what_a_panic_said() {
    let back: Passing = |mut envelope, _| {
        if envelope.code == 13 && !envelope.reason.starts_with("as asked") {
            envelope.reason = "the handler panicked: words of the panic".to_owned();
        }
        Passed::on(&[envelope])
    };
    let only = ["call-echo", "call-fail", "call-panic", "ping"];
    fails(untouched, back, &only, &["call-panic"]);
}

#[test]
fn one_that_ends_the_connection_where_one_call_fails() {
    let there: Passing = |envelope, _| {
        let unknown = Kind::try_from(envelope.kind).is_err();
        Passed {
            cut: unknown,
            ..Passed::on(&[envelope])
        }
    };
    let only = ["skip-unknown-kinds", "skip-unknown-fields", "skip-pong"];
    fails(there, untouched, &only, &["skip-unknown-kinds"]);
}

#[test]
fn one_whose_deadlines_are_the_clients_affair() {
    let there: Passing = |mut envelope, _| {
        envelope.timeout_us = envelope.timeout_us.filter(|time| *time == 0);
        Passed::on(&[envelope])
    };
    let only = ["deadline-passes", "deadline-over-already", "call-sleep"];
    fails(there, untouched, &only, &["deadline-passes"]);
}

#[test]
fn one_that_damages_its_answers() {
    let back: Passing = |envelope, _: &mut Notes| {
        let mut bytes = framed(&envelope);
        if is(&envelope, Kind::Reply) {
            bytes[4] ^= 1;
        }
        Passed {
            on: vec![bytes],
            ..Passed::default()
        }
    };
    let server = Sabotaged::start(untouched, back);
    let (code, report) = check(
        &server.endpoint(),
        "--only hello call-echo ping credit-zero",
    );
    assert_eq!(code, Some(1));
    let failed = with_outcome(&report, "failed");
    assert_eq!(ids(&failed), ["call-echo"]);
    // The rule is not the vector's own, but the one that was broken.
    assert_eq!(failed[0]["contract"]["section"], 1);
    let came = failed[0]["failure"]["came"].as_str().expect("words");
    assert!(came.contains("checksum"), "{came}");
}

#[test]
fn one_that_breaks_nothing() {
    let server = Sabotaged::start(untouched, untouched);
    let (code, report) = check(&server.endpoint(), TIME);
    assert_eq!(with_outcome(&report, "failed"), [] as [&Value; 0]);
    assert_eq!(
        code,
        Some(0),
        "what stands between changes nothing by itself"
    );
}

/// A server made by hand that does the same with each client.
fn by_hand(serve: fn(UnixStream), arguments: &str) -> (Value, Duration) {
    let folder = tempfile::tempdir_in("/tmp").expect("a directory");
    let endpoint = folder.path().join("x.sock");
    let listener = UnixListener::bind(&endpoint).expect("a socket");
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a client");
            thread::spawn(move || serve(client));
        }
    });
    let start = Instant::now();
    let (code, report) = check(&endpoint, arguments);
    assert_eq!(code, Some(1));
    (report, start.elapsed())
}

/// Says `greeting`, and nothing else.
fn say(mut client: UnixStream, greeting: &[u8]) {
    let _ = client.write_all(greeting);
    let _ = client.read_to_end(&mut Vec::new());
}

#[test]
fn one_that_says_nothing_or_nonsense_fails_at_once() {
    let (report, elapsed) = by_hand(|client| say(client, b""), "--timeout-ms 200");
    let failed = with_outcome(&report, "failed");
    assert_eq!(ids(&failed), ["hello"]);
    assert_eq!(failed[0]["failure"]["came"], "nothing in time");
    assert!(elapsed >= Duration::from_millis(200));

    let (report, _) = by_hand(
        |client| say(client, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "",
    );
    let failed = with_outcome(&report, "failed");
    assert_eq!(ids(&failed), ["hello"]);
    let came = failed[0]["failure"]["came"].as_str().expect("words");
    assert!(came.contains("the header of a frame of"), "{came}");
    assert_eq!(report["passed"], 0);
}

#[test]
fn one_that_speaks_before_it_is_greeted_with_a_call() {
    let call = |client| {
        let call = Envelope {
            kind: Kind::Call.into(),
            call: Some(1),
            ..Envelope::default()
        };
        say(client, &framed(&call));
    };
    let (report, _) = by_hand(call, "");
    let failed = with_outcome(&report, "failed");
    assert_eq!(ids(&failed), ["hello"]);
    assert_eq!(failed[0]["failure"]["expected"], "HELLO first, or GOAWAY");
}

/// HELLO with a name of a service that is too long to be shown, then PINGs without end.
fn flood(mut client: UnixStream) {
    let offer = |name: String| ServiceOffer {
        name,
        ..ServiceOffer::default()
    };
    let conformance = "daemoneye.conformance.v1.Conformance".to_owned();
    let hello = Hello {
        protocol: 1,
        max_frame_bytes: u32::MAX,
        max_calls: u32::MAX,
        stream_credit: u32::MAX,
        services: vec![offer("x".repeat(1 << 19)), offer(conformance)],
        ..Hello::default()
    };
    let hello = Envelope {
        kind: Kind::Hello.into(),
        hello: Some(hello),
        ..Envelope::default()
    };
    let ping = Envelope {
        kind: Kind::Ping.into(),
        ..Envelope::default()
    };
    let mut bytes = framed(&hello);
    while client.write_all(&bytes).is_ok() {
        bytes = framed(&ping).repeat(1000);
    }
}

#[test]
fn one_that_talks_without_end_is_given_up() {
    let only =
        "--timeout-ms 300 --only call-echo frame-largest limit-max-calls hello-with-calls-behind";
    let (report, elapsed) = by_hand(flood, only);
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");
    let failed = with_outcome(&report, "failed");
    assert_eq!(ids(&failed), ["hello-with-calls-behind", "call-echo"]);
    // Its limits are not taken at their word.
    assert_eq!(
        ids(&with_outcome(&report, "skipped")),
        ["frame-largest", "limit-max-calls"]
    );
    assert!(report.to_string().len() < 10_000, "{report}");
}

#[test]
fn one_that_answers_twice_fails_in_another_language_too() {
    let back: Passing = |envelope, _| match envelope.kind() {
        Kind::Reply => Passed::on(&[envelope.clone(), envelope]),
        _ => Passed::on(&[envelope]),
    };
    let server = Sabotaged::start(untouched, back);
    let (code, lines) = play(&server.endpoint(), &["ping", "call-echo"]);
    assert_eq!(code, Some(1));
    assert!(lines.starts_with("FAIL call-echo: "), "{lines}");
    assert!(lines.ends_with("2 played, 1 failed\n"), "{lines}");
}
