//! A definition as the text of a schema, with its comments where the descriptors hold them.
//!
//! **Invariant**: every name and comment is escaped, so that each line is one line and steers nothing.

use std::{collections::HashMap, fmt::Write as _};

use prost_reflect::{
    Cardinality, DynamicMessage, EnumDescriptor, EnumValueDescriptor, FieldDescriptor,
    FileDescriptor, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, ServiceDescriptor,
    Syntax, Value,
};

use super::names::Symbol;
use crate::format::plain;

/// The most levels of types inside of each other that are written out.
const MAX_DEPTH: usize = 16;

/// The text of `symbol`: a heading that says what and where it is, and its definition.
pub(crate) fn definition(symbol: &Symbol) -> String {
    let file = match symbol {
        Symbol::Service(service) => service.parent_file(),
        Symbol::Method(method) => method.parent_file(),
        Symbol::Message(message) => message.parent_file(),
        Symbol::Enum(values) => values.parent_file(),
        Symbol::Field(field) => field.parent_file(),
        Symbol::Oneof(oneof) => oneof.parent_file(),
        Symbol::Value(value) => value.parent_file(),
    };
    let mut text = Text::new(&file);
    let heading = format!(
        "// {} {}, from {}",
        symbol.kind(),
        plain(&symbol.full_name()),
        plain(file.name())
    );
    text.line(&heading);
    match symbol {
        Symbol::Service(service) => text.service(service),
        Symbol::Method(method) => text.method(method),
        Symbol::Message(message) => text.message(message),
        Symbol::Enum(values) => text.enumeration(values),
        Symbol::Field(field) => text.field(field),
        Symbol::Oneof(oneof) => text.oneof(&oneof.clone()),
        Symbol::Value(value) => text.value(value),
    }
    text.text
}

/// Whom an option of a service or a method lets call, if it has that option.
fn allowed(options: &DynamicMessage, name: &str) -> Option<String> {
    let pool = options.descriptor().parent_pool().clone();
    let extension = pool.get_extension_by_name(name)?;
    if !options.has_extension(&extension) {
        return None;
    }
    let value = options.get_extension(&extension);
    let texts = value.as_message()?.get_field_by_name("allow")?;
    let texts = texts.as_list()?.iter().filter_map(Value::as_str);
    let texts: Vec<_> = texts
        .map(|text| format!("allow: \"{}\"", plain(text)))
        .collect();
    Some(format!("{{{}}}", texts.join(" ")))
}

struct Text {
    text: String,
    depth: usize,
    package: String,
    proto3: bool,
    /// Leading comments by the path of what they stand before.
    comments: HashMap<Vec<i32>, String>,
}

