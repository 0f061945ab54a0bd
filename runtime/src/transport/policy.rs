//! Who may be at the other end of a connection.
//!
//! **Invariant**: decisions rest on ids that the kernel reports, and on what the program's own check makes of
//! them; a process id never authorises, and an id that the user namespace does not know never does.

use std::{fmt, future::Future, path::Path, pin::Pin, sync::Arc};

use super::{
    Peer,
    platform::{Ids, UNKNOWN_SERVER},
};
use crate::{access::Allow, config::PeersConfig, error::IpcError, status::Status};

type Checking = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;
type Check = Arc<dyn Fn(Peer) -> Checking + Send + Sync>;

/// Who may connect to a server, or which servers a client trusts.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use daemoneye_ipc::transport::{Peer, PeerPolicy};
/// let policy = PeerPolicy::same_user().or_gid(50);
/// assert!(policy.evaluate(&Peer::current()).await.is_ok());
/// let stranger = Peer { uid: 12_345, gid: 12_345, gids: vec![], pid: None };
/// assert!(policy.evaluate(&stranger).await.is_err());
/// assert!(policy.evaluate(&Peer { gids: vec![50], ..stranger }).await.is_ok());
/// # });
/// ```
#[derive(Clone)]
pub struct PeerPolicy {
    ids: Ids,
    checks: Vec<Check>,
}

impl Default for PeerPolicy {
    fn default() -> Self {
        Self::same_user()
    }
}

impl PeerPolicy {
    /// The user that this process runs as, and root (on Windows: the system, and administrators whose rights
    /// are on). The default.
    #[must_use]
    pub fn same_user() -> Self {
        Self::nobody().and(&ROOT).and(&Allow::OwnUser)
    }

    /// Root alone.
    #[must_use]
    pub fn root() -> Self {
        Self::nobody().and(&ROOT)
    }

