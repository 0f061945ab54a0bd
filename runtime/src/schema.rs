//! The runtime's own schemas, generated from `schemas/daemoneye/{ipc,health,introspection,reflection}`.
//!
//! **Invariant**: written by the generator alone; a test compares.

#[path = "generated/mod.rs"]
mod generated;

pub use self::generated::daemoneye::{health, introspection, ipc, reflection};
