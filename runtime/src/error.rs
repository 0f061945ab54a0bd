//! What can go wrong, sorted by who is to blame: bytes, peer, limit, I/O, misuse.
//!
//! **Invariant**: every error keeps its source, and one function ([`IpcError::code`]) maps it to the
//! code that a peer would see.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use crate::status::{Code, Status};

/// A failure of the IPC layer, or the status that a call ended with.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use daemoneye_ipc::{Channel, IpcConfig, IpcError};
///
/// match Channel::connect(IpcConfig::new("/nowhere/app.sock")).await {
///     Err(IpcError::ServerNotFound { endpoint }) => assert_eq!(endpoint, "/nowhere/app.sock"),
///     Err(other) => panic!("{other}"), // every text says what to do next
///     Ok(channel) => println!("connected to {}", channel.endpoint()),
/// }
/// # });
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IpcError {
    /// The deadline passed before the call ended.
    #[error("the deadline passed")]
    Timeout,
    /// A message or frame is larger than the limit of the side that has to take it.
    #[error(
        "a message of {size} bytes is over the limit of {max_size} bytes; send less, or raise `max_frame_bytes` on both sides"
    )]
    TooLarge {
        /// Bytes of the message or frame.
        size: usize,
        /// The limit in bytes.
        max_size: usize,
    },
    /// The bytes of a frame do not match its checksum.
    #[error(
        "a frame is damaged: its checksum is {actual:#010x} where {expected:#010x} was announced"
    )]
    CrcMismatch {
        /// The checksum in the frame's header.
        expected: u32,
        /// The checksum of the bytes that came.
        actual: u32,
    },
    /// The operating system failed an operation on the socket.
    #[error("I/O failed on the socket")]
    Io(#[source] io::Error),
    /// A message does not decode.
    #[error("a message does not decode")]
    Decode(#[source] prost::DecodeError),
    /// A message does not encode.
    #[error("a message does not encode: {0}")]
    Encode(String),
    /// The connection was lost while the call was in flight.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// A frame announces a length that no frame can have.
    #[error("a frame announces {length} bytes, which no frame can have")]
    InvalidLength {
        /// The announced length in bytes.
        length: usize,
    },
    /// Nothing is at the endpoint's path.
    #[error(
        "no server at {endpoint}: the socket does not exist; start the server, or check the path"
    )]
    ServerNotFound {
        /// The path that was tried.
        endpoint: String,
    },
    /// Something is at the path, and nobody listens.
    #[error(
        "connection to {endpoint} refused: the socket is there and nobody listens; the server has died or is shutting down, so start it again"
    )]
    ConnectionRefused {
        /// The path that was tried.
        endpoint: String,
    },
    /// The operating system, or the server's policy, does not let this user in.
    #[error(
        "permission denied at {endpoint}{}; run as the server's user, or let this user into its policy",
        said(reason)
    )]
    PermissionDenied {
        /// The path that was tried.
        endpoint: String,
        /// What the server said; `None` if the operating system refused.
        reason: Option<String>,
    },
    /// The server did not answer in time.
    #[error("no answer from {endpoint} in time; the server may be stopped or overloaded")]
    ConnectionTimeout {
        /// The path that was tried.
        endpoint: String,
    },
    /// Too many attempts in a row failed, and none is made for now.
    #[error("the last attempts to connect all failed; the next is made in {} ms", retry_in.as_millis())]
    CircuitBreakerOpen {
        /// Time until the next attempt.
        retry_in: Duration,
    },
    /// The server holds as many connections as it may.
    #[error("the server is at its limit of connections: {reason}")]
    Busy {
        /// The server's own words.
        reason: String,
    },
    /// Client and server were built from schemas that are not known to be compatible.
    #[error(
        "schemas of {service} differ: this side has revision {local_revision} ({local_fingerprint:#018x}), the server revision {remote_revision} ({remote_fingerprint:#018x}); rebuild one of them, or release compatible revisions"
    )]
    SchemaMismatch {
        /// Full name of the service.
        service: String,
        /// Revision this side was built with; 0 if unreleased.
        local_revision: u32,
        /// Revision the server serves; 0 if unreleased.
        remote_revision: u32,
        /// Fingerprint this side was built with.
        local_fingerprint: u64,
        /// Fingerprint the server serves.
        remote_fingerprint: u64,
    },
    /// The process at the other end is not one that this side trusts.
    #[error("the process at {endpoint} runs as {user}, which is not trusted: {reason}")]
    PeerNotTrusted {
        /// The path that was tried.
        endpoint: String,
        /// User of the peer, from the kernel: `uid 1000` on Unix, a security identifier on Windows.
        user: String,
        /// Which rule it fails.
        reason: String,
    },
    /// The peer broke the wire contract.
    #[error("the peer broke the protocol: {reason}")]
    Protocol {
        /// What it did.
        reason: String,
    },
    /// A setting is wrong.
    #[error("{}{message}", location.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
    Config {
        /// What is wrong and what is allowed.
        message: String,
        /// File, line and key, or the environment variable; `None` when set in code.
        location: Option<String>,
    },
    /// The endpoint's path, directory or lock is not one that a server may use.
    #[error("cannot serve at {endpoint}: {reason}")]
    Endpoint {
        /// The path in question.
        endpoint: PathBuf,
        /// What is wrong there and what to do.
        reason: String,
        /// The operating system's error, if one is behind it.
        #[source]
        source: Option<io::Error>,
    },
    /// The call ended with this status.
    #[error(transparent)]
    Status(Status),
}

