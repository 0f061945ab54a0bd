//! What generated code says of a schema: services, their methods and how they are called.
//!
//! **Invariant**: descriptors are constants. Nothing here is computed, hashed or parsed at run time.

mod footprint;

use std::fmt;

pub use self::footprint::{Footprint, Footprints, MessageFootprint};
pub(crate) use self::footprint::{Shape, again, boxed, entered, grown, heap};
use crate::access::Allow;

/// A service of a schema, as the generator embeds it in clients and servers.
///
/// ```
/// use daemoneye_ipc::schema::health::v1::HEALTH_SERVICE;
/// assert_eq!(HEALTH_SERVICE.name, "daemoneye.health.v1.Health");
/// for method in HEALTH_SERVICE.methods {
///     println!("{} is {}: {} -> {}", method.name, method.kind, method.input, method.output);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceDescriptor {
    /// Full name, for example `daemoneye.procmond.v1.ProcessMonitor`.
    pub name: &'static str,
    /// Released revision of the service; 0 when it was not released as it is.
    pub revision: u32,
    /// Hash of all that the wire depends on in this service and the messages it reaches.
    pub fingerprint: u64,
    /// Released revisions that are compatible with this one in both directions, newest first.
    pub compatible: &'static [Revision],
    /// The methods in schema order. Dispatch uses their index.
    pub methods: &'static [MethodDescriptor],
    /// An encoded `google.protobuf.FileDescriptorSet` with the file of this service and all that it
    /// imports, without source information.
    pub file_descriptor_set: &'static [u8],
}

/// A released revision of a service.
///
/// ```
/// use daemoneye_ipc::schema::health::v1::HEALTH_SERVICE;
/// for revision in HEALTH_SERVICE.compatible {
///     println!("understands revision {} ({:#018x})", revision.number, revision.fingerprint);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// Its number: 1 for the first.
    pub number: u32,
    /// Its fingerprint.
    pub fingerprint: u64,
}

/// One method of a service.
///
/// ```
/// use daemoneye_ipc::{descriptor::MethodKind, schema::health::v1::HEALTH_SERVICE};
/// let watch = &HEALTH_SERVICE.methods[1];
/// assert_eq!((watch.path, watch.kind), ("/daemoneye.health.v1.Health/Watch", MethodKind::ServerStreaming));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodDescriptor {
    /// Name in the schema, for example `GetProcess`.
    pub name: &'static str,
    /// `/<full service name>/<Method name>`.
    pub path: &'static str,
    /// What identifies the method on the wire: the first eight bytes, little-endian, of SHA-256 over
    /// [`path`](Self::path).
    pub ordinal: u64,
    /// How many messages flow in each direction.
    pub kind: MethodKind,
    /// What the schema promises about running the method twice.
    pub idempotency: Idempotency,
    /// Whom the schema lets call the method, of those who may connect (`option
    /// (daemoneye.ipc.v1.access)`). Who fits one of them may. Empty where the schema does not say: then
    /// all may.
    pub access: &'static [Allow<'static>],
    /// Full name of the request message.
    pub input: &'static str,
    /// Full name of the response message.
    pub output: &'static str,
    /// What a request takes in memory.
    pub request: Footprint,
    /// What a response takes in memory.
    pub response: Footprint,
}

/// The four call kinds.
///
/// ```
/// use daemoneye_ipc::descriptor::MethodKind;
/// assert!(MethodKind::BidiStreaming.client_streams() && MethodKind::BidiStreaming.server_streams());
/// assert_eq!(MethodKind::ServerStreaming.to_string(), "server-streaming");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// One request, a stream of responses.
    ServerStreaming,
    /// A stream of requests, one response.
    ClientStreaming,
    /// A stream in each direction.
    BidiStreaming,
}

impl MethodKind {
    /// Whether the client may send more than one message.
    #[must_use]
    pub const fn client_streams(self) -> bool {
        matches!(self, Self::ClientStreaming | Self::BidiStreaming)
    }

    /// Whether the server may send more than one message.
    #[must_use]
    pub const fn server_streams(self) -> bool {
        matches!(self, Self::ServerStreaming | Self::BidiStreaming)
    }
}

impl fmt::Display for MethodKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unary => "unary",
            Self::ServerStreaming => "server-streaming",
            Self::ClientStreaming => "client-streaming",
            Self::BidiStreaming => "bidirectional",
        })
    }
}

/// The schema's `idempotency_level` of a method (descriptor.proto, `MethodOptions`).
///
/// ```
/// use daemoneye_ipc::descriptor::Idempotency;
/// assert!(Idempotency::NoSideEffects.allows_retry() && !Idempotency::Unknown.allows_retry());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Idempotency {
    /// Nothing is promised: a call whose fate is unknown is never sent again.
    #[default]
    Unknown,
    /// `NO_SIDE_EFFECTS`: running it changes nothing.
    NoSideEffects,
    /// `IDEMPOTENT`: running it twice leaves the same state as running it once.
    Idempotent,
}

impl Idempotency {
    /// Whether a call whose fate is unknown may be sent again.
    #[must_use]
    pub const fn allows_retry(self) -> bool {
        matches!(self, Self::NoSideEffects | Self::Idempotent)
    }
}
