//! Schemas made by chance.
//!
//! **Invariant**: what is made is valid for the most part; what is not is left out by whoever asked.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::schema::{
    Enum, Extend, Field, File, Id, Kind, Label, Message, Method, Reserved, Service, Syntax, Tree,
};

pub(crate) const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
    "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
];

/// The options of files, and values for them.
pub(crate) const FILE_OPTIONS: [(&str, &[&str]); 17] = [
    ("java_package", &["\"com.a\"", "\"com.b\""]),
    ("java_outer_classname", &["\"A\"", "\"B\""]),
    ("java_multiple_files", &["true", "false"]),
    ("java_generic_services", &["true", "false"]),
    ("java_string_check_utf8", &["true", "false"]),
    ("go_package", &["\"a/b\"", "\"a/c\""]),
    ("optimize_for", &["SPEED", "CODE_SIZE"]),
    ("cc_generic_services", &["true", "false"]),
    ("py_generic_services", &["true", "false"]),
    ("cc_enable_arenas", &["true", "false"]),
    ("objc_class_prefix", &["\"AB\"", "\"ABC\""]),
    ("csharp_namespace", &["\"A.B\"", "\"A.C\""]),
    ("swift_prefix", &["\"A\"", "\"B\""]),
    ("php_class_prefix", &["\"A\"", "\"B\""]),
    ("php_namespace", &["\"A\"", "\"B\""]),
    ("php_metadata_namespace", &["\"A\"", "\"B\""]),
    ("ruby_package", &["\"A\"", "\"B\""]),
];

/// A tree in the folder and the package `name`.
pub(crate) fn tree(name: &str, rng: &mut Rng) -> Tree {
    let mut tree = Tree::default();
    let syntax = syntax(rng);
    for index in 0..rng.usize(1..=3) {
        let syntax = if rng.u8(..6) == 0 {
            self::syntax(rng)
        } else {
            syntax
        };
        let package = match rng.u8(..4) {
            0 => format!("{name}.b.v1"),
            _ => format!("{name}.a.v1"),
        };
        tree.files.push(File {
            path: format!("{name}/f{index}.proto"),
            syntax,
            package,
            options: BTreeMap::new(),
            messages: Vec::new(),
            enums: Vec::new(),
            services: Vec::new(),
            extends: Vec::new(),
            layout: rng.u64(..),
        });
    }
    for file in 0..tree.files.len() {
        fill(&mut tree, file, rng);
    }
    tree
}

fn syntax(rng: &mut Rng) -> Syntax {
    match rng.u8(..10) {
        0 => Syntax::Unstated,
        1..=4 => Syntax::Proto2,
        _ => Syntax::Proto3,
    }
}

/// A name that nothing else has.
pub(crate) fn fresh(tree: &mut Tree, stem: &str) -> String {
    format!("{stem}{}", tree.id())
}

fn fill(tree: &mut Tree, file: usize, rng: &mut Rng) {
    for (name, values) in FILE_OPTIONS {
        if rng.u8(..6) == 0 {
            let value = values[rng.usize(..values.len())].to_owned();
            tree.files[file].options.insert(name, value);
        }
    }
    for _ in 0..rng.usize(0..3) {
        let item = enumeration(tree, rng);
        tree.files[file].enums.push(item);
    }
    for _ in 0..rng.usize(1..4) {
        let message = message(tree, rng, 0);
        tree.files[file].messages.push(message);
    }
    if tree.files[file].syntax != Syntax::Proto3 && rng.u8(..3) == 0 {
        let extend = extend(tree, rng);
        tree.files[file].extends.extend(extend);
    }
    for _ in 0..rng.usize(0..3) {
        let service = service(tree, rng);
        tree.files[file].services.extend(service);
    }
}

pub(crate) fn enumeration(tree: &mut Tree, rng: &mut Rng) -> Enum {
    let id = tree.id();
    let name = fresh(tree, "Enum");
    let mut values = Vec::new();
    let mut number = 0;
    for _ in 0..rng.usize(1..5) {
        let name = fresh(tree, "VALUE_");
        values.push((name, number));
        if rng.u8(..8) > 0 {
            number += rng.i32(1..3);
        }
    }
    let mut reserved = Reserved::default();
    if rng.u8(..3) == 0 {
        reserved.ranges = ranges(rng, 20, true);
        reserved.names = vec![fresh(tree, "OLD_")];
    }
    Enum {
        id,
        name,
        values,
        reserved,
    }
}

/// Some ranges from `first` on, apart from each other.
pub(crate) fn ranges(rng: &mut Rng, first: i32, to_max: bool) -> Vec<(i32, i32)> {
    let mut start = first;
    let mut ranges = Vec::new();
    for _ in 0..rng.usize(1..4) {
        let end = start + rng.i32(0..4);
        ranges.push((start, end));
        start = end + rng.i32(1..4);
    }
    if to_max && rng.u8(..6) == 0 {
        ranges.push((start, i32::MAX));
    }
    ranges
}