/// What a server said, in brackets.
fn said(reason: &Option<String>) -> String {
    reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"))
}

impl IpcError {
    /// The canonical code that stands for this error on the wire.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Timeout | Self::ConnectionTimeout { .. } => Code::DeadlineExceeded,
            Self::TooLarge { .. } | Self::Busy { .. } => Code::ResourceExhausted,
            Self::CrcMismatch { .. } => Code::DataLoss,
            Self::Decode(_) | Self::InvalidLength { .. } | Self::Protocol { .. } => {
                Code::InvalidArgument
            }
            Self::Encode(_) | Self::Config { .. } | Self::Endpoint { .. } => Code::Internal,
            Self::PermissionDenied { .. } | Self::PeerNotTrusted { .. } => Code::PermissionDenied,
            Self::SchemaMismatch { .. } => Code::FailedPrecondition,
            Self::Io(_)
            | Self::PeerClosed
            | Self::ServerNotFound { .. }
            | Self::ConnectionRefused { .. }
            | Self::CircuitBreakerOpen { .. } => Code::Unavailable,
            Self::Status(status) => status.code(),
        }
    }

    /// Whether the same attempt may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ServerNotFound { .. }
            | Self::ConnectionRefused { .. }
            | Self::ConnectionTimeout { .. }
            | Self::CircuitBreakerOpen { .. }
            | Self::Busy { .. }
            | Self::PeerClosed
            | Self::Io(_)
            | Self::Timeout => true,
            Self::Status(status) => {
                matches!(
                    status.code(),
                    Code::Unavailable | Code::ResourceExhausted | Code::Aborted
                )
            }
            _ => false,
        }
    }

    /// Whether one side has decided not to deal with the other: the same attempt ends the same until somebody
    /// changes what that decision rests on.
    pub(crate) const fn is_verdict(&self) -> bool {
        matches!(
            self,
            Self::PermissionDenied { .. } | Self::PeerNotTrusted { .. }
        )
    }

    /// The same error once more, for another one who waited for the same thing. An I/O error keeps its
    /// kind and text.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::Io(error) => Self::Io(io::Error::new(error.kind(), error.to_string())),
            Self::Decode(error) => Self::Decode(error.clone()),
            Self::TooLarge { size, max_size } => Self::TooLarge {
                size: *size,
                max_size: *max_size,
            },
            Self::CrcMismatch { expected, actual } => Self::CrcMismatch {
                expected: *expected,
                actual: *actual,
            },
            Self::InvalidLength { length } => Self::InvalidLength { length: *length },
            Self::ServerNotFound { endpoint } => Self::ServerNotFound {
                endpoint: endpoint.clone(),
            },
            Self::ConnectionRefused { endpoint } => Self::ConnectionRefused {
                endpoint: endpoint.clone(),
            },
            Self::PermissionDenied { endpoint, reason } => Self::PermissionDenied {
                endpoint: endpoint.clone(),
                reason: reason.clone(),
            },
            Self::ConnectionTimeout { endpoint } => Self::ConnectionTimeout {
                endpoint: endpoint.clone(),
            },
            Self::PeerNotTrusted {
                endpoint,
                user,
                reason,
            } => Self::PeerNotTrusted {
                endpoint: endpoint.clone(),
                user: user.clone(),
                reason: reason.clone(),
            },
            Self::Busy { reason } => Self::Busy {
                reason: reason.clone(),
            },
            Self::PeerClosed => Self::PeerClosed,
            Self::Timeout => Self::Timeout,
            Self::CircuitBreakerOpen { retry_in } => Self::CircuitBreakerOpen {
                retry_in: *retry_in,
            },
            other => Self::Protocol {
                reason: other.to_string(),
            },
        }
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::Config {
            message: message.into(),
            location: None,
        }
    }

    pub(crate) fn protocol(reason: impl Into<String>) -> Self {
        Self::Protocol {
            reason: reason.into(),
        }
    }
}

