//! Sockets that a service manager listens on for this process: `LISTEN_FDS`, as sd_listen_fds(3) says.
//!
//! **Invariant**: what was passed is taken only if it is the endpoint's own listening socket; the rest is
//! left to others.

use std::{
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt, unix::net::UnixListener},
    path::Path,
};

use listenfd::ListenFd;

use super::refused;
use crate::error::IpcError;

/// Permission bits that let others than the owner connect.
const OTHERS: u32 = 0o077;

/// The socket that listens at `path`, if the environment says that sockets were passed.
///
/// # Errors
/// [`IpcError::Endpoint`] if sockets were passed and none is the endpoint's, or it is unfit.
pub(super) fn inherited(path: &Path) -> Result<Option<OwnedFd>, IpcError> {
    let mut passed = ListenFd::from_env();
    let count = passed.len();
    if count == 0 {
        return Ok(None);
    }
    for index in 0..count {
        // Another kind of socket is somebody else's.
        let Ok(Some(listener)) = passed.take_unix_listener(index) else {
            continue;
        };
        if is_at(&listener, path) {
            return fit(listener, path).map(Some);
        }
    }
    let reason = format!(
        "the environment passes {count} sockets (LISTEN_FDS) and none of them listens here: give the service manager and this program the same path"
    );
    Err(refused(path, reason, None))
}

/// Whether the socket's address is `path`, seen through links in the directories above.
fn is_at(listener: &UnixListener, path: &Path) -> bool {
    let Ok(address) = listener.local_addr() else {
        return false;
    };
    let full = |path: &Path| {
        let parent = fs::canonicalize(path.parent()?).ok()?;
        Some(parent.join(path.file_name()?))
    };
    address
        .as_pathname()
        .is_some_and(|bound| bound == path || full(bound).is_some_and(|b| Some(b) == full(path)))
}

/// Whether connections can come. Apple's systems have no way to ask, and the first accept tells.
#[cfg(not(target_vendor = "apple"))]
fn listens(listener: &UnixListener) -> bool {
    rustix::net::sockopt::socket_acceptconn(listener).unwrap_or(false)
}

#[cfg(target_vendor = "apple")]
const fn listens(_listener: &UnixListener) -> bool {
    true
}

fn fit(listener: UnixListener, path: &Path) -> Result<OwnedFd, IpcError> {
    if !listens(&listener) {
        let reason = "the socket that the environment passes (LISTEN_FDS) does not listen";
        return Err(refused(path, reason, None));
    }
    let mode = fs::symlink_metadata(path).map(|found| found.mode() & 0o777);
    match mode {
        Ok(mode) if mode & OTHERS != 0 => tracing::warn!(
            endpoint = %path.display(),
            "the socket has permissions {mode:o}: the service manager lets others than its owner connect (SocketMode=), and the peer policy alone decides who may"
        ),
        Ok(_) => {}
        Err(error) => {
            let reason = "the socket that the environment passes (LISTEN_FDS) is there no more";
            return Err(refused(path, reason, Some(error)));
        }
    }
    listener
        .set_nonblocking(true)
        .map_err(|error| refused(path, "the passed socket cannot be prepared", Some(error)))?;
    Ok(listener.into())
}
