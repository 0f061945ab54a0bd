//! Faults and floods: what a peer, or the system, may do, and what holds nevertheless. A file per fault.
//!
//! What is elsewhere: full backlogs and stopped servers in `transport`; killed servers, drains,
//! slow and silent peers in `wire_peer`; handlers that panic or never end in `calls` and `shutdown`.
//!
//! **Invariant**: each shows the fault itself, not a stand-in; what needs root says so where it is not run.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of test functions"
)]

mod admission;
#[path = "../captured_log.rs"]
mod captured_log;
mod clock;
#[path = "../conformance_server.rs"]
#[expect(dead_code, reason = "the rest is for the other tests that use it")]
mod conformance_server;
mod descriptors;
mod disk_full;
mod floods;
mod footprint;
mod inflate;
mod inflation;
mod log_lines;
#[path = "../wire_peer/peer.rs"]
#[expect(dead_code, reason = "the rest is for the other tests that use it")]
mod peer;
mod return_of_many;
mod shares;
mod signals;
