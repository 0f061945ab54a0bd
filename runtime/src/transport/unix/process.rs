//! The process of a peer, held by a descriptor (pidfd_open(2)): unlike its id, that is never another's.
//!
//! **Invariant**: a descriptor that the kernel hands out is owned at once.

#![expect(
    unsafe_code,
    reason = "rustix and nix have no SO_PEERPIDFD; one call of getsockopt(2)"
)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use libc::{SO_PEERPIDFD, SOL_SOCKET, socklen_t};

/// The process that connected. An error if the kernel does not tell (before Linux 6.5), if the process is gone
/// (before 6.16), or if no descriptor is left. The descriptor is closed on exec.
pub(super) fn of_peer(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut fd: RawFd = -1;
    let mut length =
        socklen_t::try_from(size_of::<RawFd>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is borrowed, so it is open; `fd` is writable for `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if fd < 0 {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    // SAFETY: the kernel has just made this descriptor for this call alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
