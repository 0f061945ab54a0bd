//! Schemas of editions are judged as their twins of proto2 and proto3, from descriptor sets that buf makes.
//!
//! **Invariant**: twins have the same elements on the same lines; only what says so differs in the text.

use std::fs;
use std::path::Path;
use std::process::Command;

use daemoneye_ipc_codegen::evolution;
use daemoneye_ipc_codegen::image::Image;
use daemoneye_ipc_codegen::lint;
use daemoneye_ipc_codegen::rules::config::{Config, Module};

/// A schema with something for many rules, `{…}` for what differs between twins.
const SCHEMA: &str = "{syntax}
package shop.v1;
{features}
// Said.
message item {
  {optional}string name = 1;
  {optional}int32 itemCount = 2;
  repeated int32 sizes = 3;
  {required}
  {group}
  map<string, int32> labels = 6;
  oneof of {
    string text = 7;
  }
}
enum Kind {
  KIND_NEW = 0;
  OLD = 1;
}
message GetRequest {}
message GetResponse {}
service Shop {
  rpc get(GetRequest) returns (GetResponse);
}
";

struct Twin {
    syntax: &'static str,
    features: &'static str,
    optional: &'static str,
    required: &'static str,
    group: &'static str,
}

const PROTO2: Twin = Twin {
    syntax: "syntax = \"proto2\";",
    features: "",
    optional: "optional ",
    required: "required int32 must = 4;",
    group: "optional group Part = 5 {}",
};

const LIKE_PROTO2: &str = "option features = { enum_type: CLOSED repeated_field_encoding: EXPANDED \
    utf8_validation: NONE json_format: LEGACY_BEST_EFFORT };";

/// What proto2 is as an edition. A group is a message that is encoded as one, and a field named after it.
const EDITION_LIKE_PROTO2: Twin = Twin {
    syntax: "edition = \"2023\";",
    features: LIKE_PROTO2,
    optional: "",
    required: "int32 must = 4 [features.field_presence = LEGACY_REQUIRED];",
    group: "Part part = 5 [features.message_encoding = DELIMITED]; message Part {}",
};

const PROTO3: Twin = Twin {
    syntax: "syntax = \"proto3\";",
    features: "",
    optional: "",
    required: "int32 must = 4;",
    group: "optional int32 part = 5;",
};

const EDITION_LIKE_PROTO3: Twin = Twin {
    syntax: "edition = \"2023\";",
    features: "option features.field_presence = IMPLICIT;",
    group: "int32 part = 5 [features.field_presence = EXPLICIT];",
    ..PROTO3
};

const EDITION_2024_LIKE_PROTO3: Twin = Twin {
    syntax: "edition = \"2024\";",
    // This edition asks for names that lint asks for.
    features: "option features = { field_presence: IMPLICIT enforce_naming_style: STYLE_LEGACY };",
    ..EDITION_LIKE_PROTO3
};

impl Twin {
    fn image(&self, buf: &Path) -> Image {
        let text = SCHEMA
            .replace("{syntax}", self.syntax)
            .replace("{features}", self.features)
            .replace("{optional}", self.optional)
            .replace("{required}", self.required)
            .replace("{group}", self.group);
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join("shop/v1");
        fs::create_dir_all(&folder).expect("folders");
        fs::write(folder.join("shop.proto"), text).expect("a file");
        let mut command = Command::new(buf);
        let output = command
            .args(["build", "-o", "set.binpb"])
            .current_dir(root.path())
            .output();
        let output = output.expect("buf runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let file = root.path().join("set.binpb");
        Image::decode(&fs::read(&file).expect("a set"), &file).expect("a set")
    }
}

fn config(lint: &[&str], breaking: &[&str]) -> Config {
    let mut module = Module::at(Path::new("."));
    module.lint.used = lint.iter().map(|name| (*name).to_owned()).collect();
    module.breaking.used = breaking.iter().map(|name| (*name).to_owned()).collect();
    Config::of(vec![module])
}

/// Rules and the first lines and columns of what they find, but for fields whose declarations differ.
fn findings(image: &Image) -> Vec<String> {
    let config = config(&["STANDARD", "COMMENTS", "UNARY_RPC"], &[]);
    let found = lint::check(image, &config).expect("rules that exist");
    let found = found.iter().map(|finding| {
        let (line, rule, message) = (
            finding.location.span.start_line,
            finding.rule,
            &finding.message,
        );
        format!("{line}: {rule}: {message}")
    });
    found.collect()
}

fn assert_alike(buf: &Path, edition: &Twin, twin: &Twin) {
    let (edition, twin) = (edition.image(buf), twin.image(buf));
    let (mut found, mut expected) = (findings(&edition), findings(&twin));
    // The comment of a group is asked of its message alone, that of a field and its message of both.
    let of_part = |line: &String| !line.contains("\"part\"") && !line.contains("\"Part\"");
    found.retain(of_part);
    expected.retain(of_part);
    assert_eq!(found, expected);
    assert!(found.len() > 10, "{found:?}");
    let config = config(&[], &["WIRE", "WIRE_JSON"]);
    for (new, old) in [(&edition, &twin), (&twin, &edition)] {
        let broken = evolution::check(new, old, &config).expect("rules that exist");
        assert!(broken.is_empty(), "{broken:#?}");
    }
}

#[test]
fn an_edition_with_the_features_of_proto2_is_judged_as_proto2() {
    if let Some(buf) = super::buf() {
        assert_alike(&buf, &EDITION_LIKE_PROTO2, &PROTO2);
    }
}

#[test]
fn editions_with_the_features_of_proto3_are_judged_as_proto3() {
    if let Some(buf) = super::buf() {
        assert_alike(&buf, &EDITION_LIKE_PROTO3, &PROTO3);
        assert_alike(&buf, &EDITION_2024_LIKE_PROTO3, &PROTO3);
    }
}

#[test]
fn a_feature_that_changes_the_wire_is_found() {
    let Some(buf) = super::buf() else { return };
    let old = EDITION_LIKE_PROTO2.image(&buf);
    for (group, features) in [
        ("Part part = 5; message Part {}", LIKE_PROTO2),
        (EDITION_LIKE_PROTO2.group, ""),
    ] {
        let new = Twin {
            group,
            features,
            ..EDITION_LIKE_PROTO2
        }
        .image(&buf);
        let found = evolution::check(&new, &old, &config(&[], &["FILE"])).expect("rules");
        assert!(!found.is_empty(), "{group} {features}");
    }
}
