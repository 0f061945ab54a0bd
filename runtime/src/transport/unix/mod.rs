//! Unix domain sockets: a listener that trusts nothing it finds, and a connect that knows why it failed.
//!
//! **Invariant**: names are resolved by descriptor, one directory at a time; what is there and is not
//! the own dead socket is never replaced, removed or written to.

mod accounts;
mod activation;
#[cfg(target_vendor = "apple")]
mod apple;
mod claim;
mod connect;
mod directory;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod groups;
mod identity;
mod inspect;
mod listener;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod process;
mod socket;

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

pub use self::{
    connect::connect,
    directory::{Finding, Severity},
    identity::{Peer, User},
    inspect::{EndpointReport, Entry, EntryKind, inspect},
    listener::Listener,
};
pub(super) use self::{
    identity::{Ids, UNKNOWN_SERVER},
    socket::Socket,
};
use super::PeerPolicy;
use crate::{
    access::Allow,
    config::{DirectoryPolicy, MAX_ENDPOINT_BYTES, SocketConfig, group},
    error::IpcError,
};

/// How a listener creates what it creates, and what it puts up with.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("private/app.sock");
/// use std::os::unix::fs::PermissionsExt;
/// use daemoneye_ipc::transport::{EndpointOptions, Listener};
///
/// // For clients of the same group; who may really connect is for the peer policy to say.
/// let options = EndpointOptions { mode: 0o660, dir_mode: 0o750, ..EndpointOptions::default() };
/// let listener = Listener::bind(&path, &options).await?;
/// assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o660);
/// # drop(listener);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointOptions {
    /// Permissions of the socket, exactly, whatever the umask. Default `0o600`.
    pub mode: u32,
    /// Permissions of each directory that has to be created. Default `0o700`.
    pub dir_mode: u32,
    /// Group of the socket, and of directories that are created with rights for a group. Default: the
    /// process's own.
    pub group: Option<u32>,
    /// Which directories may hold the socket.
    pub directory: DirectoryPolicy,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            mode: 0o600,
            dir_mode: 0o700,
            group: None,
            directory: DirectoryPolicy::default(),
        }
    }
}

impl EndpointOptions {
    /// What the settings say. The group is looked up now.
    ///
    /// # Errors
    /// [`IpcError::Config`] for a group that this system does not have.
    ///
    /// ```
    /// use daemoneye_ipc::{IpcConfig, transport::EndpointOptions};
    /// let config = IpcConfig::default();
    /// assert_eq!(EndpointOptions::of(&config.socket).unwrap(), EndpointOptions::default());
    /// ```
    pub fn of(config: &SocketConfig) -> Result<Self, IpcError> {
        let group = match group(&config.group).map_err(wrong_group)? {
            Some(Allow::Group(name)) => Some(accounts::gid_of(name).map_err(wrong_group)?),
            Some(Allow::Gid(gid)) => Some(gid),
            _ => None,
        };
        Ok(Self {
            mode: config.mode,
            dir_mode: config.directory_mode,
            group,
            directory: config.directory_policy,
        })
    }

    /// The same for the clients that `policy` lets in. Whom a socket lets connect is said by its mode alone, so
    /// this changes nothing.
    #[must_use]
    pub fn for_clients(self, _policy: &PeerPolicy) -> Self {
        self
    }
}

fn wrong_group(problem: String) -> IpcError {
    IpcError::config(format!("ipc.socket.group: {problem}"))
}

/// An endpoint that a server cannot use, and why.
fn refused(path: &Path, reason: impl Into<String>, source: Option<io::Error>) -> IpcError {
    IpcError::Endpoint {
        endpoint: path.to_path_buf(),
        reason: reason.into(),
        source,
    }
}

/// Splits an endpoint into its directory and its name, and checks that a socket's address holds it.
fn split(path: &Path) -> Result<(&Path, &OsStr), String> {
    let length = path.as_os_str().len();
    if length > MAX_ENDPOINT_BYTES {
        return Err(format!(
            "the path has {length} bytes, and a socket's path has at most {MAX_ENDPOINT_BYTES}: use a shorter one"
        ));
    }
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) if path.is_absolute() => Ok((directory, name)),
        _ => Err("it is not an absolute path that names a socket".to_owned()),
    }
}

/// `name` with something before and after it.
fn beside(name: &OsStr, before: &str, after: &str) -> PathBuf {
    let mut text = OsString::from(before);
    text.push(name);
    text.push(after);
    text.into()
}
