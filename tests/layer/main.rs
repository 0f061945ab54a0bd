//! What stands around calls, in memory and in paused time: interceptors, contexts, the in-process
//! server, bad connections.
//!
//! **Invariant**: no socket, no real time; the same run every time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod context;
mod faults;
mod interceptors;
mod leftovers;
mod observe;
mod streams;

use std::sync::Arc;

use daemoneye_ipc::{Peer, PeerPolicy, bytes::Bytes, testing::TestServer};
use daemoneye_ipc_generated::conformance::v1::{
    ConformanceClient, ConformanceServer, EchoRequest, EmitRequest, SleepRequest,
};
use ipc_conformance::ConformanceService;

/// The conformance service in memory.
fn serve() -> (TestServer, Arc<ConformanceService>) {
    let service = Arc::new(ConformanceService::default());
    let server = daemoneye_ipc::testing::serve(ConformanceServer::from_arc(Arc::clone(&service)));
    (server, service)
}

fn client(server: &TestServer) -> ConformanceClient {
    ConformanceClient::new(server.channel())
}

/// Somebody whom nobody knows.
#[cfg(unix)]
fn stranger() -> Peer {
    Peer {
        uid: 12_345,
        gid: 12_345,
        gids: vec![],
        pid: None,
    }
}

/// Somebody whom nobody knows.
#[cfg(windows)]
fn stranger() -> Peer {
    Peer {
        sid: "S-1-5-21-9-9-9-12345".to_owned(),
        groups: vec![],
        pid: None,
    }
}

/// The policy that lets `peer` in too.
fn let_in(peer: &Peer) -> PeerPolicy {
    #[cfg(unix)]
    return PeerPolicy::same_user().or_uid(peer.uid);
    #[cfg(windows)]
    return PeerPolicy::same_user().or_sid(&peer.sid);
}

fn echo(payload: impl Into<Bytes>) -> EchoRequest {
    EchoRequest {
        payload: payload.into(),
        ..EchoRequest::default()
    }
}

fn sleep(millis: u32) -> SleepRequest {
    SleepRequest {
        millis,
        blocking: false,
    }
}

fn emit(count: u32) -> EmitRequest {
    EmitRequest {
        count,
        size: 10,
        interval_us: 0,
    }
}
