//! A check of the program's own that never answers holds up nobody else, and its peer only for the handshake's time.
//!
//! **Invariant**: time is paused, and the check that hangs never answers.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use daemoneye_ipc::{
    Channel, IpcConfig, IpcError, PeerPolicy, Server, Status,
    health::HealthReporter,
    schema::health::v1::{HealthClient, PingRequest},
    testing::TestServer,
    transport::Peer,
};

const SLOW: u32 = 54_321;

fn peer(uid: u32) -> Peer {
    Peer {
        uid,
        gid: uid,
        gids: vec![],
        pid: None,
    }
}

/// A server whose check never answers for one user, and counts what it is asked.
fn server(max_connections: usize) -> (TestServer, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let policy = PeerPolicy::anyone().custom(move |peer| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match peer.uid {
                SLOW => pending().await,
                1 => Err(Status::permission_denied("not today")),
                _ => Ok(()),
            }
        }
    });
    let mut config = IpcConfig {
        max_connections,
        ..IpcConfig::default()
    };
    config.circuit_breaker.failure_threshold = 0;
    // All places are for strangers here.
    config.limits.reserved_connections = 0;
    let builder = Server::builder(config)
        .health(HealthReporter::new())
        .peer_policy(policy);
    (TestServer::start(builder).unwrap(), asked)
}

async fn ping(channel: &Channel) -> Result<(), daemoneye_ipc::CallError> {
    let client = HealthClient::new(channel.clone());
    client.ping(PingRequest::default()).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn others_are_served_meanwhile_and_the_place_comes_back() {
    let (server, asked) = server(2);
    // A client with more patience than the server has, who tries once more.
    let mut config = IpcConfig::default();
    config.limits.handshake_timeout_ms *= 3;
    config.reconnect.max_attempts = 1;
    config.circuit_breaker.failure_threshold = 0;
    let slow = server.caller().config(config).peer(peer(SLOW)).channel();
    let waiting = tokio::spawn({
        let slow = slow.clone();
        async move { ping(&slow).await }
    });
    while asked.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    // The accept loop goes on, and the one who waits has a place, which is counted.
    ping(&server.caller().peer(peer(7)).channel())
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(
        matches!(error.kind(), IpcError::PermissionDenied { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("was not over in time"),
        "{error}"
    );
    let limit = Duration::from_millis(IpcConfig::default().limits.handshake_timeout_ms);
    assert!(
        began.elapsed() <= 2 * limit + Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    slow.close();
    while server.stats().connections() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_an_answer_fill_no_more_than_the_places_there_are() {
    let (server, asked) = server(2);
    let slow: Vec<_> = (0..5)
        .map(|_| server.caller().peer(peer(SLOW)).channel())
        .collect();
    for channel in &slow {
        let channel = channel.clone();
        tokio::spawn(async move { ping(&channel).await });
    }
    while asked.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    let error = ping(&server.caller().peer(peer(7)).channel())
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), IpcError::Busy { .. }), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    slow.iter().for_each(Channel::close);
}

#[tokio::test(start_paused = true)]
async fn what_a_check_says_is_told_and_a_stranger_to_the_ids_is_not_even_asked_about() {
    let (server, asked) = server(16);
    let error = ping(&server.caller().peer(peer(1)).channel())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not today"), "{error}");
    // Who was refused asks no second time.
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    let policy = PeerPolicy::same_user()
        .custom(|_| async { Err(Status::permission_denied("nobody asks this")) });
    let builder = Server::builder(IpcConfig::default())
        .health(HealthReporter::new())
        .peer_policy(policy);
    let strict = TestServer::start(builder).unwrap();
    let error = ping(&strict.caller().peer(peer(SLOW)).channel())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("not in the server's policy"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_answers() {
    let (server, asked) = server(16);
    let slow = server.caller().peer(peer(SLOW)).channel();
    tokio::spawn(async move { ping(&slow).await });
    while asked.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    let began = tokio::time::Instant::now();
    server.stop(Duration::from_secs(60)).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}
