//! Why a connection ends, and what each side is told of it.
//!
//! **Invariant**: a fault ends one connection, never the process, and its text never holds payload.

use bytes::Bytes;

use crate::{
    error::IpcError,
    log::plain,
    status::Code,
    wire::{FrameError, Oversize},
};

/// What ended a connection.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// let fault = server.handle_frame(now, Bytes::from_static(b"no envelope")).unwrap_err();
/// assert!(matches!(fault, Fault::Envelope(_)), "{fault}");
/// assert_eq!(fault.goaway_code(), Some(daemoneye_ipc::Code::InvalidArgument));
/// # drop((client, wire, cx));
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The peer's bytes are not frames.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A frame's payload is not an envelope.
    #[error("a frame's payload is not an envelope: {0}")]
    Envelope(prost::DecodeError),
    /// The peer broke the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The peer went over a limit of the connection.
    #[error("{0}")]
    Limit(String),
    /// The peer was too slow.
    #[error("{0}")]
    Timeout(&'static str),
    /// The peer speaks another version of the wire contract.
    #[error("protocol version {theirs} is not served here; this side speaks {ours}")]
    Version {
        /// The peer's version.
        theirs: u32,
        /// This side's version.
        ours: u32,
    },
    /// The peer said GOAWAY with a fault.
    #[error("the peer closed the connection: {code}: {reason}")]
    GoAway {
        /// The peer's code.
        code: Code,
        /// The peer's words.
        reason: String,
    },
    /// The connection ended without a word.
    #[error("the peer closed the connection")]
    Closed,
    /// This side closed the connection.
    #[error("the connection was closed by this side")]
    Shutdown,
}

impl Fault {
    /// The peer's words are kept as far as they are fit to be shown.
    pub(crate) fn goaway(code: Code, reason: &str) -> Self {
        let reason = plain(reason);
        Self::GoAway { code, reason }
    }

    pub(crate) fn protocol(reason: impl Into<String>) -> Self {
        Self::Protocol(reason.into())
    }

    /// The code for the GOAWAY that tells the peer; `None` where it knows, or cannot be told.
    #[must_use]
    pub fn goaway_code(&self) -> Option<Code> {
        Some(match self {
            Self::Frame(FrameError::CrcMismatch { .. }) => Code::DataLoss,
            Self::Frame(_) | Self::Envelope(_) | Self::Protocol(_) => Code::InvalidArgument,
            Self::Limit(_) => Code::ResourceExhausted,
            Self::Timeout(_) => Code::DeadlineExceeded,
            Self::Version { .. } => Code::FailedPrecondition,
            Self::GoAway { .. } | Self::Closed | Self::Shutdown => return None,
        })
    }

    /// One word for counters; `None` for an end in order.
    #[must_use]
    pub const fn cause(&self) -> Option<&'static str> {
        Some(match self {
            Self::Frame(_) => "frame",
            Self::Envelope(_) => "envelope",
            Self::Protocol(_) => "protocol",
            Self::Limit(_) => "limit",
            Self::Timeout(_) => "timeout",
            Self::Version { .. } => "version",
            Self::GoAway { .. } => "goaway",
            Self::Closed | Self::Shutdown => return None,
        })
    }

    /// The error for a call, or an attempt to connect, that this fault ended.
    #[must_use]
    pub fn to_error(&self, endpoint: &str) -> IpcError {
        match self {
            Self::Frame(FrameError::InvalidLength { length }) => {
                IpcError::InvalidLength { length: *length }
            }
            Self::Frame(FrameError::TooLarge { size, max_size }) => IpcError::TooLarge {
                size: *size,
                max_size: *max_size,
            },
            Self::Frame(FrameError::CrcMismatch {
                expected,
                actual,
                other_variant: None,
            }) => IpcError::CrcMismatch {
                expected: *expected,
                actual: *actual,
            },
            Self::Frame(error) => IpcError::protocol(error.to_string()),
            Self::Envelope(error) => IpcError::Decode(error.clone()),
            Self::Protocol(_) | Self::Limit(_) | Self::Version { .. } => {
                IpcError::protocol(self.to_string())
            }
            Self::Timeout(_) => IpcError::ConnectionTimeout {
                endpoint: endpoint.to_owned(),
            },
            Self::GoAway {
                code: Code::PermissionDenied,
                reason,
            } => IpcError::PermissionDenied {
                endpoint: endpoint.to_owned(),
                reason: Some(reason.clone()),
            },
            Self::GoAway {
                code: Code::ResourceExhausted,
                reason,
            } => IpcError::Busy {
                reason: reason.clone(),
            },
            Self::GoAway { .. } => IpcError::protocol(self.to_string()),
            Self::Closed | Self::Shutdown => IpcError::PeerClosed,
        }
    }
}

/// How a call ended, as the client's session reports it.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// # let metadata = Metadata::new();
/// # let call = OpenCall { service: HEALTH_SERVICE, method: &HEALTH_SERVICE.methods[2], deadline: None, metadata: &metadata };
/// # let request = Encoded(Bytes::new());
/// # let Poll::Ready(Ok(id)) = client.poll_open(now, &cx, &mut None, &call, Some(&request)) else { panic!() };
/// client.handle_fault(Fault::Closed);
/// let Poll::Ready(Outcome::Lost { maybe_run, .. }) = client.poll_outcome(id, &cx) else {
///     panic!("a lost connection is an outcome")
/// };
/// assert!(!maybe_run, "not a byte of the call was written");
/// # drop((server, wire));
/// ```
#[derive(Debug, Clone)]
pub enum Outcome {
    /// REPLY, or END with code 0 for a stream (then without payload).
    Success {
        /// The response, absent for a stream.
        payload: Option<Bytes>,
        /// Trailing metadata.
        trailers: Vec<crate::schema::ipc::v1::Metadata>,
    },
    /// END with a failing code.
    Failure {
        /// What the server said.
        status: crate::status::Status,
        /// No handler saw the call.
        unrun: bool,
    },
    /// This side's deadline passed.
    DeadlineExceeded {
        /// Whether the CALL had left this process.
        maybe_run: bool,
    },
    /// The connection was lost, or the server went away before it ran the call.
    Lost {
        /// Why.
        fault: Fault,
        /// Whether the server may have run it.
        maybe_run: bool,
    },
}

/// Why a call was not opened on a connection. Nothing of it was written.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// client.shutdown();
/// let metadata = Metadata::new();
/// let call = OpenCall { service: HEALTH_SERVICE, method: &HEALTH_SERVICE.methods[2], deadline: None, metadata: &metadata };
/// let opened = client.poll_open(now, &cx, &mut None, &call, Some(&Encoded(Bytes::new())));
/// assert!(matches!(opened, Poll::Ready(Err(OpenError::Unusable(_)))));
/// # drop((server, wire));
/// ```
#[derive(Debug, Clone)]
pub enum OpenError {
    /// The connection takes no more calls; another one may.
    Unusable(Fault),
    /// The request does not fit a frame that the server takes.
    TooLarge(Oversize),
    /// The metadata is over this side's limit.
    Metadata(String),
    /// The server's schema of the service is not known to be compatible.
    SchemaMismatch(super::negotiate::Mismatch),
}
