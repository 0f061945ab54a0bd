//! A client sends nothing to a server that runs as a user whom it does not trust: not the first time, and not to one
//! that takes the place of a trusted one.
//!
//! **Invariant**: what a squatter got is counted by the squatter.

use std::path::Path;

use daemoneye_ipc::{
    Channel, IpcConfig, IpcError, PeerPolicy,
    health::HealthReporter,
    schema::health::v1::{HealthClient, PingRequest},
};

use crate::support::{LIMIT, Other, chmod, folder, is_root};

const PEER: &str = env!("CARGO_BIN_EXE_security-peer");

fn squatter(path: &Path) -> Other {
    let mut squatter = Other::of(PEER, "squat", path, &["--uid", "12345"]);
    assert_eq!(squatter.says(), "ready");
    squatter
}

/// A directory that all users share, as `/tmp` is.
fn shared() -> tempfile::TempDir {
    let folder = folder();
    chmod(folder.path(), 0o1777);
    folder
}

#[tokio::test]
async fn a_squatter_gets_no_byte() {
    if !is_root("a_squatter_gets_no_byte") {
        return;
    }
    let folder = shared();
    let path = folder.path().join("x.sock");
    let mut other = squatter(&path);
    let error = Channel::connect(IpcConfig::new(&path)).await.unwrap_err();
    assert!(
        matches!(&error, IpcError::PeerNotTrusted { user, .. } if user == "uid 12345"),
        "{error}"
    );
    assert_eq!(other.says(), "got 0 bytes");

    // Whoever is trusted is greeted.
    std::fs::remove_file(&path).unwrap();
    let mut other = squatter(&path);
    let trust = PeerPolicy::nobody().or_uid(12_345);
    let channel = Channel::builder(IpcConfig::new(&path))
        .trust(trust)
        .lazy()
        .unwrap();
    let ping = tokio::spawn(async move { channel.ping().await.map(drop) });
    let got = tokio::task::spawn_blocking(move || other.says())
        .await
        .unwrap();
    assert!(got.starts_with("got ") && got != "got 0 bytes", "{got}");
    ping.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_client_that_comes_back_looks_again() {
    if !is_root("a_client_that_comes_back_looks_again") {
        return;
    }
    let folder = shared();
    let path = folder.path().join("x.sock");
    let mut config = IpcConfig::new(&path);
    config.reconnect.max_attempts = 2;
    config.reconnect.initial_backoff_ms = 1;
    config.reconnect.max_backoff_ms = 5;
    let health = || daemoneye_ipc::Server::builder(config.clone()).health(HealthReporter::new());
    let server = health().bind().await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(async { drop(stopped.await) }, LIMIT));
    let client = HealthClient::new(Channel::connect(config.clone()).await.unwrap());
    client.ping(PingRequest::default()).await.unwrap();
    drop(stop);
    serving.await.unwrap().unwrap();

    let mut other = squatter(&path);
    let error = client
        .ping(PingRequest::default())
        .wait_for_ready(true)
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), IpcError::PeerNotTrusted { user, .. } if user == "uid 12345"),
        "{error}"
    );
    assert_eq!(other.says(), "got 0 bytes");
}

#[test]
fn roots_server_is_trusted_by_users_unless_they_say_otherwise() {
    if !is_root("roots_server_is_trusted_by_users_unless_they_say_otherwise") {
        return;
    }
    let folder = folder();
    chmod(folder.path(), 0o755);
    let path = folder.path().join("x.sock");
    let open = "ipc: {socket: {mode: 0666}, peers: {allow: anyone}}";
    let mut server = Other::of(PEER, "serve", &path, &["--config", open]);
    assert_eq!(server.says(), "ready");
    let mut client = Other::of(PEER, "call", &path, &["--uid", "54321"]);
    assert_eq!(
        client.says(),
        "look OK, open PERMISSION_DENIED, fill PERMISSION_DENIED"
    );
    let strict = ["--uid", "54321", "--config", "ipc: {peers: {trust: self}}"];
    let said = Other::of(PEER, "call", &path, &strict).says();
    assert!(
        said.contains("runs as uid 0, which is not trusted"),
        "{said}"
    );
    assert!(said.contains("trusts uid:54321"), "{said}");
    server.stop();
}
