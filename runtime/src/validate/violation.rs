//! What a check reports, in the messages that protovalidate defines for it
//! (buf/validate/validate.proto), so that clients in any language can read them.
//!
//! **Invariant**: names, numbers and types are those of that schema; `tests/validate` compares them with
//! the copy that the generator carries.

use std::fmt;

use prost::{Message, Name, Oneof};

/// All rules that a message breaks (`buf.validate.Violations`).
///
/// ```
/// use daemoneye_ipc::{Status, validate::{Violation, Violations}};
/// let violations = Violations { violations: vec![Violation { rule_id: "required".into(), ..Violation::default() }] };
/// let status = Status::from(violations.clone());
/// assert_eq!(status.detail::<Violations>(), Some(violations));
/// ```
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Violations {
    /// The violations, in the order of the fields.
    #[prost(message, repeated, tag = "1")]
    pub violations: Vec<Violation>,
}

/// One rule that a message breaks (`buf.validate.Violation`).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Violation {
    /// The field; `None` if the message as a whole is meant.
    #[prost(message, optional, tag = "5")]
    pub field: Option<FieldPath>,
    /// The rule, as a path in `buf.validate.FieldRules`, such as `string.min_len`.
    #[prost(message, optional, tag = "6")]
    pub rule: Option<FieldPath>,
    /// The rule's id, such as `string.min_len` or `int32.gt_lt`.
    #[prost(string, tag = "2")]
    pub rule_id: String,
    /// What is wrong, for people.
    #[prost(string, tag = "3")]
    pub message: String,
    /// Whether the key of a map is meant, and not its value.
    #[prost(bool, tag = "4")]
    pub for_key: bool,
}

/// A way through nested messages (`buf.validate.FieldPath`).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FieldPath {
    /// The steps from the outermost message.
    #[prost(message, repeated, tag = "1")]
    pub elements: Vec<FieldPathElement>,
}

/// One step of a [`FieldPath`] (`buf.validate.FieldPathElement`).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FieldPathElement {
    /// The field's number; 0 for a oneof.
    #[prost(int32, tag = "1")]
    pub field_number: i32,
    /// The name of the field or oneof.
    #[prost(string, tag = "2")]
    pub field_name: String,
    /// The field's type, as `google.protobuf.FieldDescriptorProto.Type`; 0 for a oneof.
    #[prost(int32, tag = "3")]
    pub field_type: i32,
    /// The type of the keys, if the field is a map.
    #[prost(int32, tag = "4")]
    pub key_type: i32,
    /// The type of the values, if the field is a map.
    #[prost(int32, tag = "5")]
    pub value_type: i32,
    /// Which item of a list or entry of a map is meant.
    #[prost(oneof = "Subscript", tags = "6, 7, 8, 9, 10")]
    pub subscript: Option<Subscript>,
}

/// An item of a list or an entry of a map.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum Subscript {
    /// The item's place, from 0.
    #[prost(uint64, tag = "6")]
    Index(u64),
    /// The key of a map by `bool`.
    #[prost(bool, tag = "7")]
    BoolKey(bool),
    /// The key of a map by a signed integer.
    #[prost(int64, tag = "8")]
    IntKey(i64),
    /// The key of a map by an unsigned integer.
    #[prost(uint64, tag = "9")]
    UintKey(u64),
    /// The key of a map by string, cut after 64 characters.
    #[prost(string, tag = "10")]
    StringKey(String),
}

impl Name for Violations {
    const PACKAGE: &'static str = "buf.validate";
    const NAME: &'static str = "Violations";

    fn full_name() -> String {
        "buf.validate.Violations".to_owned()
    }

    fn type_url() -> String {
        "type.googleapis.com/buf.validate.Violations".to_owned()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(match self.message.as_str() {
            "" => &self.rule_id,
            message => message,
        })
    }
}

impl fmt::Display for FieldPath {
    /// As in `filter.names[3]` and `labels["colour"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, element) in self.elements.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&element.field_name)?;
            match &element.subscript {
                None => {}
                Some(Subscript::Index(index)) => write!(f, "[{index}]")?,
                Some(Subscript::BoolKey(key)) => write!(f, "[{key}]")?,
                Some(Subscript::IntKey(key)) => write!(f, "[{key}]")?,
                Some(Subscript::UintKey(key)) => write!(f, "[{key}]")?,
                Some(Subscript::StringKey(key)) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}
