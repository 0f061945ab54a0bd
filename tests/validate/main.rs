//! The rules of `buf.validate`, held to protovalidate itself, and at work around handlers.
//!
//! `vectors.json` has what protovalidate finds wrong with messages of `golden/rules`. To make it anew,
//! or to compare other and more messages with protovalidate directly:
//!
//! ```text
//! pip install protovalidate==2.1.0
//! UPDATE_VECTORS=python3 cargo test -p daemoneye-ipc-tests --test validate
//! PROTOVALIDATE=python3 PROTOVALIDATE_CASES=2000 PROTOVALIDATE_SEED=7 cargo test -p daemoneye-ipc-tests --test validate
//! ```
//!
//! **Invariant**: what is expected here was never written by our own rules.

mod cases;
mod mistakes;
#[rustfmt::skip]
#[path = "../golden/cel/rust/mod.rs"]
#[allow(missing_docs, unreachable_pub)]
mod cel;
#[rustfmt::skip]
#[path = "../golden/rules/rust/mod.rs"]
#[allow(missing_docs, unreachable_pub)]
mod rules;
mod service;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use daemoneye_ipc::prost::Message;
use daemoneye_ipc::validate::{FieldPath, Validate, Violation, Violations};
use prost_reflect::DescriptorPool;
use serde::{Deserialize, Serialize};

use self::cases::{Case, cases};
use self::cel::golden::cel::v1 as expressions;
use self::rules::golden::rules::v1;

#[derive(Serialize, Deserialize)]
struct Vector {
    message: String,
    bytes: String,
    violations: Vec<String>,
}

#[test]
fn violations_are_those_of_protovalidate() {
    if let Some(python) = std::env::var_os("UPDATE_VECTORS") {
        let vectors = ask_for(python.to_str().expect("a program"), 15, 4);
        // A line per message, so that changes can be read.
        let lines: Vec<_> = vectors
            .iter()
            .map(|vector| serde_json::to_string(vector).expect("JSON"))
            .collect();
        let text = format!("[\n{}\n]\n", lines.join(",\n"));
        std::fs::write(vectors_file(), text).expect("the file of vectors");
    }
    let text = std::fs::read_to_string(vectors_file()).expect("the file of vectors");
    let vectors: Vec<Vector> = serde_json::from_str(&text).expect("vectors");
    assert!(vectors.len() >= 120, "only {} vectors", vectors.len());
    compare(&vectors);
}

#[test]
fn other_messages_are_judged_as_protovalidate_judges_them() {
    let Some(python) = std::env::var_os("PROTOVALIDATE") else {
        return; // asked for by hand: protovalidate is no part of the tests' set-up
    };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let count = number("PROTOVALIDATE_CASES").unwrap_or(200);
    let seed = number("PROTOVALIDATE_SEED").unwrap_or(1);
    let seed = u64::try_from(seed).expect("a seed");
    compare(&ask_for(python.to_str().expect("a program"), count, seed));
}

fn vectors_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("validate/vectors.json")
}

/// The packages of both folders with their schemas.
const PACKAGES: [(&str, &[u8]); 2] = [
    ("golden.rules.v1", v1::CHECKER_SERVICE.file_descriptor_set),
    (
        "golden.cel.v1",
        expressions::EXPRESSIONS_SERVICE.file_descriptor_set,
    ),
];

/// What protovalidate says of `count` messages of each type.
fn ask_for(python: &str, count: usize, seed: u64) -> Vec<Vector> {
    let of_package = |(package, descriptors)| {
        let pool = DescriptorPool::decode(descriptors).expect("descriptors");
        ask(python, descriptors, &cases(&pool, package, count, seed))
    };
    PACKAGES.into_iter().flat_map(of_package).collect()
}

/// What protovalidate says of messages, but for those that it cannot judge.
fn ask(python: &str, descriptors: &[u8], cases: &[Case]) -> Vec<Vector> {
    let cases: Vec<_> = cases
        .iter()
        .map(|case| serde_json::json!({"message": case.message, "bytes": hex(&case.bytes)}))
        .collect();
    let question = serde_json::json!({"descriptors": hex(descriptors), "cases": cases});
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("validate/reference.py");
    let mut reference = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut input = reference.stdin.take().expect("a pipe");
    input
        .write_all(question.to_string().as_bytes())
        .expect("a question");
    drop(input);
    let output = reference.wait_with_output().expect("an answer");
    let answers: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("answers");
    assert_eq!(answers.len(), cases.len());
    let judged = cases.iter().zip(answers).filter_map(|(case, answer)| {
        let field = |name: &str| case[name].as_str().expect("text").to_owned();
        Some(Vector {
            message: field("message"),
            bytes: field("bytes"),
            violations: serde_json::from_value(answer).ok()?,
        })
    });
    judged.collect()
}

fn compare(vectors: &[Vector]) {
    let (mut wrong, mut broken) = (Vec::new(), 0);
    for vector in vectors {
        let mut expected: Vec<Violation> =
            vector.violations.iter().map(|text| decode(text)).collect();
        broken += usize::from(!expected.is_empty());
        let mut found = violations(&vector.message, &unhex(&vector.bytes));
        let order = |violation: &Violation| (violation.to_string(), violation.rule_id.clone());
        expected.sort_by_key(order);
        found.sort_by_key(order);
        if found != expected && found.len() < 100 {
            let differ = |a: &[Violation], b: &[Violation]| {
                let only = a.iter().filter(|violation| !b.contains(violation));
                only.map(describe).collect::<Vec<_>>().join("\n    ")
            };
            wrong.push(format!(
                "{} {}\n  only here:\n    {}\n  only there:\n    {}",
                vector.message,
                vector.bytes,
                differ(&found, &expected),
                differ(&expected, &found)
            ));
        }
    }
    assert!(
        broken * 3 > vectors.len(),
        "most messages are to break rules"
    );
    wrong.truncate(5);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn describe(violation: &Violation) -> String {
    let path = |path: &Option<FieldPath>| path.as_ref().map(ToString::to_string);
    let (field, rule) = (path(&violation.field), path(&violation.rule));
    format!("{violation} ({}) {field:?} {rule:?}", violation.rule_id)
}

macro_rules! types {
    ($name:expr, $bytes:expr; $($package:literal $module:ident: $($message:ident)*;)*) => {
        match $name {
            $($(concat!($package, ".", stringify!($message)) => {
                check(&$module::$message::decode($bytes).expect("a message"))
            })*)*
            "golden.rules.v1.Plain" => Ok(()),
            other => panic!("no type for {other}"),
        }
    };
}

fn violations(message: &str, bytes: &[u8]) -> Vec<Violation> {
    let found = types!(
        message, bytes;
        "golden.rules.v1" v1: Numbers Texts Formats Presence Collections Choices WellKnown Tree Everything;
        "golden.cel.v1" expressions: Span Fields Lists;
    );
    found.map_or_else(|violations| violations.violations, |()| Vec::new())
}

fn check(message: &impl Validate) -> Result<(), Violations> {
    message.validate()
}

fn decode(text: &str) -> Violation {
    Violation::decode(unhex(text).as_slice()).expect("a violation")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(byte).collect()
}
