//! Rules of numbers, of `bool` and of enums.
//!
//! **Invariant**: two bounds are one rule: a range, or, where the upper is below the lower, its outside.

use std::fmt::Display;

use super::{BOOL_TYPE, Field, Path, Report, listed};
use crate::validate::report::MESSAGE;

/// The rules of one type of numbers: its place in `buf.validate.FieldRules`, and those of its rules.
#[derive(Debug)]
pub struct Group {
    field: Field,
    /// `const`, `lt`, `lte`, `gt`, `gte`, `in`, `not_in`.
    rules: [Field; 7],
}

impl Group {
    pub(super) const fn new(number: i32, name: &'static str, ty: i32, first: [i32; 7]) -> Self {
        let [constant, lt, lte, gt, gte, one_of, none_of] = first;
        Self {
            field: Field::new(number, name, MESSAGE),
            rules: [
                Field::new(constant, "const", ty),
                Field::new(lt, "lt", ty),
                Field::new(lte, "lte", ty),
                Field::new(gt, "gt", ty),
                Field::new(gte, "gte", ty),
                Field::new(one_of, "in", ty),
                Field::new(none_of, "not_in", ty),
            ],
        }
    }

    /// The value breaks the rule with that index in `rules`.
    fn broken(&self, index: usize, message: String, at: &Path<'_>, report: &mut Report) {
        let rule = &self.rules[index];
        let id = format!("{}.{}", self.field.name, rule.name);
        report.add(at, &[&self.field, rule], id, message);
    }
}

const PLAIN: [i32; 7] = [1, 2, 3, 4, 5, 6, 7];

macro_rules! groups {
    ($($constant:ident = $number:literal, $name:literal, $ty:literal;)*) => {
        $(
            #[doc = concat!("Rules of `", $name, "` fields.")]
            pub static $constant: Group = Group::new($number, $name, $ty, PLAIN);
        )*
    };
}

groups! {
    FLOAT = 1, "float", 2;
    DOUBLE = 2, "double", 1;
    INT32 = 3, "int32", 5;
    INT64 = 4, "int64", 3;
    UINT32 = 5, "uint32", 13;
    UINT64 = 6, "uint64", 4;
    SINT32 = 7, "sint32", 17;
    SINT64 = 8, "sint64", 18;
    FIXED32 = 9, "fixed32", 7;
    FIXED64 = 10, "fixed64", 6;
    SFIXED32 = 11, "sfixed32", 15;
    SFIXED64 = 12, "sfixed64", 16;
}

