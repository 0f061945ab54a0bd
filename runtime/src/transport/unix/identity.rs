//! Who a process is on Unix: user and groups, as the kernel reports them.
//!
//! **Invariant**: an id that this process's user namespace does not know is nobody that anything was
//! allowed for.

use std::{fmt, fs, sync::OnceLock};

use rustix::process::{getegid, geteuid, getgroups, getpid};
use serde::{Serialize, Serializer};

use super::accounts;
use crate::access::Allow;

/// The user id that stands for "no such user".
const NOBODY_AT_ALL: u32 = u32::MAX;

/// The process at the other end, as the kernel saw it when it connected (or began to listen).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary group ids. Empty where the operating system does not tell (outside Linux).
    pub gids: Vec<u32>,
    /// Process id, for logs alone: the process may have ended and its id been given to another. `None`
    /// if it is in another pid namespace.
    pub pid: Option<i32>,
}

impl Peer {
    /// This process itself.
    #[must_use]
    pub fn current() -> Self {
        let groups = getgroups().unwrap_or_default();
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            gids: groups.into_iter().map(|gid| gid.as_raw()).collect(),
            pid: Some(getpid().as_raw_nonzero().get()),
        }
    }

    /// Its ids, for people.
    pub(crate) fn who(&self) -> String {
        format!("uid {} (gid {})", self.uid, self.gid)
    }

    /// Its user, in the form that is the same on all systems.
    #[must_use]
    pub const fn user(&self) -> User {
        User(self.uid)
    }

    /// The number of its group, for records that hold one.
    pub(crate) const fn group_number(&self) -> u32 {
        self.gid
    }

    /// Whether it is root.
    #[must_use]
    pub const fn is_superuser(&self) -> bool {
        self.uid == 0
    }
}

/// A user of this machine, to be compared and shown: a number on Unix, a security identifier on
/// Windows.
///
/// ```
/// use daemoneye_ipc::transport::Peer;
/// let peer = Peer::current();
/// println!("called by {}", peer.user()); // uid 1000
/// assert_eq!(peer.user(), Peer::current().user());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct User(u32);

impl User {
    /// The user's number. [`u32::MAX`], which is no user's, on Windows, where users have none.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}", self.0)
    }
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

/// The users and groups that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transport) struct Ids {
    anyone: bool,
    uids: Vec<u32>,
    gids: Vec<u32>,
    unmapped: Unmapped,
}

/// What a client is told of a server that [`Ids::is_known`] does not know.
pub(in crate::transport) const UNKNOWN_SERVER: &str =
    "that user is unknown in this process's user namespace";

/// The ids that the kernel shows in place of those that this process's user namespace does not know.
/// There they may be anybody; outside of a namespace they are the ordinary user `nobody`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Unmapped {
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Unmapped {
    /// Those of this process; none in the initial namespace. Looked up once: a process enters a
    /// namespace when it starts, if ever.
    fn current() -> Self {
        static UNMAPPED: OnceLock<Unmapped> = OnceLock::new();
        *UNMAPPED.get_or_init(|| Self {
            uid: overflow_id("uid"),
            gid: overflow_id("gid"),
        })
    }

    fn covers(self, uid: u32) -> bool {
        uid == NOBODY_AT_ALL || self.uid == Some(uid)
    }

    fn covers_group(self, gid: u32) -> bool {
        gid == NOBODY_AT_ALL || self.gid == Some(gid)
    }
}

impl Ids {
    pub(in crate::transport) fn nobody() -> Self {
        Self {
            anyone: false,
            uids: Vec::new(),
            gids: Vec::new(),
            unmapped: Unmapped::current(),
        }
    }

    /// Adds whom `allow` names. The error says which name is unknown.
    pub(in crate::transport) fn add(&mut self, allow: &Allow<'_>) -> Result<(), String> {
        match allow {
            Allow::Anyone => self.anyone = true,
            Allow::OwnUser => self.uids.push(geteuid().as_raw()),
            Allow::Uid(uid) => self.uids.push(*uid),
            Allow::Gid(gid) => self.gids.push(*gid),
            Allow::User(name) => self.uids.push(accounts::uid_of(name)?),
            Allow::Group(name) => self.gids.push(accounts::gid_of(name)?),
        }
        Ok(())
    }

    pub(in crate::transport) fn add_uid(&mut self, uid: u32) {
        self.uids.push(uid);
    }

    pub(in crate::transport) fn add_gid(&mut self, gid: u32) {
        self.gids.push(gid);
    }

