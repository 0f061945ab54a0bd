//! Names for runs of the agent.
//!
//! **Invariant**: no two runs have the same name.

use std::time::SystemTime;

/// A name for this run, so that its sequence numbers are not taken for those of another.
pub(crate) fn name() -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:x}-{:x}", now.as_nanos(), std::process::id())
}
