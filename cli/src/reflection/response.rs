//! Messages as JSON, by protobuf's mapping.
//!
//! **Invariant**: every message that decodes can be shown: what the mapping has no form for, such as an
//! Any of an unknown type or a time out of range, is shown as it is.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use daemoneye_ipc::{bytes::Bytes, prost_types::Any};
use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};
use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap, SerializeSeq},
};

use super::template::is_well_known;
use crate::format;

/// The most levels of Any inside of each other that are opened: each starts the decoder's own limit
/// anew.
const MAX_ANY_DEPTH: usize = 8;

/// The shape of `google.rpc.Status`, as far as it is of use here.
#[derive(Clone, PartialEq, daemoneye_ipc::prost::Message)]
#[prost(prost_path = "daemoneye_ipc::prost")]
pub(crate) struct RpcStatus {
    /// Messages of any type.
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

/// What a message is shown with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    /// Fields that have their default value too, where the schema does not track their presence.
    pub(crate) defaults: bool,
}

/// A message on one line of JSON in which nothing steers a terminal.
///
/// # Errors
/// If the bytes are no message of that type.
pub(crate) fn show(
    encoded: Bytes,
    descriptor: &MessageDescriptor,
    style: Style,
) -> Result<String, String> {
    let message = DynamicMessage::decode(descriptor.clone(), encoded);
    let message = message.map_err(|error| error.to_string())?;
    line(&Shown::new(&message, style))
}

/// A message of a type that its URL names, as [`show`] does; base64 if `pool` does not hold the type.
///
/// # Errors
/// None that a caller has to expect.
pub(crate) fn show_any(
    type_url: &str,
    encoded: &[u8],
    pool: &DescriptorPool,
) -> Result<String, String> {
    line(&Opened {
        type_url,
        encoded,
        pool,
        style: Style::default(),
        any_depth: 0,
    })
}

fn line(value: &impl Serialize) -> Result<String, String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    Ok(format::plain_json(text))
}

struct Shown<'a> {
    message: &'a DynamicMessage,
    style: Style,
    any_depth: usize,
}

impl<'a> Shown<'a> {
    const fn new(message: &'a DynamicMessage, style: Style) -> Self {
        Self {
            message,
            style,
            any_depth: 0,
        }
    }

    const fn value<'b>(&self, value: &'b Value, kind: &'b Kind) -> ShownValue<'b> {
        ShownValue {
            value,
            kind,
            style: self.style,
            any_depth: self.any_depth,
        }
    }

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for field in self.message.descriptor().fields() {
            let is_set = self.message.has_field(&field);
            if !is_set && (!self.style.defaults || field.supports_presence()) {
                continue;
            }
            let (value, kind) = (self.message.get_field(&field), field.kind());
            map.serialize_entry(field.json_name(), &self.value(&value, &kind))?;
        }
        for (extension, value) in self.message.extensions() {
            let kind = extension.kind();
            map.serialize_entry(extension.json_name(), &self.value(value, &kind))?;
        }
        Ok(())
    }

    fn object<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.fields(&mut map)?;
        map.end()
    }

    fn any<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = [1, 2].map(|number| self.message.get_field_by_number(number));
        let [type_url, encoded] = fields.each_ref().map(Option::as_deref);
        let (Some(type_url), Some(encoded)) = (
            type_url.and_then(Value::as_str),
            encoded.and_then(Value::as_bytes),
        ) else {
            return self.object(serializer);
        };
        let descriptor = self.message.descriptor();
        let opened = Opened {
            type_url,
            encoded,
            pool: descriptor.parent_pool(),
            style: self.style,
            any_depth: self.any_depth,
        };
        opened.serialize(serializer)
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let descriptor = self.message.descriptor();
        if descriptor.full_name() == "google.protobuf.Any" {
            return self.any(serializer);
        }
        if is_well_known(descriptor.full_name())
            && let Ok(value) = serde_json::to_value(self.message)
        {
            return value.serialize(serializer);
        }
        self.object(serializer)
    }
}