    /// Whether the system says who `peer` is. If not, the error is what the peer is told.
    pub(in crate::transport) fn is_known(&self, peer: &Peer) -> Result<(), String> {
        match self.unmapped.covers(peer.uid) {
            true => Err(format!(
                "uid {} is unknown in the server's user namespace",
                peer.uid
            )),
            false => Ok(()),
        }
    }

    /// Whether `peer` is one of them.
    pub(in crate::transport) fn has(&self, peer: &Peer) -> bool {
        let belongs = |allowed: &u32| *allowed == peer.gid || peer.gids.contains(allowed);
        let mut groups = self
            .gids
            .iter()
            .filter(|allowed| !self.unmapped.covers_group(**allowed));
        self.anyone || self.uids.contains(&peer.uid) || groups.any(belongs)
    }

    /// Who they are, for people.
    pub(in crate::transport) fn describe(&self) -> String {
        let uids = self.uids.iter().map(|uid| Allow::Uid(*uid));
        let gids = self.gids.iter().map(|gid| Allow::Gid(*gid));
        let anyone = self.anyone.then_some(Allow::Anyone);
        let mut all: Vec<_> = anyone.into_iter().chain(uids).chain(gids).collect();
        all.dedup();
        crate::access::list(&all)
    }
}

fn overflow_id(kind: &str) -> Option<u32> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        return None;
    }
    let map = fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap_or_default();
    if is_initial(&map) {
        return None;
    }
    let overflow = fs::read_to_string(format!("/proc/sys/kernel/overflow{kind}"));
    // 65534 is what Linux starts with (DEFAULT_OVERFLOWUID).
    Some(
        overflow
            .ok()
            .and_then(|id| id.trim().parse().ok())
            .unwrap_or(65_534),
    )
}

/// Whether a `uid_map` maps everything to itself, as that of the initial namespace does
/// (user_namespaces(7)).
fn is_initial(map: &str) -> bool {
    let mut lines = map
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .next()
        .is_some_and(|line| line == ["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_identity_map_is_the_initial_namespace() {
        assert!(is_initial("         0          0 4294967295\n"));
        assert!(!is_initial("         0       1000          1\n"));
        assert!(!is_initial("0 0 65536\n"));
        assert!(!is_initial(""));
    }

    fn peer(uid: u32, gid: u32, gids: &[u32]) -> Peer {
        Peer {
            uid,
            gid,
            gids: gids.to_vec(),
            pid: Some(1),
        }
    }

    fn ids(uids: &[u32], gids: &[u32], unmapped: Option<u32>) -> Ids {
        let unmapped = Unmapped {
            uid: unmapped,
            gid: unmapped,
        };
        Ids {
            anyone: false,
            uids: uids.to_vec(),
            gids: gids.to_vec(),
            unmapped,
        }
    }

    fn lets_in(ids: &Ids, peer: &Peer) -> bool {
        ids.is_known(peer).is_ok() && ids.has(peer)
    }

    #[test]
    fn users_and_groups_open_and_nothing_else_does() {
        let ids = ids(&[0, 1000], &[50], None);
        for ok in [
            peer(0, 0, &[]),
            peer(1000, 7, &[]),
            peer(5, 50, &[]),
            peer(5, 5, &[9, 50]),
        ] {
            assert!(lets_in(&ids, &ok), "{ok:?}");
        }
        for no in [peer(5, 1000, &[0]), peer(1001, 0, &[]), peer(50, 5, &[])] {
            assert!(!lets_in(&ids, &no), "{no:?}");
        }
    }

    #[test]
    fn unmapped_ids_are_refused_even_if_listed_and_even_if_anyone_may() {
        let listed = ids(&[65_534, u32::MAX], &[65_534], Some(65_534));
        let anyone = Ids {
            anyone: true,
            ..listed.clone()
        };
        for no in [peer(65_534, 0, &[]), peer(u32::MAX, 0, &[])] {
            assert!(!lets_in(&listed, &no), "{no:?}");
            assert!(!lets_in(&anyone, &no), "{no:?}");
        }
        assert!(!lets_in(&listed, &peer(5, 65_534, &[])));
        assert!(lets_in(&anyone, &peer(5, 65_534, &[])));
        // Without a user namespace 65534 is the user nobody.
        let initial = ids(&[65_534], &[], None);
        assert!(lets_in(&initial, &peer(65_534, 0, &[])));
        assert!(!lets_in(&initial, &peer(u32::MAX, 0, &[])));
    }
}
