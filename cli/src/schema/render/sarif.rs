//! SARIF 2.1.0, which code scanning reads: rules with help, results with places and fingerprints.
//!
//! **Invariant**: the fingerprint of a finding does not change when lines move; two findings of one report have
//! different ones.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{self, Write},
};

use daemoneye_ipc_codegen::rules::{Finding, Rule, Severity};
use serde_json::{Value, json};

use super::Findings;
use crate::output::Output;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
const DOCUMENTATION: &str = "docs/schema-evolution.md explains the rules of `schema check`, docs/schema-lint.md those of \
                             `schema lint`; `daemoneye-cli schema explain RULE` shows one.";

pub(super) fn render<W: Write>(findings: &Findings<'_>, out: &mut Output<W>) -> io::Result<()> {
    let index: HashMap<&str, usize> = findings
        .rules
        .iter()
        .enumerate()
        .map(|(index, rule)| (rule.id, index))
        .collect();
    let mut seen = HashMap::new();
    let results: Vec<Value> = findings
        .list
        .iter()
        .map(|finding| result(findings, finding, &index, &mut seen))
        .collect();
    out.json(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "daemoneye-cli",
                "version": env!("CARGO_PKG_VERSION"),
                "fullDescription": { "text": DOCUMENTATION },
                "rules": findings.rules.iter().map(|each| rule(each)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

fn rule(rule: &Rule) -> Value {
    let help = [rule.purpose, rule.why, rule.fix];
    let help: Vec<&str> = help.into_iter().filter(|text| !text.is_empty()).collect();
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.purpose },
        "help": { "text": help.join("\n\n") },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "tags": rule.categories },
    })
}

fn result(
    findings: &Findings<'_>,
    finding: &Finding,
    index: &HashMap<&str, usize>,
    seen: &mut HashMap<String, usize>,
) -> Value {
    let place = findings.place(finding);
    let file = place.as_ref().map_or("", |place| &place.file);
    let identity = format!("{}\0{file}\0{}", finding.rule, finding.message);
    let count = seen.entry(identity.clone()).or_default();
    *count += 1;
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": { "text": super::words(finding) },
        "partialFingerprints": { "daemoneye/v1": fingerprint(&format!("{identity}\0{count}")) },
        "properties": { "direction": finding.direction, "against": finding.against },
    });
    if let Some(index) = index.get(finding.rule) {
        result["ruleIndex"] = json!(index);
    }
    if let Some(place) = place {
        let span = place.characters;
        result["locations"] = json!([{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&place.file) },
            "region": {
                "startLine": span.start_line,
                "startColumn": span.start_column,
                "endLine": span.end_line,
                "endColumn": span.end_column,
            },
        } }]);
    }
    result
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn fingerprint(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in hmac_sha256::Hash::hash(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A path as a reference to a URI: what has a meaning there is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte as char);
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_reference() {
        assert_eq!(uri("a b/ö:%.proto"), "a%20b/%C3%B6%3A%25.proto");
    }
}
