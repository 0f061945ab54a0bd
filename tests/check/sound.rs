//! The real server, over the real socket.
//!
//! **Invariant**: nothing is left out but what the server's limits rule out.

use std::path::Path;

use ipc_conformance::vectors::{Limits, conversations};

use super::{check, conformance_server::ConformanceServer, ids, play, run, with_outcome};

/// The server passes so often in a row, with these vectors left out.
#[track_caller]
fn passes(times: usize, serve: &str, arguments: &str, skipped: &[&str]) {
    let server = ConformanceServer::start(serve);
    for _ in 0..times {
        let (code, report) = check(&server.endpoint(), arguments);
        assert_eq!(
            with_outcome(&report, "failed"),
            [] as [&serde_json::Value; 0]
        );
        assert_eq!(code, Some(0));
        assert_eq!(ids(&with_outcome(&report, "skipped")), skipped);
        let played = conversations(&Limits::default()).len() - skipped.len();
        assert_eq!(report["passed"], played);
    }
}

#[test]
fn the_server_keeps_the_contract() {
    passes(2, "", "", &[]);
}

#[test]
fn with_the_other_checksum_too() {
    passes(1, "--crc castagnoli", "--crc castagnoli", &[]);
}

#[test]
fn and_with_small_limits() {
    passes(
        1,
        "--max-calls 2 --max-frame-bytes 4096 --stream-credit 100 --max-connections 3",
        "",
        &[
            "hello-with-much-behind",
            "frames-in-one-write",
            "frame-response-too-large",
            "frame-reason-cut",
            "stream-data-does-not-delay-control",
        ],
    );
}

#[test]
fn vectors_may_be_chosen_and_listed() {
    let server = ConformanceServer::start("");
    let endpoint = server.endpoint();
    let (code, report) = check(&endpoint, "--only ping call-echo");
    assert_eq!(code, Some(0));
    assert_eq!(ids(&with_outcome(&report, "passed")), ["call-echo", "ping"]);

    let endpoint = endpoint.to_str().expect("UTF-8");
    let output = run(&["check", "--endpoint", endpoint, "--only", "ping"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("pass  ping "), "{text}");
    assert_eq!(lines[1..], ["", "1 passed, 0 failed, 0 skipped"]);

    let listed = String::from_utf8(run(&["check", "--list"]).stdout).expect("UTF-8");
    let first = listed
        .lines()
        .map(|line| line.split(' ').next().expect("an id"));
    let all = conversations(&Limits::default());
    assert!(first.eq(all.iter().map(|vector| vector.id)), "{listed}");
}

#[test]
fn wrong_usage_and_no_server_are_code_2() {
    let server = ConformanceServer::start("");
    let endpoint = server.endpoint();
    let endpoint = endpoint.to_str().expect("UTF-8");
    let nobody = Path::new(endpoint).with_extension("nobody");
    let nobody = nobody.to_str().expect("UTF-8");
    for (arguments, word) in [
        (vec!["check"], "--endpoint"),
        (
            vec!["check", "--endpoint", endpoint, "--timeout-ms", "0"],
            "--timeout-ms",
        ),
        (
            vec!["check", "--endpoint", endpoint, "--only", "pong"],
            "--list",
        ),
        (vec!["check", "--endpoint", nobody], "start the server"),
    ] {
        let output = run(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(word), "{stderr}");
    }
}

#[test]
fn a_wrong_checksum_option_is_seen_at_once() {
    let server = ConformanceServer::start("--crc castagnoli");
    let (code, report) = check(&server.endpoint(), "");
    assert_eq!(code, Some(1));
    let failed = with_outcome(&report, "failed");
    assert_eq!(ids(&failed), ["hello"]);
    let came = failed[0]["failure"]["came"].as_str().expect("words");
    assert!(came.contains("--crc castagnoli"), "{came}");
    let skipped = with_outcome(&report, "skipped").len();
    assert_eq!(skipped + 1, conversations(&Limits::default()).len());
}

#[test]
fn vectors_are_printed_for_any_limits() {
    let output = run(&[
        "vectors",
        "--crc",
        "castagnoli",
        "--max-calls",
        "1",
        "--max-frame-bytes",
        "4096",
        "--stream-credit",
        "0",
    ]);
    let vectors: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let limits = serde_json::json!({
        "crc": "castagnoli", "max_frame_bytes": 4096, "max_calls": 1, "stream_credit": 0,
    });
    assert_eq!(
        (&vectors["format"], &vectors["limits"]),
        (&1.into(), &limits)
    );
    let conversations = vectors["conversations"].as_array().expect("a list");
    for vector in conversations {
        let steps = vector["steps"].as_array().expect("a list");
        assert_eq!(steps.is_empty(), vector["skipped"].is_string(), "{vector}");
    }
}

#[test]
fn the_printed_vectors_are_all_that_a_player_needs() {
    let server = ConformanceServer::start("");
    let all = conversations(&Limits::default()).len();
    let (code, lines) = play(&server.endpoint(), &[]);
    assert_eq!(lines, format!("{all} played, 0 failed\n"));
    assert_eq!(code, Some(0));
}
