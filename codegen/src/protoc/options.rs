//! What only the options' own definitions tell: where each may stand, which fields they must have, and that
//! features belong to editions.
//!
//! **Invariant**: decodes nothing unless some source has one of the words that all of this depends on.

use std::collections::HashMap;

use prost_reflect::{Cardinality, DynamicMessage, MessageDescriptor, ReflectMessage, Value};
use prost_types::FileDescriptorProto;

use super::{Judge, child};
use crate::load::Loaded;

/// The elements that options belong to: message of the descriptor, name, number of `OptionTargetType`.
const ELEMENTS: [(&str, &str, i32); 9] = [
    ("FileDescriptorProto", "file", 1),
    ("ExtensionRange", "extension range", 2),
    ("DescriptorProto", "message", 3),
    ("FieldDescriptorProto", "field", 4),
    ("OneofDescriptorProto", "oneof", 5),
    ("EnumDescriptorProto", "enum", 6),
    ("EnumValueDescriptorProto", "enum value", 7),
    ("ServiceDescriptorProto", "service", 8),
    ("MethodDescriptorProto", "method", 9),
];

pub(super) struct Options {
    /// `FileDescriptorProto`, as the schemas know it with their extensions.
    descriptor: MessageDescriptor,
    /// Where fields may stand in options, by their full names.
    targets: HashMap<String, Vec<i32>>,
}

impl Options {
    /// Nothing when no source can have a problem of this kind.
    pub(super) fn of(loaded: &Loaded) -> Option<Self> {
        let say = |word: &str| {
            loaded
                .sources
                .iter()
                .any(|source| source.text.contains(word))
        };
        let targeted = say("targets");
        if !(targeted || say("features") || (say("required") && say("extend"))) {
            return None;
        }
        let own = loaded
            .pool
            .get_message_by_name("google.protobuf.FileDescriptorProto");
        Some(Self {
            descriptor: own.unwrap_or_else(|| FileDescriptorProto::default().descriptor()),
            targets: if targeted {
                targets(loaded)
            } else {
                HashMap::new()
            },
        })
    }

    pub(super) fn check(&self, judge: &mut Judge<'_>) {
        let bytes = judge.file.encode_to_vec();
        // Bytes that the same library has just written.
        if let Ok(mut file) = DynamicMessage::decode(self.descriptor.clone(), bytes.as_slice()) {
            file.clear_field_by_name("source_code_info");
            self.element(judge, &file, &[]);
        }
    }

    fn element(&self, judge: &mut Judge<'_>, element: &DynamicMessage, path: &[i32]) {
        let descriptor = element.descriptor();
        let kind = ELEMENTS
            .iter()
            .find(|(name, _, _)| *name == descriptor.name());
        for (field, value) in element.fields() {
            let tag = i32::try_from(field.number()).unwrap_or_default();
            match value {
                Value::Message(options) if field.name() == "options" => {
                    if let Some((_, kind, target)) = kind {
                        self.options(judge, options, (kind, *target), &child(path, &[tag]));
                    }
                }
                Value::List(list) => {
                    for (at, value) in (0..).zip(list) {
                        if let Value::Message(inner) = value {
                            self.element(judge, inner, &child(path, &[tag, at]));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn options(
        &self,
        judge: &mut Judge<'_>,
        options: &DynamicMessage,
        of: (&str, i32),
        path: &[i32],
    ) {
        if let Some(features) = options.descriptor().get_field_by_name("features")
            && options.has_field(&features)
        {
            let number = i32::try_from(features.number()).unwrap_or_default();
            let help = "remove the option: proto2 and proto3 have their features fixed";
            let message = format!("this {} sets features, which are for editions", of.0);
            judge.refuse(&child(path, &[number]), message, help);
        }
        for (name, number, value) in set_fields(options) {
            let path = child(path, &[number]);
            if let Some(missing) = missing(value) {
                let message =
                    format!("the option `{name}` is without `{missing}`, which is required");
                judge.refuse(&path, message, "give it a value, in one message: `{ … }`");
            }
            self.targets(judge, (&name, value), of, &path);
        }
    }

    fn targets(
        &self,
        judge: &mut Judge<'_>,
        (name, value): (&str, &Value),
        of: (&str, i32),
        path: &[i32],
    ) {
        if let Some(targets) = self.targets.get(name)
            && !targets.is_empty()
            && !targets.contains(&of.1)
        {
            let may = targets.iter().filter_map(|target| {
                ELEMENTS
                    .iter()
                    .find(|(_, _, number)| number == target)
                    .map(|(_, name, _)| *name)
            });
            let may: Vec<_> = may.collect();
            let message = format!("the option `{name}` may not be set on this {}", of.0);
            let help = format!("its definition has it for: {}", may.join(", "));
            judge.refuse(path, message, help);
        }
        for message in messages(value) {
            for (name, number, value) in set_fields(message) {
                self.targets(judge, (&name, value), of, &child(path, &[number]));
            }
        }
    }
}

/// The `targets` of every field and extension that the sources define.
fn targets(loaded: &Loaded) -> HashMap<String, Vec<i32>> {
    let fields = loaded.pool.all_messages().flat_map(|message| {
        let fields: Vec<_> = message.fields().collect();
        fields
            .into_iter()
            .filter(|field| field.field_descriptor_proto().options.is_some())
            .map(|field| (field.full_name().to_owned(), field.options()))
    });
    let extensions = loaded.pool.all_extensions();
    let extensions =
        extensions.map(|extension| (extension.full_name().to_owned(), extension.options()));
    fields
        .chain(extensions)
        .filter_map(|(name, options)| {
            let Some(Value::List(list)) =
                options.get_field_by_name("targets").map(|v| v.into_owned())
            else {
                return None;
            };
            Some((
                name,
                list.iter().filter_map(Value::as_enum_number).collect(),
            ))
        })
        .collect()
}

/// Fields and extensions that have a value: full name, number, value.
fn set_fields(message: &DynamicMessage) -> impl Iterator<Item = (String, i32, &Value)> {
    let number = |number: u32| i32::try_from(number).unwrap_or_default();
    let fields = message
        .fields()
        .map(move |(field, value)| (field.full_name().to_owned(), number(field.number()), value));
    let extensions = message.extensions();
    fields.chain(extensions.map(move |(extension, value)| {
        (
            extension.full_name().to_owned(),
            number(extension.number()),
            value,
        )
    }))
}

/// The messages that a value is, or holds.
fn messages(value: &Value) -> Vec<&DynamicMessage> {
    match value {
        Value::Message(message) => vec![message],
        Value::List(list) => list.iter().flat_map(messages).collect(),
        Value::Map(map) => map.values().flat_map(messages).collect(),
        _ => Vec::new(),
    }
}

/// A required field that has no value, by its path.
fn missing(value: &Value) -> Option<String> {
    messages(value).into_iter().find_map(|message| {
        let descriptor = message.descriptor();
        let here = descriptor.fields().find(|field| {
            field.cardinality() == Cardinality::Required && !message.has_field(field)
        });
        let deeper = || {
            set_fields(message).find_map(|(name, _, value)| {
                let name = name.rsplit('.').next().unwrap_or_default();
                missing(value).map(|rest| format!("{name}.{rest}"))
            })
        };
        here.map(|field| field.name().to_owned()).or_else(deeper)
    })
}
