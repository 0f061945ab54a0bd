//! Schemas as data that can be changed, and their text.
//!
//! **Invariant**: types are named by number, so that a rename or a move takes all that refer to them along.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

pub(crate) type Id = u32;

/// Some files that import each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    pub(crate) next: Id,
}

#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) syntax: Syntax,
    pub(crate) package: String,
    pub(crate) options: BTreeMap<&'static str, String>,
    pub(crate) messages: Vec<Message>,
    pub(crate) enums: Vec<Enum>,
    pub(crate) services: Vec<Service>,
    pub(crate) extends: Vec<Extend>,
    /// How the text is laid out; lines of the file are laid out differently by its bits.
    pub(crate) layout: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Proto2,
    /// Proto2 without a word on it.
    Unstated,
    Proto3,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) messages: Vec<Self>,
    pub(crate) enums: Vec<Enum>,
    pub(crate) extends: Vec<Extend>,
    pub(crate) reserved: Reserved,
    pub(crate) extensions: Vec<(i32, i32)>,
    pub(crate) options: BTreeMap<&'static str, String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Reserved {
    pub(crate) ranges: Vec<(i32, i32)>,
    pub(crate) names: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) number: i32,
    pub(crate) label: Label,
    pub(crate) kind: Kind,
    pub(crate) oneof: Option<String>,
    pub(crate) options: BTreeMap<&'static str, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Plain,
    Optional,
    Required,
    Repeated,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Scalar(&'static str),
    Message(Id),
    Enum(Id),
    Map(&'static str, Box<Self>),
    /// A group, by the name of its message.
    Group(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Enum {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) values: Vec<(String, i32)>,
    pub(crate) reserved: Reserved,
}

#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) methods: Vec<Method>,
}

#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) input: Id,
    pub(crate) output: Id,
    pub(crate) streams: (bool, bool),
    pub(crate) idempotency: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Extend {
    pub(crate) of: Id,
    pub(crate) fields: Vec<Field>,
}

/// Where a type is.
struct Known {
    name: String,
    file: usize,
}

impl Tree {
    pub(crate) fn id(&mut self) -> Id {
        self.next += 1;
        self.next
    }

    /// The texts of the files by path.
    pub(crate) fn texts(&self) -> Vec<(String, String)> {
        let mut known = BTreeMap::new();
        for (index, file) in self.files.iter().enumerate() {
            let scope = match &*file.package {
                "" => String::new(),
                package => format!(".{package}"),
            };
            for item in &file.enums {
                known.insert(
                    item.id,
                    Known {
                        name: format!("{scope}.{}", item.name),
                        file: index,
                    },
                );
            }
            for message in &file.messages {
                name_types(message, &scope, index, &mut known);
            }
        }
        let text =
            |(index, file): (usize, &File)| (file.path.clone(), self.text(index, file, &known));
        self.files.iter().enumerate().map(text).collect()
    }

    fn text(&self, index: usize, file: &File, known: &BTreeMap<Id, Known>) -> String {
        let mut writer = Writer {
            text: String::new(),
            syntax: file.syntax,
            known,
            used: BTreeSet::new(),
            layout: file.layout,
            depth: 0,
        };
        file.extends.iter().for_each(|extend| writer.extend(extend));
        file.messages
            .iter()
            .for_each(|message| writer.message(message));
        file.enums.iter().for_each(|item| writer.enumeration(item));
        file.services
            .iter()
            .for_each(|service| writer.service(service));
        let mut head = String::new();
        match file.syntax {
            Syntax::Proto2 => head.push_str("syntax = \"proto2\";\n"),
            Syntax::Proto3 => head.push_str("syntax = \"proto3\";\n"),
            Syntax::Unstated => {}
        }
        if !file.package.is_empty() {
            let _ = writeln!(head, "package {};", file.package);
        }
        for used in writer.used.iter().filter(|used| **used != index) {
            let _ = writeln!(head, "import \"{}\";", self.files[*used].path);
        }
        for (name, value) in &file.options {
            let _ = writeln!(head, "option {name} = {value};");
        }
        head + &writer.text
    }
}

fn name_types(message: &Message, scope: &str, file: usize, known: &mut BTreeMap<Id, Known>) {
    let name = format!("{scope}.{}", message.name);
    for item in &message.enums {
        known.insert(
            item.id,
            Known {
                name: format!("{name}.{}", item.name),
                file,
            },
        );
    }
    for inner in &message.messages {
        name_types(inner, &name, file, known);
    }
    known.insert(message.id, Known { name, file });
}

struct Writer<'a> {
    text: String,
    syntax: Syntax,
    known: &'a BTreeMap<Id, Known>,
    used: BTreeSet<usize>,
    layout: u64,
    depth: usize,
}

