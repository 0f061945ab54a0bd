//! Accepts connections.
//!
//! **Invariant**: from the first instance on there is always one that waits or is about to, so that the name
//! is never free for another; running out of resources delays connections and never ends the server.

use std::{
    fmt, io, mem,
    os::windows::io::AsHandle,
    path::{Path, PathBuf},
    time::Duration,
};

use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use tokio::{
    net::windows::named_pipe::NamedPipeServer,
    sync::Mutex,
    time::{Instant, sleep},
};

use super::{
    EndpointOptions, Socket, check, identity, refused, security,
    socket::{LAST_WORDS, Pipe},
    system,
};
use crate::{error::IpcError, transport::Link};

/// Pauses while the system makes no instance.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The pipe of a server that has just ended is there for as long as its last words.
const LAST_BREATH: Duration = LAST_WORDS.saturating_add(Duration::from_millis(250));
const BREATH: Duration = Duration::from_millis(10);

/// A pipe that waits for clients. Its name is free again when the listener and all connections that it
/// accepted are gone.
///
/// ```no_run
/// # async fn example() -> Result<(), daemoneye_ipc::IpcError> {
/// use std::{path::Path, time::Duration};
/// use daemoneye_ipc::transport::{EndpointOptions, Listener, Peer, connect};
///
/// let name = Path::new(r"\\.\pipe\app");
/// let listener = Listener::bind(name, &EndpointOptions::default()).await?;
/// let (accepted, connected) = tokio::join!(listener.accept(), connect(name, Duration::from_secs(1)));
/// assert_eq!(accepted?.peer().sid, Peer::current().sid);
/// # drop(connected);
/// # Ok(()) }
/// ```
pub struct Listener {
    pub(super) waiting: Mutex<NamedPipeServer>,
    descriptor: SecurityDescriptor,
    path: PathBuf,
}

impl Listener {
    /// Listens at `path`, which is the name of a pipe: `\\.\pipe\…`.
    ///
    /// The pipe is owned by this process's user. That user, the system and administrators may open it, and
    /// those whom `options` name; nobody does over the network.
    ///
    /// # Errors
    /// [`IpcError::Endpoint`] with the reason and what to do: a live server has the name, it is no pipe's,
    /// `options` name no security identifier, the system refuses.
    pub async fn bind(path: &Path, options: &EndpointOptions) -> Result<Self, IpcError> {
        check(path).map_err(|reason| refused(path, reason, None))?;
        let unusable = |client: &str, error| {
            let reason = format!("{client:?} is no security identifier that may open it (S-1-5-…)");
            refused(path, reason, error)
        };
        let sddl = security::sddl(&identity::own().user, &options.clients)
            .map_err(|client| unusable(client, None))?;
        let descriptor = security::descriptor(&sddl)
            .map_err(|error| unusable(&options.clients.join(", "), Some(error)))?;
        free(path).await?;
        let first = system::create(path, &descriptor, true).map_err(|error| {
            let reason = match error.kind() {
                // Somebody was faster, or the name is another user's.
                io::ErrorKind::PermissionDenied => IN_USE,
                _ => "the system does not make the pipe",
            };
            refused(path, reason, Some(error))
        })?;
        is_owned(path, &first)?;
        Ok(Self {
            waiting: Mutex::new(first),
            descriptor,
            path: path.to_path_buf(),
        })
    }

    /// A pipe is never passed on by a service manager: always `None`.
    ///
    /// # Errors
    /// None.
    pub const fn from_env(_path: &Path) -> Result<Option<Self>, IpcError> {
        Ok(None)
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection, with its peer's identity. May be dropped and called again without losing
    /// a connection.
    ///
    /// # Errors
    /// None: a connection that fails before it is accepted is passed over, and a shortage of resources is
    /// waited out.
    pub async fn accept(&self) -> Result<Link, IpcError> {
        let mut pause = FIRST_PAUSE;
        let mut waiting = self.waiting.lock().await;
        loop {
            let connected = connected(&waiting).await;
            let next = match system::create(&self.path, &self.descriptor, false) {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(endpoint = %self.path.display(), %error, "no connection can be accepted for now");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            let pipe = mem::replace(&mut *waiting, next);
            let link =
                connected.and_then(|()| Socket::adopt(Pipe::Server(pipe)).and_then(Link::socket));
            match link {
                Ok(link) => return Ok(link),
                Err(error) => tracing::debug!(%error, "a connection was passed over"),
            }
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

const IN_USE: &str =
    "a live server has it, or another user: stop that one first, or choose another endpoint";

/// Waits for a client, and until the reactor knows that it can be written to.
async fn connected(pipe: &NamedPipeServer) -> io::Result<()> {
    pipe.connect().await?;
    pipe.writable().await
}

/// Waits a little for the name to be free.
async fn free(path: &Path) -> Result<(), IpcError> {
    let give_up = Instant::now() + LAST_BREATH;
    while system::exists(path) {
        if Instant::now() >= give_up {
            return Err(refused(path, IN_USE, None));
        }
        sleep(BREATH).await;
    }
    Ok(())
}

/// Whether the pipe is as it was asked for: somebody who was there before would be its owner.
fn is_owned(path: &Path, pipe: &NamedPipeServer) -> Result<(), IpcError> {
    let own = &identity::own().user;
    match system::security(pipe.as_handle()) {
        Ok((owner, sddl)) if owner == *own && sddl.contains("D:P") => Ok(()),
        Ok((_, sddl)) => {
            let reason = format!("it is not the pipe that was made, but has the security {sddl}");
            Err(refused(path, reason, None))
        }
        Err(error) => Err(refused(path, "its owner cannot be seen", Some(error))),
    }
}
