//! `schema check` and `schema explain`, end to end: what people and programs read, and the exit codes.
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

/// A schema that breaks something, with a note in a format of programs.
fn report(format: &str) -> String {
    let place = Place::new();
    let new = OLD.replace("  int32 count = 2;\n", "\tstring note = 3;\n");
    let arguments = format!("--non-breaking --format {format}");
    let (code, out, error) = check(&place, &new, &arguments);
    assert_eq!((code, &*error), (100, ""), "{out}");
    out
}

#[test]
fn github_shows_findings_beside_the_lines() {
    let out = report("github");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    let expected = "::error title=FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED,file=new/shop/v1/shop.proto,line=9,endLine=12::Previously \
                    present field \"2\" with name \"count\" on message \"Order\" was deleted without reserving the number \"2\".%0A";
    assert!(lines[0].starts_with(expected), "{out}");
    assert!(lines[0].contains("%0A    reserved 2;"), "{out}");
    let expected = "::notice title=FIELD_ADDED,file=new/shop/v1/shop.proto,line=11,endLine=11,col=5,endColumn=21::";
    assert!(lines[1].starts_with(expected), "{out}");
}

#[test]
fn code_scanning_reads_sarif() {
    let out = report("sarif");
    let log: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 2, "{out}");
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("an index");
        let rule = &rules[usize::try_from(index).expect("small")];
        assert_eq!(rule["id"], result["ruleId"]);
        assert_ne!(rule["help"]["text"], "");
        let fingerprint = result["partialFingerprints"]["daemoneye/v1"].as_str();
        assert_eq!(fingerprint.map(str::len), Some(64));
    }
    assert_eq!(
        [&results[0]["level"], &results[1]["level"]],
        ["error", "note"]
    );
    let place = &results[1]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "new/shop/v1/shop.proto");
    let region =
        serde_json::json!({ "startLine": 11, "startColumn": 2, "endLine": 11, "endColumn": 18 });
    assert_eq!(place["region"], region, "a tab is one character here");
}

#[test]
fn fingerprints_outlive_lines_that_move() {
    let fingerprint = |comment: &str| {
        let place = Place::new();
        let new = OLD.replace("  int32 count = 2;\n", "");
        let new = new.replace("service Shop", &format!("{comment}service Shop"));
        let (_, out, _) = check(&place, &new, "--format sarif");
        let log: Value = serde_json::from_str(&out).expect("JSON");
        let result = &log["runs"][0]["results"][0];
        let line = &result["locations"][0]["physicalLocation"]["region"]["startLine"];
        (line.clone(), result["partialFingerprints"].clone())
    };
    let (before, after) = (fingerprint(""), fingerprint("// Sells.\n"));
    assert_ne!(before.0, after.0);
    assert_eq!(before.1, after.1);
    assert!(before.1.is_object());
}

#[test]
fn build_servers_read_junit() {
    let out = report("junit");
    for expected in [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"new compared with old\" tests=\"2\" failures=\"1\">\n",
        "  <testsuite name=\"new/shop/v1/shop.proto\" tests=\"2\" failures=\"1\">\n",
        "    <testcase classname=\"new/shop/v1/shop.proto\" name=\"FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED 9:1\">\n      <failure \
         message=\"Previously present field &quot;2&quot; with name &quot;count&quot; on message",
        "name=\"FIELD_ADDED 11:5\">\n      <system-out>",
        "  </testsuite>\n</testsuites>\n",
    ] {
        assert!(out.contains(expected), "{expected:?} in\n{out}");
    }
    let place = Place::new();
    let (code, out, _) = check(&place, OLD, "--format junit");
    assert_eq!(code, 0);
    let passed = "    <testcase classname=\"schemas\" name=\"new compared with old\"/>\n";
    assert!(out.contains(passed), "{out}");
}

/// Runs `schema explain`.
fn explain(arguments: &[&str]) -> (i32, String, String) {
    let mut command = bare(Command::new(CLI));
    let output = command.args(["schema", "explain"]).args(arguments).output();
    let output = output.expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().expect("a code"),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_rule_is_explained_by_its_example() {
    let (code, out, error) = explain(&["field-same-json-name"]);
    assert_eq!((code, &*error), (0, ""), "{out}");
    for expected in [
        "FIELD_SAME_JSON_NAME\n",
        "  applied by    schema check --use FIELD_SAME_JSON_NAME\n",
        "  who meets it  code built against the schema\n",
        "    -   string name = 1;\n    +   string name = 1 [json_name = \"title\"];\n",
        "schema check says:\n  field_same_json_name/a.proto:6:20: Field \"1\" with name \"name\" on message \"M\"",
    ] {
        assert!(out.contains(expected), "{expected:?} in\n{out}");
    }
    let (code, out, _) = explain(&["COMMENT_ENUM"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("    10  enum Sort {\n"), "{out}");
    assert!(
        out.contains("schema lint says:\n  shop/v1/shop.proto:10:1"),
        "{out}"
    );
}

#[test]
fn rules_are_listed_and_names_that_are_none_are_corrected() {
    let (code, out, _) = explain(&["IPC"]);
    assert_eq!(code, 0);
    assert!(out.contains("\nIPC_METHOD_NO_DELETE "), "{out}");
    assert!(!out.contains("\nFILE_NO_DELETE "), "{out}");
    let (code, all, _) = explain(&[]);
    assert_eq!(code, 0);
    for id in ["FILE_NO_DELETE", "COMMENT_ENUM", "FIELD_ADDED"] {
        assert!(all.contains(&format!("\n{id} ")), "{id} in\n{all}");
    }
    let (code, out, error) = explain(&["FIELD_SAME_TYP"]);
    assert_eq!((code, &*out), (2, ""));
    assert!(error.contains("did you mean `FIELD_SAME_TYPE`?"), "{error}");
}
