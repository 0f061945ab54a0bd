//! Whether rules of `buf.validate` ask for more than others.
//!
//! **Invariant**: rules are compared by their names, whatever the type they are for; a value that is only
//! documentation never counts.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};

use crate::load::VALIDATE;

/// Rules by name, such as `min_len`, or `items.min_len` for those of a list's items.
pub(in super::super) type Rules = BTreeMap<String, Value>;

/// The rules in an option of a field.
pub(super) fn field<'a>(encoded: impl Iterator<Item = &'a [u8]>) -> Rules {
    read("buf.validate.FieldRules", encoded)
}

/// The rules in an option of a message.
pub(super) fn message<'a>(encoded: impl Iterator<Item = &'a [u8]>) -> Rules {
    read("buf.validate.MessageRules", encoded)
}

/// The rules in an option of a oneof.
pub(super) fn oneof<'a>(encoded: impl Iterator<Item = &'a [u8]>) -> Rules {
    read("buf.validate.OneofRules", encoded)
}

fn read<'a>(name: &str, encoded: impl Iterator<Item = &'a [u8]>) -> Rules {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    let encoded: Vec<u8> = encoded.flatten().copied().collect();
    let mut rules = Rules::new();
    if encoded.is_empty() {
        return rules;
    }
    let pool = POOL.get_or_init(pool).as_ref();
    let descriptor = pool.and_then(|pool| pool.get_message_by_name(name));
    let message =
        descriptor.and_then(|descriptor| DynamicMessage::decode(descriptor, &*encoded).ok());
    if let Some(message) = message {
        flatten(&message, "", &mut rules);
    }
    rules
}

/// The descriptors of the rules, which come with the library.
fn pool() -> Option<DescriptorPool> {
    let mut compiler = protox::Compiler::with_file_resolver(Embedded);
    compiler.include_imports(true).open_file(VALIDATE.0).ok()?;
    Some(compiler.descriptor_pool())
}

struct Embedded;

impl protox::file::FileResolver for Embedded {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        if name == VALIDATE.0 {
            return protox::file::File::from_source(name, VALIDATE.1);
        }
        protox::file::GoogleFileResolver::new().open_file(name)
    }
}

fn flatten(message: &DynamicMessage, prefix: &str, rules: &mut Rules) {
    for (field, value) in message.fields() {
        let name = field.name();
        match value {
            // Examples ask for nothing.
            _ if name == "example" => {}
            Value::Message(inner) if inner.descriptor().parent_file().name() == VALIDATE.0 => {
                // The type that rules are for says nothing that their names do not.
                let nested = inner.descriptor().name() == "FieldRules";
                let prefix = if nested {
                    format!("{prefix}{name}.")
                } else {
                    prefix.to_owned()
                };
                flatten(inner, &prefix, rules);
            }
            value => {
                rules.insert(format!("{prefix}{name}"), value.clone());
            }
        }
    }
}

/// Rules as a schema might have them: names, and values in words.
pub(in super::super) fn shown(rules: &Rules) -> Vec<(String, String)> {
    rules
        .iter()
        .map(|(name, value)| (name.clone(), words(value)))
        .collect()
}

/// What of `now` asks for more than `before`, in words.
pub(super) fn compared(before: &Rules, now: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in now {
        let old = before.get(name);
        if old != Some(value) && is_tighter(name, old, value) {
            found.push(match old {
                Some(old) => format!(
                    "rule \"{name}\" changed from {} to {}",
                    words(old),
                    words(value)
                ),
                None => format!("rule \"{name}\" was added, with {}", words(value)),
            });
        }
    }
    // A list of what is passed over is a rule that asks for less.
    if let (Some(old), None) = (before.get("ignore"), now.get("ignore")) {
        found.push(format!(
            "rule \"ignore\" was removed, which was {}",
            words(old)
        ));
    }
    found
}

/// What the rules of a new field ask for that a peer without the field does not send.
pub(super) fn of_added(rules: &Rules, has_presence: bool) -> Option<String> {
    if rules.get("required") == Some(&Value::Bool(true)) {
        return Some("is required".to_owned());
    }
    if has_presence || rules.contains_key("ignore") {
        return None;
    }
    let at_least = |(name, value): (&String, &Value)| {
        let value = number(value)?;
        let asked = match &**name {
            "min_len" | "min_bytes" | "min_items" | "min_pairs" | "len" | "len_bytes" => {
                value > 0.0
            }
            "gt" => value >= 0.0,
            "gte" | "const" => value > 0.0,
            _ => false,
        };
        asked.then(|| format!("has the rule \"{name}\""))
    };
    rules.iter().find_map(at_least)
}

