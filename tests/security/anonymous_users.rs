//! A user whom the own user namespace does not know shows up under a number that stands for anybody, and is let in by no
//! policy; nor is a server trusted that runs as one.
//!
//! **Invariant**: the namespace is the kernel's own; without one, the test says that it was not run.

use std::process::Command;

use crate::support::{Other, chmod, folder, is_root};

const PEER: &str = env!("CARGO_BIN_EXE_security-peer");

/// The number that stands for all unknown users (user_namespaces(7)).
const OPEN: &str = "ipc: {socket: {mode: 0666}, peers: {allow: 'anyone, uid:65534, gid:65534', trust: 'anyone, uid:65534'}}";

/// A command in a user namespace that knows root alone; none where the system does not allow one.
fn namespace() -> Option<Command> {
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user"]);
        unshare
    };
    let works = unshare()
        .arg("true")
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        eprintln!("not run: this system makes no user namespace");
    }
    works.then(|| {
        let mut command = unshare();
        command.arg(PEER);
        command
    })
}

#[test]
fn they_are_let_in_by_no_policy_and_trusted_by_none() {
    let Some(server) = is_root("they_are_let_in_by_no_policy")
        .then(namespace)
        .flatten()
    else {
        return;
    };
    let folder = folder();
    chmod(folder.path(), 0o755);
    let path = folder.path().join("x.sock");
    let mut server = Other::by(server, "serve", &path, &["--config", OPEN]);
    assert_eq!(server.says(), "ready");
    let known = Other::of(PEER, "call", &path, &["--config", OPEN]).says();
    assert!(known.starts_with("look OK"), "root is known there: {known}");
    let options = ["--uid", "54321", "--config", OPEN];
    let unknown = Other::of(PEER, "call", &path, &options).says();
    assert!(
        unknown.contains("uid 65534 is unknown in the server's user namespace"),
        "{unknown}"
    );
    server.stop();

    let theirs = folder.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(54_321), Some(54_321)).unwrap();
    chmod(&theirs, 0o755);
    let path = theirs.join("x.sock");
    let mut server = Other::of(PEER, "serve", &path, &options);
    assert_eq!(server.says(), "ready");
    if let Some(client) = namespace() {
        let said = Other::by(client, "call", &path, &["--config", OPEN]).says();
        assert!(
            said.contains("that user is unknown in this process's user namespace"),
            "{said}"
        );
    }
}
