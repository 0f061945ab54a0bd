//! Rules of `google.protobuf.Any` and `google.protobuf.FieldMask`.
//!
//! **Invariant**: what an `Any` holds is not looked into.

use prost_types::{Any, FieldMask};

use super::{Field, Path, Report, STRING_TYPE, listed};
use crate::validate::report::MESSAGE;

/// A rule of an `Any`.
#[derive(Debug, Clone, Copy)]
pub enum AnyRule {
    /// Of one of these type URLs.
    In(&'static [&'static str]),
    /// Of none of these type URLs.
    NotIn(&'static [&'static str]),
}

/// Checks the type of an `Any`.
pub fn any(value: &Any, rules: &[AnyRule], at: &Path<'_>, report: &mut Report) {
    static ANY: Field = Field::new(20, "any", MESSAGE);
    static IN: Field = Field::new(2, "in", STRING_TYPE);
    static NOT_IN: Field = Field::new(3, "not_in", STRING_TYPE);
    let url = value.type_url.as_str();
    for rule in rules {
        match *rule {
            AnyRule::In(list) if !list.contains(&url) => {
                let message = "type URL must be in the allow list";
                report.add(at, &[&ANY, &IN], "any.in", message);
            }
            AnyRule::NotIn(list) if list.contains(&url) => {
                let message = "type URL must not be in the block list";
                report.add(at, &[&ANY, &NOT_IN], "any.not_in", message);
            }
            _ => {}
        }
    }
}

/// A rule of a field mask.
#[derive(Debug, Clone, Copy)]
pub enum FieldMaskRule {
    /// Exactly these paths, in this order.
    Const(&'static [&'static str]),
    /// Only these paths and what is below them.
    In(&'static [&'static str]),
    /// Neither these paths nor what is below them.
    NotIn(&'static [&'static str]),
}

/// Checks the paths of a field mask.
pub fn field_mask(value: &FieldMask, rules: &[FieldMaskRule], at: &Path<'_>, report: &mut Report) {
    static FIELD_MASK: Field = Field::new(28, "field_mask", MESSAGE);
    static CONST: Field = Field::new(1, "const", MESSAGE);
    static IN: Field = Field::new(2, "in", STRING_TYPE);
    static NOT_IN: Field = Field::new(3, "not_in", STRING_TYPE);
    for rule in rules {
        match *rule {
            FieldMaskRule::Const(paths) if value.paths != paths => {
                let message = format!("must equal paths {}", listed(paths));
                report.add(at, &[&FIELD_MASK, &CONST], "field_mask.const", message);
            }
            FieldMaskRule::In(list) if !value.paths.iter().all(|path| covered(list, path)) => {
                let message = format!("must only contain paths in {}", listed(list));
                report.add(at, &[&FIELD_MASK, &IN], "field_mask.in", message);
            }
            FieldMaskRule::NotIn(list) if value.paths.iter().any(|path| covered(list, path)) => {
                let message = format!("must not contain any paths in {}", listed(list));
                report.add(at, &[&FIELD_MASK, &NOT_IN], "field_mask.not_in", message);
            }
            _ => {}
        }
    }
}

/// Whether `path` is one of `list`, or below one.
fn covered(list: &[&str], path: &str) -> bool {
    list.iter().any(|parent| {
        path.strip_prefix(parent)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
