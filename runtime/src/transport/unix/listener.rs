//! Accepts connections.
//!
//! **Invariant**: running out of descriptors or memory never ends the server, and never makes it spin. A descriptor is kept for
//! whoever comes then, so that it can be told instead of left waiting.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    pin::pin,
    task::Poll,
    time::Duration,
};

use interprocess::{
    local_socket::traits::tokio::Listener as _,
    os::unix::uds_local_socket::tokio::Listener as Accepting,
};
use parking_lot::Mutex;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::{
    EndpointOptions, Socket, activation,
    claim::{self, Claim},
    refused,
};
use crate::{error::IpcError, transport::Link};

/// Pauses while the system has no descriptors or memory left.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A socket at a path, listening. Dropping it removes the socket from the file system, provided that it
/// is still the one that was put there.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("private/app.sock");
/// use std::time::Duration;
/// use daemoneye_ipc::transport::{EndpointOptions, Listener, Peer, connect};
///
/// let listener = Listener::bind(&path, &EndpointOptions::default()).await?;
/// let (accepted, connected) = tokio::join!(listener.accept(), connect(&path, Duration::from_secs(1)));
/// assert_eq!(accepted?.peer().uid, Peer::current().uid);
/// drop((connected?, listener));
/// assert!(!path.exists());
/// # Ok(()) })
/// # }
/// ```
pub struct Listener {
    // Dropped first: the name goes while the socket is still open. A socket that was passed in is not
    // this process's to remove.
    _claim: Option<Claim>,
    accepting: Accepting,
    path: PathBuf,
    /// Given up when the system has no descriptor left, for one connection to be told so.
    reserve: Mutex<Option<OwnedFd>>,
}

impl Listener {
    /// Listens at `path`, which is absolute.
    ///
    /// The directories above are judged, and created if they are missing. The name is taken by a lock
    /// on the file `<path>.lock`, which stays there. The socket is prepared in a private directory
    /// beside its place and moved there complete, so that it can never be opened with other permissions
    /// than `options` say. Up to 1,024 connections wait to be accepted, or what the system allows.
    ///
    /// # Errors
    /// [`IpcError::Endpoint`] with the reason and what to do: a live server has the path, something
    /// else is there, a directory is not safe, the path is too long, the system refuses.
    pub async fn bind(path: &Path, options: &EndpointOptions) -> Result<Self, IpcError> {
        let (claim, socket) = claim::claim(path, options).await?;
        Self::new(path, Some(claim), socket)
    }

    /// Takes the socket at `path` from the service manager that started this process (`LISTEN_FDS`, as
    /// sd_listen_fds(3) says); `None` if it passed none. The variables are removed from the environment.
    /// The socket stays when the listener is dropped: connections then wait for the next process.
    ///
    /// # Errors
    /// [`IpcError::Endpoint`] if sockets were passed and none of them listens at `path`.
    pub fn from_env(path: &Path) -> Result<Option<Self>, IpcError> {
        let socket = activation::inherited(path)?;
        socket
            .map(|socket| Self::new(path, None, socket))
            .transpose()
    }

    fn new(path: &Path, claim: Option<Claim>, socket: OwnedFd) -> Result<Self, IpcError> {
        let accepting = Accepting::try_from(socket)
            .map_err(|error| refused(path, "the runtime does not take the socket", Some(error)))?;
        Ok(Self {
            _claim: claim,
            accepting,
            path: path.to_path_buf(),
            reserve: Mutex::new(None),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection, with its peer's credentials. May be dropped and called again without losing
    /// a connection.
    ///
    /// # Errors
    /// [`IpcError::Io`] if the listening socket itself has failed. A connection that fails before it is
    /// accepted is passed over. When descriptors are used up, one connection at a time is accepted with a descriptor that is
    /// kept for that ([`Link::is_last`]); without that one, and when memory is short, connections wait.
    pub async fn accept(&self) -> Result<Link, IpcError> {
        let mut pause = FIRST_PAUSE;
        loop {
            self.keep_reserve();
            let error = match self.accepting.accept().await {
                Ok(stream) => match Socket::accepted(stream).and_then(Link::socket) {
                    Ok(link) => return Ok(link),
                    Err(error) => {
                        tracing::debug!(%error, "a connection was passed over: the kernel does not say whose it is");
                        continue;
                    }
                },
                Err(error) => error,
            };
            match Trouble::of(&error) {
                Trouble::Passing => {}
                Trouble::Shortage => {
                    if let Some(link) = self.accept_last().await {
                        return Ok(link);
                    }
                    tracing::warn!(endpoint = %self.path.display(), %error, "no connection can be accepted for now");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Trouble::Fatal => return Err(error.into()),
            }
        }
    }

    /// Sees to it that there is a descriptor to give up, if the system has one: a file of its own, so that it counts for the
    /// process and for the system.
    fn keep_reserve(&self) {
        let mut reserve = self.reserve.lock();
        if reserve.is_none() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            *reserve = rustix::fs::open("/", flags, Mode::empty()).ok();
        }
    }

    /// Gives the reserve up for the connection that waits, unless another thread was faster to use it.
    async fn accept_last(&self) -> Option<Link> {
        drop(self.reserve.lock().take()?);
        let mut accepting = pin!(self.accepting.accept());
        let accepted = poll_fn(|cx| match accepting.as_mut().poll(cx) {
            Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
            Poll::Pending => Poll::Ready(None),
        });
        let link = Socket::accepted(accepted.await?).and_then(Link::socket);
        link.ok().map(Link::into_last)
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What a failed accept means (accept(2)).
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// One connection is gone, or a signal came.
    Passing,
    /// The system is short of something, and the connection waits.
    Shortage,
    Fatal,
}

impl Trouble {
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::INTR | Errno::CONNABORTED | Errno::PROTO | Errno::PERM) => Self::Passing,
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => Self::Shortage,
            _ => Self::Fatal,
        }
    }
}
