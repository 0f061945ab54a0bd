//! A request to start from: a message in JSON with every field in it.
//!
//! **Invariant**: what is written is a valid request, and its size has a limit, whatever the schema.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// The most levels of messages inside of each other that are written out.
const MAX_DEPTH: usize = 6;
/// The most fields that are written out.
const MAX_FIELDS: usize = 400;

/// `message` in JSON, indented, with an example value for every field; of a oneof, the first.
pub(crate) fn template(message: &MessageDescriptor) -> String {
    let mut template = Template {
        text: String::new(),
        above: Vec::new(),
        fields_left: MAX_FIELDS,
    };
    template.message(message);
    template.text
}

struct Template {
    text: String,
    /// The messages that are being written, from the outermost in.
    above: Vec<String>,
    fields_left: usize,
}

impl Template {
    fn message(&mut self, message: &MessageDescriptor) {
        if let Some(known) = well_known(message.full_name()) {
            return self.text.push_str(known);
        }
        let name = message.full_name().to_owned();
        if self.above.len() >= MAX_DEPTH || self.above.contains(&name) {
            return self.text.push_str("{}");
        }
        self.above.push(name);
        let mut fields: Vec<_> = message.fields().filter(is_first_of_its_oneof).collect();
        fields.truncate(self.fields_left);
        self.fields_left -= fields.len();
        self.entries('{', '}', &fields, |template, field| {
            template.name(field.json_name());
            template.field(field);
        });
        self.above.pop();
    }

    fn field(&mut self, field: &FieldDescriptor) {
        let kind = field.kind();
        if field.is_map() {
            // A map is a list of a message with these two, which linking has checked.
            let entry = kind.as_message().map(|entry| {
                let key = entry.get_field(1).map(|key| key.kind());
                (key, entry.get_field(2).map(|value| value.kind()))
            });
            if let Some((Some(key), Some(value))) = entry {
                return self.entries('{', '}', &[()], |template, ()| {
                    template.name(map_key(&key));
                    template.value(&value);
                });
            }
        }
        if field.is_list() {
            return self.entries('[', ']', &[()], |template, ()| template.value(&kind));
        }
        self.value(&kind);
    }

    fn value(&mut self, kind: &Kind) {
        let text = match kind {
            Kind::Message(message) => return self.message(message),
            Kind::Enum(values) if values.full_name() == "google.protobuf.NullValue" => "null",
            Kind::Enum(values) => {
                let name = values.default_value().name().to_owned();
                return self.text.push_str(&quoted(&name));
            }
            Kind::Bool => "false",
            Kind::String | Kind::Bytes => "\"\"",
            // As strings, because not all of them fit the numbers of JSON.
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => "\"0\"",
            Kind::Double | Kind::Float => "0.0",
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => "0",
        };
        self.text.push_str(text);
    }

    fn name(&mut self, name: &str) {
        self.text.push_str(&quoted(name));
        self.text.push_str(": ");
    }

    /// `items` on lines of their own between brackets.
    fn entries<T>(
        &mut self,
        open: char,
        close: char,
        items: &[T],
        mut write: impl FnMut(&mut Self, &T),
    ) {
        let indent = last_indent(&self.text);
        self.text.push(open);
        for (index, item) in items.iter().enumerate() {
            self.text.push_str(if index == 0 { "\n" } else { ",\n" });
            self.text.extend(std::iter::repeat_n(' ', indent + 2));
            write(self, item);
        }
        if !items.is_empty() {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', indent));
        }
        self.text.push(close);
    }
}

/// Spaces at the start of the last line.
fn last_indent(text: &str) -> usize {
    let line = text.rsplit('\n').next().unwrap_or_default();
    line.len() - line.trim_start_matches(' ').len()
}

fn is_first_of_its_oneof(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_none_or(|oneof| {
        oneof
            .fields()
            .next()
            .is_none_or(|first| first.number() == field.number())
    })
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const fn map_key(kind: &Kind) -> &'static str {
    match kind {
        Kind::String => "key",
        Kind::Bool => "false",
        _ => "0",
    }
}

/// Whether messages of that type have a JSON form of their own.
pub(super) fn is_well_known(name: &str) -> bool {
    well_known(name).is_some()
}

/// An example of each well-known type that has a JSON form of its own.
fn well_known(name: &str) -> Option<&'static str> {
    Some(match name.strip_prefix("google.protobuf.")? {
        // Which type it holds only its user knows; it has to be one that the descriptors hold.
        "Any" => r#"{"@type": "type.googleapis.com/PACKAGE.MESSAGE"}"#,
        "Timestamp" => r#""1970-01-01T00:00:00Z""#,
        "Duration" => r#""0s""#,
        "FieldMask" | "StringValue" | "BytesValue" => r#""""#,
        "Struct" | "Empty" => "{}",
        "ListValue" => "[]",
        "Value" => "null",
        "BoolValue" => "false",
        "Int64Value" | "UInt64Value" => r#""0""#,
        "Int32Value" | "UInt32Value" => "0",
        "FloatValue" | "DoubleValue" => "0.0",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use prost_reflect::DynamicMessage;
    use serde_json::Value;

    use super::*;
    use crate::reflection::samples;

    fn of(name: &str) -> String {
        template(&samples::shop().get_message_by_name(name).expect(name))
    }

    #[test]
    fn every_field_has_an_example() {
        insta::assert_snapshot!(of("shop.v1.Order"));
        insta::assert_snapshot!(of("shop.v1.Receipt"));
        assert_eq!(of("shop.v1.Empty"), "{}");
    }

    #[test]
    fn what_is_written_is_a_request() {
        for message in samples::shop().all_messages() {
            // Which type is inside only a user knows.
            let text = template(&message).replace("PACKAGE.MESSAGE", "shop.v1.Empty");
            let mut json = serde_json::Deserializer::from_str(&text);
            let parsed = DynamicMessage::deserialize(message.clone(), &mut json);
            // Entries of maps are no messages to people, and a message may be named inside of itself.
            if !message.is_map_entry() && message.full_name() != "google.protobuf.Value" {
                parsed.unwrap_or_else(|error| panic!("{}: {error}: {text}", message.full_name()));
            }
        }
    }

    #[test]
    fn a_schema_that_branches_without_end_has_a_short_template() {
        let fields: String = (1..=9).map(|n| format!("M{n} f{n} = {n};")).collect();
        let messages: String = (0..=9)
            .map(|n| format!("message M{n} {{ {fields} }}"))
            .collect();
        let source = format!("syntax = \"proto3\"; package a; {messages}").leak();
        let set = samples::descriptor_set(source);
        let pool = prost_reflect::DescriptorPool::from_file_descriptor_set(set).expect("it links");
        let text = template(&pool.get_message_by_name("a.M0").expect("there"));
        assert!(
            text.lines().count() < 2 * MAX_FIELDS,
            "{} lines",
            text.lines().count()
        );
        serde_json::from_str::<Value>(&text).expect("JSON");
    }
}
