//! Who gets one of a server's connections when there are few.
//!
//! **Invariant**: in memory, with peers that the test makes up: the kernel's word for them is shown in `transport`.

use std::{path::Path, time::Duration};

use daemoneye_ipc::{
    Channel, IpcConfig, IpcError, PeerPolicy, Server, health::HealthReporter, testing::TestServer,
    transport::Peer,
};

use crate::{conformance_server::LIMIT, peer};

const STRANGER: u32 = 4_242;
const ANOTHER: u32 = 4_243;

fn server(change: impl FnOnce(&mut IpcConfig)) -> TestServer {
    let mut config = IpcConfig::default();
    // One attempt says what the server says.
    config.reconnect.max_attempts = 1;
    change(&mut config);
    let policy = PeerPolicy::same_user().or_uid(STRANGER).or_uid(ANOTHER);
    let builder = Server::builder(config)
        .health(HealthReporter::new())
        .peer_policy(policy);
    TestServer::start(builder).unwrap()
}

async fn connect(server: &TestServer, uid: u32) -> Result<Channel, IpcError> {
    let peer = Peer {
        uid,
        ..Peer::current()
    };
    server.caller().peer(peer).builder().connect().await
}

async fn refused(server: &TestServer, uid: u32) -> String {
    match connect(server, uid).await {
        Err(IpcError::Busy { reason }) => reason,
        other => panic!("must be told that the server is full: {other:?}"),
    }
}

/// Closes a connection, and waits until the server knows.
async fn close(server: &TestServer, channel: Channel) {
    let open = server.stats().connections();
    channel.close();
    while server.stats().connections() == open {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_two_connections_are_for_the_servers_own_user_and_root() {
    let server = server(|_| {});
    let own = Peer::current().uid;
    let mut open = Vec::new();
    for _ in 0..14 {
        open.push(connect(&server, STRANGER).await.unwrap());
    }
    let reason = refused(&server, STRANGER).await;
    assert!(reason.contains("the last 2 are kept"), "{reason}");
    assert!(refused(&server, ANOTHER).await.contains("kept"));
    open.push(connect(&server, own).await.unwrap());
    open.push(connect(&server, 0).await.unwrap());
    let reason = refused(&server, own).await;
    assert!(reason.contains("16 connections are open"), "{reason}");
    // A place that is given back is there for others, as long as it is not one of the last.
    close(&server, open.swap_remove(0)).await;
    assert!(refused(&server, STRANGER).await.contains("kept"));
    open.push(connect(&server, own).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_left_to_others_at_least() {
    let server = server(|config| config.max_connections = 1);
    let open = connect(&server, STRANGER).await.unwrap();
    assert!(refused(&server, 0).await.contains("1 connections are open"));
    drop(open);
}

#[tokio::test(start_paused = true)]
async fn a_user_has_its_share_and_no_more() {
    let server = server(|config| config.limits.max_connections_per_uid = 3);
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(connect(&server, STRANGER).await.unwrap());
    }
    let reason = refused(&server, STRANGER).await;
    assert!(reason.contains("uid 4242 has 3 connections"), "{reason}");
    open.push(connect(&server, ANOTHER).await.unwrap());
    close(&server, open.swap_remove(0)).await;
    open.push(connect(&server, STRANGER).await.unwrap());
}

/// Over a socket, since no client of ours says nothing.
#[tokio::test]
async fn those_who_say_nothing_hold_a_few_connections() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private/x.sock");
    let mut config = IpcConfig::new(&path);
    config.limits.max_handshakes = 4;
    let builder = Server::builder(config).health(HealthReporter::new());
    let server = builder.bind().await.unwrap();
    let stats = server.stats();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(
        async {
            let _ = stopped.await;
        },
        Duration::ZERO,
    ));
    let silent: Vec<peer::Peer> = (0..4).map(|_| peer::Peer::connect(&path)).collect();
    let start = std::time::Instant::now();
    while stats.connections() < 4 {
        assert!(start.elapsed() < LIMIT);
        tokio::task::yield_now().await;
    }
    let told = tokio::task::spawn_blocking({
        let path = path.clone();
        move || peer::Peer::connect(&path).assert_goaway(peer::RESOURCE_EXHAUSTED)
    });
    let told = told.await.unwrap();
    assert!(told.contains("have not said HELLO"), "{told}");
    drop(silent);
    while stats.connections() > 0 {
        assert!(start.elapsed() < LIMIT);
        tokio::task::yield_now().await;
    }
    greeted(&path).await;
    drop(stop);
    serving.await.unwrap().unwrap();
}

async fn greeted(path: &Path) {
    let path = path.to_owned();
    let greeted = tokio::task::spawn_blocking(move || drop(peer::Peer::new(&path)));
    greeted.await.unwrap();
}
