//! Calling: channels, and the four kinds of calls on them.
//!
//! **Invariant**: calls are futures that own what they need; dropping one cancels it and nothing else.

mod builder;
mod channel;
mod connection;
mod driver;
mod flight;
mod interceptor;
mod keeper;
mod open;
mod raw;
mod reader;
mod requests;
mod streaming;
mod stub;
mod unary;

pub(crate) use self::builder::Dial;
pub use self::{
    builder::ChannelBuilder,
    channel::{Channel, ChannelState, ChannelStats},
    interceptor::{ClientInterceptor, ClientNext, OutgoingCall, Reply},
    raw::RawMessage,
    requests::{BidiSender, BidiStream, BidiStreamingCall, ClientStream, ClientStreamingCall},
    streaming::{ServerStreamingCall, Streaming},
    stub::Stub,
    unary::{UnaryCall, WithTrailers},
};

/// The options that every kind of call has.
macro_rules! call_options {
    ($call:ident<$req:ident, $rep:ident>) => {
        impl<$req, $rep> $call<$req, $rep> {
            /// Ends the call with [`IpcError::Timeout`](crate::IpcError::Timeout) unless it is over by
            /// then. The server is told, and stops its handler too.
            pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
                self.spec_mut().timeout = Some(timeout);
                self
            }

            /// Ends the call with the call that a handler answers at the latest: its deadline holds
            /// for this one too.
            pub fn inherit(mut self, context: &crate::CallContext) -> Self {
                let spec = self.spec_mut();
                spec.deadline = spec.deadline.into_iter().chain(context.deadline()).min();
                self
            }

            /// Sends a pair beside the request.
            pub fn metadata(
                mut self,
                key: impl Into<String>,
                value: impl Into<bytes::Bytes>,
            ) -> Self {
                self.spec_mut().metadata.insert(key, value);
                self
            }

            /// What the requests of this method are checked by, if the channel
            /// [validates](crate::ChannelBuilder::validate). Generated code says it.
            pub fn check_request(mut self, check: crate::validate::Check<$req>) -> Self {
                self.request_check = self.spec().channel.validates().then_some(check);
                self
            }

            /// What the responses of this method are checked by, if the channel
            /// [validates](crate::ChannelBuilder::validate). Generated code says it.
            pub fn check_response(mut self, check: crate::validate::Check<$rep>) -> Self {
                self.response_check = self.spec().channel.validates().then_some(check);
                self
            }

            /// Whether to wait, within the deadline and `reconnect.max_attempts`, for a server that
            /// cannot be reached now. By default such a call fails at once.
            pub fn wait_for_ready(mut self, wait: bool) -> Self {
                self.spec_mut().wait_for_ready = wait;
                self
            }
        }

        impl<$req, $rep> std::fmt::Debug for $call<$req, $rep> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($call))
                    .field("spec", &self.spec())
                    .finish_non_exhaustive()
            }
        }
    };
}
use call_options;
