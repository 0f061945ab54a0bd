//! Elements of a schema that would become one in Rust: an error that names both, with their places, and never code that
//! does not compile.
//!
//! **Invariant**: each sort of collision is here with the whole text of its error.

use daemoneye_ipc_codegen::{Generator, ProblemKind};

/// The errors of a schema file `a.proto` and others beside it, with bare file names.
fn errors(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let roots: Vec<_> = files
        .iter()
        .map(|(name, _)| folder.path().join(name))
        .collect();
    let result = Generator::new().generate(&roots, &[folder.path()]);
    let Err(error) = result else {
        return Vec::new();
    };
    let sorts = [ProblemKind::Collision, ProblemKind::Unsupported];
    assert!(
        error
            .problems()
            .iter()
            .all(|problem| sorts.contains(&problem.kind)),
        "{error}"
    );
    let bare = format!("{}/", folder.path().display());
    let texts = error
        .problems()
        .iter()
        .map(|problem| problem.to_string().replace(&bare, ""));
    texts.collect()
}

/// The first line, the place, and what to do: of the one error of a schema.
#[track_caller]
fn error(schema: &str, message: &str, place: &str, help: &str) {
    let found = errors(&[("a.proto", schema)]);
    let [found] = found.as_slice() else {
        panic!("one error, not:\n{}", found.join("\n\n"))
    };
    let lines: Vec<&str> = found.lines().map(str::trim).collect();
    assert_eq!(lines[0], message);
    assert_eq!(lines[1], format!("--> a.proto:{place}"), "{found}");
    let (_, said) = found.split_once("= help: ").expect("what to do");
    let said: Vec<&str> = said.lines().map(str::trim).collect();
    assert_eq!(said.join("\n"), help);
}

const PROTO2: &str = "syntax = \"proto2\"; package a;\n";
const PROTO3: &str = "syntax = \"proto3\"; package a;\n";
#[test]
fn two_fields() {
    error(
        &format!(
            "{PROTO2}message M {{\n optional int32 FooBar = 1;\n optional int32 foo_bar = 2;\n}}"
        ),
        "field `FooBar` and field `foo_bar` of message `a.M` both become the field `foo_bar` in Rust",
        "4:17",
        "rename one of the two\nthe other is at a.proto:3:17",
    );
}

#[test]
fn a_field_and_a_oneof() {
    error(
        &format!("{PROTO3}message M {{\n oneof Kind {{ int32 a = 1; }}\n int32 kind = 2;\n}}"),
        "field `kind` and oneof `Kind` of message `a.M` both become the field `kind` in Rust",
        "3:8",
        "rename one of the two\nthe other is at a.proto:4:8",
    );
}

#[test]
fn two_oneofs() {
    error(
        &format!(
            "{PROTO3}message M {{\n oneof Kind {{ int32 a = 1; }}\n oneof kind {{ int32 b = 2; }}\n}}"
        ),
        "oneof `Kind` and oneof `kind` of message `a.M` both become the field `kind` in Rust",
        "4:8",
        "rename one of the two\nthe other is at a.proto:3:8",
    );
}

#[test]
fn two_alternatives_of_a_oneof() {
    error(
        &format!(
            "{PROTO2}message M {{\n oneof kind {{\n int32 FooBar = 1;\n int32 foo_bar = 2;\n }}\n}}"
        ),
        "fields `FooBar` and `foo_bar` of a oneof of message `a.M` both become the variant `FooBar` in Rust",
        "5:8",
        "rename one of the two\nthe other is at a.proto:4:8",
    );
}

#[test]
fn two_values_of_an_enum() {
    error(
        &format!("{PROTO3}enum E {{\n E_FOO_BAR = 0;\n E_FooBar = 1;\n}}"),
        "values `E_FOO_BAR` and `E_FooBar` of the enum `a.E` both become the variant `FooBar` in Rust",
        "4:2",
        "rename one of the two\nthe other is at a.proto:3:2",
    );
}

