//! `docs/client.py`, which was written from the wire contract alone, against the real server.
//!
//! **Invariant**: the script runs as a user would run it; nothing here helps it.

use std::process::{Command, Output};

use super::{conformance_server::ConformanceServer, read, workspace};

fn python(script: &str, arguments: &[&str]) -> Output {
    Command::new("python3")
        .arg(workspace().join(script))
        .args(arguments)
        .env("PYTHONIOENCODING", "utf-8")
        // No folder of compiled files is left beside the documents.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python3 is installed")
}

fn call(server: &ConformanceServer, arguments: &[&str]) -> Output {
    let endpoint = server.endpoint();
    let endpoint = endpoint.to_str().expect("UTF-8");
    python("docs/client.py", &[&[endpoint], arguments].concat())
}

#[test]
fn it_makes_calls_of_all_kinds() {
    let server = ConformanceServer::start("");
    let long = "grüße ".repeat(10_000);
    for (arguments, lines) in [
        (&["echo", "hello"][..], &["hello"][..]),
        (&["echo", &long], &[&long]),
        (&["sleep", "10"], &["10"]),
        (&["count", "3"], &["3"]),
        (&["count", "4"], &["7"]),
        (&["emit", "3", "10"], &["0 10", "1 10", "2 10"]),
        (&["emit", "0", "10"], &[]),
        (&["collect", "a", "bb", "ccc"], &["3 6"]),
        (&["collect"], &["0 0"]),
        (&["chat", "one", "", "three"], &["one", "", "three"]),
        (&["chat"], &[]),
    ] {
        let output = call(&server, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(
            stdout.lines().eq(lines.iter().copied()),
            "{arguments:?}: {stdout}"
        );
    }
    let inspected = call(&server, &["inspect"]).stdout;
    let inspected = String::from_utf8(inspected).expect("UTF-8");
    let numbers: Vec<&str> = inspected.split_whitespace().collect();
    assert_eq!(
        (numbers.len(), &numbers[1..3]),
        (5, &["1", "1"][..]),
        "{inspected}"
    );
    // More than the credit of a stream, many times over.
    let output = call(&server, &["emit", "2000", "1000"]);
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    let indexes = stdout
        .lines()
        .map(|line| line.strip_suffix(" 1000").expect(line));
    assert!(
        indexes.eq((0..2000).map(|index| index.to_string())),
        "{stdout}"
    );
}

#[test]
fn it_says_why_a_call_failed() {
    let server = ConformanceServer::start("");
    for (arguments, told) in [
        (&["fail", "5", "gone"][..], "CallFailed: code 5: gone"),
        (&["panic"], "CallFailed: code 13"),
        (
            &["--timeout", "0.05", "sleep", "60000"],
            "CallFailed: code 4",
        ),
        (
            &["--timeout", "0.05", "emit", "4000000000", "10"],
            "CallFailed: code 4",
        ),
        (&["emit", "1", "1048576"], "CallFailed: code 8"),
    ] {
        let output = call(&server, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with(told), "{arguments:?}: {stderr}");
    }
    let other = ConformanceServer::start("--crc castagnoli");
    let output = call(&other, &["echo", "hello"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.starts_with("ConnectionLost: "), "{stderr}");
}

#[test]
fn it_does_what_the_contract_asks_of_a_client() {
    let mut server = ConformanceServer::start("");
    let (endpoint, id) = (server.endpoint(), server.id().to_string());
    let endpoint = endpoint.to_str().expect("UTF-8");
    let output = python("tests/docs/client_cases.py", &[endpoint, &id]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn it_needs_the_standard_library_alone() {
    let script = read("docs/client.py");
    let imports: Vec<&str> = script
        .lines()
        .filter(|line| line.starts_with("import ") || line.starts_with("from "))
        .collect();
    let standard = [
        "import argparse",
        "import collections",
        "import hashlib",
        "import os",
        "import socket",
        "import struct",
        "import sys",
        "import time",
        "import zlib",
    ];
    assert_eq!(imports, standard);
}
