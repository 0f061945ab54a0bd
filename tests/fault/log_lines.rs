//! What a peer can do to the log: little, and in one line.
//!
//! **Invariant**: the lines are those of the server, as a subscriber formats them.

use std::time::Duration;

use daemoneye_ipc::{
    IpcConfig, Server,
    health::HealthReporter,
    schema::health::v1::{HealthClient, PingRequest},
    testing::TestServer,
    transport::Peer,
};

use crate::{captured_log::logged, conformance_server::LIMIT, peer};

#[tokio::test(start_paused = true)]
async fn strangers_that_knock_a_thousand_times_are_some_lines() {
    let (log, _guard) = logged();
    let mut config = IpcConfig::default();
    config.reconnect.max_attempts = 1;
    config.circuit_breaker.failure_threshold = 0;
    let builder = Server::builder(config).health(HealthReporter::new());
    let server = TestServer::start(builder).unwrap();
    let stranger = || Peer {
        uid: 4_242,
        gid: 4_242,
        gids: vec![],
        pid: None,
    };
    for _ in 0..1_000 {
        let channel = server.caller().peer(stranger()).builder().connect().await;
        assert!(channel.is_err());
    }
    let text = log.text();
    let lines = text
        .lines()
        .filter(|line| line.contains("a connection was refused"));
    let lines = lines.count();
    assert!((1..=50).contains(&lines), "{lines} lines");
    tokio::time::advance(Duration::from_secs(11)).await;
    let channel = server.caller().peer(stranger()).builder().connect().await;
    assert!(channel.is_err());
    let text = log.text();
    let says = |line: &str| line.contains("left_out=") && !line.contains("left_out=0");
    assert!(
        text.lines().any(says),
        "it is said how many are missing: {text}"
    );
}

#[tokio::test]
async fn a_peers_words_stay_on_one_line_and_are_cut() {
    let (log, _guard) = logged();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private/x.sock");
    let builder = Server::builder(IpcConfig::new(&path)).health(HealthReporter::new());
    let server = builder.bind().await.unwrap();
    let stats = server.stats();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = server.serve_until(
        async {
            let _ = stopped.await;
        },
        Duration::ZERO,
    );
    let knocking = tokio::task::spawn_blocking(move || {
        let mut peer = peer::Peer::new(&path);
        let words = format!(
            "bye\n2026-01-01 ERROR forged \u{1b}[2J{}",
            "x".repeat(100_000)
        );
        let goaway = peer::envelope(peer::GOAWAY)
            .number(7, 13)
            .block(8, words.as_bytes());
        peer.send(&goaway);
        peer.assert_closed();
        drop(stop);
    });
    let (served, knocked) = tokio::join!(serving, knocking);
    served.unwrap();
    knocked.unwrap();
    drop(stats);
    let text = log.text();
    assert!(
        text.contains(r"bye\n2026-01-01 ERROR forged \u{1b}[2J"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.len() < 1_000),
        "a line is long"
    );
}

#[tokio::test(start_paused = true)]
async fn neither_payloads_nor_metadata_are_in_the_log() {
    let (log, _guard) = logged();
    let builder = Server::builder(IpcConfig::default()).health(HealthReporter::new());
    let server = TestServer::start(builder).unwrap();
    let client = HealthClient::new(server.channel());
    let request = PingRequest {
        payload: "the-payload".into(),
    };
    let call = client.ping(request).metadata("the-key", "the-value");
    tokio::time::timeout(LIMIT, call).await.unwrap().unwrap();
    server.stop(Duration::ZERO).await;
    let text = log.text();
    assert!(
        !text.contains("the-payload") && !text.contains("the-value"),
        "{text}"
    );
}
