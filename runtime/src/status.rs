//! The outcome of a call in the canonical codes, and how handlers' errors become one.
//!
//! **Invariant**: what an internal error says goes to the log, never to the peer.

use std::{error::Error as StdError, fmt, io};

use bytes::Bytes;
use prost::{Message, Name};
use prost_types::Any;

use crate::{
    error::{CallError, IpcError},
    metadata::Metadata,
};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $constructor:ident;)*) => {
        /// The 17 canonical status codes with their numbers (google.rpc.Code).
        ///
        /// ```
        /// use daemoneye_ipc::Code;
        /// assert_eq!((Code::NotFound as u32, Code::NotFound.name()), (5, "NOT_FOUND"));
        /// assert_eq!(Code::from_number(14), Code::Unavailable);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Code {
            /// The call succeeded.
            Ok = 0,
            $($(#[$doc])* $name = $number,)*
        }

        impl Code {
            /// The code of a number; numbers above 16 read as [`Code::Unknown`].
            #[must_use]
            pub const fn from_number(number: u32) -> Self {
                match number {
                    0 => Self::Ok,
                    $($number => Self::$name,)*
                    _ => Self::Unknown,
                }
            }

            /// The canonical spelling, for example `NOT_FOUND`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Ok => "OK",
                    $(Self::$name => $text,)*
                }
            }
        }

        impl Status {
            $(
                #[doc = concat!("A status with code `", $text, "` and a message for people.")]
                #[must_use]
                pub fn $constructor(message: impl Into<String>) -> Self {
                    Self::new(Code::$name, message)
                }
            )*
        }
    };
}

codes! {
    /// The caller gave up.
    Cancelled = 1, "CANCELLED", cancelled;
    /// Nothing better is known.
    Unknown = 2, "UNKNOWN", unknown;
    /// The request is wrong, whatever the state of the server.
    InvalidArgument = 3, "INVALID_ARGUMENT", invalid_argument;
    /// The deadline passed before the call ended.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", deadline_exceeded;
    /// What was asked for is not there.
    NotFound = 5, "NOT_FOUND", not_found;
    /// What was to be made is there already.
    AlreadyExists = 6, "ALREADY_EXISTS", already_exists;
    /// The caller is known, and may not do this.
    PermissionDenied = 7, "PERMISSION_DENIED", permission_denied;
    /// A limit was reached.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", resource_exhausted;
    /// The server's state forbids the call until somebody changes it.
    FailedPrecondition = 9, "FAILED_PRECONDITION", failed_precondition;
    /// The call was aborted, usually by a concurrent one; the caller may start over.
    Aborted = 10, "ABORTED", aborted;
    /// Past the valid range, which may grow.
    OutOfRange = 11, "OUT_OF_RANGE", out_of_range;
    /// The server does not implement the method.
    Unimplemented = 12, "UNIMPLEMENTED", unimplemented;
    /// A fault of the server.
    Internal = 13, "INTERNAL", internal;
    /// The server cannot serve now; the caller may try again.
    Unavailable = 14, "UNAVAILABLE", unavailable;
    /// Data was lost or damaged beyond repair.
    DataLoss = 15, "DATA_LOSS", data_loss;
    /// The caller is not known.
    Unauthenticated = 16, "UNAUTHENTICATED", unauthenticated;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a call ended when it did not succeed: a [`Code`], a message for people, optional details for
/// programs and trailing metadata.
///
/// ```
/// use daemoneye_ipc::{Code, Status};
/// let status = Status::not_found("no process 4711");
/// assert_eq!((status.code(), status.message()), (Code::NotFound, "no process 4711"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Status(Box<Inner>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    code: Code,
    message: String,
    details: Bytes,
    metadata: Metadata,
}

/// `google.rpc.Status` (googleapis, google/rpc/status.proto).
#[derive(Clone, PartialEq, Message)]
struct DetailList {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

impl Status {
    /// A status of any code. The message goes to the peer.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            details: Bytes::new(),
            metadata: Metadata::new(),
        }))
    }

    /// The canonical code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Details for programs as they are on the wire: a serialized `google.rpc.Status`, whose `details`
    /// are `google.protobuf.Any`; empty when there are none. [`detail`](Self::detail) reads one.
    #[must_use]
    pub fn details(&self) -> &Bytes {
        &self.0.details
    }

    /// The first detail of type `M`; `None` if there is none, or it does not decode.
    #[must_use]
    pub fn detail<M: Message + Name + Default>(&self) -> Option<M> {
        let list = DetailList::decode(self.0.details.clone()).ok()?;
        let url = M::type_url();
        // Any prefix may stand before the name (any.proto).
        let name = |url: &str| url.rsplit('/').next().map(str::to_owned);
        let mut details = list.details.iter();
        let found = details.find(|any| name(&any.type_url) == name(&url))?;
        M::decode(&*found.value).ok()
    }

    /// Adds a detail for programs, of any message type.
    ///
    /// ```
    /// use daemoneye_ipc::{Status, prost_types::Duration};
    /// let wait = Duration { seconds: 3, nanos: 0 };
    /// let status = Status::resource_exhausted("slow down").with_detail(&wait);
    /// assert_eq!(status.detail::<Duration>(), Some(wait));
    /// ```
    #[must_use]
    pub fn with_detail<M: Message + Name>(mut self, detail: &M) -> Self {
        // Details that were set as bytes and are no list make way.
        let mut list = DetailList::decode(self.0.details.clone()).unwrap_or_default();
        list.code = self.0.code as i32;
        list.message.clone_from(&self.0.message);
        list.details.push(Any {
            type_url: M::type_url(),
            value: detail.encode_to_vec(),
        });
        self.0.details = list.encode_to_vec().into();
        self
    }

    /// Trailing metadata that came with the status.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// Sets the serialized details; see [`details`](Self::details).
    #[must_use]
    pub fn with_details(mut self, details: impl Into<Bytes>) -> Self {
        self.0.details = details.into();
        self
    }

    /// Attaches trailing metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.0.metadata = metadata;
        self
    }

    /// Logs `error` with its sources and answers a neutral INTERNAL, so that nothing of it leaks.
    fn hidden(error: &dyn StdError) -> Self {
        tracing::error!(error = %Chain(error), "a handler failed");
        Self::internal("internal error")
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message().is_empty() {
            return self.code().fmt(f);
        }
        write!(f, "{}: {}", self.code(), self.message())
    }
}

