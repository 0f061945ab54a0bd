//! Contexts and request streams that come from no connection.
//!
//! **Invariant**: a handler cannot tell them from real ones by what their methods answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message;
use tokio_util::sync::CancellationToken;

use crate::{
    descriptor::MethodDescriptor,
    metadata::Metadata,
    server::{CallContext, Detached, Inbound},
    transport::Peer,
};

/// Begins a context for a call of `method` by this process, without a deadline.
///
/// ```
/// use std::time::Duration;
/// use daemoneye_ipc::schema::health::v1::HEALTH_SERVICE;
/// let (ctx, control) = daemoneye_ipc::testing::context(&HEALTH_SERVICE.methods[0])
///     .metadata("trace-id", "4bf92f35")
///     .timeout(Duration::from_secs(1))
///     .build();
/// assert_eq!(ctx.method().name, "Check");
/// control.cancel();
/// assert!(ctx.cancellation().is_cancelled());
/// ```
#[must_use]
pub fn context(method: &'static MethodDescriptor) -> TestContext {
    TestContext {
        method,
        peer: Peer::current(),
        timeout: None,
        metadata: Metadata::new(),
    }
}

/// A [`CallContext`] that is being made: [`context`].
///
/// ```
/// use std::time::Duration;
/// use daemoneye_ipc::schema::health::v1::HEALTH_SERVICE;
///
/// let (ctx, control) = daemoneye_ipc::testing::context(&HEALTH_SERVICE.methods[1])
///     .timeout(Duration::from_secs(5))
///     .build();
/// assert!(!ctx.cancellation().is_cancelled());
/// control.cancel();
/// assert!(ctx.cancellation().is_cancelled());
/// ```
#[derive(Debug, Clone)]
pub struct TestContext {
    method: &'static MethodDescriptor,
    peer: Peer,
    timeout: Option<Duration>,
    metadata: Metadata,
}

impl TestContext {
    /// Who calls, in place of this process.
    #[must_use]
    pub fn peer(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// Time that the caller waits, from [`build`](Self::build) on.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A pair of request metadata.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.metadata.insert(key, value);
        self
    }

    /// The context, and the hand that holds the other end of it.
    #[must_use]
    pub fn build(self) -> (CallContext, CallControl) {
        let control = CallControl {
            cancelled: CancellationToken::new(),
            draining: CancellationToken::new(),
        };
        let detached = Arc::new(Detached {
            peer: self.peer,
            cancelled: control.cancelled.clone(),
            draining: control.draining.clone(),
        });
        let deadline = self
            .timeout
            .and_then(|timeout| crate::driver::now().checked_add(timeout));
        let context = CallContext::detached(detached, self.method, deadline, self.metadata);
        (context, control)
    }
}

/// What a client and a server do to a call, for one that has neither.
///
/// ```
/// use std::time::Duration;
/// use daemoneye_ipc::schema::health::v1::HEALTH_SERVICE;
///
/// let (ctx, control) = daemoneye_ipc::testing::context(&HEALTH_SERVICE.methods[1])
///     .timeout(Duration::from_secs(5))
///     .build();
/// assert!(!ctx.cancellation().is_cancelled());
/// control.cancel();
/// assert!(ctx.cancellation().is_cancelled());
/// ```
#[derive(Debug, Clone)]
pub struct CallControl {
    cancelled: CancellationToken,
    draining: CancellationToken,
}

impl CallControl {
    /// As when the client loses interest. The handler's future is the test's to drop.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// As when the server begins to drain.
    pub fn drain(&self) {
        self.draining.cancel();
    }
}

/// A request stream of these messages, half-closed after the last.
///
/// ```
/// use daemoneye_ipc::{prost_types::Duration, testing::inbound};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut requests = inbound([Duration { seconds: 1, nanos: 0 }]);
/// assert_eq!(requests.message().await, Ok(Some(Duration { seconds: 1, nanos: 0 })));
/// assert_eq!(requests.message().await, Ok(None));
/// # });
/// ```
#[must_use]
pub fn inbound<M: Message + Default>(messages: impl IntoIterator<Item = M>) -> Inbound<M> {
    let encoded = messages
        .into_iter()
        .map(|message| message.encode_to_vec().into());
    Inbound::given(encoded.collect())
}
