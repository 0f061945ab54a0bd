//! docs/threat-model.md: every test that it names is there.
//!
//! **Invariant**: reads sources as text; a name counts only where a test function has it.

use std::{collections::HashSet, fs, path::Path};

/// Names of the functions in all sources below `folder` that stand under a test attribute.
fn collect(folder: &Path, names: &mut HashSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, names);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some((_, rest)) = line.split_once("fn ") {
                    // In tests/calls a macro makes tests of these, on each runtime.
                    is_test |= rest.contains("(spin_us: u64)");
                    let name = rest.split(['(', '<']).next().unwrap_or_default();
                    if std::mem::take(&mut is_test) {
                        names.insert(name.to_owned());
                    }
                }
            }
        }
    }
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut there = HashSet::new();
    for folder in ["runtime", "tests", "codegen", "cli", "examples", "macros"] {
        collect(&root.join(folder), &mut there);
    }
    let page = fs::read_to_string(root.join("docs/threat-model.md")).expect("the page");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| promise"))
        .collect();
    assert!(rows.len() > 50, "{} rows", rows.len());
    for row in rows {
        let shown = row
            .trim_end_matches(" |")
            .rsplit(" | ")
            .next()
            .unwrap_or_default();
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test shows: {row}");
        for name in named {
            assert!(
                there.contains(name),
                "there is no test `{name}`, which is to show: {row}"
            );
        }
    }
}
