//! A connection whose peer the program itself has a say about: it waits here, unread, for the answer.
//!
//! **Invariant**: no byte of such a peer is read before the answer is there, and no answer is waited for
//! longer than a handshake may take.

use std::sync::{Arc, atomic::Ordering};

use super::{admission::refuse, connection::Connection, driver::Driver};
use crate::{
    config::IpcConfig,
    status::Code,
    transport::{PeerPolicy, PeerRefused},
};

/// Asks, then drives the connection or refuses it. The connection has its place among the server's
/// meanwhile, so that those who wait for an answer are limited too.
pub(super) async fn vet(
    conn: Arc<Connection>,
    driver: Driver,
    policy: PeerPolicy,
    config: IpcConfig,
) {
    let peer = conn.peer();
    let limit = conn.core.session.handshake_timeout;
    let asked = tokio::select! {
        biased;
        // A driver that is dropped gives the connection's place back.
        () = conn.core.draining.cancelled() => {
            let reason = "the server is shutting down";
            return refuse(&conn.core, &config, &conn.link, Code::Unavailable, reason);
        }
        asked = tokio::time::timeout(limit, policy.evaluate(peer)) => asked,
    };
    match asked.unwrap_or_else(|_| Err(PeerRefused::too_slow(peer))) {
        Ok(()) => driver.await,
        Err(reason) => {
            conn.core.counters.denied.fetch_add(1, Ordering::Relaxed);
            let reason = reason.to_string();
            refuse(
                &conn.core,
                &config,
                &conn.link,
                Code::PermissionDenied,
                &reason,
            );
        }
    }
}
