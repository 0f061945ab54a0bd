//! Descriptor sets of the real protoc: every rule says of them what it says of their sources, and editions are judged by
//! their features.
//!
//! protoc comes with PyPI's grpcio-tools: `pip install --target target/grpcio-tools grpcio-tools`. Without it, all this is
//! skipped, and says so.
//!
//! **Invariant**: what is compared is rule, file, line and message; protoc ends some elements at other columns than the
//! parser of sources.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use daemoneye_ipc_codegen::image::{Edition, Image};
use daemoneye_ipc_codegen::rules::Finding;
use daemoneye_ipc_codegen::rules::config::{Config, Module};
use daemoneye_ipc_codegen::{evolution, lint};

use super::here;

/// Descriptor sets of the schemas below some roots; of a root that protoc refuses, its words.
fn sets(roots: &[PathBuf]) -> Option<Vec<Result<Image, String>>> {
    let tools = here().join("../target/grpcio-tools");
    if !tools.join("grpc_tools").is_dir() {
        eprintln!(
            "SKIPPED: no protoc to make sets: pip install --target target/grpcio-tools grpcio-tools"
        );
        return None;
    }
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let out = |at: usize| scratch.path().join(format!("{at}.binpb"));
    let mut child = Command::new("python3")
        .arg(here().join("tests/protoc/sets.py"))
        .arg(here().join("schemas"))
        .env("PYTHONPATH", tools)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut names = child.stdin.take().expect("a pipe");
    let list = roots.iter().enumerate();
    let list: String = list
        .map(|(at, root)| format!("{}\t{}\n", root.display(), out(at).display()))
        .collect();
    let writer = std::thread::spawn(move || names.write_all(list.as_bytes()));
    let output = child.wait_with_output().expect("an answer");
    writer
        .join()
        .expect("a thread")
        .expect("all folders written");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let answers = text
        .lines()
        .enumerate()
        .map(|(at, line)| match line.split_once('\t') {
            Some(("0", _)) => {
                let encoded = fs::read(out(at)).expect("a set");
                Ok(Image::decode(&encoded, &out(at)).expect("a set"))
            }
            _ => Err(line.to_owned()),
        });
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers.len(), roots.len(), "one answer for each root");
    Some(answers)
}

fn folders(of: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(here().join(of)).expect("the examples");
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.sort();
    folders
}

/// What of a finding does not depend on who has parsed the schema. Findings in what is only imported are left out: a set
/// of protoc does not say what that is.
fn said(findings: &[Finding], own: &Image) -> BTreeSet<String> {
    let is_own = |finding: &&Finding| {
        let path = finding.location.path.as_deref();
        path.is_none_or(|path| own.file_at(path).is_some_and(|file| !file.is_import))
    };
    let line = |finding: &Finding| {
        let (path, line) = (
            finding.location.path.as_deref(),
            finding.location.span.start_line,
        );
        format!(
            "{}:{line}: {}: {}",
            path.unwrap_or("-"),
            finding.rule,
            finding.message
        )
    };
    findings.iter().filter(is_own).map(line).collect()
}

#[test]
fn rules_of_lint_say_the_same_of_sets_of_protoc() {
    let folders = folders("tests/lint/cases");
    let Some(sets) = sets(&folders) else { return };
    let mut seen = BTreeSet::new();
    for (folder, set) in folders.iter().zip(sets) {
        let config = Config::find(folder).expect("a configuration");
        let source = config.image().expect("schemas");
        let set = set.unwrap_or_else(|words| panic!("{}: {words}", folder.display()));
        let check = |image: &Image| said(&lint::check(image, &config).expect("rules"), &source);
        let (ours, theirs) = (check(&source), check(&set));
        assert_eq!(theirs, ours, "{}", folder.display());
        seen.extend(
            lint::check(&set, &config)
                .expect("rules")
                .iter()
                .map(|finding| finding.rule),
        );
    }
    let silent: Vec<_> = lint::rules()
        .filter(|rule| !seen.contains(rule.id))
        .collect();
    assert!(
        silent.is_empty(),
        "rules that say nothing of sets: {silent:?}"
    );
}

