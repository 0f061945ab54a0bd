//! Lint says what buf says: one folder in `cases/` for each rule, with what is found in it, and trees of schemas made
//! at random, on which both must agree.
//!
//! buf comes with npm's `@bufbuild/buf`, which `.ci/run` installs below `target/`:
//! `npm install --prefix target/buf @bufbuild/buf@1.75.0`. Without it, its part is skipped, and says so.
//! `LINT_TREES=2000 SEED=7 cargo test -p daemoneye-ipc-codegen --features evolution --test lint` tries more, and others.
//!
//! **Invariant**: a random tree follows from its seed, which the failure tells. Of import cycles, only the place is
//! compared: where there are several ways round, buf names any.

mod editions;
mod random;
mod sets;
mod validate;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use daemoneye_ipc_codegen::lint;
use daemoneye_ipc_codegen::rules::Finding;
use daemoneye_ipc_codegen::rules::config::Config;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What is found in the tree of schemas in a folder, with the `buf.yaml` in it.
fn found(folder: &Path) -> Vec<Finding> {
    let config =
        Config::find(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let image = config.image().unwrap_or_else(|error| panic!("{error}"));
    lint::check(&image, &config).unwrap_or_else(|error| panic!("{error}"))
}

fn line(finding: &Finding) -> String {
    let span = finding.location.span;
    let path = finding.location.path.as_deref();
    format!(
        "{}:{}:{}:{}:{}: {}: {}",
        path.expect("findings of lint have a file"),
        span.start_line,
        span.start_column,
        span.end_line,
        span.end_column,
        finding.rule,
        finding.message
    )
}

fn lines(folder: &Path) -> Vec<String> {
    found(folder).iter().map(line).collect()
}

fn buf() -> Option<PathBuf> {
    let package = here().join("../target/buf/node_modules/@bufbuild");
    let system = if cfg!(target_arch = "aarch64") {
        "aarch64"
    } else {
        "x64"
    };
    let program = package.join(format!("buf-linux-{system}/bin/buf"));
    if program.is_file() {
        return Some(program);
    }
    eprintln!(
        "SKIPPED: no buf to compare with: npm install --prefix target/buf @bufbuild/buf@1.75.0"
    );
    None
}

/// What buf finds in the same folder.
fn lines_of_buf(buf: &Path, folder: &Path) -> Vec<String> {
    let mut command = Command::new(buf);
    command
        .args(["lint", "--error-format", "json"])
        .current_dir(folder);
    let output = command.output().expect("buf runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let code = output.status.code();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(code, Some(0 | 100)),
        "{}: {text}{errors}",
        folder.display()
    );
    let line = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let (text, number) = (
            |key: &str| value[key].as_str().unwrap_or_default().to_owned(),
            |key: &str| value[key].as_u64().unwrap_or_default(),
        );
        format!(
            "{}:{}:{}:{}:{}: {}: {}",
            text("path"),
            number("start_line"),
            number("start_column"),
            number("end_line"),
            number("end_column"),
            text("type"),
            text("message")
        )
    };
    text.lines().map(line).collect()
}