pub(crate) fn message(tree: &mut Tree, rng: &mut Rng, depth: usize) -> Message {
    let id = tree.id();
    let mut message = Message {
        id,
        name: fresh(tree, "Message"),
        fields: Vec::new(),
        messages: Vec::new(),
        enums: Vec::new(),
        extends: Vec::new(),
        reserved: Reserved::default(),
        extensions: Vec::new(),
        options: BTreeMap::new(),
    };
    if depth < 2 && rng.u8(..3) == 0 {
        message.messages.push(self::message(tree, rng, depth + 1));
    }
    if rng.u8(..4) == 0 {
        message.enums.push(enumeration(tree, rng));
    }
    for number in 1..=rng.i32(0..7) {
        let field = field(tree, rng, number);
        message.fields.push(field);
    }
    if rng.u8(..3) == 0 {
        let oneof = fresh(tree, "choice_");
        for field in &mut message.fields {
            if matches!(
                field.kind,
                Kind::Scalar(_) | Kind::Enum(_) | Kind::Message(_)
            ) && rng.bool()
            {
                to_oneof(field, &oneof);
            }
        }
    }
    if rng.u8(..3) == 0 {
        message.reserved.ranges = ranges(rng, 30, false);
        message.reserved.names = vec![fresh(tree, "old_"), fresh(tree, "older_")];
    }
    if rng.u8(..3) == 0 {
        message.extensions = vec![(100, 199)];
        if rng.bool() {
            message.extensions.push((300, i32::MAX));
        }
    }
    if rng.u8(..8) == 0 {
        message
            .options
            .insert("no_standard_descriptor_accessor", rng.bool().to_string());
    }
    if rng.u8(..8) == 0 {
        message.options.insert("deprecated", "true".to_owned());
    }
    message
}

pub(crate) fn to_oneof(field: &mut Field, oneof: &str) {
    field.oneof = Some(oneof.to_owned());
    field.label = Label::Plain;
    field.options.remove("packed");
}

pub(crate) fn field(tree: &mut Tree, rng: &mut Rng, number: i32) -> Field {
    let kind = kind(tree, rng);
    let mut field = Field {
        name: fresh(tree, "field_"),
        number,
        label: label(rng),
        kind,
        oneof: None,
        options: BTreeMap::new(),
    };
    if matches!(field.kind, Kind::Group(_)) && field.label == Label::Plain {
        field.label = Label::Optional;
    }
    options(tree, &mut field, rng);
    field
}

pub(crate) fn label(rng: &mut Rng) -> Label {
    match rng.u8(..10) {
        0 => Label::Required,
        1..=3 => Label::Optional,
        4 | 5 => Label::Repeated,
        _ => Label::Plain,
    }
}

pub(crate) fn kind(tree: &mut Tree, rng: &mut Rng) -> Kind {
    match rng.u8(..12) {
        0 | 1 => some(&messages(tree), rng).map_or(Kind::Scalar("string"), Kind::Message),
        2 | 3 => some(&enums(tree), rng).map_or(Kind::Scalar("int32"), |(id, _)| Kind::Enum(id)),
        4 => {
            let key = ["int32", "string", "bool", "uint64", "sfixed32"][rng.usize(..5)];
            let value = match some(&messages(tree), rng) {
                Some(id) if rng.bool() => Kind::Message(id),
                _ => Kind::Scalar(SCALARS[rng.usize(..SCALARS.len())]),
            };
            Kind::Map(key, Box::new(value))
        }
        5 if rng.u8(..3) == 0 => Kind::Group(fresh(tree, "Group")),
        _ => Kind::Scalar(SCALARS[rng.usize(..SCALARS.len())]),
    }
}

/// Gives a field the options that its type takes, some of the time.
pub(crate) fn options(tree: &mut Tree, field: &mut Field, rng: &mut Rng) {
    field.options.clear();
    let mut set = |rng: &mut Rng, name: &'static str, values: &[&str]| {
        if rng.u8(..6) == 0 {
            field
                .options
                .insert(name, values[rng.usize(..values.len())].to_owned());
        }
    };
    set(rng, "deprecated", &["true"]);
    if matches!(field.kind, Kind::Group(_)) {
        return;
    }
    if let Kind::Scalar(kind) = field.kind {
        let many = field.label == Label::Repeated;
        match kind {
            "int64" | "uint64" | "sint64" | "fixed64" | "sfixed64" => {
                set(rng, "jstype", &["JS_STRING", "JS_NUMBER", "JS_NORMAL"]);
            }
            "string" | "bytes" => set(rng, "ctype", &["CORD", "STRING_PIECE", "STRING"]),
            _ => {}
        }
        if many && !matches!(kind, "string" | "bytes") {
            set(rng, "packed", &["true", "false"]);
        }
        if !many {
            set(rng, "default", defaults(kind));
        }
    }
    if let Kind::Enum(id) = field.kind
        && field.label != Label::Repeated
        && rng.u8(..3) == 0
        && let Some((_, names)) = enums(tree).into_iter().find(|(other, _)| *other == id)
    {
        field
            .options
            .extend(some(&names, rng).map(|name| ("default", name)));
    }
    if rng.u8(..8) == 0 {
        let name = format!("\"{}\"", fresh(tree, "json"));
        field.options.insert("json_name", name);
    }
}