impl Writer<'_> {
    /// The next of the decisions on layout, one in `of`.
    fn chance(&mut self, of: u64) -> bool {
        self.layout = self
            .layout
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.layout >> 33).is_multiple_of(of)
    }

    fn line(&mut self, text: &str) {
        if self.chance(9) {
            let _ = writeln!(
                self.text,
                "{}// Something is said here.",
                "  ".repeat(self.depth)
            );
        }
        let indent = if self.chance(11) { "\t" } else { "  " };
        let lead = if self.chance(23) {
            "/* größer */ "
        } else {
            ""
        };
        let _ = writeln!(self.text, "{}{lead}{text}", indent.repeat(self.depth));
    }

    fn open(&mut self, text: &str) {
        self.line(&format!("{text} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    fn refer(&mut self, id: Id) -> String {
        let known = self.known.get(&id).expect("a type that is there");
        self.used.insert(known.file);
        known.name.clone()
    }

    fn kind(&mut self, kind: &Kind) -> String {
        match kind {
            Kind::Scalar(name) => (*name).to_owned(),
            Kind::Message(id) | Kind::Enum(id) => self.refer(*id),
            Kind::Map(key, value) => {
                let value = self.kind(value);
                let space = if self.chance(3) { "" } else { " " };
                format!("map<{key},{space}{value}>")
            }
            Kind::Group(name) => name.clone(),
        }
    }

    fn options(&mut self, options: &BTreeMap<&'static str, String>, skip: &[&str]) -> String {
        let options = options.iter().filter(|(name, _)| !skip.contains(name));
        let options: Vec<String> = options
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        if options.is_empty() {
            return String::new();
        }
        let separator = if self.chance(3) { ",\n    " } else { ", " };
        format!(" [{}]", options.join(separator))
    }

    fn field(&mut self, field: &Field, in_oneof: bool) {
        let proto3 = self.syntax == Syntax::Proto3;
        let label = match field.label {
            _ if in_oneof || matches!(field.kind, Kind::Map(..)) => "",
            Label::Plain if proto3 => "",
            Label::Required if !proto3 => "required ",
            Label::Repeated => "repeated ",
            _ => "optional ",
        };
        let kind = self.kind(&field.kind);
        let skip: &[&str] = if proto3 { &["default"] } else { &[] };
        if let Kind::Group(name) = &field.kind {
            if !proto3 {
                self.open(&format!("{label}group {name} = {}", field.number));
                self.line("optional int32 inside = 1;");
                self.close();
            }
            return;
        }
        let options = self.options(&field.options, skip);
        let split = if self.chance(17) { "\n      " } else { " " };
        let line = format!(
            "{label}{kind}{split}{} = {}{options};",
            field.name, field.number
        );
        self.line(&line);
    }

    fn extend(&mut self, extend: &Extend) {
        if self.syntax == Syntax::Proto3 || extend.fields.is_empty() {
            return;
        }
        let name = self.refer(extend.of);
        self.open(&format!("extend {name}"));
        extend
            .fields
            .iter()
            .for_each(|field| self.field(field, false));
        self.close();
    }

    fn reserved(&mut self, reserved: &Reserved) {
        let number = |&(start, end): &(i32, i32)| match end {
            i32::MAX => format!("{start} to max"),
            _ if start == end => start.to_string(),
            _ => format!("{start} to {end}"),
        };
        if !reserved.ranges.is_empty() {
            let ranges: Vec<String> = reserved.ranges.iter().map(number).collect();
            self.line(&format!("reserved {};", ranges.join(", ")));
        }
        if !reserved.names.is_empty() {
            let names: Vec<String> = reserved
                .names
                .iter()
                .map(|name| format!("\"{name}\""))
                .collect();
            self.line(&format!("reserved {};", names.join(", ")));
        }
    }

    fn message(&mut self, message: &Message) {
        if message.fields.is_empty() && message.messages.is_empty() && self.chance(3) {
            self.line(&format!("message {} {{}}", message.name));
            return;
        }
        self.open(&format!("message {}", message.name));
        for (name, value) in &message.options {
            self.line(&format!("option {name} = {value};"));
        }
        self.reserved(&message.reserved);
        if self.syntax != Syntax::Proto3 {
            for (start, end) in &message.extensions {
                let end = if *end == i32::MAX {
                    "max".to_owned()
                } else {
                    end.to_string()
                };
                self.line(&format!("extensions {start} to {end};"));
            }
        }
        let mut written = BTreeSet::new();
        for field in &message.fields {
            match &field.oneof {
                None => self.field(field, false),
                Some(oneof) if written.insert(oneof) => {
                    self.open(&format!("oneof {oneof}"));
                    let members = message
                        .fields
                        .iter()
                        .filter(|other| other.oneof.as_ref() == Some(oneof));
                    members.for_each(|field| self.field(field, true));
                    self.close();
                }
                Some(_) => {}
            }
        }
        message
            .messages
            .iter()
            .for_each(|inner| self.message(inner));
        message.enums.iter().for_each(|item| self.enumeration(item));
        message
            .extends
            .iter()
            .for_each(|extend| self.extend(extend));
        self.close();
    }

    fn enumeration(&mut self, item: &Enum) {
        self.open(&format!("enum {}", item.name));
        let numbers: BTreeSet<i32> = item.values.iter().map(|(_, number)| *number).collect();
        if numbers.len() < item.values.len() {
            self.line("option allow_alias = true;");
        }
        for (name, number) in &item.values {
            self.line(&format!("{name} = {number};"));
        }
        self.reserved(&item.reserved);
        self.close();
    }

    fn service(&mut self, service: &Service) {
        self.open(&format!("service {}", service.name));
        for method in &service.methods {
            let stream = |yes: bool| if yes { "stream " } else { "" };
            let (input, output) = (self.refer(method.input), self.refer(method.output));
            let (client, server) = (stream(method.streams.0), stream(method.streams.1));
            let head = format!(
                "rpc {}({client}{input}) returns ({server}{output})",
                method.name
            );
            match method.idempotency {
                None => self.line(&format!("{head};")),
                Some(level) => {
                    self.open(&head);
                    self.line(&format!("option idempotency_level = {level};"));
                    self.close();
                }
            }
        }
        self.close();
    }
}
