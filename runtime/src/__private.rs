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

/// A rule in CEL, which this version does not evaluate.
#[doc(hidden)]
#[macro_export]
macro_rules! __cel {
    ($message:literal, $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`",
            $message,
            "` has a rule in CEL (`buf.validate`), which is not supported: ",
            "write it with the standard rules, or check it in the handler"
        ))
    };
}
