//! `schema check`, end to end: what people and programs read, and the exit codes.
//!
//! **Invariant**: schemas are laid out in a folder of the test's own.

use std::{fs, process::Command};

use serde_json::Value;

use crate::cli_support::{CLI, Place, bare};

const OLD: &str = "syntax = \"proto3\";\n\npackage shop.v1;\n\nservice Shop {\n  rpc Buy(Order) returns (Order);\n}\n\nmessage Order {\n  \
                   string name = 1;\n  int32 count = 2;\n}\n";

/// Lays out an old and a new schema, and checks the new one.
fn check(place: &Place, new: &str, arguments: &str) -> (i32, String, String) {
    for (folder, text) in [("old", OLD), ("new", new)] {
        let folder = place.path().join(folder).join("shop/v1");
        fs::create_dir_all(&folder).expect("folders");
        fs::write(folder.join("shop.proto"), text).expect("a schema");
    }
    let mut command = bare(Command::new(CLI));
    command.args(["schema", "check", "new", "--against", "old"]);
    let output = command
        .args(arguments.split_whitespace())
        .current_dir(place.path())
        .output();
    let output = output.expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().expect("a code"),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_field_that_is_gone_is_shown_in_both_schemas_with_what_to_do() {
    let place = Place::new();
    let new = OLD.replace("  int32 count = 2;\n", "");
    let (code, out, error) = check(&place, &new, "");
    assert_eq!((code, &*error), (100, ""), "{out}");
    for expected in [
        "error[FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED]: Previously present field \"2\" with name \"count\" on message \"Order\" was \
         deleted without reserving the number \"2\".",
        " --> shop/v1/shop.proto:9:1",
        "9 | message Order {",
        "old client with new server, and new client with old server",
        "reserved 2;",
        "reserved \"count\";",
        "it was",
        "\n1 error: new compared with old\n",
    ] {
        assert!(out.contains(expected), "{expected:?} in\n{out}");
    }
}

#[test]
fn programs_read_buf_s_keys_and_ours() {
    let place = Place::new();
    let new = OLD.replace("rpc Buy", "rpc Purchase");
    let (code, out, _) = check(&place, &new, "--format json --use IPC_METHOD_NO_DELETE");
    assert_eq!(code, 100, "{out}");
    let finding: Value = serde_json::from_str(out.trim_end()).expect("one line of JSON");
    assert_eq!(finding["path"], "shop/v1/shop.proto");
    assert_eq!(
        [
            &finding["start_line"],
            &finding["start_column"],
            &finding["end_line"],
            &finding["end_column"]
        ],
        [6, 3, 6, 39]
    );
    assert_eq!(finding["type"], "IPC_METHOD_NO_DELETE");
    assert_eq!(finding["direction"], "both");
    assert_eq!(finding["against"]["path"], "shop/v1/shop.proto");
    let fix = finding["fix"].as_str().expect("advice");
    assert!(
        fix.contains("rpc Buy(shop.v1.Order) returns (shop.v1.Order) {"),
        "{fix}"
    );
}

#[test]
fn what_breaks_nothing_is_listed_on_request_alone() {
    let place = Place::new();
    let new = OLD.replace("count = 2;\n", "count = 2;\n  string note = 3;\n");
    let (code, out, _) = check(&place, &new, "");
    assert_eq!((code, &*out), (0, "no findings: new compared with old\n"));
    let (code, out, _) = check(&place, &new, "--non-breaking");
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains(
            "note[FIELD_ADDED]: Field \"3\" with name \"note\" on message \"Order\" was added."
        ),
        "{out}"
    );
}

#[test]
fn files_of_both_formats_choose_the_rules() {
    let place = Place::new();
    let new = OLD.replace("string name", "string title");
    assert_eq!(check(&place, &new, "").0, 0);
    let config = place.path().join("new/buf.yaml");
    fs::write(&config, "version: v2\nbreaking:\n  use: [FILE]\n").expect("a file");
    let (code, out, _) = check(&place, &new, "--format json");
    assert_eq!(code, 100);
    assert!(out.contains("FIELD_SAME_NAME"), "{out}");
    fs::write(
        place.path().join("new/evolution.toml"),
        "[check]\nexcept = [\"FIELD_SAME_NAME\"]\n",
    )
    .expect("a file");
    let (_, out, _) = check(&place, &new, "--format json");
    assert!(!out.contains("FIELD_SAME_NAME"), "{out}");
}

#[test]
fn what_cannot_be_checked_ends_with_1_and_says_why() {
    let place = Place::new();
    for (arguments, expected) in [
        ("--use FIELD_SAME_TYP", "did you mean `FIELD_SAME_TYPE`?"),
        ("--config nowhere.yaml", "nowhere.yaml"),
    ] {
        let (code, out, error) = check(&place, OLD, arguments);
        assert_eq!((code, &*out), (1, ""), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let (code, _, error) = check(&place, "syntax = \"proto3\";\nmessage {\n", "");
    assert_eq!(code, 1);
    assert!(error.contains("shop.proto:2:9"), "{error}");
    let mut command = bare(Command::new(CLI));
    command.args(["schema", "check", "new", "--against", "none"]);
    let output = command
        .current_dir(place.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
}