#[test]
fn rules_of_evolution_say_the_same_of_sets_of_protoc() {
    let folders = folders("tests/evolution/rules");
    let roots = folders
        .iter()
        .flat_map(|folder| [folder.join("before"), folder.join("after")]);
    let roots: Vec<PathBuf> = roots.filter(|root| root.is_dir()).collect();
    let Some(sets) = sets(&roots) else { return };
    let mut compared = 0;
    for (roots, sets) in roots.chunks(2).zip(sets.chunks(2)) {
        let ([before, after], [Ok(old), Ok(new)]) = (roots, sets) else {
            panic!("{roots:?}: {sets:?}");
        };
        let id = before
            .parent()
            .and_then(Path::file_name)
            .expect("a folder of a rule");
        let mut module = Module::at(after);
        module.breaking.used = vec![id.to_string_lossy().into_owned()];
        let config = Config::of(vec![module]);
        let image = |root: &Path| Config::of(vec![Module::at(root)]).image().expect("schemas");
        let (own, earlier) = (image(after), image(before));
        let check = |new: &Image, old: &Image| {
            said(&evolution::check(new, old, &config).expect("rules"), &own)
        };
        let ours = check(&own, &earlier);
        assert_eq!(check(new, old), ours, "{}", after.display());
        compared += ours.len();
    }
    assert!(compared > 80, "{compared} findings");
}

/// One schema for each edition; only the features say what changed.
#[test]
fn a_change_of_features_is_found_in_sets_of_protoc() {
    let text = |edition: u32, feature: &str| {
        format!(
            "edition = \"{edition}\";\npackage shop.v1;\nmessage Item {{\n  string name = 1{feature};\n  repeated int32 sizes = 2;\n}}\n"
        )
    };
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let lay = |name: &str, text: String| {
        let root = scratch.path().join(name);
        fs::create_dir_all(root.join("shop/v1")).expect("folders");
        fs::write(root.join("shop/v1/shop.proto"), text).expect("a file");
        root
    };
    let implicit = " [features.field_presence = IMPLICIT]";
    let required = " [features.field_presence = LEGACY_REQUIRED]";
    let roots = [
        lay("a", text(2023, "")),
        lay("b", text(2023, required)),
        lay("c", text(2024, "")),
        lay("d", text(2024, implicit)),
    ];
    let Some(sets) = sets(&roots) else { return };
    let [a, b, c, d] = &*sets else {
        panic!("four sets");
    };
    let [Ok(a), Ok(b), Ok(c), Ok(d)] = [a, b, c, d] else {
        panic!("{sets:?}");
    };
    let edition = |image: &Image| image.file_at("shop/v1/shop.proto").map(|file| file.edition);
    assert_eq!(edition(a), Some(Edition::Numbered(Edition::EDITION_2023)));
    assert_eq!(edition(c), Some(Edition::Numbered(Edition::EDITION_2024)));
    let check = |new: &Image, old: &Image| -> BTreeSet<&'static str> {
        let mut module = Module::at(Path::new("."));
        module.breaking.used = vec!["FILE".to_owned(), "WIRE".to_owned()];
        let config = Config::of(vec![module]);
        let found = evolution::check(new, old, &config).expect("rules");
        found.iter().map(|finding| finding.rule).collect()
    };
    assert!(check(a, a).is_empty());
    // The editions differ in a feature of C++.
    assert_eq!(check(c, a), BTreeSet::from(["FIELD_SAME_CPP_STRING_TYPE"]));
    let of_required = check(b, a);
    assert!(
        of_required.contains("FIELD_WIRE_COMPATIBLE_CARDINALITY"),
        "{of_required:?}"
    );
    assert!(
        check(d, c).contains("FIELD_SAME_CARDINALITY"),
        "{:?}",
        check(d, c)
    );
    let mut module = Module::at(Path::new("."));
    module.lint.used = vec!["FIELD_NOT_REQUIRED".to_owned()];
    let found = lint::check(b, &Config::of(vec![module])).expect("rules");
    assert_eq!(found.len(), 1, "{found:?}");
}