#[test]
fn two_values_once_the_prefix_is_gone() {
    error(
        &format!("{PROTO3}enum Kind {{\n KIND_FOO_BAR = 0;\n KIND_FooBar = 1;\n}}"),
        "values `KIND_FOO_BAR` and `KIND_FooBar` of the enum `a.Kind` both become the variant `FooBar` in Rust",
        "4:2",
        "rename one of the two\nthe other is at a.proto:3:2",
    );
}

#[test]
fn the_setter_of_a_field_and_the_getter_of_another() {
    error(
        &format!("{PROTO3}message M {{\n E kind = 1;\n E set_kind = 2;\n}}\nenum E {{ Z = 0; }}"),
        "field `kind` and field `set_kind` of message `a.M` both get the function `set_kind` in Rust",
        "4:4",
        "rename one of the two\nthe other is at a.proto:3:4",
    );
}

#[test]
fn the_function_that_appends_and_a_getter() {
    error(
        &format!(
            "{PROTO2}message M {{\n repeated E kind = 1;\n optional int32 push_kind = 2;\n}}\nenum E {{ Z = 0; }}"
        ),
        "field `kind` and field `push_kind` of message `a.M` both get the function `push_kind` in Rust",
        "4:17",
        "rename one of the two\nthe other is at a.proto:3:13",
    );
}

#[test]
fn the_function_of_a_map_and_a_getter() {
    error(
        &format!(
            "{PROTO3}message M {{\n map<string, E> kind = 1;\n optional int32 get_kind = 2;\n}}\nenum E {{ Z = 0; }}"
        ),
        "field `kind` and field `get_kind` of message `a.M` both get the function `get_kind` in Rust",
        "4:17",
        "rename one of the two\nthe other is at a.proto:3:17",
    );
}

#[test]
fn a_map_to_an_enum_whose_name_is_a_keyword() {
    error(
        &format!("{PROTO3}message M {{\n map<string, E> type = 1;\n}}\nenum E {{ Z = 0; }}"),
        "field `type` of message `a.M` is a map to an enum, and prost has no names for its functions: `type` is a keyword",
        "3:17",
        "rename the field",
    );
}

#[test]
fn two_messages() {
    error(
        &format!("{PROTO3}message FooBar {{}}\nmessage foo_bar {{}}"),
        "message `a.FooBar` and message `a.foo_bar` both need the Rust item `FooBar`",
        "3:9",
        "rename one of the two messages\nthe other is at a.proto:2:9",
    );
}

#[test]
fn two_messages_inside_of_one() {
    error(
        &format!("{PROTO3}message M {{\n message Foo {{}}\n message foo {{}}\n}}"),
        "message `a.M.Foo` and message `a.M.foo` both need the Rust item `m::Foo`",
        "4:10",
        "rename one of the two messages\nthe other is at a.proto:3:10",
    );
}

#[test]
fn two_names_that_cannot_be_raw() {
    error(
        &format!("{PROTO3}message Self {{}}\nmessage self_ {{}}"),
        "message `a.Self` and message `a.self_` both need the Rust item `Self_`",
        "3:9",
        "rename one of the two messages\nthe other is at a.proto:2:9",
    );
}

#[test]
fn two_enums() {
    error(
        &format!("{PROTO3}enum Foo {{ A = 0; }}\nenum foo {{ B = 0; }}"),
        "enum `a.Foo` and enum `a.foo` both need the Rust item `Foo`",
        "3:6",
        "rename one of the two\nthe other is at a.proto:2:6",
    );
}

#[test]
fn a_message_and_an_enum() {
    error(
        &format!("{PROTO3}message Foo {{}}\nenum foo {{ B = 0; }}"),
        "message `a.Foo` and enum `a.foo` both need the Rust item `Foo`",
        "3:6",
        "rename one of the two\nthe other is at a.proto:2:9",
    );
}

#[test]
fn the_type_of_a_oneof_and_a_message() {
    error(
        &format!(
            "{PROTO3}message M {{\n oneof kind {{ int32 a = 1; }}\n message Kind {{}}\n message KindOneOf {{}}\n}}"
        ),
        "message `a.M.KindOneOf` and oneof `kind` of message `a.M` both need the Rust item `m::KindOneOf`",
        "3:8",
        "rename one of the two\nthe other is at a.proto:5:10",
    );
}

