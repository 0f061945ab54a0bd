//! Who is at the other end of a connection, and who may be.
//!
//! **Invariant**: decisions rest on ids that the kernel reports; a process id never authorises.

use std::{fmt, path::Path};

use crate::{error::IpcError, status::Status};

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
        platform::current()
    }
}

/// Who may connect to a server.
///
/// ```
/// use daemoneye_ipc::transport::{Peer, PeerPolicy};
/// let policy = PeerPolicy::same_user().or_gid(50);
/// assert!(policy.evaluate(&Peer::current()).is_ok());
/// let stranger = Peer { uid: 12_345, gid: 12_345, gids: vec![], pid: None };
/// assert!(policy.evaluate(&stranger).is_err());
/// assert!(policy.evaluate(&Peer { gids: vec![50], ..stranger }).is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPolicy {
    uids: Vec<u32>,
    gids: Vec<u32>,
    unmapped: Unmapped,
}

/// The ids that the kernel shows in place of those that this process's user namespace does not know.
/// There they may be anybody; outside of a namespace they are the ordinary user `nobody`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Unmapped {
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Unmapped {
    fn covers(self, uid: u32) -> bool {
        uid == NOBODY_AT_ALL || self.uid == Some(uid)
    }

    fn covers_group(self, gid: u32) -> bool {
        gid == NOBODY_AT_ALL || self.gid == Some(gid)
    }
}

impl Default for PeerPolicy {
    fn default() -> Self {
        Self::same_user()
    }
}

impl PeerPolicy {
    /// The user that this process runs as, and root. The default.
    #[must_use]
    pub fn same_user() -> Self {
        let (uid, gid) = platform::unmapped();
        let own = platform::current().uid;
        Self {
            uids: vec![0, own],
            gids: Vec::new(),
            unmapped: Unmapped { uid, gid },
        }
    }

    /// Lets the user `uid` in too.
    #[must_use]
    pub fn or_uid(mut self, uid: u32) -> Self {
        self.uids.push(uid);
        self
    }

    /// Lets the members of the group `gid` in too, be it their effective or a supplementary group.
    #[must_use]
    pub fn or_gid(mut self, gid: u32) -> Self {
        self.gids.push(gid);
        self
    }

    /// Decides on one peer.
    ///
    /// # Errors
    /// Says which ids the peer has, and why they do not do. The text is fit for the peer to see.
    pub fn evaluate(&self, peer: &Peer) -> Result<(), PeerRefused> {
        let Peer {
            uid, gid, ref gids, ..
        } = *peer;
        if self.unmapped.covers(uid) {
            return Err(PeerRefused {
                uid,
                gid,
                unmapped: true,
            });
        }
        let belongs = |allowed: &u32| *allowed == gid || gids.contains(allowed);
        let mut groups = self
            .gids
            .iter()
            .filter(|allowed| !self.unmapped.covers_group(**allowed));
        if self.uids.contains(&uid) || groups.any(belongs) {
            return Ok(());
        }
        Err(PeerRefused {
            uid,
            gid,
            unmapped: false,
        })
    }
}

/// Why a peer was not let in.
///
/// ```
/// use daemoneye_ipc::transport::{Peer, PeerPolicy};
/// let stranger = Peer { uid: 12_345, gid: 12_345, gids: vec![], pid: None };
/// let refused = PeerPolicy::same_user().evaluate(&stranger).unwrap_err();
/// assert_eq!(refused.to_string(), "uid 12345 (gid 12345) is not in the server's policy");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRefused {
    uid: u32,
    gid: u32,
    unmapped: bool,
}

impl fmt::Display for PeerRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uid, gid, .. } = self;
        if self.unmapped {
            return write!(f, "uid {uid} is unknown in the server's user namespace");
        }
        write!(f, "uid {uid} (gid {gid}) is not in the server's policy")
    }
}

impl std::error::Error for PeerRefused {}

impl From<PeerRefused> for Status {
    fn from(refused: PeerRefused) -> Self {
        Self::permission_denied(refused.to_string())
    }
}

