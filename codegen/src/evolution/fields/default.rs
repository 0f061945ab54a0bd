//! The rule on default values.
//!
//! **Invariant**: values are compared as what they are, not as they are written, and across types where that
//! makes sense.

use super::super::describe;
use super::super::entry::Entry;
use super::super::names::WIRE;
use super::super::pairs::{Comparison, Pair};
use crate::image::{Field, Image, Kind, Label};
use crate::rules::{Direction, Report, Rule};

/// The field of `FieldDescriptorProto` with the default.
const DEFAULT: i32 = 7;

pub(super) const RULES: &[Entry] = &[Entry::wire(
    "FIELD_SAME_DEFAULT",
    WIRE,
    "Checks that fields have the same default value, if a default is specified.",
    Direction::Both,
    "A field that is not sent has one value here and another there.",
    changed,
)];

fn changed(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.fields {
        let before = Value::of(comparison.old, old);
        let now = Value::of(comparison.new, new);
        let (Some(before), Some(now)) = (before, now) else {
            continue;
        };
        if before.is_same(&now) {
            continue;
        }
        let message = format!(
            "{} changed default value from {} to {}.",
            describe::field(comparison.new, new),
            shown(comparison.old, old, &before),
            shown(comparison.new, new, &now)
        );
        let path = |field: &Field| [&*field.path, &[DEFAULT]].concat();
        let at = comparison.first(new.file, &[&path(new), &new.path]);
        let against = comparison.first_old(old.file, &[&path(old), &old.path]);
        report.add(rule, at, against, message);
    }
}

/// A default value.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(Vec<u8>),
    Whole(i128),
    Float(f32),
    Double(f64),
}

impl Value {
    /// The default of a field: `None` for those that cannot have one.
    fn of(image: &Image, field: &Field) -> Option<Self> {
        if field.label == Label::Repeated {
            return None;
        }
        let stated = field.default_value.as_deref();
        let value = match field.kind {
            Kind::Message | Kind::Group => return None,
            Kind::String => Self::Text(stated.unwrap_or_default().as_bytes().to_vec()),
            Kind::Bytes => Self::Text(unescaped(stated.unwrap_or_default())),
            Kind::Float => Self::Float(number(stated)),
            Kind::Double => Self::Double(number(stated)),
            Kind::Bool => Self::Whole(i128::from(stated == Some("true"))),
            Kind::Enum => Self::Whole(i128::from(enum_number(image, field, stated))),
            _ => Self::Whole(number(stated)),
        };
        Some(value)
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Text(_), _) | (_, Self::Text(_)) => self.is_zero() && other.is_zero(),
            (Self::Whole(one), Self::Whole(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => {
                same_float(f64::from(*one), f64::from(*other))
            }
            (Self::Double(one), Self::Double(other)) => same_float(*one, *other),
            (Self::Float(single), Self::Double(double))
            | (Self::Double(double), Self::Float(single)) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "what the narrower type can hold is compared"
                )]
                let narrowed = *double as f32;
                same_float(f64::from(*single), f64::from(narrowed))
            }
            (Self::Whole(whole), Self::Float(float)) | (Self::Float(float), Self::Whole(whole)) => {
                is_whole(f64::from(*float), *whole)
            }
            (Self::Whole(whole), Self::Double(float))
            | (Self::Double(float), Self::Whole(whole)) => is_whole(*float, *whole),
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Whole(whole) => *whole == 0,
            Self::Float(float) => *float == 0.0,
            Self::Double(double) => *double == 0.0,
        }
    }
}

fn same_float(one: f64, other: f64) -> bool {
    one == other || (one.is_nan() && other.is_nan())
}

fn is_whole(float: f64, whole: i128) -> bool {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the value is whole, and what does not fit saturates"
    )]
    let truncated = float as i128;
    float.is_finite() && float.fract() == 0.0 && truncated == whole
}

fn number<T: std::str::FromStr + Default>(stated: Option<&str>) -> T {
    stated
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// The number of a default of an enum: that of its first value, unless stated.
fn enum_number(image: &Image, field: &Field, stated: Option<&str>) -> i32 {
    let values = image.enum_named(&field.type_name).map(|item| &*item.values);
    let values = values.unwrap_or_default();
    let named = values.iter().find(|value| Some(&*value.name) == stated);
    named.or(values.first()).map_or(0, |value| value.number)
}

/// Bytes as descriptors write them: with the escapes of C.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'\\' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let (value, length) = escape(after);
        bytes.push(value);
        rest = &after[length..];
    }
    bytes
}

/// What stands behind a backslash, and how long it is.
fn escape(text: &[u8]) -> (u8, usize) {
    let digits = |text: &[u8], radix: u32, most: usize| {
        let digit = |byte: &&u8| char::from(**byte).is_digit(radix);
        let length = text.iter().take(most).take_while(digit).count();
        let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "three octal digits wrap, as in C"
        )]
        let value = u32::from_str_radix(text, radix).unwrap_or_default() as u8;
        (value, length)
    };
    match text {
        [b'x' | b'X', rest @ ..] => {
            let (value, length) = digits(rest, 16, 2);
            (value, length + 1)
        }
        [b'0'..=b'7', ..] => digits(text, 8, 3),
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [b'a', ..] => (7, 1),
        [b'b', ..] => (8, 1),
        [b'f', ..] => (12, 1),
        [b'v', ..] => (11, 1),
        [other, ..] => (*other, 1),
        [] => (b'\\', 0),
    }
}

/// A value as messages show it.
fn shown(image: &Image, field: &Field, value: &Value) -> String {
    match value {
        Value::Text(bytes) if field.kind == Kind::Bytes => {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:X}")).collect();
            format!("[{}]", bytes.join(","))
        }
        Value::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Value::Whole(whole) if field.kind == Kind::Bool => (*whole != 0).to_string(),
        Value::Whole(whole) if field.kind == Kind::Enum => match image.enum_named(&field.type_name)
        {
            Some(item) => {
                let mut values = item.values.iter();
                let value = values.find(|value| i128::from(value.number) == *whole);
                format!("{}.{}", item.name, value.map_or("", |value| &value.name))
            }
            None => whole.to_string(),
        },
        Value::Whole(whole) => whole.to_string(),
        Value::Float(float) => float.to_string(),
        Value::Double(double) => double.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_c_escapes_them() {
        assert_eq!(unescaped(r#"a\x41\101\n\"\\\377"#), b"aAA\n\"\\\xff");
        assert_eq!(unescaped("\\"), b"\\");
    }

    #[test]
    fn values_are_compared_across_types() {
        let same = |one: Value, other: Value| one.is_same(&other) && other.is_same(&one);
        assert!(same(Value::Whole(3), Value::Double(3.0)));
        assert!(!same(Value::Whole(3), Value::Double(3.5)));
        assert!(same(Value::Float(0.1), Value::Double(0.1)));
        assert!(same(Value::Double(f64::NAN), Value::Float(f32::NAN)));
        assert!(!same(Value::Whole(0), Value::Double(f64::INFINITY)));
        assert!(!same(Value::Text(b"3".to_vec()), Value::Whole(3)));
        assert!(same(Value::Text(Vec::new()), Value::Whole(0)));
    }
}