#[test]
fn the_module_of_a_message_and_the_message() {
    error(
        &format!("{PROTO3}message _1 {{ message X {{}} }}"),
        "message `a._1` and the inside of message `a._1` both need the Rust item `_1`",
        "2:9",
        "rename one of the two\nthe other is at a.proto:2:9",
    );
}

#[test]
fn a_service_and_a_message() {
    error(
        &format!("{PROTO3}service Foo {{}}\nmessage foo {{}}"),
        "message `a.foo` and service `a.Foo` both need the Rust item `Foo`",
        "2:9",
        "rename one of the two, or give the service another name in Rust: `.service_name(\".a.Foo\", \"FooApi\")`\nthe other is at a.proto:3:9",
    );
}

#[test]
fn a_client_and_a_message() {
    error(
        &format!("{PROTO3}service Foo {{}}\nmessage FooClient {{}}"),
        "message `a.FooClient` and service `a.Foo` both need the Rust item `FooClient`",
        "2:9",
        "rename one of the two, or give the service another name in Rust: `.service_name(\".a.Foo\", \"FooApi\")`\nthe other is at a.proto:3:9",
    );
}

#[test]
fn a_server_and_an_enum() {
    error(
        &format!("{PROTO3}service Foo {{}}\nenum FooServer {{ Z = 0; }}"),
        "enum `a.FooServer` and service `a.Foo` both need the Rust item `FooServer`",
        "2:9",
        "rename one of the two, or give the service another name in Rust: `.service_name(\".a.Foo\", \"FooApi\")`\nthe other is at a.proto:3:6",
    );
}

#[test]
fn two_services() {
    error(
        &format!("{PROTO3}service Foo {{}}\nservice foo {{}}"),
        "service `a.Foo` and service `a.foo` both need the Rust item `Foo`",
        "3:9",
        "rename one of the two, or give the service another name in Rust: `.service_name(\".a.foo\", \"FooApi\")`\nthe other is at a.proto:2:9",
    );
}

#[test]
fn a_service_and_the_client_of_another() {
    error(
        &format!("{PROTO3}service Foo {{}}\nservice FooClient {{}}"),
        "service `a.Foo` and service `a.FooClient` both need the Rust item `FooClient`",
        "3:9",
        "rename one of the two, or give the service another name in Rust: `.service_name(\".a.FooClient\", \"FooClientApi\")`\nthe other is at a.proto:2:9",
    );
}

#[test]
fn the_descriptors_of_two_services() {
    error(
        &format!("{PROTO3}service A1b {{}}\nservice a1_b {{}}"),
        "service `a.A1b` and service `a.a1_b` both need the Rust item `A1B_SERVICE`",
        "3:9",
        "rename one of the two, or give the service another name in Rust: `.service_name(\".a.a1_b\", \"A1BApi\")`\nthe other is at a.proto:2:9",
    );
}

#[test]
fn two_methods() {
    error(
        &format!(
            "{PROTO3}service S {{\n rpc GetItem(M) returns (M);\n rpc get_item(M) returns (M);\n}}\nmessage M {{}}"
        ),
        "methods `GetItem` and `get_item` both become `fn get_item` in Rust",
        "4:6",
        "rename one of the two\nthe other is at a.proto:3:6",
    );
}

#[test]
fn a_method_that_makes_way_for_the_constructor() {
    error(
        &format!(
            "{PROTO3}service S {{\n rpc New(M) returns (M);\n rpc new_(M) returns (M);\n}}\nmessage M {{}}"
        ),
        "methods `New` and `new_` both become `fn new_` in Rust",
        "4:6",
        "rename one of the two\nthe other is at a.proto:3:6",
    );
}

