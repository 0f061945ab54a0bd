//! Rules that cannot be kept are errors of the schema, at their place.
//!
//! **Invariant**: no rule is passed over in silence.

use daemoneye_ipc_codegen::Generator;

/// What the generator says of a message with `body`, its lines beginning with the fourth.
fn refusal(body: &str) -> String {
    refusal_in("proto3", body)
}

fn refusal_in(syntax: &str, body: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let text = format!(
        "syntax = \"{syntax}\";\nimport \"buf/validate/validate.proto\";\nimport \"google/protobuf/descriptor.proto\";\n{body}\n"
    );
    std::fs::write(dir.path().join("a.proto"), text).expect("a schema");
    let error = Generator::new()
        .generate(&[dir.path().join("a.proto")], &[dir.path()])
        .expect_err(body);
    error
        .to_string()
        .replace(&dir.path().join("").display().to_string(), "")
}

#[test]
fn rules_of_another_type_are_refused() {
    assert_eq!(
        refusal("message A {\n  uint32 pid = 1 [(buf.validate.field).string.min_len = 1];\n}"),
        "`string` rules do not fit the field's type\n \
         --> a.proto:5:10\n  \
         |\n\
         5 |   uint32 pid = 1 [(buf.validate.field).string.min_len = 1];\n  \
         |          ^^^\n  \
         = help: rules for it are called `uint32`"
    );
    for (field, help) in [
        (
            "A a = 1 [(buf.validate.field).string.min_len = 1]",
            "its own fields have rules",
        ),
        (
            "repeated string a = 1 [(buf.validate.field).string.min_len = 1]",
            "`repeated`",
        ),
        (
            "repeated string a = 1 [(buf.validate.field).repeated.items.int32.lt = 1]",
            "`string`",
        ),
        (
            "map<string, bool> a = 1 [(buf.validate.field).map.values.string.len = 1]",
            "`bool`",
        ),
    ] {
        let text = refusal(&format!("message A {{ {field}; }}"));
        assert!(text.contains("do not fit") && text.contains(help), "{text}");
    }
}

#[test]
fn patterns_are_compiled_with_the_schema() {
    for pattern in ["(", "\\\\p{Greek}"] {
        let field = format!("string a = 1 [(buf.validate.field).string.pattern = \"{pattern}\"]");
        let text = refusal(&format!("message A {{\n  {field};\n}}"));
        assert!(text.contains("is no regular expression"), "{text}");
        assert!(
            text.contains("a.proto:5:10") && text.contains("RE2"),
            "{text}"
        );
    }
}

#[test]
fn what_a_rule_cannot_mean_is_refused() {
    for (body, said) in [
        (
            "message A { repeated A a = 1 [(buf.validate.field).repeated.unique = true]; }",
            "`unique` compares no messages",
        ),
        (
            "message A { repeated string a = 1 [(buf.validate.field).repeated.items.required = true]; }",
            "`required` says nothing",
        ),
        (
            "message A { option (buf.validate.message).oneof = {fields: [\"b\"]}; string a = 1; }",
            "names `b`, which is no field",
        ),
    ] {
        let text = refusal(body);
        assert!(text.contains(said) && text.contains("= help: "), "{text}");
    }
    let text = refusal_in(
        "proto2",
        "extend buf.validate.StringRules { optional bool mine = 80048954 [(buf.validate.predefined).cel = {id: \"mine\" expression: \"true\"}]; }\n\
         message A { optional string a = 1 [(buf.validate.field).string.(mine) = true]; }",
    );
    let said = "`mine` is a rule of one's own";
    assert!(text.contains(said) && text.contains("= help: "), "{text}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = refusal(
        "message A {\n  \
         uint32 a = 1 [(buf.validate.field).string.len = 1];\n  \
         string b = 2 [(buf.validate.field).bool.const = true];\n\
         }",
    );
    assert_eq!(text.matches("do not fit").count(), 2, "{text}");
}
