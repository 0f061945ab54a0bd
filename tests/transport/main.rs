//! The transport: endpoints in the file system, connections, and who is at their other ends.
//!
//! **Invariant**: nothing here names a service or a frame; only bytes and peers.

mod endpoint;
mod links;
mod support;