fn is_tighter(name: &str, old: Option<&Value>, new: &Value) -> bool {
    let compared = |more: fn(f64, f64) -> bool| match old {
        None => true,
        Some(old) => match (number(old), number(new)) {
            (Some(old), Some(new)) => more(new, old),
            _ => old != new,
        },
    };
    match name.rsplit('.').next().unwrap_or(name) {
        "gt" | "gte" | "min_len" | "min_bytes" | "min_items" | "min_pairs" => {
            compared(|new, old| new > old)
        }
        "lt" | "lte" | "max_len" | "max_bytes" | "max_items" | "max_pairs" | "within" => {
            compared(|new, old| new < old)
        }
        // 0 as always, 1 not for zero values, 3 never.
        "ignore" => old.is_some() && compared(|new, old| new < old),
        "in" => old.is_none_or(|old| !list(old).iter().all(|value| list(new).contains(value))),
        "not_in" | "cel" | "cel_expression" | "oneof" => {
            let known = old.map(list).unwrap_or_default();
            !list(new).iter().all(|value| known.contains(value))
        }
        _ => *new != Value::Bool(false),
    }
}

fn list(value: &Value) -> &[Value] {
    match value {
        Value::List(values) => values,
        other => std::slice::from_ref(other),
    }
}

/// A value that can be ordered: durations and times by their seconds.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::I32(value) => Some(f64::from(*value)),
        Value::U32(value) => Some(f64::from(*value)),
        #[expect(
            clippy::cast_precision_loss,
            reason = "limits beyond 2^53 are told apart by their difference"
        )]
        Value::I64(value) => Some(*value as f64),
        #[expect(
            clippy::cast_precision_loss,
            reason = "limits beyond 2^53 are told apart by their difference"
        )]
        Value::U64(value) => Some(*value as f64),
        Value::F32(value) => Some(f64::from(*value)),
        Value::F64(value) => Some(*value),
        Value::EnumNumber(value) => Some(f64::from(*value)),
        Value::Message(message) => {
            let part = |name: &str| message.get_field_by_name(name).as_deref().and_then(number);
            Some(part("seconds")? + part("nanos")? / 1e9)
        }
        _ => None,
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::Message(message) => match number(value) {
            Some(seconds) => format!("{seconds} s"),
            None => message
                .fields()
                .map(|(_, value)| words(value))
                .collect::<Vec<_>>()
                .join(" "),
        },
        Value::List(values) => format!(
            "[{}]",
            values.iter().map(words).collect::<Vec<_>>().join(", ")
        ),
        Value::String(text) => format!("{text:?}"),
        Value::EnumNumber(number) => number.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(list: &[(&str, Value)]) -> Rules {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    #[test]
    fn only_what_asks_for_more_is_tighter() {
        let text = |texts: &[&str]| {
            Value::List(
                texts
                    .iter()
                    .map(|text| Value::String((*text).to_owned()))
                    .collect(),
            )
        };
        for (name, old, new, tighter) in [
            ("min_len", None, Value::U64(1), true),
            ("min_len", Some(Value::U64(1)), Value::U64(2), true),
            ("min_len", Some(Value::U64(2)), Value::U64(1), false),
            ("items.max_len", Some(Value::U64(9)), Value::U64(8), true),
            ("lte", Some(Value::I32(8)), Value::I32(9), false),
            ("in", Some(text(&["a", "b"])), text(&["a"]), true),
            ("in", Some(text(&["a"])), text(&["a", "b"]), false),
            ("not_in", Some(text(&["a"])), text(&["a", "b"]), true),
            ("not_in", Some(text(&["a", "b"])), text(&["a"]), false),
            (
                "pattern",
                Some(Value::String("a".into())),
                Value::String("b".into()),
                true,
            ),
            ("required", None, Value::Bool(true), true),
            (
                "required",
                Some(Value::Bool(true)),
                Value::Bool(false),
                false,
            ),
            (
                "ignore",
                Some(Value::EnumNumber(1)),
                Value::EnumNumber(3),
                false,
            ),
            ("ignore", None, Value::EnumNumber(3), false),
        ] {
            let before = old.map_or_else(Rules::new, |old| rules(&[(name, old)]));
            let found = compared(&before, &rules(&[(name, new)]));
            assert_eq!(!found.is_empty(), tighter, "{name}: {found:?}");
        }
        let removed = compared(&rules(&[("ignore", Value::EnumNumber(3))]), &Rules::new());
        assert_eq!(removed.len(), 1);
    }
}
