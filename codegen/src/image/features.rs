//! Features of editions, and what they are for proto2 and proto3, which are seen as editions.
//!
//! **Invariant**: a resolved feature is never unknown: what an element does not set is its parent's, and a
//! file's is the default of its edition.

use prost::Message;

use super::Edition;

/// `google.protobuf.FeatureSet`, as one element sets it.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of descriptor.proto"
)]
pub struct FeatureSet {
    #[prost(int32, optional, tag = "1")]
    pub field_presence: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub enum_type: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub repeated_field_encoding: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub utf8_validation: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub message_encoding: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    pub json_format: Option<i32>,
    #[prost(message, optional, tag = "1000")]
    pub cpp: Option<CppFeatures>,
    #[prost(message, optional, tag = "1001")]
    pub java: Option<JavaFeatures>,
}

/// `pb.CppFeatures`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of cpp_features.proto"
)]
pub struct CppFeatures {
    #[prost(bool, optional, tag = "1")]
    pub legacy_closed_enum: Option<bool>,
    #[prost(int32, optional, tag = "2")]
    pub string_type: Option<i32>,
}

/// `pb.JavaFeatures`.
#[derive(Clone, PartialEq, Message)]
#[expect(
    missing_docs,
    reason = "the names and meaning are those of java_features.proto"
)]
pub struct JavaFeatures {
    #[prost(bool, optional, tag = "1")]
    pub legacy_closed_enum: Option<bool>,
    #[prost(int32, optional, tag = "2")]
    pub utf8_validation: Option<i32>,
}

/// The features of an element, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Whether a field that is not set can be told from one with the default value.
    pub presence: Presence,
    /// Whether an enum takes numbers that it does not know.
    pub closed_enum: bool,
    /// Whether repeated fields of numbers are packed.
    pub packed: bool,
    /// Whether strings must be UTF-8.
    pub utf8: bool,
    /// Whether messages are encoded as groups.
    pub delimited: bool,
    /// Whether the JSON form is promised (`ALLOW`) or merely tried (`LEGACY_BEST_EFFORT`).
    pub json: bool,
    /// `(pb.cpp).string_type`: 1 VIEW, 2 CORD, 3 STRING.
    pub cpp_string: i32,
    /// Whether `(pb.java).utf8_validation` is `VERIFY`.
    pub java_utf8: bool,
}

/// `FeatureSet.FieldPresence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// What was set is known.
    Explicit,
    /// A default value is as good as none.
    Implicit,
    /// Must be set.
    Required,
}

impl Features {
    /// The defaults of an edition.
    #[must_use]
    pub fn of(edition: Edition) -> Self {
        let edition2023 = Self {
            presence: Presence::Explicit,
            closed_enum: false,
            packed: true,
            utf8: true,
            delimited: false,
            json: true,
            cpp_string: 3,
            java_utf8: false,
        };
        match edition {
            Edition::Proto2 => Self {
                closed_enum: true,
                packed: false,
                utf8: false,
                json: false,
                ..edition2023
            },
            Edition::Proto3 => Self {
                presence: Presence::Implicit,
                ..edition2023
            },
            Edition::Numbered(number) if number >= Edition::EDITION_2024 => Self {
                cpp_string: 1,
                ..edition2023
            },
            Edition::Numbered(_) => edition2023,
        }
    }

    /// The features of an element that sets `own` and inherits the rest.
    #[must_use]
    pub fn with(mut self, own: Option<&FeatureSet>) -> Self {
        let Some(own) = own else {
            return self;
        };
        match own.field_presence {
            Some(1) => self.presence = Presence::Explicit,
            Some(2) => self.presence = Presence::Implicit,
            Some(3) => self.presence = Presence::Required,
            _ => {}
        }
        let set = |feature: &mut bool, value: Option<i32>, yes: i32| match value {
            None | Some(0) => {}
            Some(value) => *feature = value == yes,
        };
        set(&mut self.closed_enum, own.enum_type, 2);
        set(&mut self.packed, own.repeated_field_encoding, 1);
        set(&mut self.utf8, own.utf8_validation, 2);
        set(&mut self.delimited, own.message_encoding, 2);
        set(&mut self.json, own.json_format, 1);
        let java = own.java.as_ref().and_then(|java| java.utf8_validation);
        set(&mut self.java_utf8, java, 2);
        let cpp = own.cpp.as_ref().and_then(|cpp| cpp.string_type);
        if let Some(string) = cpp.filter(|string| *string != 0) {
            self.cpp_string = string;
        }
        self
    }
}
