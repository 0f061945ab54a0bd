//! PROTOVALIDATE beside buf: fields of all types with rules made at random, that fit and do not, hold and cannot.
//!
//! `VALIDATE_TREES=400 SEED=7` tries more, and others.
//!
//! **Invariant**: a schema follows from its seed, which the failure tells. Of patterns and times the words are left out:
//! they are those of the libraries that judge them.

use std::fmt::Write as _;
use std::fs;

use fastrand::Rng;

use super::{here, lines, lines_of_buf};

const TYPES: [&str; 16] = [
    "int32",
    "uint64",
    "sint32",
    "fixed64",
    "sfixed32",
    "float",
    "double",
    "bool",
    "string",
    "string",
    "bytes",
    "Kind",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.StringValue",
    "Item",
];

#[test]
fn buf_and_this_agree_on_rules_of_validation() {
    let Some(buf) = super::buf() else { return };
    let number = |variable: &str, default: u64| {
        let value = std::env::var(variable).ok();
        value.map_or(default, |value| value.parse().expect("a number"))
    };
    let (trees, seed) = (number("VALIDATE_TREES", 8), number("SEED", 1));
    let (mut findings, mut wrong) = (0, Vec::new());
    for seed in seed..seed + trees {
        let root = tempfile::tempdir().expect("a temporary folder");
        let rules = fs::read_to_string(here().join("schemas/buf/validate/validate.proto"))
            .expect("the rules");
        let config = "version: v2\nmodules:\n  - path: proto\n  - path: vendor\nlint:\n  use: [PROTOVALIDATE]\n";
        for (name, text) in [
            ("buf.yaml", config.to_owned()),
            ("vendor/buf/validate/validate.proto", rules),
            (
                "proto/shop/v1/shop.proto",
                Maker(Rng::with_seed(seed)).schema(),
            ),
        ] {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().expect("a parent")).expect("folders");
            fs::write(file, text).expect("a file");
        }
        let comparable = |lines: Vec<String>| -> Vec<String> {
            let bare = |line: String| {
                let line = line.trim_start_matches("proto/").to_owned();
                let foreign = [
                    "fails to compile:",
                    "has an invalid",
                    "must have a positive",
                ];
                match foreign.iter().find_map(|words| line.find(words)) {
                    Some(at) => line[..at].to_owned(),
                    None => line,
                }
            };
            let mut lines: Vec<String> = lines.into_iter().map(bare).collect();
            lines.sort();
            lines
        };
        let theirs = comparable(lines_of_buf(&buf, root.path()));
        let ours = comparable(lines(root.path()));
        findings += theirs.len();
        if ours != theirs {
            let only = |one: &[String], other: &[String]| {
                let lines = one.iter().filter(|line| !other.contains(line)).cloned();
                lines.collect::<Vec<_>>().join("\n  ")
            };
            let text =
                fs::read_to_string(root.path().join("proto/shop/v1/shop.proto")).expect("a file");
            wrong.push(format!(
                "SEED={seed}\nonly here:\n  {}\nonly buf:\n  {}\n{text}",
                only(&ours, &theirs),
                only(&theirs, &ours)
            ));
        }
    }
    println!(
        "{trees} schemas, {findings} findings of buf; {} differ",
        wrong.len()
    );
    assert!(
        findings > 0 && wrong.is_empty(),
        "{}",
        wrong.join("\n---\n")
    );
}

struct Maker(Rng);

