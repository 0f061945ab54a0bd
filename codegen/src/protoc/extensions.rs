//! Extensions: one number is one extension, and what proto3, lite files and message sets ask of them.
//!
//! **Invariant**: two files may each give a number to an extension, as with protoc, which only warns of it.

use std::collections::HashMap;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::{Judge, child, is_lite, positions, tag};

const MESSAGE_SET: i32 = 1; // MessageOptions.message_set_wire_format
const MAP_ENTRY: i32 = 7; // MessageOptions.map_entry
const PHP_GENERIC_SERVICES: i32 = 42; // FileOptions, once

/// The extensions of a file: what they extend and their numbers, with their names.
#[derive(Default)]
pub(super) struct Numbers(HashMap<(String, i32), String>);

impl Judge<'_> {
    pub(super) fn extension(
        &mut self,
        extension: &FieldDescriptorProto,
        path: &[i32],
        numbers: &mut Numbers,
    ) {
        let (extendee, number) = (
            extension.extendee().trim_start_matches('.'),
            extension.number(),
        );
        let key = (extendee.to_owned(), number);
        if let Some(other) = numbers.0.insert(key, extension.name().to_owned()) {
            self.refuse(
                &child(path, &[tag::field::NUMBER]),
                format!(
                    "the extensions `{other}` and `{}` of `{extendee}` have the number {number}",
                    extension.name()
                ),
                "give one of them another number",
            );
        }
        let extendee_path = child(path, &[2]);
        if self.proto3 && !is_options(extendee) {
            let message = format!("`{extendee}` cannot be extended in proto3");
            let help =
                "move the extension to a proto2 file: proto3 has extensions for options alone";
            self.refuse(&extendee_path, message, help);
        }
        let Some(message) = self.pool.get_message_by_name(extendee) else {
            return;
        };
        if self.lite && !is_lite(&message.parent_file()) {
            let text = format!("`{extendee}` is not of a lite file, and cannot be extended in one");
            self.refuse(
                &extendee_path,
                text,
                "remove `option optimize_for = LITE_RUNTIME;`",
            );
        }
        let options = message.descriptor_proto().options.as_ref();
        let optional_message =
            extension.label() == Label::Optional && extension.r#type() == Type::Message;
        if options.is_some_and(|o| o.message_set_wire_format()) && !optional_message {
            let text = format!(
                "`{}` extends the message set `{extendee}`",
                extension.name()
            );
            let help = "make it an optional message: message sets hold nothing else";
            self.refuse(&child(path, &[tag::field::LABEL]), text, help);
        }
        self.declared(extension, &message, path);
    }

    pub(super) fn message_options(&mut self, message: &DescriptorProto, path: &[i32]) {
        let name = message.name();
        if self.wrote_map_entry(path) {
            let at = child(path, &[tag::message::OPTIONS, MAP_ENTRY]);
            let text = format!("the message `{name}` says that it is made for a map");
            self.refuse(
                &at,
                text,
                "write `map<KeyType, ValueType>` where it is used",
            );
        }
        if self.proto3 && !message.extension_range.is_empty() {
            let at = child(path, &[tag::message::EXTENSION_RANGE, 0]);
            let text = format!("the message `{name}` has extension ranges, and is of proto3");
            self.refuse(&at, text, "use `google.protobuf.Any`, or proto2");
        }
        let options = message.options.as_ref();
        if options.is_some_and(|o| o.message_set_wire_format()) {
            let at = child(path, &[tag::message::OPTIONS, MESSAGE_SET]);
            if self.proto3 {
                let text = format!("the message `{name}` is a message set, and is of proto3");
                self.refuse(&at, text, "remove the option, or use proto2");
            } else if let Some(field) = message.field.first() {
                let text = format!("`{}` is a field of the message set `{name}`", field.name());
                let at = child(path, &[tag::message::FIELD, 0, tag::field::NAME]);
                self.refuse(&at, text, "remove it: message sets hold extensions alone");
            }
        }
        self.declarations_of(message, path);
    }

    /// Whether a schema's author wrote the option by which compilers mark the messages of maps.
    pub(super) fn wrote_map_entry(&self, path: &[i32]) -> bool {
        let option = child(path, &[tag::message::OPTIONS, MAP_ENTRY]);
        self.says.map_entry && self.index.has(self.file, &option)
    }

    pub(super) fn lite_file(&mut self, file: &FileDescriptorProto) {
        let options = file.options.as_ref();
        if self.lite {
            let generic =
                options.is_some_and(|o| o.cc_generic_services() || o.java_generic_services());
            if let Some(service) = file.service.first().filter(|_| generic) {
                let text = format!(
                    "the service `{}` is in a lite file with generic services",
                    service.name()
                );
                let help = "remove `cc_generic_services` and `java_generic_services`";
                self.refuse(&[tag::file::SERVICE, 0, tag::field::NAME], text, help);
            }
        } else {
            let imports = self.file.dependencies().filter(is_lite);
            let lite: Vec<String> = imports.map(|import| import.name().to_owned()).collect();
            for (at, name) in positions(&file.dependency).filter(|(_, name)| lite.contains(name)) {
                let text = format!("`{name}` is a lite file, and is imported by one that is not");
                let help = "give both `option optimize_for = LITE_RUNTIME;`, or neither";
                self.refuse(&[tag::file::DEPENDENCY, at], text, help);
            }
        }
        let php = [tag::file::OPTIONS, PHP_GENERIC_SERVICES];
        if self.says.php_generic_services && self.index.has(self.file, &php) {
            let text = "the option `php_generic_services` is no more";
            self.refuse(&php, text, "remove it: protobuf has dropped it");
        }
    }
}

/// Whether a message is one of those that hold options.
fn is_options(full_name: &str) -> bool {
    const OF: [&str; 9] = [
        "File",
        "Message",
        "Field",
        "Oneof",
        "ExtensionRange",
        "Enum",
        "EnumValue",
        "Service",
        "Method",
    ];
    let name = full_name.strip_prefix("google.protobuf.");
    let of = name.and_then(|name| name.strip_suffix("Options"));
    of.is_some_and(|of| OF.contains(&of))
}
