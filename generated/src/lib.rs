//! Typed clients and servers for the DaemonEye schemas, generated from `schemas/` and checked in.
//!
//! One module per package: `daemoneye.conformance.v1` is [`conformance::v1`](crate::conformance::v1). The
//! packages that the runtime itself speaks ([`health`], [`ipc`], [`reflection`]) are generated into
//! `daemoneye-ipc` and appear here under the same names.
//!
//! After a change of a schema: `cargo run -p daemoneye-ipc-codegen -- generate`.
//!
//! **Invariant**: holds generated code and these names for it; nothing here is written by hand.

#[rustfmt::skip]
mod generated;

pub use ::daemoneye_ipc::schema::{health, ipc, reflection};

pub use crate::generated::daemoneye::*;
