//! The conformance service, the test vectors of the wire contract, the check of a server by them, and a soak.
//!
//! **Invariant**: the binary serves, prints and plays exactly this.

pub mod check;
mod service;
#[cfg(target_os = "linux")]
pub mod soak;
pub mod vectors;

use std::io::{self, Write};

use serde::Serialize;

pub use self::service::ConformanceService;

/// Writes a value as JSON for people and programs, on lines of its own.
///
/// # Errors
/// Those of `writer`.
pub fn write_json(writer: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *writer, value)?;
    writeln!(writer)
}
