//! Values of messages as CEL has them.
//!
//! **Invariant**: a message is a map of all its fields, in which a field that is not set has its default;
//! which are set is under a key that no field can have.

use std::{collections::HashMap, sync::Arc};

use cel::{
    Value,
    objects::{Key, Map},
};
use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage};

/// The key under which a message keeps the names of the fields that are set.
pub(super) const SET: &str = "";

/// Messages that are not set, inside one another: recursive types have no end.
const DEFAULTS: u32 = 2;

/// A message.
pub(super) fn of_message(message: &DynamicMessage) -> Value {
    whole(message, 0)
}

/// The value of a field, an item of a list, or a value of a map.
pub(super) fn of(value: &prost_reflect::Value, field: &FieldDescriptor) -> Value {
    convert(value, field, 0)
}

/// A key of a map.
pub(super) fn of_key(key: &MapKey) -> Value {
    match key {
        MapKey::Bool(key) => Value::Bool(*key),
        MapKey::I32(key) => Value::Int((*key).into()),
        MapKey::I64(key) => Value::Int(*key),
        MapKey::U32(key) => Value::UInt((*key).into()),
        MapKey::U64(key) => Value::UInt(*key),
        MapKey::String(key) => Value::from(key.as_str()),
    }
}

fn convert(value: &prost_reflect::Value, field: &FieldDescriptor, unset: u32) -> Value {
    use prost_reflect::Value as Given;
    match value {
        Given::Bool(value) => Value::Bool(*value),
        Given::I32(value) | Given::EnumNumber(value) => Value::Int((*value).into()),
        Given::I64(value) => Value::Int(*value),
        Given::U32(value) => Value::UInt((*value).into()),
        Given::U64(value) => Value::UInt(*value),
        Given::F32(value) => Value::Float((*value).into()),
        Given::F64(value) => Value::Float(*value),
        Given::String(value) => Value::from(value.as_str()),
        Given::Bytes(value) => Value::Bytes(Arc::new(value.to_vec())),
        Given::Message(message) => whole(message, unset),
        Given::List(items) => {
            let items = items.iter().map(|item| convert(item, field, unset));
            Value::List(Arc::new(items.collect()))
        }
        Given::Map(entries) => {
            let kind = field.kind();
            let entries = entries.iter().map(|(key, value)| {
                let value = match kind.as_message() {
                    Some(entry) => convert(value, &entry.map_entry_value_field(), unset),
                    None => Value::Null,
                };
                (map_key(key), value)
            });
            map(entries.collect())
        }
    }
}

fn whole(message: &DynamicMessage, unset: u32) -> Value {
    let descriptor = message.descriptor();
    let number = |name: &str| message.get_field_by_name(name);
    let seconds = || {
        number("seconds")
            .and_then(|value| value.as_i64())
            .unwrap_or_default()
    };
    let nanos = || {
        number("nanos")
            .and_then(|value| value.as_i32())
            .unwrap_or_default()
    };
    match descriptor.full_name() {
        "google.protobuf.Duration" => {
            let time = chrono::TimeDelta::try_seconds(seconds()).unwrap_or_default();
            return Value::Duration(time + chrono::TimeDelta::nanoseconds(nanos().into()));
        }
        "google.protobuf.Timestamp" => {
            let nanos = u32::try_from(nanos()).unwrap_or_default();
            let time = chrono::DateTime::from_timestamp(seconds(), nanos).unwrap_or_default();
            return Value::Timestamp(time.fixed_offset());
        }
        name if is_wrapper(name) => {
            let value = descriptor.get_field_by_name("value");
            return value.map_or(Value::Null, |field| {
                convert(&message.get_field(&field), &field, unset)
            });
        }
        _ => {}
    }
    let (mut fields, mut set) = (HashMap::new(), Vec::new());
    for field in descriptor.fields() {
        let is_set = message.has_field(&field);
        if is_set {
            set.push(Value::from(field.name()));
        }
        let inside = field.kind();
        let message_inside = inside
            .as_message()
            .filter(|_| !is_set && !field.is_list() && !field.is_map());
        let value = match message_inside {
            Some(inside) if is_wrapper(inside.full_name()) => Value::Null,
            Some(_) if unset >= DEFAULTS => continue,
            Some(inside) => whole(&DynamicMessage::new(inside.clone()), unset + 1),
            None => convert(&message.get_field(&field), &field, unset),
        };
        fields.insert(Key::String(Arc::new(field.name().to_owned())), value);
    }
    let set = Value::List(Arc::new(set));
    fields.insert(Key::String(Arc::new(SET.to_owned())), set);
    map(fields)
}

fn is_wrapper(full_name: &str) -> bool {
    full_name.starts_with("google.protobuf.")
        && full_name.ends_with("Value")
        && !matches!(
            full_name,
            "google.protobuf.Value" | "google.protobuf.ListValue"
        )
}

fn map_key(key: &MapKey) -> Key {
    match key {
        MapKey::Bool(key) => Key::Bool(*key),
        MapKey::I32(key) => Key::Int((*key).into()),
        MapKey::I64(key) => Key::Int(*key),
        MapKey::U32(key) => Key::Uint((*key).into()),
        MapKey::U64(key) => Key::Uint(*key),
        MapKey::String(key) => Key::String(Arc::new(key.clone())),
    }
}

fn map(entries: HashMap<Key, Value>) -> Value {
    Value::Map(Map {
        map: Arc::new(entries),
    })
}