impl From<io::Error> for IpcError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<prost::DecodeError> for IpcError {
    fn from(error: prost::DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<Status> for IpcError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// A call that failed: what happened, where, and whether the server may have run it.
///
/// The `source` chain starts with the [`IpcError`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use std::time::Duration;
/// use daemoneye_ipc::Code;
/// use daemoneye_ipc::schema::health::v1::{CheckRequest, HealthClient};
///
/// let client = HealthClient::new(server.channel());
/// let request = CheckRequest { component: "disk".into() };
/// let error = client.check(request).timeout(Duration::from_secs(1)).await.unwrap_err();
/// assert_eq!((error.code(), error.method()), (Code::NotFound, "/daemoneye.health.v1.Health/Check"));
/// assert!(error.was_maybe_run() && !error.is_retryable());
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{method} at {endpoint}: {kind}")]
pub struct CallError {
    #[source]
    kind: Box<IpcError>,
    endpoint: Arc<str>,
    method: &'static str,
    maybe_run: bool,
}

impl CallError {
    pub(crate) fn new(
        kind: IpcError,
        endpoint: Arc<str>,
        method: &'static str,
        maybe_run: bool,
    ) -> Self {
        Self {
            kind: Box::new(kind),
            endpoint,
            method,
            maybe_run,
        }
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &IpcError {
        &self.kind
    }

    /// What happened, without the place.
    #[must_use]
    pub fn into_kind(self) -> IpcError {
        *self.kind
    }

    /// The status that the server, or the deadline, ended the call with.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match &*self.kind {
            IpcError::Status(status) => Some(status),
            _ => None,
        }
    }

    /// The canonical code of the failure.
    #[must_use]
    pub fn code(&self) -> Code {
        self.kind.code()
    }

    /// Path of the endpoint that was called.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// `/<full service name>/<Method name>`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Whether the server may have run the call, in whole or in part. `false` is proof that no
    /// handler saw it.
    #[must_use]
    pub fn was_maybe_run(&self) -> bool {
        self.maybe_run
    }

    /// Whether calling again is safe and may succeed: no handler saw the call, and the cause is one
    /// that passes.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !self.maybe_run && self.kind.is_transient()
    }
}