    /// Nobody, to begin a list of those who are meant.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            ids: Ids::nobody(),
            checks: Vec::new(),
        }
    }

    /// Whoever the socket's permissions let through and this process's user namespace knows: for a server
    /// whose schema says who may call what, or with a [`custom`](Self::custom) check.
    #[must_use]
    pub fn anyone() -> Self {
        Self::nobody().and(&Allow::Anyone)
    }

    /// Those whom a list names. Names of users and groups are looked up now.
    ///
    /// # Errors
    /// [`IpcError::Config`] for a user or a group that this system does not have.
    ///
    /// ```
    /// use daemoneye_ipc::{PeerPolicy, access::Allow};
    /// assert!(PeerPolicy::of(&[Allow::OwnUser, Allow::User("root")]).is_ok());
    /// assert!(PeerPolicy::of(&[Allow::Group("no-such-group")]).is_err());
    /// ```
    pub fn of(allow: &[Allow<'_>]) -> Result<Self, IpcError> {
        let policy = allow.iter().try_fold(Self::nobody(), Self::or);
        policy.map_err(IpcError::config)
    }

    /// Those whom the settings let connect to a server (`peers.allow`).
    ///
    /// # Errors
    /// [`IpcError::Config`] for what is no list, and for names that this system does not have.
    ///
    /// ```
    /// use daemoneye_ipc::{IpcConfig, PeerPolicy};
    /// let config = IpcConfig::default();
    /// assert!(PeerPolicy::allowed_by(&config.peers).is_ok());
    /// ```
    pub fn allowed_by(config: &PeersConfig) -> Result<Self, IpcError> {
        Self::of_setting("peers.allow", &config.allow)
    }

    /// The servers that the settings trust (`peers.trust`).
    ///
    /// # Errors
    /// As [`PeerPolicy::allowed_by`].
    ///
    /// ```
    /// use daemoneye_ipc::{IpcConfig, PeerPolicy};
    /// let config = IpcConfig::default();
    /// assert!(PeerPolicy::trusted_by(&config.peers).is_ok());
    /// ```
    pub fn trusted_by(config: &PeersConfig) -> Result<Self, IpcError> {
        Self::of_setting("peers.trust", &config.trust)
    }

    fn of_setting(key: &str, list: &str) -> Result<Self, IpcError> {
        let allow = Allow::parse_list(list);
        let policy = allow.and_then(|allow| allow.iter().try_fold(Self::nobody(), Self::or));
        policy.map_err(|problem| IpcError::config(format!("ipc.{key}: {problem}")))
    }

    /// Lets in whom `allow` names too. The error says which name is unknown.
    pub(crate) fn or(mut self, allow: &Allow<'_>) -> Result<Self, String> {
        self.ids.add(allow)?;
        Ok(self)
    }

    /// The same for those whom every system knows.
    fn and(mut self, allow: &Allow<'_>) -> Self {
        let known = self.ids.add(allow);
        debug_assert!(known.is_ok(), "{known:?}");
        self
    }

    /// Lets the user `uid` in too.
    #[cfg(unix)]
    #[must_use]
    pub fn or_uid(mut self, uid: u32) -> Self {
        self.ids.add_uid(uid);
        self
    }

    /// Lets the members of the group `gid` in too, be it their effective or a supplementary group.
    #[cfg(unix)]
    #[must_use]
    pub fn or_gid(mut self, gid: u32) -> Self {
        self.ids.add_gid(gid);
        self
    }

    /// Lets the user with the security identifier `sid` (`S-1-5-…`) in too, or the members of that group.
    #[cfg(windows)]
    #[must_use]
    pub fn or_sid(mut self, sid: impl Into<String>) -> Self {
        self.ids.add_sid(sid.into());
        self
    }

    /// Whom the ids let in.
    #[cfg(windows)]
    pub(super) const fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Asks `check` about each peer that the ids let in, before a byte of it is read. What it fails with is
    /// told to the peer. Checks may wait: neither other connections nor the server wait for them, and a
    /// peer whose check is not over within the handshake's time
    /// ([`handshake_timeout_ms`](crate::config::LimitsConfig::handshake_timeout_ms); a client's
    /// [`connect_timeout_ms`](crate::config::ReconnectConfig::connect_timeout_ms)) is not let in. Nor is one
    /// whose check panics.
    ///
    /// ```
    /// use daemoneye_ipc::{PeerPolicy, Status, transport::Peer};
    /// let policy = PeerPolicy::anyone().custom(|peer: Peer| async move {
    ///     if peer.uid % 2 == 0 {
    ///         return Ok(());
    ///     }
    ///     Err(Status::permission_denied("users with odd ids have the day off"))
    /// });
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let peer = Peer { uid: 3, ..Peer::current() };
    /// assert!(policy.evaluate(&peer).await.is_err());
    /// # });
    /// ```
    #[must_use]
    pub fn custom<F, C>(mut self, check: C) -> Self
    where
        C: Fn(Peer) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let check = move |peer| -> Checking { Box::pin(check(peer)) };
        self.checks.push(Arc::new(check));
        self
    }

    /// Decides on one peer: first by its ids, then by the program's own checks, for as long as these take.
    ///
    /// # Errors
    /// Says which ids the peer has, and why they do not do. The text is fit for the peer to see.
    pub async fn evaluate(&self, peer: &Peer) -> Result<(), PeerRefused> {
        self.evaluate_ids(peer)?;
        for check in &self.checks {
            check(peer.clone()).await.map_err(|status| {
                PeerRefused::new(peer, Reason::Check(status.message().to_owned()))
            })?;
        }
        Ok(())
    }

    /// Whether there is more to ask than the ids.
    pub(crate) const fn asks_more(&self) -> bool {
        !self.checks.is_empty()
    }

    /// Decides by the ids alone.
    pub(crate) fn evaluate_ids(&self, peer: &Peer) -> Result<(), PeerRefused> {
        self.ids
            .is_known(peer)
            .map_err(|text| PeerRefused::new(peer, Reason::Unknown(text)))?;
        match self.ids.has(peer) {
            true => Ok(()),
            false => Err(PeerRefused::new(peer, Reason::NotListed)),
        }
    }
}

/// How schemas and settings name the superuser.
const ROOT: Allow<'_> = Allow::Uid(0);

impl fmt::Debug for PeerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerPolicy")
            .field("allow", &self.ids.describe())
            .field("checks", &self.checks.len())
            .finish_non_exhaustive()
    }
}

/// Why a peer was not let in.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use daemoneye_ipc::transport::{Peer, PeerPolicy};
/// let stranger = Peer { uid: 12_345, gid: 12_345, gids: vec![], pid: None };
/// let refused = PeerPolicy::same_user().evaluate(&stranger).await.unwrap_err();
/// assert_eq!(refused.to_string(), "uid 12345 (gid 12345) is not in the server's policy");
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRefused {
    who: String,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Unknown(String),
    NotListed,
    Check(String),
}

impl PeerRefused {
    fn new(peer: &Peer, reason: Reason) -> Self {
        Self {
            who: peer.who(),
            reason,
        }
    }

    /// The program's own check has not answered in time.
    pub(crate) fn too_slow(peer: &Peer) -> Self {
        let text = "the check of the server's policy was not over in time";
        Self::new(peer, Reason::Check(text.to_owned()))
    }
}

impl fmt::Display for PeerRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, reason } = self;
        match reason {
            Reason::Unknown(text) => f.write_str(text),
            Reason::NotListed => write!(f, "{who} is not in the server's policy"),
            Reason::Check(text) => write!(f, "{who}: {text}"),
        }
    }
}

