//! The supplementary groups of a peer, which no safe crate reads from the kernel.
//!
//! **Invariant**: the kernel writes only into memory whose length it was told.

#![expect(
    unsafe_code,
    reason = "rustix and nix have no SO_PEERGROUPS; one call of getsockopt(2)"
)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use libc::{ENODATA, ENOPROTOOPT, ERANGE, SO_PEERGROUPS, SOL_SOCKET, socklen_t};

/// Room for as many groups as most users have.
const USUAL: usize = 16;

/// Most groups that a Linux process can have (`NGROUPS_MAX`).
const MOST: usize = 65_536;

/// The supplementary groups that the peer had when it connected. Empty on kernels before 4.13, which do
/// not tell.
pub(super) fn supplementary(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; USUAL];
    loop {
        let room = groups.len() * size_of::<u32>();
        let mut length = socklen_t::try_from(room).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the descriptor is borrowed, so it is open; `groups` is writable for `length` bytes, any
        // bytes are valid `u32`s, and `length` is a valid place for the length.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                SOL_SOCKET,
                SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let needed = usize::try_from(length).unwrap_or(usize::MAX) / size_of::<u32>();
        if result == 0 {
            groups.truncate(needed);
            groups.shrink_to_fit();
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(ERANGE) if (groups.len() + 1..=MOST).contains(&needed) => groups.resize(needed, 0),
            Some(ENODATA | ENOPROTOOPT) => return Ok(Vec::new()),
            _ => return Err(error),
        }
    }
}
