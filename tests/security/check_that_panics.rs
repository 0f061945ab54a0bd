//! A check of the program's own that panics lets its peer not in, and ends nothing else.
//!
//! **Invariant**: the panic is the check's own; nothing else in the test may panic.

use daemoneye_ipc::{
    IpcConfig, PeerPolicy, Server,
    health::HealthReporter,
    schema::health::v1::{HealthClient, PingRequest},
    testing::TestServer,
    transport::Peer,
};

#[tokio::test(start_paused = true)]
async fn its_peer_is_closed_and_others_are_served() {
    let policy = PeerPolicy::anyone().custom(|peer| async move {
        assert!(peer.uid != 54_321, "a check that panics");
        Ok(())
    });
    let builder = Server::builder(IpcConfig::default())
        .health(HealthReporter::new())
        .peer_policy(policy);
    let server = TestServer::start(builder).unwrap();
    let call = async |uid| {
        let peer = Peer {
            uid,
            gid: uid,
            gids: vec![],
            pid: None,
        };
        let client = HealthClient::new(server.caller().peer(peer).channel());
        client.ping(PingRequest::default()).await.map(drop)
    };
    call(54_321).await.unwrap_err();
    call(7).await.unwrap();
    call(54_321).await.unwrap_err();
    assert_eq!(server.stats().calls_started(), 1);
    while server.stats().connections() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
