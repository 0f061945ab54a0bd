//! Which directories a server puts up with is a setting, and each value does what it says.
//!
//! **Invariant**: a setting is shown by what a server then does.

use std::os::unix::fs::chown;

use daemoneye_ipc::{
    IpcConfig, Server,
    config::DirectoryPolicy,
    health::HealthReporter,
    transport::{EndpointOptions, Severity, inspect},
};

use crate::support::{chmod, folder, is_root};

/// Why a server with these settings does not start; `None` if it does.
async fn refusal(config: &IpcConfig) -> Option<String> {
    let builder = Server::builder(config.clone()).health(HealthReporter::new());
    builder.bind().await.err().map(|error| error.to_string())
}

#[tokio::test]
async fn a_directory_that_all_share_is_warned_of_or_refused() {
    if !is_root("a_directory_that_all_share_is_warned_of_or_refused") {
        return;
    }
    let folder = folder();
    chmod(folder.path(), 0o1777);
    let mut config = IpcConfig::new(folder.path().join("x.sock"));
    assert_eq!(refusal(&config).await, None);
    config.socket.directory_policy = DirectoryPolicy::Private;
    let text = refusal(&config).await.unwrap();
    assert!(
        text.contains("`directory_policy: private` excludes"),
        "{text}"
    );
    // One that is private and lies in one that all share is fine.
    config.endpoint_path = folder.path().join("private/x.sock");
    assert_eq!(refusal(&config).await, None);
}

#[tokio::test]
async fn a_group_that_may_write_to_the_directory_is_refused_unless_it_is_named() {
    if !is_root("a_group_that_may_write_to_the_directory_is_refused_unless_it_is_named") {
        return;
    }
    let folder = folder();
    let directory = folder.path().join("d");
    std::fs::create_dir(&directory).unwrap();
    chown(&directory, None, Some(4_242)).unwrap();
    chmod(&directory, 0o770);
    let mut config = IpcConfig::new(directory.join("x.sock"));
    config.socket.group = "4242".to_owned();
    let text = refusal(&config).await.unwrap();
    assert!(text.contains("writable by others than its owner"), "{text}");
    config.socket.directory_policy = DirectoryPolicy::Group;
    assert_eq!(refusal(&config).await, None);
    let report = inspect(
        &config.endpoint_path,
        &EndpointOptions::of(&config.socket).unwrap(),
    )
    .unwrap();
    let warned = report.findings.iter().any(|found| {
        found.severity == Severity::Warning && found.problem.contains("writable by the group 4242")
    });
    assert!(warned && report.is_fit(), "{report:?}");
    // Another group, and everybody, are not meant.
    config.socket.group = "4243".to_owned();
    assert!(refusal(&config).await.is_some());
    config.socket.group = "4242".to_owned();
    chmod(&directory, 0o772);
    assert!(refusal(&config).await.is_some());
}

#[test]
fn settings_that_would_let_others_in_by_mistake_are_refused() {
    for (yaml, part) in [
        ("socket: {mode: 0466}", "ipc.socket.mode"),
        ("socket: {mode: 666}", ""),
        ("socket: {mode: 0o660}", ""),
        ("socket: {mode: rw-rw----}", "is not an octal mode"),
        ("socket: {mode: 0888}", "is not an octal mode"),
        (
            "socket: {directory_mode: 0775}",
            "others could replace the socket",
        ),
        (
            "socket: {directory_policy: group}",
            "say which group is meant",
        ),
        (
            "socket: {directory_policy: any}",
            "use `private`, `sticky` or `group`",
        ),
        ("peers: {allow: everyone}", "use `self`, `root`"),
        ("peers: {allow: ''}", "ipc.peers.allow"),
        ("peers: {trust: 'root, pid:1'}", "ipc.peers.trust"),
    ] {
        let read = IpcConfig::from_yaml(&format!("ipc:\n  {yaml}\n"), "x.yaml");
        match read {
            Ok(config) => assert!(
                part.is_empty() && config.socket.mode & 0o600 == 0o600,
                "{yaml}"
            ),
            Err(error) => {
                let text = error.to_string();
                assert!(!part.is_empty() && text.contains(part), "{yaml}: {text}");
                assert!(text.contains("x.yaml:2"), "{yaml}: {text}");
            }
        }
    }
}
