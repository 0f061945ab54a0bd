//! The wire contract, held against the real server by a peer that is made by hand from docs/wire.md:
//! bytes over a socket, no code of the runtime.
//!
//! **Invariant**: every wait is for something that the server does, and has a limit.

#[path = "../conformance_server.rs"]
mod conformance_server;

mod at_most_once;
mod calls;
mod drain;
mod framing;
mod handshake;
mod killed;
mod peer;
mod streams;