fn defaults(kind: &str) -> &'static [&'static str] {
    match kind {
        "double" | "float" => &["1.5", "3", "0", "inf", "-inf", "nan", "0.1", "1e10", "-0.0"],
        "bool" => &["true", "false"],
        "string" => &["\"a\"", "\"\"", "\"b\\n\""],
        "bytes" => &["\"a\"", "\"\"", "\"\\001\\xff\\\"\""],
        "uint32" | "uint64" | "fixed32" | "fixed64" => &["0", "3", "0x10", "1"],
        _ => &["0", "3", "-3", "1", "010"],
    }
}

pub(crate) fn extend(tree: &mut Tree, rng: &mut Rng) -> Option<Extend> {
    let mut of = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| file.syntax != Syntax::Proto3)
    {
        file.messages
            .iter()
            .for_each(|message| extendable(message, &mut of));
    }
    let of = some(&of, rng)?;
    let mut fields = Vec::new();
    for _ in 0..rng.usize(1..3) {
        let number = 100 + i32::try_from(tree.id() % 90).expect("small");
        let mut field = field(tree, rng, number);
        if matches!(field.kind, Kind::Map(..)) || field.label == Label::Required {
            field.kind = Kind::Scalar("int32");
            field.label = Label::Optional;
            options(tree, &mut field, rng);
        }
        field.options.remove("json_name");
        fields.push(field);
    }
    Some(Extend { of, fields })
}

fn extendable(message: &Message, found: &mut Vec<Id>) {
    if !message.extensions.is_empty() {
        found.push(message.id);
    }
    message
        .messages
        .iter()
        .for_each(|inner| extendable(inner, found));
}

pub(crate) fn service(tree: &mut Tree, rng: &mut Rng) -> Option<Service> {
    let name = fresh(tree, "Service");
    let mut methods = Vec::new();
    for _ in 0..rng.usize(0..4) {
        methods.push(method(tree, rng)?);
    }
    Some(Service { name, methods })
}

pub(crate) fn method(tree: &mut Tree, rng: &mut Rng) -> Option<Method> {
    let messages = messages(tree);
    Some(Method {
        name: fresh(tree, "Method"),
        input: some(&messages, rng)?,
        output: some(&messages, rng)?,
        streams: (rng.u8(..4) == 0, rng.u8(..4) == 0),
        idempotency: [
            None,
            None,
            Some("IDEMPOTENT"),
            Some("NO_SIDE_EFFECTS"),
            Some("IDEMPOTENCY_UNKNOWN"),
        ][rng.usize(..5)],
    })
}

pub(crate) fn some<T: Clone>(list: &[T], rng: &mut Rng) -> Option<T> {
    (!list.is_empty()).then(|| list[rng.usize(..list.len())].clone())
}

/// All messages of a tree.
pub(crate) fn messages(tree: &Tree) -> Vec<Id> {
    fn walk(message: &Message, found: &mut Vec<Id>) {
        found.push(message.id);
        message.messages.iter().for_each(|inner| walk(inner, found));
    }
    let mut found = Vec::new();
    for file in &tree.files {
        file.messages
            .iter()
            .for_each(|message| walk(message, &mut found));
    }
    found
}

/// All enums of a tree, with the names of their values.
pub(crate) fn enums(tree: &Tree) -> Vec<(Id, Vec<String>)> {
    fn add(item: &Enum, found: &mut Vec<(Id, Vec<String>)>) {
        let names = item.values.iter().map(|(name, _)| name.clone());
        found.push((item.id, names.collect()));
    }
    fn walk(message: &Message, found: &mut Vec<(Id, Vec<String>)>) {
        message.enums.iter().for_each(|item| add(item, found));
        message.messages.iter().for_each(|inner| walk(inner, found));
    }
    let mut found = Vec::new();
    for file in &tree.files {
        file.enums.iter().for_each(|item| add(item, &mut found));
        file.messages
            .iter()
            .for_each(|message| walk(message, &mut found));
    }
    found
}