#[test]
fn names_of_nothing_but_underscores() {
    let help = "give it a name with letters";
    for (schema, what, place) in [
        ("message _ {}", "message `_`", "2:9"),
        ("message M { int32 __ = 1; }", "field `__`", "2:19"),
        (
            "message M { oneof _ { int32 a = 1; } }",
            "oneof `_`",
            "2:19",
        ),
        ("enum _ { A = 0; }", "enum `_`", "2:6"),
        ("enum E { _ = 0; }", "enum value `_`", "2:10"),
        ("service _ {}", "service `_`", "2:9"),
        (
            "service S { rpc _(M) returns (M); } message M {}",
            "method `_`",
            "2:17",
        ),
    ] {
        let message =
            format!("the {what} has no name in Rust: there is nothing in it but underscores");
        error(&format!("{PROTO3}{schema}"), &message, place, help);
    }
    error(
        "syntax = \"proto3\"; package a._.b;\nmessage M {}",
        "the part of a package `_` has no name in Rust: there is nothing in it but underscores",
        "1:20",
        help,
    );
}

#[test]
fn types_in_which_rules_are_written() {
    let import = "import \"buf/validate/validate.proto\";";
    let help = "use a message of your own, or say where this one is with an extern path";
    for (schema, name, place) in [
        (
            "message M {\n buf.validate.FieldRules r = 1; }",
            "FieldRules",
            "4:26",
        ),
        (
            "message M {\n repeated buf.validate.StringRules i = 1; }",
            "StringRules",
            "4:36",
        ),
        (
            "message M {} service S {\n rpc A(M) returns (buf.validate.Violations); }",
            "Violations",
            "4:6",
        ),
    ] {
        let message = format!(
            "`buf.validate.{name}` has no Rust: the types of `buf.validate` are there to write rules"
        );
        error(
            &format!("{PROTO3}{import}\n{schema}"),
            &message,
            place,
            help,
        );
    }
}

#[test]
fn types_that_prost_types_does_not_have() {
    let schema = "import \"google/protobuf/descriptor.proto\";\nmessage M {\n google.protobuf.FeatureSet f = 1; }";
    error(
        &format!("{PROTO3}{schema}"),
        "`google.protobuf.FeatureSet` has no Rust: prost-types does not have it",
        "4:29",
        "use a message of your own, or say where this one is with an extern path",
    );
}

#[test]
fn two_packages() {
    let found = errors(&[
        (
            "a.proto",
            "syntax = \"proto3\"; package a.fooBar;\nmessage M {}",
        ),
        (
            "b.proto",
            "syntax = \"proto3\"; package a.foo_bar;\nmessage N {}",
        ),
    ]);
    let [found] = found.as_slice() else {
        panic!("one error, not:\n{}", found.join("\n\n"))
    };
    assert!(found.starts_with("packages `a.fooBar` and `a.foo_bar` both become the module `a::foo_bar` in Rust\n --> b.proto:1:20\n"), "{found}");
    assert!(
        found.ends_with("help: rename one of the two\n          the other is at a.proto:1:20"),
        "{found}"
    );
}

#[test]
fn a_package_and_what_is_inside_of_a_message() {
    let message = "package a;\nmessage Foo { message Bar { message Deeper {} } }";
    for package in ["a.foo", "a.foo.bar"] {
        let found = errors(&[
            ("a.proto", &format!("syntax = \"proto3\"; {message}")),
            (
                "b.proto",
                &format!("syntax = \"proto3\"; package {package};\nmessage N {{}}"),
            ),
        ]);
        let [found] = found.as_slice() else {
            panic!("one error, not:\n{}", found.join("\n\n"))
        };
        let text = format!(
            "package `{package}` and the inside of message `a.Foo` both need the Rust item `foo`\n --> a.proto:2:9\n"
        );
        assert!(found.starts_with(&text), "{found}");
        assert!(
            found.ends_with("rename one of the two\n          the other is at b.proto:1:20"),
            "{found}"
        );
    }
}

#[test]
fn names_that_only_look_alike_are_no_collision() {
    for schema in [
        "message M { oneof kind { int32 a = 1; } message Kind {} }",
        "message M { E kind = 1; int32 set_kind = 2; } enum E { Z = 0; }",
        "enum E { option allow_alias = true; E_A = 0; A = 0; }",
        "enum E { E_FO_O = 0; E_FOO = 1; }",
        "service _1 { rpc _2(_3) returns (_3); } message _3 { int32 _4 = 1; }",
    ] {
        let found = errors(&[("a.proto", &format!("{PROTO3}{schema}"))]);
        assert!(found.is_empty(), "{schema}: {}", found.join("\n\n"));
    }
}