/// A rule of a number.
#[derive(Debug, Clone, Copy)]
pub enum NumberRule<T: 'static> {
    /// Equal to this.
    Const(T),
    /// Within these bounds.
    Range(Lower<T>, Upper<T>),
    /// One of these.
    In(&'static [T]),
    /// None of these.
    NotIn(&'static [T]),
    /// Neither NaN nor an infinity.
    Finite,
}

/// A lower bound.
#[derive(Debug, Clone, Copy)]
pub enum Lower<T> {
    /// None.
    Open,
    /// Greater than.
    Gt(T),
    /// Greater than or equal to.
    Gte(T),
}

/// An upper bound.
#[derive(Debug, Clone, Copy)]
pub enum Upper<T> {
    /// None.
    Open,
    /// Less than.
    Lt(T),
    /// Less than or equal to.
    Lte(T),
}

impl<T> Lower<T> {
    pub(super) fn map<U>(self, into: impl FnOnce(T) -> U) -> Lower<U> {
        match self {
            Self::Open => Lower::Open,
            Self::Gt(bound) => Lower::Gt(into(bound)),
            Self::Gte(bound) => Lower::Gte(into(bound)),
        }
    }
}

impl<T> Upper<T> {
    pub(super) fn map<U>(self, into: impl FnOnce(T) -> U) -> Upper<U> {
        match self {
            Self::Open => Upper::Open,
            Self::Lt(bound) => Upper::Lt(into(bound)),
            Self::Lte(bound) => Upper::Lte(into(bound)),
        }
    }
}

/// What the rules need to know of a number. NaN is within no bounds.
pub trait Number: Copy + PartialOrd + Display {
    /// Whether it is neither NaN nor an infinity.
    fn is_finite(self) -> bool {
        true
    }
}

impl Number for i32 {}
impl Number for i64 {}
impl Number for u32 {}
impl Number for u64 {}
impl Number for f32 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}
impl Number for f64 {
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

/// Checks a number.
pub fn number<T: Number>(
    group: &'static Group,
    value: T,
    rules: &[NumberRule<T>],
    at: &Path<'_>,
    report: &mut Report,
) {
    for rule in rules {
        match *rule {
            NumberRule::Const(wanted) if value != wanted => {
                group.broken(0, format!("must equal {wanted}"), at, report);
            }
            NumberRule::Range(lower, upper) => range(group, value, lower, upper, at, report),
            NumberRule::In(list) if !list.contains(&value) => {
                group.broken(5, format!("must be in list {}", listed(list)), at, report);
            }
            NumberRule::NotIn(list) if list.contains(&value) => {
                let message = format!("must not be in list {}", listed(list));
                group.broken(6, message, at, report);
            }
            NumberRule::Finite if !value.is_finite() => finite(group, at, report),
            _ => {}
        }
    }
}

fn finite(group: &Group, at: &Path<'_>, report: &mut Report) {
    static FINITE: Field = Field::new(8, "finite", BOOL_TYPE);
    let id = format!("{}.finite", group.field.name);
    report.add(at, &[&group.field, &FINITE], id, "must be finite");
}

fn range<T: Number>(
    group: &Group,
    value: T,
    lower: Lower<T>,
    upper: Upper<T>,
    at: &Path<'_>,
    report: &mut Report,
) {
    let (above, low) = match lower {
        Lower::Open => (true, None),
        Lower::Gt(bound) => (value > bound, Some((3, "greater than", bound))),
        Lower::Gte(bound) => (value >= bound, Some((4, "greater than or equal to", bound))),
    };
    let (below, high) = match upper {
        Upper::Open => (true, None),
        Upper::Lt(bound) => (value < bound, Some((1, "less than", bound))),
        Upper::Lte(bound) => (value <= bound, Some((2, "less than or equal to", bound))),
    };
    let text = |(_, words, bound): (usize, &str, T)| format!("{words} {bound}");
    match (low, high) {
        (Some(low), Some(high)) => {
            // An upper bound below the lower leaves out what is between the two.
            let outside = high.2 < low.2;
            if if outside {
                above || below
            } else {
                above && below
            } {
                return;
            }
            let (word, suffix) = if outside {
                ("or", "_exclusive")
            } else {
                ("and", "")
            };
            let name = group.field.name;
            let (lower, upper) = (&group.rules[low.0], &group.rules[high.0]);
            let id = format!("{name}.{}_{}{suffix}", lower.name, upper.name);
            let message = format!("must be {} {word} {}", text(low), text(high));
            report.add(at, &[&group.field, lower], id, message);
        }
        (Some(bound), None) if !above => {
            group.broken(bound.0, format!("must be {}", text(bound)), at, report);
        }
        (None, Some(bound)) if !below => {
            group.broken(bound.0, format!("must be {}", text(bound)), at, report);
        }
        _ => {}
    }
}

/// Checks a `bool` that must equal `wanted`.
pub fn boolean(value: bool, wanted: bool, at: &Path<'_>, report: &mut Report) {
    static BOOL: Field = Field::new(13, "bool", MESSAGE);
    static CONST: Field = Field::new(1, "const", BOOL_TYPE);
    if value != wanted {
        let message = format!("must equal {wanted}");
        report.add(at, &[&BOOL, &CONST], "bool.const", message);
    }
}

/// A rule of an enum.
#[derive(Debug, Clone, Copy)]
pub enum EnumRule {
    /// Equal to this.
    Const(i32),
    /// One of the values that the schema defines, which are these.
    DefinedOnly(&'static [i32]),
    /// One of these.
    In(&'static [i32]),
    /// None of these.
    NotIn(&'static [i32]),
}

/// Rules of enums. The third to fifth are not among them: enums have no bounds.
pub static ENUM: Group = Group::new(16, "enum", 5, [1, 0, 0, 0, 0, 3, 4]);

/// Checks the number of an enum's value.
pub fn enumeration(value: i32, rules: &[EnumRule], at: &Path<'_>, report: &mut Report) {
    static DEFINED_ONLY: Field = Field::new(2, "defined_only", BOOL_TYPE);
    for rule in rules {
        match *rule {
            EnumRule::Const(wanted) => {
                number(&ENUM, value, &[NumberRule::Const(wanted)], at, report);
            }
            EnumRule::In(list) => number(&ENUM, value, &[NumberRule::In(list)], at, report),
            EnumRule::NotIn(list) => number(&ENUM, value, &[NumberRule::NotIn(list)], at, report),
            EnumRule::DefinedOnly(defined) if !defined.contains(&value) => {
                let path = [&ENUM.field, &DEFINED_ONLY];
                let message = "value must be one of the defined enum values";
                report.add(at, &path, "enum.defined_only", message);
            }
            EnumRule::DefinedOnly(_) => {}
        }
    }
}
