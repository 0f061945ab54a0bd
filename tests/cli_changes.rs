//! `schema diff`, `schema docs`, and schemas from descriptor sets, end to end.
//!
//! **Invariant**: schemas are laid out in a folder of the test's own; descriptor sets come from the product's own linker.

use std::{fs, path::Path, process::Command};

use daemoneye_ipc_codegen::load::load;
use serde_json::Value;

use crate::cli_support::{CLI, Place, bare};

const OLD: &str = "syntax = \"proto3\";\n\npackage shop.v1;\n\n// Sells.\nservice Shop {\n  // Buys.\n  rpc Buy(Order) returns (Order);\n  \
                   rpc Leave(Order) returns (Order);\n}\n\n// What is bought.\nmessage Order {\n  string name = 1;\n  int32 count = 2;\n  \
                   string note = 3;\n  Kind kind = 4;\n}\n\nenum Kind {\n  KIND_UNSPECIFIED = 0;\n  KIND_NEW = 1;\n}\n";

fn lay(place: &Place, version: &str, text: &str) {
    let folder = place.path().join(version).join("shop/v1");
    fs::create_dir_all(&folder).expect("folders");
    fs::write(folder.join("shop.proto"), text).expect("a schema");
}

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = bare(Command::new(CLI));
    let output = command
        .arg("schema")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().expect("a code"),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Changes of every sort, and what they are to be called.
fn changed() -> String {
    OLD.replace(
        "rpc Buy(Order) returns (Order);",
        "rpc Buy(Order) returns (stream Order);",
    )
    .replace("rpc Leave(", "rpc Look(")
    .replace("string name = 1;", "string title = 1;")
    .replace("int32 count = 2;", "reserved 2;\n  reserved \"count\";")
    .replace("string note = 3;", "bytes note = 3;\n  string more = 5;")
    .replace(
        "KIND_NEW = 1;",
        "KIND_NEW = 1 [deprecated = true];\n  KIND_OLD = 2;",
    )
}

#[test]
fn changes_are_told_as_people_would_with_whom_they_break() {
    let place = Place::new();
    lay(&place, "old", OLD);
    lay(&place, "new", &changed());
    let (code, out, error) = run(place.path(), &["diff", "new", "--against", "old"]);
    assert_eq!((code, &*error), (0, ""), "{out}");
    for expected in [
        "shop.v1.Shop\n  ~ rpc Buy: replies became a stream\n      breaks old client with new server, and new client with old server (RPC_SAME_SERVER_STREAMING)",
        "  ~ rpc Look renamed: it was `Leave`\n      breaks old client with new server, and new client with old server (IPC_METHOD_NO_DELETE)",
        "shop.v1.Order\n  ~ message Order: reserves 2, `count`\n",
        "  ~ field 1 `title`: name changed from `name` to `title`\n      breaks JSON, and not the wire (FIELD_SAME_JSON_NAME, FIELD_SAME_NAME)",
        "  - field 2 `count` removed: int32; its number is reserved\n",
        "  ~ field 3 `note`: type changed from `string` to `bytes`\n",
        "  + field 5 `more` added: string\n      Peers of before pass it over, and do not send it\n",
        "shop.v1.Kind\n  ~ value 1 `KIND_NEW`: deprecated\n",
        "  + value 2 `KIND_OLD` added\n      Peers of before see a number without a name\n",
        "changes, 2 break peers, ",
    ] {
        assert!(out.contains(expected), "{expected}\nin\n{out}");
    }
    let (code, out, _) = run(place.path(), &["diff", "new", "--against", "new"]);
    assert_eq!((code, &*out), (0, "nothing changed: new since new\n"));
}

