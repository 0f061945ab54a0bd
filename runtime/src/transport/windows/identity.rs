//! Who a process is on Windows: security identifiers (SIDs), as its token has them.
//!
//! **Invariant**: a client whose identity the system does not tell is nobody that anything was allowed
//! for.

use std::{fmt, sync::OnceLock};

use serde::{Serialize, Serializer};

use super::{
    security::is_identifier,
    system::{self, Token},
};
use crate::access::Allow;

/// The system itself, and services that run as it.
pub(super) const SYSTEM: &str = "S-1-5-18";

/// The group of administrators.
pub(super) const ADMINISTRATORS: &str = "S-1-5-32-544";

/// Everybody, as the rights of a pipe name them.
const EVERYONE: &str = "S-1-1-0";

/// "Nobody": stands for a client that the system does not name.
const NOBODY: &str = "S-1-0-0";

/// The process at the other end, as the system saw it when it connected (or, for a server, when it made
/// the pipe).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Security identifier of its user, in the form `S-1-5-21-…`. Of a server: of the pipe's owner.
    /// `S-1-0-0` for a client that opened the pipe in a way that hides who it is.
    pub sid: String,
    /// Security identifiers of the groups whose rights it has; groups that only deny are left out. Empty
    /// for a server.
    pub groups: Vec<String>,
    /// Process id, for logs alone: the process may have ended and its id been given to another.
    pub pid: Option<i32>,
}

impl Peer {
    /// This process itself.
    #[must_use]
    pub fn current() -> Self {
        let ids = own().clone();
        Self::new(ids, Some(std::process::id()))
    }

    pub(super) fn new(ids: Token, pid: Option<u32>) -> Self {
        Self {
            sid: ids.user,
            groups: ids.groups,
            pid: pid.and_then(|pid| i32::try_from(pid).ok()),
        }
    }

    /// A client that the system does not name.
    pub(super) fn nobody(pid: Option<u32>) -> Self {
        let ids = Token {
            user: NOBODY.to_owned(),
            groups: Vec::new(),
        };
        Self::new(ids, pid)
    }

    /// Its ids, for people.
    pub(crate) fn who(&self) -> String {
        self.sid.clone()
    }

    /// Its user, in the form that is the same on all systems.
    #[must_use]
    pub fn user(&self) -> User {
        User(self.sid.clone())
    }

    /// The number of its group, for records that hold one: [`u32::MAX`], which is no group's.
    pub(crate) const fn group_number(&self) -> u32 {
        u32::MAX
    }

    /// Whether it is the system, or an administrator whose rights are on.
    #[must_use]
    pub fn is_superuser(&self) -> bool {
        self.is(SYSTEM) || self.is(ADMINISTRATORS)
    }

    /// Whether `sid` is its user or one of its groups.
    fn is(&self, sid: &str) -> bool {
        self.sid == sid || self.groups.iter().any(|group| group == sid)
    }
}

/// A user of this machine, to be compared and shown: a number on Unix, a security identifier on
/// Windows.
///
/// ```
/// use daemoneye_ipc::transport::Peer;
/// let peer = Peer::current();
/// println!("called by {}", peer.user()); // S-1-5-21-…
/// assert_eq!(peer.user(), Peer::current().user());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User(String);

impl User {
    /// The user's number. [`u32::MAX`], which is no user's, on Windows, where users have none.
    #[must_use]
    pub const fn number(&self) -> u32 {
        u32::MAX
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The users and groups that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transport) struct Ids {
    anyone: bool,
    sids: Vec<String>,
}

/// What a client is told of a server that [`Ids::is_known`] does not know.
pub(in crate::transport) const UNKNOWN_SERVER: &str = "the system does not tell who owns the pipe";

impl Ids {
    pub(in crate::transport) const fn nobody() -> Self {
        Self {
            anyone: false,
            sids: Vec::new(),
        }
    }

    /// Adds whom `allow` names. The error says which name is unknown.
    pub(in crate::transport) fn add(&mut self, allow: &Allow<'_>) -> Result<(), String> {
        match allow {
            Allow::Anyone => self.anyone = true,
            Allow::OwnUser => self.sids.push(own().user.clone()),
            // Root.
            Allow::Uid(0) => self
                .sids
                .extend([SYSTEM, ADMINISTRATORS].map(str::to_owned)),
            Allow::User(name) | Allow::Group(name) if is_identifier(name) => {
                self.sids.push((*name).to_owned());
            }
            other => {
                return Err(format!(
                    "`{other}` is nobody on Windows: name users and groups by their security identifiers (`user:S-1-5-…`)"
                ));
            }
        }
        Ok(())
    }

