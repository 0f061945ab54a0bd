//! Who of those that may connect gets a connection now.
//!
//! **Invariant**: a connection is counted from its admission until it is forgotten, and decides before one byte of
//! it is read.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use bytes::BytesMut;

use super::{ServerCore, connection::Connection, driver::Driver, tasks::Tasks, vetting};
use crate::{
    config::IpcConfig,
    status::Code,
    transport::{Link, Peer, PeerPolicy, User},
    wire::{Head, Kind, append_head},
};

/// The connections of a server.
#[derive(Debug)]
pub(super) struct Roster {
    connections: HashMap<u64, Arc<Connection>>,
    by_user: HashMap<User, usize>,
    own: User,
}

impl Default for Roster {
    fn default() -> Self {
        Self {
            connections: HashMap::new(),
            by_user: HashMap::new(),
            own: Peer::current().user(),
        }
    }
}

impl Roster {
    pub(super) fn insert(&mut self, conn: Arc<Connection>) {
        *self.by_user.entry(conn.peer().user()).or_default() += 1;
        self.connections.insert(conn.id, conn);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Arc<Connection>> {
        let gone = self.connections.remove(&id)?;
        let user = gone.peer().user();
        if let Some(count) = self.by_user.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                self.by_user.remove(&user);
            }
        }
        Some(gone)
    }

    pub(super) fn all(&self) -> Vec<Arc<Connection>> {
        self.connections.values().cloned().collect()
    }

    /// Says why there is no connection for `peer`, if there is none.
    fn room(&self, config: &IpcConfig, peer: &Peer) -> Result<(), String> {
        let (open, limits) = (self.connections.len(), &config.limits);
        let all = config.max_connections;
        if open >= all {
            return Err(format!(
                "{all} connections are open, which is the server's limit"
            ));
        }
        let kept = limits.reserved_connections.min(all.saturating_sub(1));
        let user = peer.user();
        let is_own = peer.is_superuser() || user == self.own;
        if !is_own && open >= all - kept {
            return Err(format!(
                "{open} connections are open, and the last {kept} are kept for the server's own user and root"
            ));
        }
        let share = limits.max_connections_per_uid;
        if self.by_user.get(&user).is_some_and(|held| *held >= share) {
            return Err(format!(
                "{user} has {share} connections open, which is its share"
            ));
        }
        Ok(())
    }
}

/// Lets a new connection in, or tells it why not.
pub(super) fn admit(
    core: &Arc<ServerCore>,
    config: &IpcConfig,
    policy: &PeerPolicy,
    connections: &Tasks,
    link: Link,
) {
    let counters = &core.counters;
    if let Err(reason) = policy.evaluate_ids(link.peer()) {
        counters.denied.fetch_add(1, Ordering::Relaxed);
        return refuse(
            core,
            config,
            &link,
            Code::PermissionDenied,
            &reason.to_string(),
        );
    }
    let greeting = core.counters.handshakes.now();
    let limit = config.limits.max_handshakes;
    let room = if link.is_last() {
        Err("the server has no file descriptors left".to_owned())
    } else if greeting >= limit {
        Err(format!(
            "{greeting} connections have not said HELLO, and {limit} may"
        ))
    } else {
        core.connections.lock().room(config, link.peer())
    };
    if let Err(reason) = room {
        counters.over_limit.fetch_add(1, Ordering::Relaxed);
        return refuse(core, config, &link, Code::ResourceExhausted, &reason);
    }
    counters.accepted.fetch_add(1, Ordering::Relaxed);
    let id = core.next_id.fetch_add(1, Ordering::Relaxed);
    let now = crate::driver::now();
    let conn = Arc::new(Connection::new(id, link, Arc::clone(core), now));
    core.connections.lock().insert(Arc::clone(&conn));
    let driver = Driver::new(Arc::clone(&conn));
    if policy.asks_more() {
        connections.spawn(vetting::vet(conn, driver, policy.clone(), config.clone()));
    } else {
        connections.spawn(driver);
    }
}

/// Says GOAWAY, if the socket takes it at once, and closes.
pub(super) fn refuse(core: &ServerCore, config: &IpcConfig, link: &Link, code: Code, reason: &str) {
    if let Some(left_out) = core.refusals.permit(crate::driver::now()) {
        let user = link.peer().user();
        tracing::warn!(%user, reason, left_out, "a connection was refused");
    }
    let head = Head {
        kind: Kind::Goaway,
        code: code as u32,
        reason,
        ..Head::default()
    };
    let mut frame = BytesMut::new();
    if append_head(
        &mut frame,
        config.crc32_variant,
        config.max_frame_bytes,
        &head,
    )
    .is_ok()
    {
        let _ = link.send_now(&frame);
    }
    link.shutdown();
}
