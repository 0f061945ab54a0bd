//! Connects to a server and says why it cannot.
//!
//! **Invariant**: a link that is handed out is connected, and who is at its other end is known.

use std::{os::fd::OwnedFd, path::Path, time::Duration};

use rustix::{
    io::Errno,
    net::{self, SocketAddrUnix, sockopt},
};
use tokio::time::{Instant, sleep_until};

use super::{Socket, claim::new_socket, split};
use crate::{error::IpcError, transport::Link};

/// Pauses between attempts while the server's queue of connections is full.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Connects to the server at `path`, which takes `timeout` at most.
///
/// Whether that server is to be trusted is not judged: see [`check_server`](crate::transport::check_server).
///
/// # Errors
/// [`IpcError::ServerNotFound`] if nothing is there, [`IpcError::ConnectionRefused`] if nobody listens,
/// [`IpcError::PermissionDenied`], [`IpcError::ConnectionTimeout`] if the server accepts nobody in time;
/// [`IpcError::Config`] for a path that cannot be a server's.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::{path::Path, time::Duration};
/// use daemoneye_ipc::{IpcError, transport::connect};
///
/// let refused = connect(Path::new("/nowhere/app.sock"), Duration::from_secs(1)).await;
/// assert!(matches!(refused, Err(IpcError::ServerNotFound { .. })));
/// # });
/// ```
pub async fn connect(path: &Path, timeout: Duration) -> Result<Link, IpcError> {
    split(path).map_err(|reason| unusable(path, &reason))?;
    let address = SocketAddrUnix::new(path).map_err(|error| failure(path, error))?;
    let deadline = Instant::now() + timeout;
    let fd = connected(path, &address, deadline).await?;
    Ok(Link::socket(Socket::adopt(fd))?)
}

/// Tries until the socket is connected. A Unix socket whose server has a full queue does not become
/// connected later: each attempt stands for itself (connect(2), `EAGAIN`).
async fn connected(
    path: &Path,
    address: &SocketAddrUnix,
    deadline: Instant,
) -> Result<OwnedFd, IpcError> {
    let mut ceiling = FIRST_PAUSE;
    loop {
        match attempt(address) {
            Ok(fd) => return Ok(fd),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN | Errno::INPROGRESS | Errno::NOTCONN) => {}
            Err(error) => return Err(failure(path, error)),
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(failure(path, Errno::TIMEDOUT));
        }
        // Clients that wait together do not try together.
        let pause = ceiling.mul_f64(0.5 + fastrand::f64() / 2.0);
        sleep_until(deadline.min(now + pause)).await;
        ceiling = (ceiling * 2).min(LONGEST_PAUSE);
    }
}

fn attempt(address: &SocketAddrUnix) -> Result<OwnedFd, Errno> {
    let fd = new_socket()?;
    net::connect(&fd, address)?;
    sockopt::socket_error(&fd)??;
    net::getpeername(&fd)?;
    Ok(fd)
}

fn failure(path: &Path, error: Errno) -> IpcError {
    let endpoint = path.display().to_string();
    match error {
        Errno::NOENT | Errno::NOTDIR => IpcError::ServerNotFound { endpoint },
        Errno::CONNREFUSED => IpcError::ConnectionRefused { endpoint },
        Errno::ACCESS | Errno::PERM => IpcError::PermissionDenied {
            endpoint,
            reason: None,
        },
        Errno::TIMEDOUT => IpcError::ConnectionTimeout { endpoint },
        Errno::PROTOTYPE => unusable(path, "the socket there is of another kind, not a server's"),
        other => IpcError::Io(other.into()),
    }
}

/// A path that no server can be reached at, whatever happens.
fn unusable(path: &Path, reason: &str) -> IpcError {
    IpcError::Config {
        message: format!("cannot connect to {}: {reason}", path.display()),
        location: None,
    }
}
