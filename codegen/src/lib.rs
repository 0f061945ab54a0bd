//! Schema-first code generation for `daemoneye-ipc`: from `.proto` files to typed Rust.
//!
//! One pipeline serves the generator and the attribute `#[ipc_service]`:
//! [`load`](load::load) reads and links schemas, [`lower`](lower::lower) makes plain data of them
//! ([`model`]), and [`emit`] makes Rust of that. Users meet [`Generator`], in a `build.rs` or for code
//! that is checked in.
//!
//! **Invariant**: never depends on the runtime; emitted code only names it.

mod aside;
mod check;
mod comments;
pub mod emit;
mod error;
#[cfg(feature = "evolution")]
pub mod evolution;
pub mod fingerprint;
mod generator;
mod hash;
#[cfg(feature = "evolution")]
pub mod history;
#[cfg(feature = "evolution")]
pub mod image;
mod index;
#[cfg(feature = "evolution")]
pub mod lint;
pub mod load;
pub mod lower;
pub mod model;
mod options;
#[cfg(feature = "project")]
pub mod project;
mod protoc;
pub mod registered;
mod released;
pub mod render;
#[cfg(feature = "evolution")]
pub mod rules;
mod spelling;
mod write;

pub use crate::error::{Error, Place, Problem, ProblemKind};
pub use crate::generator::{Generated, GeneratedFile, Generator};
pub use crate::hash::{message_hash, method_ordinal};
pub use crate::options::Options;
pub use crate::spelling::nearest;
