//! Unary calls, one after the other.
//!
//! **Invariant**: one call at a time, so that the numbers are of each.

use daemoneye_ipc::{IpcConfig, bytes::Bytes};
use daemoneye_ipc_generated::{
    conformance::v1::{ConformanceClient, EchoRequest},
    health::v1::{HealthClient, PingRequest},
};

use super::{
    Cost, NOTHING,
    pair::{COUNTED, Pair},
};

/// A payload that many messages share.
fn payload(size: usize) -> Bytes {
    let payload = Bytes::from(vec![7; size]);
    // The first to share asks for room for the count.
    drop(payload.clone());
    payload
}

/// Calls whose handlers answer at once.
#[track_caller]
fn answered_at_once(size: usize, each: Cost) {
    let pair = Pair::connect(0);
    let client = ConformanceClient::new(pair.channel.clone());
    let payload = payload(size);
    pair.costs(each, async || {
        let request = EchoRequest {
            payload: payload.clone(),
            ..EchoRequest::default()
        };
        let reply = client.echo(request).await.expect("answered");
        assert_eq!(reply.payload.len(), size);
    });
}

/// Calls whose handlers wait first.
#[track_caller]
fn answered_later(size: usize, each: Cost) {
    let pair = Pair::connect(0);
    let client = HealthClient::new(pair.channel.clone());
    let payload = payload(size);
    pair.costs(each, async || {
        let request = PingRequest {
            payload: payload.clone(),
        };
        let reply = client.ping(request).await.expect("answered");
        assert_eq!(reply.payload.len(), size);
    });
}

#[test]
fn small_and_answered_at_once() {
    answered_at_once(64, NOTHING);
}

#[test]
fn large_and_answered_at_once() {
    answered_at_once(64 << 10, NOTHING);
}

/// The handler's future, which leaves the room that it was polled in first, and the task that it goes on in.
const TASK: Cost = Cost {
    client: 0,
    server: 2,
};

#[test]
fn small_and_answered_later() {
    answered_later(64, TASK);
}

#[test]
fn large_and_answered_later() {
    answered_later(64 << 10, TASK);
}

/// Four looks in a row have to find something before the reactor forgets the socket; to tell it again asks for memory
/// once. How often that comes about depends on the machine.
#[test]
fn with_looks_at_the_socket() {
    let pair = Pair::connect(IpcConfig::default().spin_us);
    let client = ConformanceClient::new(pair.channel.clone());
    let total = pair.total(async || {
        client.echo(EchoRequest::default()).await.expect("answered");
    });
    let most = COUNTED / 4;
    assert!(
        total.client <= most && total.server <= most,
        "{COUNTED} calls cost {total:?}, at most {most} are expected"
    );
}