impl Text {
    fn new(file: &FileDescriptor) -> Self {
        let source = file.file_descriptor_proto().source_code_info.iter();
        let comments = source
            .flat_map(|info| &info.location)
            .filter(|location| !location.leading_comments().is_empty())
            .map(|location| {
                (
                    location.path.clone(),
                    location.leading_comments().to_owned(),
                )
            });
        Self {
            text: String::new(),
            depth: 0,
            package: file.package_name().to_owned(),
            proto3: file.syntax() == Syntax::Proto3,
            comments: comments.collect(),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn comment(&mut self, path: &[i32]) {
        let Some(comment) = self.comments.get(path).cloned() else {
            return;
        };
        for line in comment.trim_end().lines() {
            self.line(format!("//{}", plain(line)).trim_end());
        }
    }

    fn block(&mut self, opening: &str, body: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        self.line(&format!("{opening} {{"));
        let inside = self.text.len();
        self.depth += 1;
        body(self);
        self.depth -= 1;
        if self.text.len() == inside {
            self.text.truncate(start);
            return self.line(&format!("{opening} {{}}"));
        }
        self.line("}");
    }

    fn service(&mut self, service: &ServiceDescriptor) {
        self.comment(service.path());
        self.block(&format!("service {}", plain(service.name())), |text| {
            if let Some(allow) = allowed(&service.options(), "daemoneye.ipc.v1.default_access") {
                text.line(&format!(
                    "option (daemoneye.ipc.v1.default_access) = {allow};"
                ));
            }
            for method in service.methods() {
                text.method(&method);
            }
        });
    }

    fn method(&mut self, method: &MethodDescriptor) {
        self.comment(method.path());
        let side = |streams: bool, message: &MessageDescriptor| {
            let stream = if streams { "stream " } else { "" };
            format!("{stream}{}", self.type_name(message.full_name()))
        };
        let signature = format!(
            "rpc {}({}) returns ({})",
            plain(method.name()),
            side(method.is_client_streaming(), &method.input()),
            side(method.is_server_streaming(), &method.output()),
        );
        let allow = allowed(&method.options(), "daemoneye.ipc.v1.access");
        let options = method.method_descriptor_proto().options.as_ref();
        let level = options.filter(|options| options.idempotency_level.is_some());
        let deprecated = options.is_some_and(|options| options.deprecated());
        if allow.is_none() && level.is_none() && !deprecated {
            return self.line(&format!("{signature};"));
        }
        self.block(&signature, |text| {
            if let Some(allow) = allow {
                text.line(&format!("option (daemoneye.ipc.v1.access) = {allow};"));
            }
            if let Some(options) = level {
                let level = options.idempotency_level().as_str_name();
                text.line(&format!("option idempotency_level = {level};"));
            }
            if deprecated {
                text.line("option deprecated = true;");
            }
        });
    }

    fn message(&mut self, message: &MessageDescriptor) {
        self.comment(message.path());
        let opening = format!("message {}", plain(message.name()));
        if self.depth >= MAX_DEPTH {
            return self.line(&format!("{opening} {{ /* deeper than is shown */ }}"));
        }
        self.block(&opening, |text| {
            let nested = message.child_messages();
            for nested in nested.filter(|nested| !nested.is_map_entry()) {
                text.message(&nested);
            }
            for values in message.child_enums() {
                text.enumeration(&values);
            }
            for field in fields_by_number(message) {
                match field
                    .containing_oneof()
                    .filter(|oneof| !oneof.is_synthetic())
                {
                    None => text.field(&field),
                    // A oneof stands where its first field does.
                    Some(oneof) => {
                        let first = oneof.fields().map(|field| field.number()).min();
                        if first == Some(field.number()) {
                            text.oneof(&oneof);
                        }
                    }
                }
            }
            text.reserved(message);
        });
    }

    fn oneof(&mut self, oneof: &prost_reflect::OneofDescriptor) {
        self.comment(oneof.path());
        self.block(&format!("oneof {}", plain(oneof.name())), |text| {
            for field in oneof.fields() {
                text.field(&field);
            }
        });
    }

    fn field(&mut self, field: &FieldDescriptor) {
        self.comment(field.path());
        let in_oneof = field
            .containing_oneof()
            .is_some_and(|oneof| !oneof.is_synthetic());
        let label = match field.cardinality() {
            Cardinality::Repeated if field.is_map() => "",
            Cardinality::Repeated => "repeated ",
            Cardinality::Required => "required ",
            Cardinality::Optional if in_oneof => "",
            Cardinality::Optional if !self.proto3 => "optional ",
            Cardinality::Optional if field.field_descriptor_proto().proto3_optional() => {
                "optional "
            }
            Cardinality::Optional => "",
        };
        let entry = field.kind();
        let ty = match entry.as_message().filter(|_| field.is_map()) {
            Some(entry) => {
                let side = |number| {
                    entry
                        .get_field(number)
                        .map(|field| self.kind(&field.kind()))
                };
                let (key, value) = (side(1).unwrap_or_default(), side(2).unwrap_or_default());
                format!("map<{key}, {value}>")
            }
            None => self.kind(&field.kind()),
        };
        let options = field.field_descriptor_proto().options.as_ref();
        let deprecated = options.is_some_and(|options| options.deprecated());
        let options = if deprecated {
            " [deprecated = true]"
        } else {
            ""
        };
        let (name, number) = (plain(field.name()).into_owned(), field.number());
        self.line(&format!("{label}{ty} {name} = {number}{options};"));
    }

    fn kind(&self, kind: &Kind) -> String {
        match kind {
            Kind::Message(message) => self.type_name(message.full_name()),
            Kind::Enum(values) => self.type_name(values.full_name()),
            // The debug form of a scalar is its name in a schema.
            scalar => format!("{scalar:?}"),
        }
    }

    /// Without the package, where that is the file's own.
    fn type_name(&self, full: &str) -> String {
        let short = full
            .strip_prefix(&self.package)
            .and_then(|rest| rest.strip_prefix('.'));
        plain(short.unwrap_or(full)).into_owned()
    }

    fn enumeration(&mut self, values: &EnumDescriptor) {
        self.comment(values.path());
        self.block(&format!("enum {}", plain(values.name())), |text| {
            for value in values.values() {
                text.value(&value);
            }
        });
    }

    fn value(&mut self, value: &EnumValueDescriptor) {
        self.comment(value.path());
        let line = format!("{} = {};", plain(value.name()), value.number());
        self.line(&line);
    }

    fn reserved(&mut self, message: &MessageDescriptor) {
        let mut line = String::new();
        for range in message.reserved_ranges() {
            let (first, last) = (range.start, range.end.saturating_sub(1));
            let separator = if line.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = match last <= first {
                true => write!(line, "{separator}{first}"),
                false => write!(line, "{separator}{first} to {last}"),
            };
        }
        if !line.is_empty() {
            self.line(&format!("reserved {line};"));
        }
        let names: Vec<_> = message
            .reserved_names()
            .map(|name| format!("\"{}\"", plain(name)))
            .collect();
        if !names.is_empty() {
            self.line(&format!("reserved {};", names.join(", ")));
        }
    }
}

fn fields_by_number(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut fields: Vec<_> = message.fields().collect();
    // The pool keeps fields by number; a schema is read in the order in which it was written.
    fields.sort_by_key(|field| field.path().last().copied());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reflection::{find_symbol, samples};

    fn shown(name: &str) -> String {
        definition(&find_symbol(&samples::shop(), name, "here").expect(name))
    }

    #[test]
    fn a_service_with_its_comments() {
        insta::assert_snapshot!(shown("Shop"));
    }

    #[test]
    fn a_message_of_everything() {
        insta::assert_snapshot!(shown("shop.v1.Order"));
    }

    #[test]
    fn types_of_other_packages_have_their_full_name() {
        insta::assert_snapshot!(shown("Receipt"));
    }

    #[test]
    fn parts_are_shown_alone() {
        for (name, text) in [
            ("Shop/Buy", "  option idempotency_level = IDEMPOTENT;"),
            ("Order.card_number", "string card_number = 7;"),
            ("Order.payment", "oneof payment {"),
            ("Order.Item", "  Order refund_of = 2;"),
            ("Color", "  // As the sky."),
            ("COLOR_BLUE", "COLOR_BLUE = 1;"),
            ("Color.COLOR_BLUE", "COLOR_BLUE = 1;"),
            ("shop.v1.Empty", "message Empty {}"),
        ] {
            let shown = shown(name);
            assert!(shown.lines().any(|line| line == text), "{name}: {shown}");
        }
    }

    #[test]
    fn names_and_comments_steer_nothing() {
        let mut set = samples::descriptor_set(samples::SHOP);
        let file = set.file.last_mut().expect("the shop");
        file.message_type[2].name = Some("Evil\u{1b}[2J\n}".into());
        for location in &mut file.source_code_info.get_or_insert_default().location {
            location.leading_comments = Some("a\r\u{9b}31m\nb".into());
        }
        let pool = prost_reflect::DescriptorPool::from_file_descriptor_set(set).expect("it links");
        for message in pool.all_messages() {
            let shown = definition(&Symbol::Message(message));
            assert!(!shown.contains(['\u{1b}', '\r', '\u{9b}']), "{shown:?}");
        }
    }
}
