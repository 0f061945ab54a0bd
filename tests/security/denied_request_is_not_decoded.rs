//! What a caller who may not call sends is not looked into: not unary requests, not streams.
//!
//! **Invariant**: the same bytes are an error of decoding for those who may call.

use daemoneye_ipc::{
    Code, IpcConfig, PeerPolicy, Server,
    client::{RawMessage, Stub},
    testing::TestServer,
    transport::Peer,
};

use crate::{
    schema::golden::access::v1::{VAULT_SERVICE, VaultServer},
    vault::Holder,
};

/// No message: a field that claims more bytes than there are.
const NOT_A_MESSAGE: &[u8] = b"\x0a\xff\x01x";

async fn code(server: &TestServer, peer: Peer, method: usize) -> Code {
    let stub = Stub::new(server.caller().peer(peer).channel(), VAULT_SERVICE);
    let request = RawMessage::new(NOT_A_MESSAGE);
    let answer = stub.unary::<_, RawMessage>(method, request).await;
    answer.unwrap_err().code()
}

#[tokio::test(start_paused = true)]
async fn only_those_who_may_call_hear_that_their_request_is_none() {
    let holder = Holder::default();
    let builder = Server::builder(IpcConfig::default())
        .add_service(VaultServer::new(holder.clone()))
        .peer_policy(PeerPolicy::anyone());
    let server = TestServer::start(builder).unwrap();
    let own = Peer::current();
    let stranger = Peer {
        uid: 54_321,
        gid: 54_321,
        gids: vec![],
        pid: None,
    };
    // Open is for the server's user; Look is for anyone.
    assert_eq!(code(&server, own, 0).await, Code::InvalidArgument);
    assert_eq!(
        code(&server, stranger.clone(), 1).await,
        Code::InvalidArgument
    );
    assert_eq!(code(&server, stranger, 0).await, Code::PermissionDenied);
    assert_eq!(holder.reached(), 0);
    assert_eq!(
        server.stats().calls_started(),
        2,
        "what is denied is not started"
    );
}