/// What is inside of an Any.
struct Opened<'a> {
    type_url: &'a str,
    encoded: &'a [u8],
    pool: &'a DescriptorPool,
    style: Style,
    any_depth: usize,
}

impl Opened<'_> {
    /// The message, if its type is known, it decodes, and it is not too deep inside.
    fn message(&self) -> Option<DynamicMessage> {
        let name = self.type_url.rsplit('/').next()?;
        let descriptor = self.pool.get_message_by_name(name)?;
        let is_near = self.any_depth < MAX_ANY_DEPTH;
        is_near.then(|| DynamicMessage::decode(descriptor, self.encoded).ok())?
    }
}

impl Serialize for Opened<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("@type", self.type_url)?;
        let message = self.message();
        let shown = message.as_ref().map(|message| Shown {
            message,
            style: self.style,
            any_depth: self.any_depth + 1,
        });
        match shown {
            Some(shown) if is_well_known(shown.message.descriptor().full_name()) => {
                map.serialize_entry("value", &shown)?;
            }
            Some(shown) => shown.fields(&mut map)?,
            None => map.serialize_entry("value", &BASE64_STANDARD.encode(self.encoded))?,
        }
        map.end()
    }
}

struct ShownValue<'a> {
    value: &'a Value,
    kind: &'a Kind,
    style: Style,
    any_depth: usize,
}

