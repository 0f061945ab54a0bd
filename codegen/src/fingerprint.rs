//! The fingerprint of a service: a hash of everything that the wire depends on.
//!
//! The canonical text that is hashed is specified in `docs/fingerprint.md`, for other generators.
//!
//! **Invariant**: names, comments, options and the order of definition have no influence, but for
//! the method paths, which the ordinals are made of.

use std::collections::HashMap;
use std::fmt::Write as _;

use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ServiceDescriptor,
    Syntax,
};

use crate::hash::{method_ordinal, short_hash};

/// The fingerprint of a service: the first eight bytes, read little-endian, of SHA-256 over its
/// [`canonical_text`].
#[must_use]
pub fn of_service(service: &ServiceDescriptor) -> u64 {
    short_hash(canonical_text(service).as_bytes())
}

/// The canonical text of a service, as `docs/fingerprint.md` specifies it.
#[must_use]
pub fn canonical_text(service: &ServiceDescriptor) -> String {
    let mut walk = Walk::default();
    let mut methods: Vec<_> = service
        .methods()
        .map(|method| {
            let path = format!("/{}/{}", service.full_name(), method.name());
            (method_ordinal(&path), method)
        })
        .collect();
    methods.sort_by_key(|(ordinal, _)| *ordinal);
    let mut text = String::from("daemoneye-ipc fingerprint 1\n");
    for (ordinal, method) in methods {
        let side = |streams: bool| if streams { "stream" } else { "single" };
        let input = walk.message(&method.input());
        let output = walk.message(&method.output());
        let (client, server) = (method.is_client_streaming(), method.is_server_streaming());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "method {ordinal:016x} {} {input} {} {output}",
            side(client),
            side(server)
        );
    }
    let mut next = 0;
    while let Some(ty) = walk.open.get(next).cloned() {
        match ty {
            Type::Message(message) => walk.describe_message(next, &message, &mut text),
            Type::Enum(values) => describe_enum(next, &values, &mut text),
        }
        next += 1;
    }
    text
}

#[derive(Clone)]
enum Type {
    Message(MessageDescriptor),
    Enum(EnumDescriptor),
}

/// Types in the order in which they are first met; the position is the number of the type.
#[derive(Default)]
struct Walk {
    numbers: HashMap<String, usize>,
    open: Vec<Type>,
}

impl Walk {
    fn message(&mut self, message: &MessageDescriptor) -> usize {
        self.number(message.full_name(), || Type::Message(message.clone()))
    }

    fn number(&mut self, full_name: &str, ty: impl FnOnce() -> Type) -> usize {
        if let Some(number) = self.numbers.get(full_name) {
            return *number;
        }
        let number = self.open.len();
        self.numbers.insert(full_name.to_owned(), number);
        self.open.push(ty());
        number
    }

    fn describe_message(&mut self, number: usize, message: &MessageDescriptor, text: &mut String) {
        let _ = writeln!(text, "message {number}");
        let mut fields: Vec<FieldDescriptor> = message.fields().collect();
        fields.sort_by_key(FieldDescriptor::number);
        for field in fields {
            let ty = self.type_of(&field);
            let _ = writeln!(text, "field {} {ty} {}", field.number(), presence(&field));
        }
    }

    fn type_of(&mut self, field: &FieldDescriptor) -> String {
        let scalar = match field.kind() {
            Kind::Message(message) => {
                let word = if field.is_group() { "group" } else { "message" };
                return format!("{word} {}", self.message(&message));
            }
            Kind::Enum(values) => {
                let number = self.number(values.full_name(), || Type::Enum(values.clone()));
                return format!("enum {number}");
            }
            Kind::Double => "double",
            Kind::Float => "float",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Sint32 => "sint32",
            Kind::Sint64 => "sint64",
            Kind::Fixed32 => "fixed32",
            Kind::Fixed64 => "fixed64",
            Kind::Sfixed32 => "sfixed32",
            Kind::Sfixed64 => "sfixed64",
            Kind::Bool => "bool",
            Kind::String => "string",
            Kind::Bytes => "bytes",
        };
        scalar.to_owned()
    }
}

