//! Named pipes: a listener whose pipe only the right users can open, and a connect that lets nobody act
//! in its name.
//!
//! **Invariant**: a pipe's name is exactly the endpoint's path; what it says of who may open it is set
//! when it is made, and never wider than the server's policy.

mod connect;
mod identity;
mod inspect;
mod listener;
mod security;
mod socket;
mod system;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use self::{
    connect::connect,
    identity::{Peer, User},
    inspect::{EndpointReport, Entry, EntryKind, Finding, Severity, inspect},
    listener::Listener,
};
pub(super) use self::{
    identity::{Ids, UNKNOWN_SERVER},
    socket::Socket,
};
use super::PeerPolicy;
use crate::{
    config::{SocketConfig, check_endpoint},
    error::IpcError,
};

/// How a listener creates what it creates.
///
/// ```no_run
/// # async fn example() -> Result<(), daemoneye_ipc::IpcError> {
/// use std::path::Path;
/// use daemoneye_ipc::{PeerPolicy, transport::{EndpointOptions, Listener}};
///
/// // The members of a group may open the pipe too; what they may do is for the peer policy to say.
/// let policy = PeerPolicy::same_user().or_sid("S-1-5-32-545");
/// let options = EndpointOptions::default().for_clients(&policy);
/// let listener = Listener::bind(Path::new(r"\\.\pipe\app"), &options).await?;
/// # drop(listener);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointOptions {
    /// Security identifiers of users and groups that may open the pipe, besides this process's user, the
    /// system and administrators. None by default.
    pub clients: Vec<String>,
}

impl EndpointOptions {
    /// What the settings say: nothing, for modes, groups and directories are a socket's.
    ///
    /// # Errors
    /// None.
    pub fn of(_config: &SocketConfig) -> Result<Self, IpcError> {
        Ok(Self::default())
    }

    /// The same for the clients that `policy` lets in: those can open the pipe, and nobody else.
    #[must_use]
    pub fn for_clients(self, policy: &PeerPolicy) -> Self {
        Self {
            clients: policy.ids().sids(),
        }
    }
}

/// An endpoint that a server cannot use, and why.
fn refused(path: &Path, reason: impl Into<String>, source: Option<io::Error>) -> IpcError {
    IpcError::Endpoint {
        endpoint: PathBuf::from(path),
        reason: reason.into(),
        source,
    }
}

/// Checks that `path` is a pipe's name.
fn check(path: &Path) -> Result<(), String> {
    check_endpoint(path).map_or(Ok(()), Err)
}