impl StdError for Status {}

impl From<io::Error> for Status {
    /// The kinds that tell a caller something keep their code; every other is a neutral INTERNAL
    /// whose text goes to the log alone.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::not_found("not found"),
            io::ErrorKind::PermissionDenied => Self::permission_denied("permission denied"),
            io::ErrorKind::AlreadyExists => Self::already_exists("already exists"),
            io::ErrorKind::TimedOut => Self::deadline_exceeded("timed out"),
            io::ErrorKind::Unsupported => Self::unimplemented("not supported here"),
            _ => Self::hidden(&error),
        }
    }
}

impl From<prost::DecodeError> for Status {
    fn from(error: prost::DecodeError) -> Self {
        Self::invalid_argument(format!("a message does not decode: {error}"))
    }
}

impl From<IpcError> for Status {
    fn from(error: IpcError) -> Self {
        match error {
            IpcError::Status(status) => status,
            other => Self::new(other.code(), other.to_string()),
        }
    }
}

impl From<CallError> for Status {
    /// What a downstream service answered is passed on as it is; a failure of the connection keeps
    /// its code.
    fn from(error: CallError) -> Self {
        error.into_kind().into()
    }
}

impl From<tokio::task::JoinError> for Status {
    fn from(error: tokio::task::JoinError) -> Self {
        if error.is_cancelled() {
            Self::cancelled("the task was cancelled")
        } else {
            Self::hidden(&error)
        }
    }
}

impl From<std::num::TryFromIntError> for Status {
    fn from(_: std::num::TryFromIntError) -> Self {
        Self::out_of_range("a number is out of range")
    }
}

impl From<std::str::Utf8Error> for Status {
    fn from(_: std::str::Utf8Error) -> Self {
        Self::invalid_argument("text is not UTF-8")
    }
}

/// Turns any error into a [`Status`] inside a handler.
///
/// ```
/// use daemoneye_ipc::{Code, Status, StatusExt};
/// fn parse(text: &str) -> Result<u32, Status> {
///     text.parse().status(Code::InvalidArgument)
/// }
/// assert_eq!(parse("x").unwrap_err().code(), Code::InvalidArgument);
/// ```
pub trait StatusExt<T> {
    /// Fails with `code` and the error's own text, which goes to the peer.
    ///
    /// # Errors
    /// A status of `code` if `self` is an error.
    fn status(self, code: Code) -> Result<T, Status>;

    /// Fails with a neutral INTERNAL; the error and its sources go to the log.
    ///
    /// # Errors
    /// A status of [`Code::Internal`] if `self` is an error.
    fn internal(self) -> Result<T, Status>;
}

impl<T, E: StdError> StatusExt<T> for Result<T, E> {
    fn status(self, code: Code) -> Result<T, Status> {
        self.map_err(|error| Status::new(code, error.to_string()))
    }

    fn internal(self) -> Result<T, Status> {
        self.map_err(|error| Status::hidden(&error))
    }
}

/// An error with its sources on one line.
struct Chain<'a>(&'a dyn StdError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_and_unknown_ones_are_unknown() {
        for number in 0..=16 {
            assert_eq!(Code::from_number(number) as u32, number);
        }
        assert_eq!(Code::from_number(17), Code::Unknown);
        assert_eq!(Code::from_number(u32::MAX), Code::Unknown);
    }

    #[test]
    fn details_are_found_by_type() {
        let (first, second) = (
            prost_types::Duration {
                seconds: 1,
                nanos: 2,
            },
            prost_types::Timestamp {
                seconds: 3,
                nanos: 4,
            },
        );
        let status = Status::aborted("x")
            .with_detail(&first)
            .with_detail(&second);
        assert_eq!(status.detail(), Some(first));
        assert_eq!(status.detail(), Some(second));
        assert_eq!(status.detail::<Any>(), None);
        let list = DetailList::decode(status.details().clone()).unwrap();
        assert_eq!((list.code, &*list.message), (10, "x"));
        let odd = Status::aborted("x").with_details(&b"\xFF"[..]);
        assert_eq!(odd.detail::<prost_types::Duration>(), None);
    }

    #[test]
    fn an_internal_error_does_not_leak() {
        let failed: Result<(), _> = Err(io::Error::other("/etc/shadow is odd"));
        assert_eq!(
            failed.internal().unwrap_err().to_string(),
            "INTERNAL: internal error"
        );
        let status = Status::from(io::Error::other("/etc/shadow is odd"));
        assert!(!status.to_string().contains("shadow"));
    }
}
