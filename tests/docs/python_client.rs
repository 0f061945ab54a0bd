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
        .output()
        .expect("python3 is installed")
}

fn echo(arguments: &str, text: &str) -> Output {
    let server = ConformanceServer::start(arguments);
    let endpoint = server.endpoint();
    python("docs/client.py", &[endpoint.to_str().expect("UTF-8"), text])
}

#[test]
fn a_client_in_another_language_gets_its_answer() {
    let long = "grüße ".repeat(1000);
    for text in ["hello", long.trim()] {
        let output = echo("", text);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stderr}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), text);
    }
}

#[test]
fn it_fails_when_the_answer_is_not_right() {
    assert!(!echo("--crc castagnoli", "hello").status.success());
}

#[test]
fn it_is_as_short_as_promised_and_needs_the_standard_library_alone() {
    let script = read("docs/client.py");
    assert!(script.lines().count() <= 60);
    let imports: Vec<&str> = script
        .lines()
        .filter(|line| line.starts_with("import ") || line.starts_with("from "))
        .collect();
    let standard = [
        "import hashlib",
        "import socket",
        "import struct",
        "import sys",
        "import zlib",
    ];
    assert_eq!(imports, standard);
}
