//! The house rules, enforced by reading the source: the floors of the runtime, the arrows between
//! crates, how many crates users build, sizes, names, and what may not be in the repository.
//!
//! **Invariant**: a finding says where, which rule and what to do; an exemption says why, and one that
//! is no longer needed is a finding itself. Each rule is shown to catch a violation.

mod diet;
mod floors;
mod house;
mod source;

use std::{fmt, path::Path};

use self::source::File;

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    /// What is wrong and what to do.
    pub(crate) text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            text,
        } = self;
        write!(f, "{path}:{line}: [{rule}] {text}")
    }
}

/// A violation that is meant: rule, path, a part of the finding's text, and why.
type Exemption = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const EXEMPTIONS: &[Exemption] = &[
    ("sleep", "benches/src/contenders/raw_blocking.rs", "thread::sleep", "a handler whose work is to wait"),
    ("sleep", "benches/src/workloads/open_loop.rs", "thread::sleep", "calls are made by the clock, whatever else happens"),
    ("machine-path", "examples/daemoneye-agent/src/rules.rs", "ho", "a path that a rule is tested with"),
];

/// Whether the rules for handwritten Rust do not apply, and why.
fn is_fixture(path: &str) -> bool {
    // What the generator writes, checked in. Its header says so.
    path.contains("/generated/")
        // Inputs and expected outputs of the generator.
        || path.starts_with("tests/golden/")
        // Programs that are meant to be wrong.
        || path.starts_with("tests/compile_fail/cases/")
        // Sources of crates that tests build, written as a user would.
        || path.contains("/fixtures/")
}

fn findings(files: &[File]) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in files {
        house::check_text(file, &mut found);
        if !file.is_rust() || is_fixture(&file.path) {
            continue;
        }
        let parsed = match file.parse() {
            Ok(parsed) => parsed,
            Err(finding) => {
                found.push(finding);
                continue;
            }
        };
        house::check_rust(file, &parsed, &mut found);
        floors::check(file, &parsed, &mut found);
    }
    floors::check_manifests(files, &mut found);
    found
}

/// Leaves out what is exempt; adds exemptions that nothing needs.
fn judge(found: Vec<Finding>, exemptions: &[Exemption]) -> Vec<Finding> {
    let matches = |finding: &Finding, (rule, path, part, _): &Exemption| {
        finding.rule == *rule && finding.path == *path && finding.text.contains(part)
    };
    let stale = exemptions
        .iter()
        .filter(|exemption| !found.iter().any(|finding| matches(finding, exemption)))
        .map(|(rule, path, part, _)| Finding {
            path: (*path).to_owned(),
            line: 1,
            rule: "exemptions",
            text: format!(
                "nothing needs the exemption from [{rule}] for `{part}`: remove it in tests/tidy/main.rs"
            ),
        })
        .collect::<Vec<_>>();
    found
        .into_iter()
        .filter(|finding| {
            !exemptions
                .iter()
                .any(|exemption| matches(finding, exemption))
        })
        .chain(stale)
        .collect()
}

fn assert_none(found: &[Finding]) {
    let list = found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        found.is_empty(),
        "{} violations of the house rules:\n{list}",
        found.len()
    );
}

#[test]
fn the_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let files = source::read(root);
    for must in [
        "runtime/src/wire/frame.rs",
        "runtime/src/session/server.rs",
        "README.md",
        ".ci/run",
    ] {
        assert!(
            files.iter().any(|file| file.path == must),
            "{must} was not read"
        );
    }
    assert_none(&judge(findings(&files), EXEMPTIONS));
}

const HEADER: &str = "//! Owns.\n//!\n//! **Invariant**: none.\n";