#[test]
fn each_rule_finds_what_it_is_for() {
    let folders = fs::read_dir(here().join("tests/lint/cases")).expect("the cases");
    let folders: Vec<PathBuf> = folders
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let mut wrong = String::new();
    for folder in &folders {
        let expected = fs::read_to_string(folder.join("found.txt")).expect("what is found");
        let found: String = lines(folder)
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        if found != expected {
            let _ = writeln!(
                wrong,
                "{}:\n{found}instead of\n{expected}",
                folder.display()
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let names: BTreeSet<String> = folders
        .iter()
        .filter_map(|folder| folder.file_name()?.to_str().map(str::to_owned))
        .collect();
    for rule in lint::rules() {
        assert!(names.contains(rule.id), "no case for {}", rule.id);
        let example = lint::example(rule.id).expect("the case is built in");
        assert!(!example.after.is_empty() && !example.said.is_empty());
    }
}

#[test]
fn rules_and_categories_are_those_of_buf() {
    let Some(buf) = buf() else { return };
    let output = Command::new(buf)
        .args([
            "config",
            "ls-lint-rules",
            "--version",
            "v2",
            "--format",
            "json",
        ])
        .output()
        .expect("buf runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let theirs: BTreeSet<(String, Vec<String>, String)> = text
        .lines()
        .map(|line| {
            let rule: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let categories = rule["categories"]
                .as_array()
                .map(|list| list.iter().map(text).collect());
            (
                text(&rule["id"]),
                sorted(categories.unwrap_or_default()),
                text(&rule["purpose"]),
            )
        })
        .collect();
    let ours: BTreeSet<_> = lint::rules()
        .map(|rule| {
            let categories = rule
                .categories
                .iter()
                .map(|name| (*name).to_owned())
                .collect();
            (
                rule.id.to_owned(),
                sorted(categories),
                rule.purpose.to_owned(),
            )
        })
        .collect();
    assert_eq!(ours, theirs);
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

#[test]
fn buf_and_this_agree_on_trees_made_at_random() {
    let Some(buf) = buf() else { return };
    let number = |variable: &str, default: u64| {
        let value = std::env::var(variable).ok();
        value.map_or(default, |value| value.parse().expect("a number"))
    };
    let (trees, seed) = (number("LINT_TREES", 25), number("SEED", 1));
    let (mut findings, mut wrong, mut clean) = (0, Vec::new(), 0);
    let comparable = |lines: Vec<String>| -> Vec<String> {
        let cycle = |line: String| match line.split_once("PACKAGE_NO_IMPORT_CYCLE") {
            Some((place, _)) => format!("{place}PACKAGE_NO_IMPORT_CYCLE"),
            None => line,
        };
        lines.into_iter().map(cycle).collect()
    };
    for seed in seed..seed + trees {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in random::tree(seed) {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().expect("a parent")).expect("folders");
            fs::write(file, text).expect("a file");
        }
        let theirs = comparable(lines_of_buf(&buf, root.path()));
        let ours = comparable(lines(root.path()));
        findings += theirs.len();
        clean += usize::from(theirs.is_empty());
        if ours != theirs {
            let only = |one: &[String], other: &[String]| {
                let lines = one.iter().filter(|line| !other.contains(line)).cloned();
                lines.collect::<Vec<_>>().join("\n  ")
            };
            wrong.push(format!(
                "SEED={seed}\nonly here:\n  {}\nonly buf:\n  {}",
                only(&ours, &theirs),
                only(&theirs, &ours)
            ));
        }
    }
    println!(
        "{trees} trees, {findings} findings of buf, {clean} trees without; {} differ",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

#[test]
fn the_schemas_of_the_product_have_nothing_to_be_said_of() {
    let found = lines(&here().join("../schemas"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// buf walks every way through a ladder of packages, of which there are 2 to the power of its height.
#[test]
fn import_cycles_are_found_without_walking_every_way() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let height = 60;
    for step in 0..height {
        for side in ["l", "r"] {
            let mut text = format!("syntax = \"proto3\";\npackage {side}{step};\n");
            if step + 1 < height {
                for side in ["l", "r"] {
                    let _ = writeln!(text, "import \"{side}{}.proto\";", step + 1);
                }
            }
            fs::write(root.path().join(format!("{side}{step}.proto")), text).expect("a file");
        }
    }
    let back = "syntax = \"proto3\";\npackage l59;\nimport \"l0.proto\";\n";
    fs::write(root.path().join("back.proto"), back).expect("a file");
    fs::write(
        root.path().join("buf.yaml"),
        "version: v2\nlint:\n  use: [PACKAGE_NO_IMPORT_CYCLE]\n",
    )
    .expect("a file");
    let found = found(root.path());
    // Every import is part of a cycle, but for those of r0, which nothing imports, and of r59, which leads nowhere.
    assert_eq!(found.len(), 4 * 59 - 2 - 2 + 1);
    let longest = found
        .iter()
        .map(|finding| finding.message.matches("->").count())
        .max();
    assert_eq!(longest, Some(60));
}
