//! Calling: channels, and the four kinds of calls on them.
//!
//! **Invariant**: calls are futures that own what they need; dropping one cancels it and nothing else.

mod channel;
mod connection;
mod driver;
mod keeper;
mod open;
mod streaming;
mod stub;
mod unary;

pub use self::{
    channel::{Channel, ChannelState, ChannelStats},
    streaming::{
        BidiStream, BidiStreamingCall, ClientStream, ClientStreamingCall, ServerStreamingCall,
        Streaming,
    },
    stub::Stub,
    unary::UnaryCall,
};

/// The options that every kind of call has.
macro_rules! call_options {
    ($call:ident<$req:ident, $rep:ident>) => {
        impl<$req, $rep> $call<$req, $rep> {
            /// Ends the call with [`IpcError::Timeout`](crate::IpcError::Timeout) unless it is over by
            /// then. The server is told, and stops its handler too.
            pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
                self.opening.set_timeout(timeout);
                self
            }

            /// Sends a pair beside the request.
            pub fn metadata(
                mut self,
                key: impl Into<String>,
                value: impl Into<bytes::Bytes>,
            ) -> Self {
                self.opening.metadata.insert(key, value);
                self
            }

            /// Whether to wait, within the deadline and `reconnect.max_attempts`, for a server that
            /// cannot be reached now. By default such a call fails at once.
            pub const fn wait_for_ready(mut self, wait: bool) -> Self {
                self.opening.wait_for_ready = wait;
                self
            }
        }

        impl<$req, $rep> std::fmt::Debug for $call<$req, $rep> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($call))
                    .field("metadata", &self.opening.metadata)
                    .finish_non_exhaustive()
            }
        }
    };
}
use call_options;