/// A client's check of the server at `endpoint`, before it sends a byte: it has to run as the client's
/// own user or as root, for anybody else could have taken the place.
///
/// # Errors
/// [`IpcError::PeerNotTrusted`] with the server's user id.
///
/// ```
/// use std::path::Path;
/// use daemoneye_ipc::{IpcError, transport::{Peer, check_server}};
/// let stranger = Peer { uid: 12_345, gid: 12_345, gids: vec![], pid: None };
/// let refused = check_server(Path::new("/tmp/app.sock"), &stranger);
/// assert!(matches!(refused, Err(IpcError::PeerNotTrusted { uid: 12_345, .. })));
/// assert!(check_server(Path::new("/tmp/app.sock"), &Peer::current()).is_ok());
/// ```
pub fn check_server(endpoint: &Path, server: &Peer) -> Result<(), IpcError> {
    PeerPolicy::same_user()
        .evaluate(server)
        .map_err(|refused| IpcError::PeerNotTrusted {
            endpoint: endpoint.display().to_string(),
            uid: server.uid,
            reason: if refused.unmapped {
                "that user is unknown in this process's user namespace".to_owned()
            } else {
                let own = platform::current().uid;
                format!("a server has to run as this process's user ({own}) or as root (0)")
            },
        })
}

#[cfg(unix)]
mod platform {
    use std::{fs, sync::OnceLock};

    use rustix::process::{getegid, geteuid, getgroups, getpid};

    use super::Peer;

    pub(super) fn own_uid() -> u32 {
        geteuid().as_raw()
    }

    pub(super) fn current() -> Peer {
        let groups = getgroups().unwrap_or_default();
        Peer {
            uid: own_uid(),
            gid: getegid().as_raw(),
            gids: groups.into_iter().map(|gid| gid.as_raw()).collect(),
            pid: Some(getpid().as_raw_nonzero().get()),
        }
    }

    /// The ids, user and group, that stand for unmapped ones; none in the initial namespace. Looked up
    /// once: a process enters a namespace when it starts, if ever.
    pub(super) fn unmapped() -> (Option<u32>, Option<u32>) {
        static UNMAPPED: OnceLock<(Option<u32>, Option<u32>)> = OnceLock::new();
        *UNMAPPED.get_or_init(|| (overflow_id("uid"), overflow_id("gid")))
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
        #[test]
        fn only_the_identity_map_is_the_initial_namespace() {
            assert!(super::is_initial("         0          0 4294967295\n"));
            assert!(!super::is_initial("         0       1000          1\n"));
            assert!(!super::is_initial("0 0 65536\n"));
            assert!(!super::is_initial(""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uid: u32, gid: u32, gids: &[u32]) -> Peer {
        Peer {
            uid,
            gid,
            gids: gids.to_vec(),
            pid: Some(1),
        }
    }

    fn policy(uids: &[u32], gids: &[u32], unmapped: Option<u32>) -> PeerPolicy {
        let unmapped = Unmapped {
            uid: unmapped,
            gid: unmapped,
        };
        PeerPolicy {
            uids: uids.to_vec(),
            gids: gids.to_vec(),
            unmapped,
        }
    }

    #[test]
    fn users_and_groups_open_and_nothing_else_does() {
        let policy = policy(&[0, 1000], &[50], None);
        for ok in [
            peer(0, 0, &[]),
            peer(1000, 7, &[]),
            peer(5, 50, &[]),
            peer(5, 5, &[9, 50]),
        ] {
            assert_eq!(policy.evaluate(&ok), Ok(()), "{ok:?}");
        }
        for no in [peer(5, 1000, &[0]), peer(1001, 0, &[]), peer(50, 5, &[])] {
            assert!(policy.evaluate(&no).is_err(), "{no:?}");
        }
    }

    #[test]
    fn unmapped_ids_are_refused_even_if_listed() {
        let listed = policy(&[65_534, u32::MAX], &[65_534], Some(65_534));
        for no in [
            peer(65_534, 0, &[]),
            peer(u32::MAX, 0, &[]),
            peer(5, 65_534, &[]),
        ] {
            assert!(listed.evaluate(&no).is_err(), "{no:?}");
        }
        // Without a user namespace 65534 is the user nobody.
        let initial = policy(&[65_534], &[], None);
        assert_eq!(initial.evaluate(&peer(65_534, 0, &[])), Ok(()));
        assert!(initial.evaluate(&peer(u32::MAX, 0, &[])).is_err());
    }

    #[test]
    fn a_server_of_another_user_is_not_trusted() {
        let path = Path::new("/run/x.sock");
        let own = Peer::current();
        check_server(path, &own).unwrap();
        check_server(
            path,
            &Peer {
                uid: 0,
                ..own.clone()
            },
        )
        .unwrap();
        let error = check_server(path, &Peer { uid: 4_242, ..own }).unwrap_err();
        assert!(
            matches!(error, IpcError::PeerNotTrusted { uid: 4_242, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("/run/x.sock"), "{error}");
    }
}
