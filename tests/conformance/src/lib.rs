//! The conformance service as a library, for tests that serve it in their own process.
//!
//! **Invariant**: the binary serves exactly this.

mod service;

pub use self::service::ConformanceService;
