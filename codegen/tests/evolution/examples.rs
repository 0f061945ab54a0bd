//! One folder per rule, `rules/ID`, with the schemas `before` and `after` and what the rule says of them.
//!
//! `UPDATE_EXAMPLES=1` writes what is said now.
//!
//! **Invariant**: every rule has a folder and says something there, and of a rule that buf has, buf says it too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use daemoneye_ipc_codegen::evolution;
use daemoneye_ipc_codegen::rules::{Finding, config::Section};

use crate::buf::{self, Line};
use crate::differential::line;
use crate::{CATEGORIES, compare, write};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evolution/rules")
}

#[test]
fn every_rule_says_of_its_example_what_is_written_there() {
    let ids: BTreeSet<String> = evolution::rules().map(|rule| rule.id.to_owned()).collect();
    let found = fs::read_dir(folder()).expect("the examples");
    let found = found.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("UTF-8")
    });
    assert_eq!(
        found.collect::<BTreeSet<_>>(),
        ids,
        "one folder for each rule"
    );
    for id in &ids {
        let folder = folder().join(id);
        let findings = said_of(&folder, id);
        assert!(!findings.is_empty(), "{id} says nothing of its example");
        let example = evolution::example(id).expect("the example is built in");
        assert!(!example.before.is_empty() && !example.said.is_empty());
        let lines = findings
            .iter()
            .map(|finding| serde_json::to_string(finding).expect("JSON") + "\n");
        let said: String = lines.collect();
        let path = folder.join("expected.jsonl");
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            fs::write(&path, &said).expect("a file");
        }
        assert_eq!(
            said,
            fs::read_to_string(&path).unwrap_or_default(),
            "{}",
            path.display()
        );
    }
}

/// What a rule says of the example in `folder`: of that of a rule on all releases, with the release in between.
fn said_of(folder: &Path, id: &str) -> Vec<Finding> {
    let (before, after) = (folder.join("before"), folder.join("after"));
    if evolution::rules_of_history().all(|rule| rule.id != id) {
        return compare(&after, &before, &[id]);
    }
    let releases = [crate::image(&before), crate::image(&folder.join("between"))];
    let releases: Vec<_> = releases.iter().collect();
    let config = crate::using(&after, &[id]);
    let said = evolution::check_history(&crate::image(&after), &releases, &config);
    said.expect("rules").into_iter().flatten().collect()
}

/// All examples side by side, since buf takes long to start.
#[test]
fn buf_says_the_same_of_the_examples() {
    let Some(program) = buf::program() else {
        eprintln!(
            "SKIPPED: there is no buf; `npm install --prefix target/buf @bufbuild/buf@1.75.0` brings it"
        );
        return;
    };
    let all = tempfile::tempdir().expect("a temporary folder");
    let mut ours: BTreeMap<String, BTreeSet<Line>> = BTreeMap::new();
    for rule in evolution::rules() {
        if rule
            .categories
            .iter()
            .all(|category| !CATEGORIES.contains(category))
        {
            continue;
        }
        let folder = folder().join(rule.id);
        let place = rule.id.to_lowercase();
        for version in ["before", "after"] {
            copy(
                &folder.join(version).join(&place),
                &all.path().join(version).join(&place),
            );
        }
        let findings = compare(&folder.join("after"), &folder.join("before"), &[rule.id]);
        ours.entry(rule.id.to_owned())
            .or_default()
            .extend(findings.iter().map(line));
    }
    let (new, old) = (all.path().join("after"), all.path().join("before"));
    let lines = buf::breaking(&program, &new, &old, &CATEGORIES).expect("schemas that buf takes");
    for (id, ours) in ours {
        let place = id.to_lowercase();
        let here = |line: &&Line| {
            let text = format!("\"{}{}", line.path, line.message);
            text.contains(&format!("\"{place}/")) || text.contains(&format!("\"{place}."))
        };
        let buf = lines.iter().filter(|line| line.rule == id).filter(here);
        assert_eq!(ours, buf.cloned().collect(), "{id}");
    }
}

/// Each way to say that a file does not count.
#[test]
fn what_is_ignored_says_nothing() {
    let folder = folder().join("FIELD_NO_DELETE");
    let (new, old) = (folder.join("after"), folder.join("before"));
    let (after, before) = (crate::image(&new), crate::image(&old));
    let says = |change: &dyn Fn(&mut Section)| {
        let mut config = crate::using(&new, &["FIELD_NO_DELETE", "FILE_NO_DELETE"]);
        change(&mut config.modules[0].breaking);
        let findings = evolution::check(&after, &before, &config).expect("rules");
        !findings.is_empty()
    };
    let only = |section: &mut Section, name: &str, path: &str| {
        section
            .ignore_only
            .insert(name.to_owned(), vec![path.to_owned()]);
    };
    assert!(says(&|_| {}));
    assert!(!says(
        &|section| section.ignore = vec!["field_no_delete".to_owned()]
    ));
    assert!(!says(
        &|section| section.ignore = vec!["field_no_delete/a.proto".to_owned()]
    ));
    assert!(says(&|section| section.ignore = vec!["field_no".to_owned()]));
    assert!(!says(&|section| only(
        section,
        "FIELD_NO_DELETE",
        "field_no_delete/a.proto"
    )));
    assert!(!says(&|section| only(section, "PACKAGE", ".")));
    assert!(says(&|section| only(section, "FILE_NO_DELETE", ".")));
    assert!(!says(&|section| section.except = vec!["CSR".to_owned()]));
    assert!(says(&|section| section.ignore_unstable_packages = true));
}

fn copy(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        write(to, name, &fs::read_to_string(&path).expect("a file"));
    }
}
