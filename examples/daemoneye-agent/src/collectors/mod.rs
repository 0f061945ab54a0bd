//! `daemoneye.collector.v1`: collectors that register, keep a heartbeat and are sent commands.
//!
//! `registry` knows who is there, `collector` how each is, `heartbeat` is the stream that a collector keeps open,
//! `control` answers the calls, `revisions` remembers the settings of one collector.
//!
//! **Invariant**: who a collector is, the kernel says; what it says of itself is shown, and never trusted
//! further.

mod collector;
mod control;
mod heartbeat;
mod registry;
mod revisions;

pub(crate) use self::{control::Control, registry::Registry};

#[cfg(test)]
mod tests;
