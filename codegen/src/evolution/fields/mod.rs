//! Rules on fields, by what they look at.
//!
//! **Invariant**: fields are paired by number; extensions are fields too, paired by the message they extend.

mod cardinality;
mod default;
mod deleted;
mod name;
mod text;
mod wire_type;

use super::entry::Entry;

/// The field of `FieldDescriptorProto` with the options.
const OPTIONS: i32 = 8;
/// The field of `FieldOptions` with the features.
const FEATURES: i32 = 21;

/// All of them.
pub(super) const GROUPS: [&[Entry]; 6] = [
    cardinality::RULES,
    default::RULES,
    deleted::RULES,
    name::RULES,
    text::RULES,
    wire_type::RULES,
];
