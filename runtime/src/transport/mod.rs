//! Where connections come from: the local socket of the operating system, or memory.
//!
//! **Invariant**: nothing above this module names a socket, a file descriptor or the `interprocess`
//! crate; and no byte is moved for a peer that the kernel has not vouched for.

mod link;
mod memory;
mod peer;
mod policy;
#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use self::unix::{
    EndpointOptions, EndpointReport, Entry, EntryKind, Finding, Listener, Severity, connect,
    inspect,
};
pub use self::{
    link::{Link, memory_pair},
    peer::Peer,
    policy::{PeerPolicy, PeerRefused, check_server},
};
