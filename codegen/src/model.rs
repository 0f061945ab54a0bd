//! What the emitter works from: packages, services and messages as plain data.
//!
//! **Invariant**: no tokens, no descriptors of a library, nothing that is not decided by the schema
//! and the caller's options; equal schemas give equal models.

mod access;
mod footprint;
mod rules;

pub use self::access::Allow;
pub use self::footprint::{FieldFootprint, MessageFootprint, Shape};
pub use self::rules::{
    Access, Check, Exclusive, FieldRules, Literal, MessageRules, RequiredOneof, Rule, Unique,
    ValueRules,
};
use crate::error::Place;

/// All packages that code is emitted for, sorted by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The packages.
    pub packages: Vec<Package>,
}

/// One protobuf package: the contents of one Rust module.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// The name, such as `inventory.v1`; empty for files without a package.
    pub name: String,
    /// The path of its module in a module tree, one identifier each, raw where needed.
    pub module: Vec<String>,
    /// The messages and enums as prost writes them.
    pub types: String,
    /// The messages, nested ones included, sorted by full name.
    pub messages: Vec<Message>,
    /// The enums, nested ones included, sorted by full name.
    pub enums: Vec<Enum>,
    /// The services in the order of the schema.
    pub services: Vec<Service>,
    /// The serialized `FileDescriptorSet` that rules in CEL are evaluated with; empty if there are none.
    pub cel_descriptors: Vec<u8>,
}

/// A message type that the package defines.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its type.
    pub ty: TypeRef,
    /// [`message_hash`](crate::message_hash) of its full name.
    pub hash: u64,
    /// What the schema asks of its values, and of those of messages inside; `None` for nothing.
    pub rules: Option<MessageRules>,
    /// Where it is defined.
    pub place: Option<Place>,
}

/// An enum type that the package defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enum {
    /// Its type.
    pub ty: TypeRef,
    /// Where it is defined.
    pub place: Option<Place>,
}

/// A type as a schema and as Rust name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRef {
    /// The full protobuf name without a leading dot.
    pub full_name: String,
    /// The Rust type as prost resolved it.
    pub rust_path: String,
    /// Whether `rust_path` starts at the package's module; else it is the same everywhere.
    pub relative: bool,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The full name, such as `inventory.v1.Inventory`.
    pub full_name: String,
    /// The Rust name of its handler trait, raw where needed.
    pub rust_name: String,
    /// Documentation lines.
    pub docs: Vec<String>,
    /// Whether the schema marks it deprecated.
    pub deprecated: bool,
    /// Its methods in the order of the schema.
    pub methods: Vec<Method>,
    /// The released revision; 0 when the service was not released as it is.
    pub revision: u32,
    /// The fingerprint of what the wire depends on, see `docs/fingerprint.md`.
    pub fingerprint: u64,
    /// Released revisions that are compatible with this one in both directions, the newest 16, newest first.
    pub compatible: Vec<Revision>,
    /// The serialized `FileDescriptorSet` of its file and of what that imports, imports first,
    /// without source positions.
    pub file_descriptor_set: Vec<u8>,
    /// What its messages, and those inside of them, take in memory; empty if that is not known.
    pub footprints: Vec<MessageFootprint>,
    /// Where it is defined.
    pub place: Option<Place>,
}

/// A released revision of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number: 1 for the first.
    pub number: u32,
    /// Its fingerprint.
    pub fingerprint: u64,
}

/// A method of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The name in the schema, such as `GetProcess`.
    pub proto_name: String,
    /// The name of the Rust function, raw where needed.
    pub rust_name: String,
    /// `/<full service name>/<Method name>`.
    pub path: String,
    /// [`method_ordinal`](crate::method_ordinal) of the path.
    pub ordinal: u64,
    /// Which sides stream.
    pub kind: MethodKind,
    /// What the schema promises about a repeated call.
    pub idempotency: Idempotency,
    /// Who may call it; empty where the schema does not say.
    pub access: Vec<Allow>,
    /// The request message.
    pub input: TypeRef,
    /// The response message.
    pub output: TypeRef,
    /// The place of the request among the footprints of the service.
    pub input_footprint: u32,
    /// The place of the response.
    pub output_footprint: u32,
    /// Whether the schema has rules for requests.
    pub checks_input: bool,
    /// Whether the schema has rules for responses.
    pub checks_output: bool,
    /// Documentation lines.
    pub docs: Vec<String>,
    /// Whether the schema marks it deprecated.
    pub deprecated: bool,
    /// Where it is defined.
    pub place: Option<Place>,
}

/// Which sides of a method stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// One request, a stream of responses.
    ServerStreaming,
    /// A stream of requests, one response.
    ClientStreaming,
    /// A stream each way.
    BidiStreaming,
}

/// What the schema promises about a repeated call (`option idempotency_level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing.
    Unknown,
    /// The method changes nothing.
    NoSideEffects,
    /// Twice is as good as once.
    Idempotent,
}

impl MethodKind {
    /// The kind of a method whose client and server stream or do not.
    #[must_use]
    pub fn new(client_streams: bool, server_streams: bool) -> Self {
        match (client_streams, server_streams) {
            (false, false) => Self::Unary,
            (false, true) => Self::ServerStreaming,
            (true, false) => Self::ClientStreaming,
            (true, true) => Self::BidiStreaming,
        }
    }

    /// Whether requests are a stream.
    #[must_use]
    pub fn client_streams(self) -> bool {
        matches!(self, Self::ClientStreaming | Self::BidiStreaming)
    }

    /// Whether responses are a stream.
    #[must_use]
    pub fn server_streams(self) -> bool {
        matches!(self, Self::ServerStreaming | Self::BidiStreaming)
    }
}

impl Schema {
    /// The package of that name.
    #[must_use]
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The module inside that of `package` in which the package `other` is, if it is below.
    pub(crate) fn module_below(&self, package: &Package, other: &str) -> Option<&str> {
        let other = self.package(other)?.module.strip_prefix(&*package.module)?;
        other.first().map(String::as_str)
    }

    /// Every service of every package.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.packages.iter().flat_map(|package| &package.services)
    }
}
