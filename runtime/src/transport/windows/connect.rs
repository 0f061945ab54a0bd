//! Connects to a server and says why it cannot.
//!
//! **Invariant**: the server can see who connects and can do nothing in that name; a link that is handed out
//! is connected, and who owns the pipe is known.

use std::{io, path::Path, time::Duration};

use tokio::time::{Instant, sleep_until};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_BAD_PATHNAME, ERROR_FILE_NOT_FOUND, ERROR_INVALID_NAME,
    ERROR_PATH_NOT_FOUND, ERROR_PIPE_BUSY, ERROR_SEM_TIMEOUT,
};

use super::{Socket, check, socket::Pipe, system};
use crate::{error::IpcError, transport::Link};

/// Pauses between attempts while no instance of the pipe is free.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Connects to the server at `path`, which takes `timeout` at most.
///
/// Whether that server is to be trusted is not judged: see [`check_server`](crate::transport::check_server).
///
/// # Errors
/// [`IpcError::ServerNotFound`] if there is no such pipe, [`IpcError::PermissionDenied`],
/// [`IpcError::ConnectionTimeout`] if no instance of it is free in time; [`IpcError::Config`] for a path that
/// cannot be a server's.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::{path::Path, time::Duration};
/// use daemoneye_ipc::{IpcError, transport::connect};
///
/// let refused = connect(Path::new(r"\\.\pipe\nobody\serves\this"), Duration::from_secs(1)).await;
/// assert!(matches!(refused, Err(IpcError::ServerNotFound { .. })));
/// # });
/// ```
pub async fn connect(path: &Path, timeout: Duration) -> Result<Link, IpcError> {
    check(path).map_err(|reason| unusable(path, &reason))?;
    let deadline = Instant::now() + timeout;
    let mut ceiling = FIRST_PAUSE;
    loop {
        let error = match system::open(path) {
            Ok(pipe) => return Ok(Link::socket(Socket::adopt(Pipe::Client(pipe))?)?),
            Err(error) => error,
        };
        if code(&error) != Some(ERROR_PIPE_BUSY) {
            return Err(failure(path, error));
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(failure(
                path,
                io::Error::from_raw_os_error(ERROR_SEM_TIMEOUT.cast_signed()),
            ));
        }
        // Clients that wait together do not try together.
        let pause = ceiling.mul_f64(0.5 + fastrand::f64() / 2.0);
        sleep_until(deadline.min(now + pause)).await;
        ceiling = (ceiling * 2).min(LONGEST_PAUSE);
    }
}

fn code(error: &io::Error) -> Option<u32> {
    error.raw_os_error().map(i32::cast_unsigned)
}

fn failure(path: &Path, error: io::Error) -> IpcError {
    let endpoint = path.display().to_string();
    match code(&error) {
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND) => IpcError::ServerNotFound { endpoint },
        Some(ERROR_ACCESS_DENIED) => IpcError::PermissionDenied {
            endpoint,
            reason: None,
        },
        Some(ERROR_SEM_TIMEOUT) => IpcError::ConnectionTimeout { endpoint },
        Some(ERROR_INVALID_NAME | ERROR_BAD_PATHNAME) => {
            unusable(path, "the system takes it for no name of a pipe")
        }
        _ => IpcError::Io(error),
    }
}

/// A path that no server can be reached at, whatever happens.
fn unusable(path: &Path, reason: &str) -> IpcError {
    IpcError::Config {
        message: format!("cannot connect to {}: {reason}", path.display()),
        location: None,
    }
}
