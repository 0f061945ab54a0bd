//! Fields whose options or types do not go together, and what depends on an enum's first value.
//!
//! **Invariant**: looks a type up in the pool only where the field has an enum or message type.

use prost_reflect::{EnumDescriptor, Syntax};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::field_options::JsType;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto};

use super::{Judge, child, tag};

const PACKED: i32 = 2; // with the next: field numbers of FieldOptions
const LAZY: i32 = 5;
const JSTYPE: i32 = 6;
const UNVERIFIED_LAZY: i32 = 15;
const ALLOW_ALIAS: i32 = 2; // of EnumOptions

impl Judge<'_> {
    pub(super) fn field_options(&mut self, field: &FieldDescriptorProto, path: &[i32]) {
        let Some(options) = &field.options else {
            return;
        };
        let name = field.name();
        let at = |option| child(path, &[tag::field::OPTIONS, option]);
        if options.packed() && !(repeated(field) && packable(field.r#type())) {
            self.refuse(
                &at(PACKED),
                format!("the field `{name}` cannot be packed"),
                "remove the option: only repeated numbers, booleans and enums are packed",
            );
        }
        if field.r#type() != Type::Message {
            let unverified = at(UNVERIFIED_LAZY);
            for path in [
                options.lazy().then(|| at(LAZY)),
                (self.says.unverified_lazy && self.index.has(self.file, &unverified))
                    .then_some(unverified),
            ] {
                let Some(path) = path else { continue };
                let message = format!("the field `{name}` cannot be lazy");
                self.refuse(
                    &path,
                    message,
                    "remove the option: only messages are parsed later",
                );
            }
        }
        if options.jstype() != JsType::JsNormal && !has_64_bits(field.r#type()) {
            self.refuse(
                &at(JSTYPE),
                format!("the field `{name}` has a `jstype`, and no integer of 64 bits"),
                "remove the option: JavaScript has one type for every other",
            );
        }
    }

    pub(super) fn field_type(
        &mut self,
        field: &FieldDescriptorProto,
        owner: Option<&DescriptorProto>,
        path: &[i32],
    ) {
        let type_name = field.type_name().trim_start_matches('.');
        let type_path = child(path, &[tag::field::TYPE_NAME]);
        match field.r#type() {
            Type::Enum => {
                if let Some(enumeration) = self.pool.get_enum_by_name(type_name) {
                    self.open_enum(&enumeration, &type_path);
                }
            }
            Type::Message => {
                let Some(message) = self.pool.get_message_by_name(type_name) else {
                    return;
                };
                if !message.is_map_entry() {
                    return;
                }
                let (entry, parent) = (message.name(), message.parent_message());
                let of_owner = owner.is_some_and(|owner| {
                    let nested = owner.nested_type.iter().map(DescriptorProto::name);
                    nested.into_iter().any(|nested| nested == entry)
                });
                if !(of_owner && entry == entry_name(field.name()) && parent.is_some()) {
                    self.refuse(
                        &type_path,
                        format!("`{entry}` is what a map is made of, and no type for a field"),
                        "define a message with the fields `key` and `value`",
                    );
                } else if let Some(enumeration) = message.map_entry_value_field().kind().as_enum() {
                    self.map_of_enums(enumeration, path);
                }
            }
            _ => {}
        }
    }

    fn map_of_enums(&mut self, enumeration: &EnumDescriptor, path: &[i32]) {
        let path = child(path, &[tag::field::TYPE_NAME]);
        // The values of the descriptor are in the order of their numbers.
        let first = enumeration.enum_descriptor_proto().value.first();
        if first.is_some_and(|value| value.number() != 0) {
            let message = format!(
                "the enum `{}` has no 0 as its first value, and is that of a map",
                enumeration.full_name()
            );
            let help = "give the enum a first value of 0: it stands for a value that is missing";
            self.refuse(&path, message, help);
        }
        self.open_enum(enumeration, &path);
    }

    fn open_enum(&mut self, enumeration: &EnumDescriptor, path: &[i32]) {
        if self.proto3 && enumeration.parent_file().syntax() == Syntax::Proto2 {
            let message = format!(
                "the enum `{}` is closed, being of proto2, and cannot be used in proto3",
                enumeration.full_name()
            );
            let help = "move the enum to a proto3 file, or this message to a proto2 file";
            self.refuse(path, message, help);
        }
    }

    pub(super) fn aliases(&mut self, enumeration: &EnumDescriptorProto, path: &[i32]) {
        let allowed = enumeration.options.as_ref().and_then(|o| o.allow_alias);
        let path = child(path, &[tag::enumeration::OPTIONS, ALLOW_ALIAS]);
        let name = enumeration.name();
        match allowed {
            Some(false) => {
                let message = format!("the enum `{name}` says `allow_alias = false`");
                self.refuse(&path, message, "remove the option: it is so without");
            }
            Some(true) => {
                let mut numbers: Vec<i32> = enumeration.value.iter().map(|v| v.number()).collect();
                numbers.sort_unstable();
                if numbers.windows(2).all(|pair| pair[0] != pair[1]) {
                    let message = format!("the enum `{name}` allows aliases and has none");
                    self.refuse(&path, message, "remove `option allow_alias = true;`");
                }
            }
            None => {}
        }
    }
}

fn repeated(field: &FieldDescriptorProto) -> bool {
    field.label() == Label::Repeated
}

fn packable(ty: Type) -> bool {
    !matches!(ty, Type::String | Type::Bytes | Type::Message | Type::Group)
}

fn has_64_bits(ty: Type) -> bool {
    matches!(
        ty,
        Type::Int64 | Type::Uint64 | Type::Sint64 | Type::Fixed64 | Type::Sfixed64
    )
}

/// The name of the message that the compiler makes for the entries of a map field.
fn entry_name(field: &str) -> String {
    let mut upper = true;
    let mut name = String::with_capacity(field.len() + 5);
    for c in field.chars() {
        if c == '_' {
            upper = true;
        } else {
            name.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    name + "Entry"
}
