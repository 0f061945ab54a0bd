//! What fuzzing runs: one body for each target, fed with whatever bytes a fuzzer thinks of.
//!
//! The targets of libFuzzer (`fuzz/fuzz_targets`) call these with the fuzzer's bytes; `tests/corpora.rs` calls them with
//! the inputs that are kept. A body that returns has seen everything hold that it claims.
//!
//! ```
//! ipc_fuzz_bodies::TARGETS.iter().for_each(|(_, body)| body(b"whatever comes"));
//! ```
//!
//! **Invariant**: what a body does follows from its input alone. Programs with this crate in them have an allocator that counts.

pub mod allocator;
pub mod client;
pub mod config;
pub mod envelope;
pub mod frame;
pub mod hostile;
pub mod inflate;
pub mod scan;
pub mod schema;
pub mod server;

/// What is done with a fuzzer's bytes.
pub type Body = fn(&[u8]);

/// All targets: the name of the corpus, and the body.
pub const TARGETS: &[(&str, Body)] = &[
    ("client", client::run),
    ("config", config::run),
    ("envelope", envelope::run),
    ("frame", frame::run),
    ("scan", scan::run),
    ("schema", schema::run),
    ("server", server::run),
];