    pub(in crate::transport) fn add_sid(&mut self, sid: String) {
        self.sids.push(sid);
    }

    /// Whose pipe they may open: all that are meant, as identifiers.
    pub(super) fn sids(&self) -> Vec<String> {
        let everyone = self.anyone.then(|| EVERYONE.to_owned());
        everyone
            .into_iter()
            .chain(self.sids.iter().cloned())
            .collect()
    }

    /// Whether the system says who `peer` is. If not, the error is what the peer is told.
    pub(in crate::transport) fn is_known(&self, peer: &Peer) -> Result<(), String> {
        match peer.sid == NOBODY {
            true => Err("the system does not tell who opened the pipe: open it with SECURITY_SQOS_PRESENT and SECURITY_IDENTIFICATION".to_owned()),
            false => Ok(()),
        }
    }

    /// Whether `peer` is one of them.
    pub(in crate::transport) fn has(&self, peer: &Peer) -> bool {
        let mut sids = self.sids.iter().filter(|sid| *sid != NOBODY);
        self.anyone || sids.any(|sid| peer.is(sid))
    }

    /// Who they are, for people.
    pub(in crate::transport) fn describe(&self) -> String {
        let anyone = self.anyone.then(|| Allow::Anyone.to_string());
        let mut all: Vec<_> = anyone
            .into_iter()
            .chain(self.sids.iter().cloned())
            .collect();
        all.dedup();
        all.join(", ")
    }
}

/// The ids of this process. Looked up once: they are those that it was started with.
pub(super) fn own() -> &'static Token {
    static OWN: OnceLock<Token> = OnceLock::new();
    OWN.get_or_init(|| {
        system::own_ids().unwrap_or_else(|error| {
            // Nobody is then taken for this user.
            tracing::error!(%error, "the system does not tell who this process is");
            Token {
                user: NOBODY.to_owned(),
                groups: Vec::new(),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(sid: &str, groups: &[&str]) -> Peer {
        Peer {
            sid: sid.to_owned(),
            groups: groups.iter().map(|&sid| sid.to_owned()).collect(),
            pid: Some(4),
        }
    }

    fn ids(allow: &[Allow<'_>]) -> Ids {
        let mut ids = Ids::nobody();
        for allow in allow {
            ids.add(allow).unwrap();
        }
        ids
    }

    fn lets_in(ids: &Ids, peer: &Peer) -> bool {
        ids.is_known(peer).is_ok() && ids.has(peer)
    }

    #[test]
    fn users_and_groups_open_and_nothing_else_does() {
        let ids = ids(&[
            Allow::Uid(0),
            Allow::User("S-1-5-21-1-2-3-1001"),
            Allow::Group("S-1-5-32-545"),
        ]);
        for ok in [
            peer("S-1-5-21-1-2-3-1001", &[]),
            peer(SYSTEM, &[]),
            peer("S-1-5-21-1-2-3-7", &[ADMINISTRATORS]),
            peer("S-1-5-21-1-2-3-7", &["S-1-1-0", "S-1-5-32-545"]),
        ] {
            assert!(lets_in(&ids, &ok), "{ok:?}");
        }
        for no in [
            peer("S-1-5-21-1-2-3-7", &["S-1-1-0"]),
            peer("S-1-5-21-1-2-3-100", &[]),
            peer("S-1-5-21-1-2-3-10011", &[]),
        ] {
            assert!(!lets_in(&ids, &no), "{no:?}");
        }
    }

    #[test]
    fn numbers_and_names_are_nobody_here() {
        for nobody in [
            Allow::Uid(1000),
            Allow::Gid(0),
            Allow::User("alice"),
            Allow::Group("S-1-x"),
        ] {
            let error = Ids::nobody().add(&nobody).unwrap_err();
            assert!(error.contains("security identifiers"), "{error}");
        }
    }

    #[test]
    fn a_client_that_hides_is_refused_even_if_anyone_may() {
        let mut ids = ids(&[Allow::Anyone]);
        ids.add_sid(NOBODY.to_owned());
        let hidden = Peer::nobody(Some(7));
        let told = ids.is_known(&hidden).unwrap_err();
        assert!(told.contains("SECURITY_IDENTIFICATION"), "{told}");
        assert!(!lets_in(&ids, &hidden));
        assert!(lets_in(&ids, &peer("S-1-5-21-1", &[])));
    }

    #[test]
    fn this_process_is_somebody_and_let_in() {
        let me = Peer::current();
        assert!(me.sid.starts_with("S-1-5-"), "{me:?}");
        assert!(lets_in(&ids(&[Allow::OwnUser]), &me));
    }
}
