//! The messages of `google/protobuf/descriptor.proto` as they are on the wire, up to edition 2024.
//!
//! `prost-types` knows neither editions nor features, and drops what it does not know. Here options stay
//! bytes, so that custom ones are kept, and so do source positions, which are most of a descriptor set.
//!
//! **Invariant**: numbers are those of `descriptor.proto`; nothing is lost that a rule may ask for.

use prost::{Enumeration, Message};

#[derive(Clone, PartialEq, Message)]
pub(super) struct FileDescriptorSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) file: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct File {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) package: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) dependency: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub(super) message_type: Vec<Descriptor>,
    #[prost(message, repeated, tag = "5")]
    pub(super) enum_type: Vec<EnumDescriptor>,
    #[prost(message, repeated, tag = "6")]
    pub(super) service: Vec<ServiceDescriptor>,
    #[prost(message, repeated, tag = "7")]
    pub(super) extension: Vec<FieldDescriptor>,
    #[prost(bytes = "vec", tag = "8")]
    pub(super) options: Vec<u8>,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) source_code_info: Vec<u8>,
    #[prost(int32, repeated, tag = "10")]
    pub(super) public_dependency: Vec<i32>,
    #[prost(int32, repeated, tag = "11")]
    pub(super) weak_dependency: Vec<i32>,
    #[prost(string, tag = "12")]
    pub(super) syntax: String,
    #[prost(int32, tag = "14")]
    pub(super) edition: i32,
    #[prost(string, repeated, tag = "15")]
    pub(super) option_dependency: Vec<String>,
    /// What buf adds to the files of its descriptor sets.
    #[prost(message, optional, tag = "8042")]
    pub(super) buf: Option<BufFile>,
}

/// `buf.alpha.image.v1.ImageFileExtension`, as far as it is asked for.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BufFile {
    #[prost(bool, tag = "1")]
    pub(super) is_import: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Descriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) field: Vec<FieldDescriptor>,
    #[prost(message, repeated, tag = "3")]
    pub(super) nested_type: Vec<Self>,
    #[prost(message, repeated, tag = "4")]
    pub(super) enum_type: Vec<EnumDescriptor>,
    #[prost(message, repeated, tag = "5")]
    pub(super) extension_range: Vec<Range>,
    #[prost(message, repeated, tag = "6")]
    pub(super) extension: Vec<FieldDescriptor>,
    #[prost(bytes = "vec", tag = "7")]
    pub(super) options: Vec<u8>,
    #[prost(message, repeated, tag = "8")]
    pub(super) oneof_decl: Vec<OneofDescriptor>,
    #[prost(message, repeated, tag = "9")]
    pub(super) reserved_range: Vec<Range>,
    #[prost(string, repeated, tag = "10")]
    pub(super) reserved_name: Vec<String>,
    #[prost(int32, tag = "11")]
    pub(super) visibility: i32,
}

/// Reserved and extension ranges alike: the latter have options too.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Range {
    #[prost(int32, tag = "1")]
    pub(super) start: i32,
    #[prost(int32, tag = "2")]
    pub(super) end: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) options: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) extendee: String,
    #[prost(int32, tag = "3")]
    pub(super) number: i32,
    #[prost(enumeration = "Label", tag = "4")]
    pub(super) label: i32,
    #[prost(int32, tag = "5")]
    pub(super) kind: i32,
    #[prost(string, tag = "6")]
    pub(super) type_name: String,
    #[prost(string, optional, tag = "7")]
    pub(super) default_value: Option<String>,
    #[prost(bytes = "vec", tag = "8")]
    pub(super) options: Vec<u8>,
    #[prost(int32, optional, tag = "9")]
    pub(super) oneof_index: Option<i32>,
    #[prost(string, tag = "10")]
    pub(super) json_name: String,
    #[prost(bool, tag = "17")]
    pub(super) proto3_optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
pub(super) enum Label {
    Unknown = 0,
    Optional = 1,
    Required = 2,
    Repeated = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OneofDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) options: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) value: Vec<EnumValueDescriptor>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) options: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub(super) reserved_range: Vec<Range>,
    #[prost(string, repeated, tag = "5")]
    pub(super) reserved_name: Vec<String>,
    #[prost(int32, tag = "6")]
    pub(super) visibility: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumValueDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int32, tag = "2")]
    pub(super) number: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) options: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ServiceDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) method: Vec<MethodDescriptor>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) options: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MethodDescriptor {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) input_type: String,
    #[prost(string, tag = "3")]
    pub(super) output_type: String,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) options: Vec<u8>,
    #[prost(bool, tag = "5")]
    pub(super) client_streaming: bool,
    #[prost(bool, tag = "6")]
    pub(super) server_streaming: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Location {
    #[prost(int32, repeated, tag = "1")]
    pub(super) path: Vec<i32>,
    #[prost(int32, repeated, tag = "2")]
    pub(super) span: Vec<i32>,
    #[prost(string, tag = "3")]
    pub(super) leading_comments: String,
    #[prost(string, tag = "4")]
    pub(super) trailing_comments: String,
    #[prost(string, repeated, tag = "6")]
    pub(super) leading_detached_comments: Vec<String>,
}
