//! The program around `peer`, which only systems with sockets and users in numbers have.
//!
//! **Invariant**: does nothing of its own.

#[cfg(unix)]
#[path = "peer.rs"]
mod peer;

fn main() {
    #[cfg(unix)]
    peer::main();
}