impl Maker {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())]
    }

    fn often(&mut self, percent: u32) -> bool {
        self.0.u32(..100) < percent
    }

    fn schema(mut self) -> String {
        let mut text = "syntax = \"proto3\";\n\npackage shop.v1;\n\nimport \"buf/validate/validate.proto\";\nimport \
                        \"google/protobuf/duration.proto\";\nimport \"google/protobuf/timestamp.proto\";\nimport \
                        \"google/protobuf/wrappers.proto\";\n\nenum Kind {\n  KIND_UNSPECIFIED = 0;\n}\n"
            .to_owned();
        let mut number = 0;
        for name in ["Item", "Order", "Basket", "Shelf"] {
            let _ = writeln!(text, "\nmessage {name} {{");
            for _ in 0..12 {
                number += 1;
                self.field(number, &mut text);
            }
            text.push_str("  oneof of {\n");
            for at in [100, 101] {
                let rules = self.rules("string", "");
                field("    ", &format!("string choice{at}"), at, &rules, &mut text);
            }
            text.push_str("  }\n}\n");
        }
        text
    }

    fn field(&mut self, number: u32, text: &mut String) {
        let ty = self.one(&TYPES);
        let (declared, rules) = match self.0.u32(..6) {
            0 => {
                let mut rules = self.counts("repeated", "min_items", "max_items");
                if self.often(40) {
                    rules.push("repeated.unique = true".to_owned());
                }
                if self.often(60) {
                    rules.extend(self.rules(ty, "repeated.items."));
                }
                if self.often(10) {
                    rules = self.rules(ty, "");
                }
                (format!("repeated {ty}"), rules)
            }
            1 => {
                let mut rules = self.counts("map", "min_pairs", "max_pairs");
                if self.often(50) {
                    rules.extend(self.rules("string", "map.keys."));
                }
                if self.often(50) {
                    rules.extend(self.rules(ty, "map.values."));
                }
                if self.often(10) {
                    rules = self.rules(ty, "");
                }
                (format!("map<string, {ty}>"), rules)
            }
            2 => (format!("optional {ty}"), self.rules(ty, "")),
            _ => (ty.to_owned(), self.rules(ty, "")),
        };
        let rules = if self.often(10) {
            self.counts("repeated", "min_items", "max_items")
        } else {
            rules
        };
        field("  ", &format!("{declared} f{number}"), number, &rules, text);
    }

    fn counts(&mut self, kind: &str, low: &str, high: &str) -> Vec<String> {
        let mut rules = Vec::new();
        for limit in [low, high] {
            if self.often(50) {
                rules.push(format!("{kind}.{limit} = {}", self.0.u32(1..4)));
            }
        }
        rules
    }

    fn rules(&mut self, ty: &str, before: &str) -> Vec<String> {
        let ty = if self.often(8) { self.one(&TYPES) } else { ty };
        let mut rules = match ty {
            "string" | "google.protobuf.StringValue" => self.text(),
            "bytes" => self.bytes(),
            "google.protobuf.Timestamp" => self.time("timestamp"),
            "google.protobuf.Duration" => self.time("duration"),
            "bool" => vec!["bool.const = true".to_owned()],
            "Kind" => self.some(&["enum.const = 0", "enum.defined_only = true"]),
            "Item" => Vec::new(),
            number => self.number(number),
        };
        if self.often(15) {
            rules.push("required = true".to_owned());
        }
        if self.often(15) {
            rules.push(format!(
                "ignore = {}",
                self.one(&["IGNORE_IF_ZERO_VALUE", "IGNORE_ALWAYS"])
            ));
        }
        if self.often(10) {
            for _ in 0..2 {
                let id = self.one(&["a", "b.c", "", "d e"]);
                rules.push(format!(
                    "cel = {{id: \"{id}\", message: \"m\", expression: \"this == this\"}}"
                ));
            }
        }
        rules
            .into_iter()
            .map(|rule| format!("{before}{rule}"))
            .collect()
    }

    fn some(&mut self, of: &[&str]) -> Vec<String> {
        let chosen = of.iter().filter(|_| self.0.bool());
        chosen.map(|rule| (*rule).to_owned()).collect()
    }

    fn number(&mut self, kind: &str) -> Vec<String> {
        let mut rules = Vec::new();
        let bounds = [self.one(&["lt", "lte"]), self.one(&["gt", "gte"]), "const"];
        for (rule, percent) in bounds.into_iter().zip([50, 50, 15]) {
            if self.often(percent) {
                rules.push(format!("{kind}.{rule} = {}", self.0.u32(1..4)));
            }
        }
        rules
    }

    fn time(&mut self, kind: &str) -> Vec<String> {
        let now = kind == "timestamp";
        let mut rules = Vec::new();
        let mut bounds = vec![self.one(&["lt", "lte"]), self.one(&["gt", "gte"]), "const"];
        if now && self.often(30) {
            bounds = vec!["lt_now", "gt_now", "within"];
        }
        for rule in bounds {
            if !self.often(if rule == "const" { 15 } else { 60 }) {
                continue;
            }
            let value = match rule {
                "lt_now" | "gt_now" => "true",
                "within" => self.one(&["{seconds: 5}", "{seconds: -1}", "{}"]),
                _ => self.one(&[
                    "{seconds: 1}",
                    "{seconds: 1}",
                    "{seconds: 2}",
                    "{seconds: 1 nanos: -5}",
                ]),
            };
            rules.push(format!("{kind}.{rule} = {value}"));
        }
        rules
    }

    fn text(&mut self) -> Vec<String> {
        let mut rules = Vec::new();
        for rule in [
            "len",
            "min_len",
            "max_len",
            "len_bytes",
            "min_bytes",
            "max_bytes",
        ] {
            if self.often(if rule.starts_with("len") { 10 } else { 25 }) {
                rules.push(format!("string.{rule} = {}", self.0.u32(1..9)));
            }
        }
        for rule in ["prefix", "suffix", "contains"] {
            if self.often(15) {
                rules.push(format!(
                    "string.{rule} = \"{}\"",
                    self.one(&["a", "abc", "äöüß", "b"])
                ));
            }
        }
        rules.extend(
            self.often(10)
                .then(|| "string.not_contains = \"b\"".to_owned()),
        );
        rules.extend(self.often(10).then(|| "string.const = \"a\"".to_owned()));
        if self.often(15) {
            rules.push(format!(
                "string.pattern = \"{}\"",
                self.one(&["^a+$", "a(b", "[a-", "a{2,1}"])
            ));
        }
        if self.often(15) {
            rules.push(format!("string.strict = {}", self.one(&["true", "false"])));
        }
        if self.often(8) {
            rules.push("string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME".to_owned());
        }
        rules
    }

    fn bytes(&mut self) -> Vec<String> {
        let mut rules = Vec::new();
        for rule in ["len", "min_len", "max_len"] {
            if self.often(30) {
                rules.push(format!("bytes.{rule} = {}", self.0.u32(1..4)));
            }
        }
        for rule in ["prefix", "suffix", "contains"] {
            if self.often(20) {
                rules.push(format!("bytes.{rule} = \"{}\"", self.one(&["a", "abcd"])));
            }
        }
        rules.extend(self.often(10).then(|| "bytes.const = \"a\"".to_owned()));
        rules.extend(self.often(10).then(|| "bytes.pattern = \"(\"".to_owned()));
        rules
    }
}

/// Each rule is an option on a line of its own, so that places are told apart.
fn field(indent: &str, declared: &str, number: u32, rules: &[String], text: &mut String) {
    if rules.is_empty() {
        let _ = writeln!(text, "{indent}{declared} = {number};");
        return;
    }
    let options = rules
        .iter()
        .map(|rule| format!("{indent}  (buf.validate.field).{rule}"));
    let options: Vec<String> = options.collect();
    let _ = writeln!(
        text,
        "{indent}{declared} = {number} [\n{}\n{indent}];",
        options.join(",\n")
    );
}