impl ShownValue<'_> {
    const fn sibling<'b>(&self, value: &'b Value, kind: &'b Kind) -> ShownValue<'b> {
        ShownValue {
            value,
            kind,
            style: self.style,
            any_depth: self.any_depth,
        }
    }

    fn enum_value<S: Serializer>(&self, number: i32, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.kind.as_enum();
        if values.is_some_and(|values| values.full_name() == "google.protobuf.NullValue") {
            return serializer.serialize_none();
        }
        match values.and_then(|values| values.get_value(number)) {
            Some(value) => serializer.serialize_str(value.name()),
            // A value that the schema does not know is its number.
            None => serializer.serialize_i32(number),
        }
    }

    fn float<S: Serializer>(
        value: f64,
        text: impl Serialize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            v if v.is_finite() => text.serialize(serializer),
            v if v.is_nan() => serializer.serialize_str("NaN"),
            v if v > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

impl Serialize for ShownValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::I32(value) => serializer.serialize_i32(*value),
            Value::U32(value) => serializer.serialize_u32(*value),
            // As strings, because not all of them fit the numbers of JSON.
            Value::I64(value) => serializer.collect_str(value),
            Value::U64(value) => serializer.collect_str(value),
            Value::F32(value) => Self::float(f64::from(*value), value, serializer),
            Value::F64(value) => Self::float(*value, value, serializer),
            Value::String(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.serialize_str(&BASE64_STANDARD.encode(value)),
            Value::EnumNumber(number) => self.enum_value(*number, serializer),
            Value::Message(message) => {
                let (style, any_depth) = (self.style, self.any_depth);
                let shown = Shown {
                    message,
                    style,
                    any_depth,
                };
                shown.serialize(serializer)
            }
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&self.sibling(value, self.kind))?;
                }
                list.end()
            }
            Value::Map(values) => {
                let entry = self.kind.as_message().and_then(|entry| entry.get_field(2));
                let kind = entry
                    .ok_or_else(|| S::Error::custom("a map without values"))?
                    .kind();
                let mut entries: Vec<_> = values.iter().collect();
                // The same message is the same text each time.
                entries.sort_by_key(|(key, _)| *key);
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(&key_text(key), &self.sibling(value, &kind))?;
                }
                map.end()
            }
        }
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc::prost::Message;

    use super::*;
    use crate::reflection::samples;

    const DEFAULTS: Style = Style { defaults: true };

    fn message(name: &str, json: &str) -> DynamicMessage {
        let descriptor = samples::shop().get_message_by_name(name).expect(name);
        let mut json = serde_json::Deserializer::from_str(json);
        DynamicMessage::deserialize(descriptor, &mut json).expect("a message")
    }

    fn shown(message: &DynamicMessage, style: Style) -> String {
        show(message.encode_to_vec().into(), &message.descriptor(), style).expect("JSON")
    }

    const RECEIPT: &str = concat!(
        r#"{"time":"2026-11-23T11:00:00.5Z","took":"1.500s","#,
        r#""note":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"2s"},"#,
        r#""extra":{"a":[1.0,null,true],"b":{"c":"d"}},"anyJson":null,"total":"18446744073709551615","#,
        r#""mask":"a,bC","colors":{"-3":"COLOR_BLUE","2":7},"ratios":{"false":0.5,"true":"NaN"},"#,
        r#""share":"-Infinity","nothing":[null]}"#
    );

    #[test]
    fn every_type_is_shown_as_the_mapping_says() {
        let receipt = message("shop.v1.Receipt", RECEIPT);
        let text = shown(&receipt, Style::default());
        assert_eq!(text.replace(".500Z", ".5Z"), RECEIPT);
        // And read back, it is the same message; a NaN is never the same as another one.
        let bytes = |text| message("shop.v1.Receipt", text).encoded_len();
        assert_eq!(bytes(&text), receipt.encoded_len());
    }

    #[test]
    fn defaults_are_shown_when_they_are_asked_for() {
        let order = message("shop.v1.Order", r#"{"items": [{}]}"#);
        assert_eq!(shown(&order, Style::default()), r#"{"items":[{}]}"#);
        assert_eq!(
            shown(&order, DEFAULTS),
            r#"{"buyer":"","items":[{"code":""}],"extras":{},"color":"COLOR_UNSPECIFIED"}"#
        );
    }

    #[test]
    fn what_has_no_form_of_its_own_is_shown_as_it_is() {
        let pool = samples::shop();
        let text = show_any("x/shop.v1.None", b"\x00\xff", &pool).expect("JSON");
        assert_eq!(text, r#"{"@type":"x/shop.v1.None","value":"AP8="}"#);
        let text = show_any("x/shop.v1.Order", b"\xff", &pool).expect("JSON");
        assert_eq!(text, r#"{"@type":"x/shop.v1.Order","value":"/w=="}"#);
        let order = message("shop.v1.Order", r#"{"buyer": "a\u009bb"}"#).encode_to_vec();
        let text = show_any("shop.v1.Order", &order, &pool).expect("JSON");
        assert_eq!(text, r#"{"@type":"shop.v1.Order","buyer":"a\u009bb"}"#);
        // A time that no calendar has: field 1, seconds, is the largest number.
        let time = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
        let text = show_any("google.protobuf.Timestamp", time, &pool).expect("JSON");
        assert!(
            text.ends_with(r#""value":{"seconds":"9223372036854775807"}}"#),
            "{text}"
        );
    }

    #[test]
    fn any_inside_of_any_without_end_is_opened_only_so_far() {
        let pool = samples::shop();
        let mut any = Any::default();
        for _ in 0..2_000 {
            any = Any {
                type_url: "t/google.protobuf.Any".into(),
                value: any.encode_to_vec(),
            };
        }
        let text = show_any(&any.type_url, &any.value, &pool).expect("JSON");
        assert_eq!(
            text.matches("google.protobuf.Any").count(),
            MAX_ANY_DEPTH + 1
        );
    }

    #[test]
    fn bytes_that_are_no_message_are_an_error() {
        let order = samples::shop()
            .get_message_by_name("shop.v1.Order")
            .expect("there");
        for bytes in [&b"\xff"[..], b"\x0a\x05a", b"\x0a\x01\xff"] {
            assert!(show(Bytes::from_static(bytes), &order, DEFAULTS).is_err());
        }
    }
}
