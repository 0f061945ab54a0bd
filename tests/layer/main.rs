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

use daemoneye_ipc::{bytes::Bytes, testing::TestServer};
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
