//! The rules, one module per sort of value. The generator names them with the schema's numbers and
//! texts; ids and messages are those of protovalidate, so that a client need not care who checked.
//!
//! **Invariant**: each rule is judged here and nowhere else.

mod bytes;
mod collections;
mod number;
mod text;
mod time;
mod well_known;

pub use self::{
    bytes::{BytesRule, bytes},
    collections::{MapRule, RepeatedRule, map, repeated, unique, unique_floats},
    number::{
        DOUBLE, ENUM, EnumRule, FIXED32, FIXED64, FLOAT, Group, INT32, INT64, Lower, NumberRule,
        SFIXED32, SFIXED64, SINT32, SINT64, UINT32, UINT64, Upper, boolean, enumeration, number,
    },
    text::{Format, StringRule, string},
    time::{DurationRule, Time, TimestampRule, duration, timestamp},
    well_known::{AnyRule, FieldMaskRule, any, field_mask},
};
use super::report::{Field, Path, Report};

// google.protobuf.FieldDescriptorProto.Type
const UINT64_TYPE: i32 = 4;
const BOOL_TYPE: i32 = 8;
const STRING_TYPE: i32 = 9;
const BYTES_TYPE: i32 = 12;

/// Whether a value is zero, empty, or a message without any field set.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The field at `at` has no value, and must have one.
pub fn required(at: &Path<'_>, report: &mut Report) {
    static REQUIRED: Field = Field::new(25, "required", BOOL_TYPE);
    report.add(at, &[&REQUIRED], "required", "value is required");
}

/// The oneof at `at` is not set, and must be.
pub fn oneof_required(at: &Path<'_>, report: &mut Report) {
    report.add(
        at,
        &[],
        "required",
        "exactly one field is required in oneof",
    );
}

/// How many fields of a message rule `oneof` are set: at most one may be, and one must be if `required`.
pub fn message_oneof(
    set: &[bool],
    fields: &'static str,
    required: bool,
    at: &Path<'_>,
    report: &mut Report,
) {
    let set = set.iter().filter(|set| **set).count();
    if set > 1 {
        let message = format!("only one of {fields} can be set");
        report.add(at, &[], "message.oneof", message);
    } else if set == 0 && required {
        let message = format!("one of {fields} must be set");
        report.add(at, &[], "message.oneof", message);
    }
}

/// The items of a list in a rule, as CEL prints them.
fn listed<T: std::fmt::Display>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    format!("[{}]", items.join(", "))
}
