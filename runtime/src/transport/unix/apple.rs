//! What sockets of Apple's systems have in other places: the process id of a peer, and no signal on a write that nobody
//! takes.
//!
//! **Invariant**: the kernel writes only into memory whose length it was told.

#![expect(
    unsafe_code,
    reason = "rustix and interprocess have no LOCAL_PEEREPID; one call of getsockopt(2)"
)]

use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{LOCAL_PEEREPID, SOL_LOCAL, pid_t, socklen_t};

/// The process that the peer acts for (`LOCAL_PEEREPID`); `None` if the kernel does not tell.
pub(super) fn pid(socket: BorrowedFd<'_>) -> Option<pid_t> {
    let mut pid: pid_t = 0;
    let mut length = socklen_t::try_from(size_of::<pid_t>()).ok()?;
    // SAFETY: the descriptor is borrowed, so it is open; `pid` is writable for `length` bytes, and any bytes are a
    // number.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            SOL_LOCAL,
            LOCAL_PEEREPID,
            (&raw mut pid).cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(pid)
}

/// Writes to a peer that is gone are errors and no signals. A socket that is not told so is one whose peer is gone.
pub(super) fn no_signal(socket: BorrowedFd<'_>) {
    let _ = rustix::net::sockopt::set_socket_nosigpipe(socket, true);
}
