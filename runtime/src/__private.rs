//! What generated code names. Not covered by semantic versioning: generated code is made anew with
//! each version.
//!
//! **Invariant**: nothing here is meant to be written by hand.

mod well_known;

pub use crate::{
    client::{BidiStreamingCall, ClientStreamingCall, ServerStreamingCall, Stub, UnaryCall},
    server::{HandlerSlot, ServerCall, Service},
    validate::rules,
};

/// A message of the schema whose full name hashes to `HASH`: the first eight bytes, little-endian, of
/// SHA-256 over the name.
pub trait IsMessage<const HASH: u64> {}

/// Checks a message by its rules in CEL.
#[cfg(feature = "validate-cel")]
#[doc(hidden)]
#[macro_export]
macro_rules! __cel {
    ($schema:expr, $name:literal, $message:expr, $at:expr, $report:expr) => {
        $schema.check($name, $message, $at, $report)
    };
}

/// Says that a message has rules in CEL.
#[cfg(not(feature = "validate-cel"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __cel {
    ($schema:expr, $name:literal, $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`", $name, "` has rules in CEL (`buf.validate`), which need the feature `validate-cel` of daemoneye-ipc"
        ))
    };
}

/// The descriptors that rules in CEL are evaluated with.
#[cfg(feature = "validate-cel")]
pub use crate::validate::cel::CelSchema;

/// Stands for the descriptors where rules in CEL are an error.
#[cfg(not(feature = "validate-cel"))]
#[derive(Debug)]
pub struct CelSchema;

#[cfg(not(feature = "validate-cel"))]
impl CelSchema {
    /// Nothing.
    #[must_use]
    pub const fn new(_: &'static [u8]) -> Self {
        Self
    }
}