impl std::error::Error for PeerRefused {}

impl From<PeerRefused> for Status {
    fn from(refused: PeerRefused) -> Self {
        Self::permission_denied(refused.to_string())
    }
}

/// A client's check of the server at `endpoint`, before it sends a byte: it has to be one of those that
/// are `trusted`, for anybody else could have taken the place.
///
/// # Errors
/// [`IpcError::PeerNotTrusted`] with the server's user.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::path::Path;
/// use daemoneye_ipc::{IpcError, PeerPolicy, transport::{Peer, check_server}};
/// let (endpoint, trusted) = (Path::new("/tmp/app.sock"), PeerPolicy::same_user());
/// let stranger = Peer { uid: 12_345, gid: 12_345, gids: vec![], pid: None };
/// let refused = check_server(endpoint, &stranger, &trusted).await;
/// assert!(matches!(refused, Err(IpcError::PeerNotTrusted { user, .. }) if user == "uid 12345"));
/// assert!(check_server(endpoint, &Peer::current(), &trusted).await.is_ok());
/// # });
/// ```
pub async fn check_server(
    endpoint: &Path,
    server: &Peer,
    trusted: &PeerPolicy,
) -> Result<(), IpcError> {
    let not_trusted = |refused: PeerRefused| IpcError::PeerNotTrusted {
        endpoint: endpoint.display().to_string(),
        user: server.user().to_string(),
        reason: match refused.reason {
            Reason::Unknown(_) => UNKNOWN_SERVER.to_owned(),
            Reason::NotListed => format!(
                "this client ({}) trusts {}; if that server is meant, name its user in `peers.trust`",
                Peer::current().user(),
                trusted.ids.describe()
            ),
            Reason::Check(text) => text,
        },
    };
    trusted.evaluate(server).await.map_err(not_trusted)
}

#[cfg(all(test, unix))]
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

    #[test]
    fn a_process_id_opens_nothing() {
        let own = Peer::current();
        for pid in [None, Some(1), own.pid] {
            let stranger = Peer {
                pid,
                ..peer(12_345, 12_345, &[])
            };
            assert!(PeerPolicy::same_user().evaluate_ids(&stranger).is_err());
            let own = Peer { pid, ..own.clone() };
            assert_eq!(PeerPolicy::same_user().evaluate_ids(&own), Ok(()));
        }
    }

    #[test]
    fn lists_let_in_whom_they_name() {
        let named = PeerPolicy::of(&[Allow::User("root"), Allow::Gid(50)]).unwrap();
        assert_eq!(named.evaluate_ids(&peer(0, 9, &[])), Ok(()));
        assert_eq!(named.evaluate_ids(&peer(7, 7, &[50])), Ok(()));
        assert!(named.evaluate_ids(&peer(7, 7, &[])).is_err());
        let anyone = PeerPolicy::of(&[Allow::Anyone]).unwrap();
        assert_eq!(anyone.evaluate_ids(&peer(7, 7, &[])), Ok(()));
        for unknown in [Allow::User("no-such-user"), Allow::Group("no-such-group")] {
            let error = PeerPolicy::of(&[unknown]).unwrap_err().to_string();
            assert!(error.contains("no-such-"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_check_of_ones_own_comes_after_the_ids_and_its_text_is_told() {
        let policy = PeerPolicy::nobody().or_uid(7).custom(|peer| async move {
            match peer.gid {
                7 => Ok(()),
                _ => Err(Status::permission_denied("not today")),
            }
        });
        assert_eq!(policy.evaluate(&peer(7, 7, &[])).await, Ok(()));
        let refused = policy.evaluate(&peer(7, 8, &[])).await.unwrap_err();
        assert_eq!(refused.to_string(), "uid 7 (gid 8): not today");
        let refused = policy.evaluate(&peer(8, 7, &[])).await.unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("is not in the server's policy")
        );
    }

    #[tokio::test]
    async fn a_server_of_another_user_is_not_trusted_unless_it_is_meant() {
        let (path, own, trusted) = (
            Path::new("/run/x.sock"),
            Peer::current(),
            PeerPolicy::same_user(),
        );
        check_server(path, &own, &trusted).await.unwrap();
        check_server(path, &peer(0, 0, &[]), &trusted)
            .await
            .unwrap();
        let theirs = peer(4_242, 1, &[]);
        let error = check_server(path, &theirs, &trusted).await.unwrap_err();
        assert!(
            matches!(&error, IpcError::PeerNotTrusted { user, .. } if user == "uid 4242"),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.contains("/run/x.sock") && text.contains("peers.trust"),
            "{text}"
        );
        let trusted = PeerPolicy::nobody().or_uid(4_242);
        check_server(path, &theirs, &trusted).await.unwrap();
    }
}