/// One violation of each rule: path, text, rule, line.
fn violations() -> Vec<(&'static str, String, &'static str, usize)> {
    let rust = |body: &str| format!("{HEADER}{body}\n");
    let long_fn = rust(&format!("fn long() {{\n{}}}", "    step();\n".repeat(59)));
    vec![
        ("cli/src/a.rs", "fn a() {}\n".into(), "header", 1),
        ("cli/src/a.rs", "//! Owns.\nfn a() {}\n".into(), "header", 1),
        ("cli/src/a.rs", rust("fn a( {}"), "syntax", 4),
        ("cli/src/a.rs", rust(&"\n".repeat(597)), "file-size", 1),
        ("cli/src/a.rs", long_fn, "function-size", 4),
        ("cli/src/a.rs", rust("fn get_name() {}"), "names", 4),
        ("cli/src/util.rs", rust(""), "names", 1),
        (
            "cli/src/a.rs",
            rust("fn a() { unimplemented!() }"),
            "unfinished",
            4,
        ),
        ("docs/a.md", concat!("TO", "DO\n").into(), "unfinished", 1),
        (
            "tests/a.rs",
            rust("#[test]\n#[ignore]\nfn a() {}"),
            "ignore",
            5,
        ),
        (
            "cli/src/a.rs",
            rust("/// ```ignore\n/// a();\n/// ```\nfn a() {}"),
            "ignore",
            4,
        ),
        (
            "tests/a.rs",
            rust("fn a() { std::thread::sleep(d); }"),
            "sleep",
            4,
        ),
        (
            "docs/a.md",
            format!("see /{}/main\n", "work"),
            "machine-path",
            1,
        ),
        (
            "runtime/src/wire/a.rs",
            rust("use tokio::time;"),
            "sans-io",
            4,
        ),
        (
            "runtime/src/session/a.rs",
            rust("fn a() { Instant::now(); }"),
            "sans-io",
            4,
        ),
        (
            "runtime/src/session/a.rs",
            rust("use std::os::unix::net::UnixStream;"),
            "sans-io",
            4,
        ),
        (
            "runtime/src/client/a.rs",
            rust("use interprocess::local_socket;"),
            "transport",
            4,
        ),
        (
            "runtime/src/wire/a.rs",
            rust("use crate::session::Fault;"),
            "floors",
            4,
        ),
        (
            "runtime/src/wire/a.rs",
            rust("use crate::{schema, client::Channel};"),
            "floors",
            4,
        ),
        (
            "runtime/src/session/server/a.rs",
            rust("use super::super::super::driver::now;"),
            "floors",
            4,
        ),
        (
            "runtime/src/transport/a.rs",
            rust("fn a() { daemoneye_ipc::server::x(); }"),
            "floors",
            4,
        ),
        (
            "runtime/src/status.rs",
            rust("use crate::transport::Peer;"),
            "floors",
            4,
        ),
        (
            "macros/Cargo.toml",
            "[dependencies]\ndaemoneye-ipc.workspace = true\n".into(),
            "arrows",
            1,
        ),
        (
            "codegen/Cargo.toml",
            "[dev-dependencies]\ndaemoneye-ipc-generated = \"1\"\n".into(),
            "arrows",
            1,
        ),
    ]
}

#[test]
fn each_rule_catches_a_violation() {
    for (path, text, rule, line) in violations() {
        let file = File::new(path, &text);
        let found = findings(&[file]);
        let wanted = found
            .iter()
            .any(|finding| finding.rule == rule && finding.line == line);
        assert!(wanted, "{path}: [{rule}] in line {line}: {found:?}\n{text}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let rust = |body: &str| format!("{HEADER}{body}\n");
    let in_tests =
        "#[cfg(test)]\nmod tests {\n    use tokio::time;\n    fn a() { Instant::now(); }\n}";
    let long_test = format!(
        "#[cfg(test)]\nmod tests {{\n{}}}",
        "    fn a() {}\n".repeat(700)
    );
    for (path, text) in [
        ("runtime/src/wire/a.rs", rust(in_tests)),
        (
            "runtime/src/wire/a.rs",
            rust("/// Not `tokio::time`.\nfn a() {}"),
        ),
        ("runtime/src/wire/a.rs", rust("use crate::schema::ipc;")),
        (
            "runtime/src/session/server/a.rs",
            rust("use super::super::Fault; use crate::wire::Head;"),
        ),
        (
            "runtime/src/server/a.rs",
            rust("use crate::{driver, session, wire};"),
        ),
        ("cli/src/a.rs", rust(&long_test)),
        ("tests/golden/a.rs", "fn get_name() {}\n".into()),
        (
            "cli/src/a.rs",
            rust("impl Agent for A { fn get_status() {} }"),
        ),
        (
            "macros/Cargo.toml",
            "[dependencies]\ndaemoneye-ipc-codegen = \"1\"\n".into(),
        ),
    ] {
        assert_none(&findings(&[File::new(path, &text)]));
    }
}

#[test]
fn an_exemption_holds_for_what_it_names_and_is_found_when_stale() {
    let file = File::new("cli/src/a.rs", &format!("{HEADER}fn get_name() {{}}\n"));
    let found = findings(&[file]);
    assert_eq!(found.len(), 1);
    let named = ("names", "cli/src/a.rs", "get_name", "a reason");
    let other = ("names", "cli/src/a.rs", "get_other", "a reason");
    assert_none(&judge(found.clone(), &[named]));
    let judged = judge(found, &[other]);
    let rules: Vec<_> = judged.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["names", "exemptions"]);
}
