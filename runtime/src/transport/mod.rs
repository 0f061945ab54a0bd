//! Where connections come from: the local socket of the operating system, or memory.
//!
//! What systems do differently is in `unix` and `windows`, which have the same names in them.
//!
//! **Invariant**: nothing above this module names a socket, a pipe, a file descriptor or the `interprocess`
//! crate; and no byte is moved for a peer that the kernel has not vouched for.

mod link;
mod memory;
mod policy;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use self::unix as platform;
#[cfg(windows)]
use self::windows as platform;
pub use self::{
    link::{Link, memory_pair},
    platform::{
        EndpointOptions, EndpointReport, Entry, EntryKind, Finding, Listener, Peer, Severity, User,
        connect, inspect,
    },
    policy::{PeerPolicy, PeerRefused, check_server},
};

/// Bytes that the kernel's buffers of a connection are grown to, once it is seen to carry much: more than that gains nothing
/// (`docs/performance.md`).
pub(crate) const LARGE_BUFFERS: usize = 1 << 20;
