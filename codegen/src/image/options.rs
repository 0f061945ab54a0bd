//! The options that `descriptor.proto` defines, and a way to those that it does not.
//!
//! **Invariant**: what is not set is `None`, never its default; custom options stay as they were encoded.

use std::ops::Deref;
use std::sync::LazyLock;

use prost::Message;
use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

use super::features::FeatureSet;

/// Options of an element: those of `descriptor.proto`, and the bytes they were read from, in which custom
/// options are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options<T> {
    /// The options that `descriptor.proto` defines.
    pub known: Known<T>,
    /// All options as they were encoded.
    pub raw: Box<[u8]>,
}

/// The options of an element, which take no memory where there are none: most elements have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known<T>(Option<Box<T>>);

impl<T: Unset> Deref for Known<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(options) => options,
            None => T::unset(),
        }
    }
}

/// Options with a value for elements that set none.
pub trait Unset: Message + Default + 'static {
    /// What nothing is set of.
    fn unset() -> &'static Self;
}

macro_rules! unset {
    ($($options:ident)*) => {$(
        impl Unset for $options {
            fn unset() -> &'static Self {
                static UNSET: LazyLock<$options> = LazyLock::new($options::default);
                &UNSET
            }
        }
    )*};
}

unset! {
    FileOptions MessageOptions FieldOptions OneofOptions EnumOptions EnumValueOptions ExtensionRangeOptions
    ServiceOptions MethodOptions
}

impl<T: Unset> Options<T> {
    /// Reads options; bytes that are none are taken as no options.
    pub(super) fn read(raw: Vec<u8>) -> Self {
        let known = (!raw.is_empty()).then(|| T::decode(&*raw).map(Box::new).ok());
        Self {
            known: Known(known.flatten()),
            raw: raw.into_boxed_slice(),
        }
    }

    /// The contents of the length-delimited custom option `number` (a message, a string), as often as it was
    /// set.
    pub fn extension(&self, number: u32) -> impl Iterator<Item = &[u8]> {
        delimited(&self.raw).filter_map(move |(tag, bytes)| (tag == number).then_some(bytes))
    }
}

/// The length-delimited fields of an encoded message; stops where the encoding is wrong.
pub(crate) fn delimited(bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (tag, wire) = decode_key(&mut rest).ok()?;
            if wire == WireType::LengthDelimited {
                let length = prost::encoding::decode_varint(&mut rest).ok()?;
                let length = usize::try_from(length).ok()?;
                let content = rest.get(..length)?;
                rest.advance(length);
                return Some((tag, content));
            }
            skip_field(wire, tag, &mut rest, DecodeContext::default()).ok()?;
        }
        None
    })
}

/// `google.protobuf.FileOptions`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct FileOptions {
    #[prost(string, optional, tag = "1")]
    pub java_package: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub java_outer_classname: Option<String>,
    #[prost(int32, optional, tag = "9")]
    pub optimize_for: Option<i32>,
    #[prost(bool, optional, tag = "10")]
    pub java_multiple_files: Option<bool>,
    #[prost(string, optional, tag = "11")]
    pub go_package: Option<String>,
    #[prost(bool, optional, tag = "16")]
    pub cc_generic_services: Option<bool>,
    #[prost(bool, optional, tag = "17")]
    pub java_generic_services: Option<bool>,
    #[prost(bool, optional, tag = "18")]
    pub py_generic_services: Option<bool>,
    #[prost(bool, optional, tag = "20")]
    pub java_generate_equals_and_hash: Option<bool>,
    #[prost(bool, optional, tag = "23")]
    pub deprecated: Option<bool>,
    #[prost(bool, optional, tag = "27")]
    pub java_string_check_utf8: Option<bool>,
    #[prost(bool, optional, tag = "31")]
    pub cc_enable_arenas: Option<bool>,
    #[prost(string, optional, tag = "36")]
    pub objc_class_prefix: Option<String>,
    #[prost(string, optional, tag = "37")]
    pub csharp_namespace: Option<String>,
    #[prost(string, optional, tag = "39")]
    pub swift_prefix: Option<String>,
    #[prost(string, optional, tag = "40")]
    pub php_class_prefix: Option<String>,
    #[prost(string, optional, tag = "41")]
    pub php_namespace: Option<String>,
    #[prost(string, optional, tag = "44")]
    pub php_metadata_namespace: Option<String>,
    #[prost(string, optional, tag = "45")]
    pub ruby_package: Option<String>,
    #[prost(message, optional, tag = "50")]
    pub features: Option<FeatureSet>,
}

/// `google.protobuf.MessageOptions`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct MessageOptions {
    #[prost(bool, optional, tag = "1")]
    pub message_set_wire_format: Option<bool>,
    #[prost(bool, optional, tag = "2")]
    pub no_standard_descriptor_accessor: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    pub deprecated: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub map_entry: Option<bool>,
    #[prost(bool, optional, tag = "11")]
    pub deprecated_legacy_json_field_conflicts: Option<bool>,
    #[prost(message, optional, tag = "12")]
    pub features: Option<FeatureSet>,
}

/// `google.protobuf.FieldOptions`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct FieldOptions {
    #[prost(int32, optional, tag = "1")]
    pub ctype: Option<i32>,
    #[prost(bool, optional, tag = "2")]
    pub packed: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    pub deprecated: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    pub lazy: Option<bool>,
    #[prost(int32, optional, tag = "6")]
    pub jstype: Option<i32>,
    #[prost(bool, optional, tag = "10")]
    pub weak: Option<bool>,
    #[prost(bool, optional, tag = "15")]
    pub unverified_lazy: Option<bool>,
    #[prost(bool, optional, tag = "16")]
    pub debug_redact: Option<bool>,
    #[prost(int32, optional, tag = "17")]
    pub retention: Option<i32>,
    #[prost(int32, repeated, packed = "false", tag = "19")]
    pub targets: Vec<i32>,
    #[prost(message, optional, tag = "21")]
    pub features: Option<FeatureSet>,
}

/// `google.protobuf.OneofOptions`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct OneofOptions {
    #[prost(message, optional, tag = "1")]
    pub features: Option<FeatureSet>,
}

/// `google.protobuf.EnumOptions`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct EnumOptions {
    #[prost(bool, optional, tag = "2")]
    pub allow_alias: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    pub deprecated: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub deprecated_legacy_json_field_conflicts: Option<bool>,
    #[prost(message, optional, tag = "7")]
    pub features: Option<FeatureSet>,
}

/// `google.protobuf.EnumValueOptions`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct EnumValueOptions {
    #[prost(bool, optional, tag = "1")]
    pub deprecated: Option<bool>,
    #[prost(message, optional, tag = "2")]
    pub features: Option<FeatureSet>,
    #[prost(bool, optional, tag = "3")]
    pub debug_redact: Option<bool>,
}

/// `google.protobuf.ExtensionRangeOptions`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct ExtensionRangeOptions {
    #[prost(message, optional, tag = "50")]
    pub features: Option<FeatureSet>,
}

/// `google.protobuf.ServiceOptions`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct ServiceOptions {
    #[prost(bool, optional, tag = "33")]
    pub deprecated: Option<bool>,
    #[prost(message, optional, tag = "34")]
    pub features: Option<FeatureSet>,
}

/// `google.protobuf.MethodOptions`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct MethodOptions {
    #[prost(bool, optional, tag = "33")]
    pub deprecated: Option<bool>,
    #[prost(int32, optional, tag = "34")]
    pub idempotency_level: Option<i32>,
    #[prost(message, optional, tag = "35")]
    pub features: Option<FeatureSet>,
}