#[test]
fn programs_read_changes_as_json() {
    let place = Place::new();
    lay(&place, "old", OLD);
    lay(&place, "new", &changed());
    let (code, out, _) = run(place.path(), &["diff", "new", "--against", "old", "--json"]);
    assert_eq!(code, 0, "{out}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&report["command"], &report["wire"]),
        (&"schema diff".into(), &2.into())
    );
    let changes = report["changes"].as_array().expect("changes");
    let counted =
        ["wire", "json", "code", "nothing"].map(|key| report[key].as_u64().expect("a number"));
    assert_eq!(counted.iter().sum::<u64>(), changes.len() as u64);
    let renamed = changes
        .iter()
        .find(|change| change["what"] == "renamed")
        .expect("a renamed method");
    assert_eq!(
        (&renamed["element"], &renamed["of"]),
        (&"method".into(), &"shop.v1.Shop".into())
    );
    assert_eq!(renamed["effects"][0]["direction"], "both");
    assert_eq!(
        (
            &renamed["location"]["start_line"],
            &renamed["against"]["start_line"]
        ),
        (&9.into(), &9.into())
    );
}

/// A descriptor set of the schemas in a folder, with positions.
fn descriptor_set(folder: &Path, to: &Path) {
    let proto = folder.join("shop/v1/shop.proto");
    let loaded = load(&[proto], &[folder.to_path_buf()]).expect("a schema");
    fs::write(to, loaded.pool.encode_to_vec()).expect("a file");
}

#[test]
fn a_descriptor_set_is_checked_linted_and_documented_like_its_sources() {
    let place = Place::new();
    lay(&place, "old", OLD);
    lay(&place, "new", &changed());
    // A name that says nothing of what it is.
    let set = place.path().join("set");
    descriptor_set(&place.path().join("new"), &set);
    for command in [
        &["check", "--against", "old"][..],
        &["lint"],
        &["diff", "--against", "old"],
    ] {
        let with = |source: &[&str]| {
            let (name, rest) = command.split_first().expect("a command");
            let format: &[&str] = if *name == "diff" {
                &["--json"]
            } else {
                &["--format", "json"]
            };
            let (code, out, error) = run(place.path(), &[&[*name], source, rest, format].concat());
            assert_eq!(error, "");
            (
                code,
                out.replace("\"schemas\": \"set\"", "\"schemas\": \"new\""),
            )
        };
        let (of_folder, of_set) = (with(&["new"]), with(&["--descriptor-set", "set"]));
        assert!(of_folder.1.lines().count() > 1, "{}", of_folder.1);
        assert_eq!(of_set, of_folder);
    }
    let (code, out, error) = run(
        place.path(),
        &["docs", "--descriptor-set", "set", "--out", "pages"],
    );
    assert_eq!((code, &*error), (0, ""));
    assert!(out.contains("3 elements of 1 package: "), "{out}");
    let (code, _, error) = run(place.path(), &["lint", "new", "--descriptor-set", "set"]);
    assert_eq!(code, 2, "{error}");
}

#[test]
fn pages_show_what_a_schema_says() {
    let place = Place::new();
    let text = changed().replace("// Buys.", "// Buys an `Order`. <b>Now</b>.");
    lay(&place, "schemas", &text);
    let out = place.path().join("pages");
    fs::create_dir_all(out.join("packages")).expect("a folder");
    fs::write(out.join("packages/gone.v1.html"), "of an earlier run").expect("a file");
    fs::write(out.join("mine.txt"), "of somebody else").expect("a file");
    let (code, _, error) = run(
        place.path(),
        &["docs", "--out", "pages", "--title", "The <Shop>"],
    );
    assert_eq!((code, &*error), (0, ""));
    assert!(!out.join("packages/gone.v1.html").exists());
    assert!(out.join("mine.txt").exists());
    let read = |name: &str| fs::read_to_string(out.join(name)).expect(name);
    assert!(
        read("index.html").contains("<h1>The &#60;Shop&#62;</h1>"),
        "{}",
        read("index.html")
    );
    let page = read("packages/shop.v1.html");
    for expected in [
        "id=\"Shop.Buy\"",
        "id=\"Order.more\"",
        "Buys an <a href=\"shop.v1.html#Order\"><code>Order</code></a>. &lt;b&gt;Now&lt;/b&gt;.",
        "<span class=\"word\">reserved</span> 2, count",
        "<span class=\"word\">stream</span>",
        "shop/v1/shop.proto:6",
    ] {
        assert!(page.contains(expected), "{expected}\nin\n{page}");
    }
    let index = read("search.js");
    assert!(
        index.contains("[\"method\",\"Shop.Buy\",0,\"Shop.Buy\",\"Buys an Order.\"]"),
        "{index}"
    );
}