fn presence(field: &FieldDescriptor) -> String {
    match field.cardinality() {
        Cardinality::Required => return "required".to_owned(),
        // Packed or not is left out: every reader accepts both.
        Cardinality::Repeated => return "repeated".to_owned(),
        Cardinality::Optional => {}
    }
    match field
        .containing_oneof()
        .filter(|oneof| !oneof.is_synthetic())
    {
        Some(oneof) => {
            let first = oneof.fields().map(|field| field.number()).min();
            format!("oneof {}", first.unwrap_or_else(|| field.number()))
        }
        None if field.supports_presence() => "optional".to_owned(),
        None => "implicit".to_owned(),
    }
}

fn describe_enum(number: usize, values: &EnumDescriptor, text: &mut String) {
    let openness = match values.parent_file().syntax() {
        Syntax::Proto2 => "closed",
        Syntax::Proto3 => "open",
    };
    let _ = writeln!(text, "enum {number} {openness}");
    let mut numbers: Vec<i32> = values.values().map(|value| value.number()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let _ = writeln!(text, "value {number}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;

    fn text_of(proto: &str) -> String {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.proto");
        std::fs::write(&path, proto).expect("a file");
        let loaded = load(&[path], &[dir.path().to_path_buf()]).expect("a good schema");
        let service = loaded.pool.services().next().expect("a service");
        canonical_text(&service)
    }

    const VECTOR: &str = r#"
        syntax = "proto3";
        package inventory.v1;
        import "google/protobuf/timestamp.proto";
        service Inventory {
          rpc Lookup(LookupRequest) returns (LookupReply);
          rpc Watch(LookupRequest) returns (stream Event);
        }
        enum State { STATE_UNSPECIFIED = 0; STATE_GONE = 7; STATE_HERE = 1; }
        message LookupRequest { optional string name = 1; repeated uint32 ids = 2; }
        message LookupReply { map<string, Item> items = 3; bytes token = 1; }
        message Item { Item parent = 1; oneof kind { State state = 5; string note = 4; } }
        message Event { google.protobuf.Timestamp time = 1; repeated string tags = 2; }
    "#;

    #[test]
    fn the_vector_of_the_documentation() {
        let documented = include_str!("../../docs/fingerprint.md");
        let text = text_of(VECTOR);
        assert!(
            documented.contains(&text),
            "docs/fingerprint.md lacks the canonical text\n{text}"
        );
        let hash = format!("{:#018x}", short_hash(text.as_bytes()));
        assert!(
            documented.contains(&hash),
            "docs/fingerprint.md lacks the fingerprint {hash}"
        );
    }

    #[test]
    fn names_comments_and_order_have_no_influence() {
        let other = VECTOR
            .replace("LookupRequest", "Question")
            .replace("string name", "string title")
            .replace("STATE_GONE", "GONE_STATE")
            .replace(
                "map<string, Item> items = 3; bytes token = 1;",
                "bytes t = 1; map<string, Item> i = 3;",
            )
            .replace("service", "// a comment\nservice");
        assert_ne!(other, VECTOR);
        assert_eq!(text_of(&other), text_of(VECTOR));
    }

    #[test]
    fn what_the_wire_depends_on_has() {
        let base = text_of(VECTOR);
        for (from, to) in [
            ("optional string name = 1", "string name = 1"),
            ("optional string name = 1", "optional string name = 9"),
            ("optional string name", "optional bytes name"),
            ("repeated uint32 ids = 2", "uint32 ids = 2"),
            ("STATE_GONE = 7", "STATE_GONE = 8"),
            ("returns (stream Event)", "returns (Event)"),
            ("rpc Watch(LookupRequest)", "rpc Watch(LookupReply)"),
            ("rpc Watch", "rpc Observe"),
            (
                "oneof kind { State state = 5; string note = 4; }",
                "State state = 5; string note = 4;",
            ),
        ] {
            let changed = VECTOR.replace(from, to);
            assert_ne!(changed, VECTOR);
            assert_ne!(text_of(&changed), base, "{from} -> {to}");
        }
    }
}
