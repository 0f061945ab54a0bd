//! One file per mistake that `#[ipc_service]` explains, with exactly what it says. The traits that it
//! takes are in `tests/attribute.rs`: without cases that pass, trybuild checks all of these in one go.
//!
//! **Invariant**: a case fails for the one mistake in its name.

use std::path::{Path, PathBuf};

#[test]
fn mistakes_are_explained() {
    provide_schemas();
    let cases = trybuild::TestCases::new();
    cases.compile_fail("cases/*.rs");
}

#[test]
fn one_mistake_is_one_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).expect("the cases") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "stderr")
        {
            let text = std::fs::read_to_string(&path).expect("text");
            let errors = text
                .lines()
                .filter(|line| line.starts_with("error"))
                .count();
            assert_eq!(errors, 1, "{}:\n{text}", path.display());
            cases += 1;
        }
    }
    assert!(cases >= 40, "only {cases} cases");
}

/// The cases are built as a crate of trybuild's, in the target folder, and the attribute looks for
/// schemas in the crate that it is used in.
fn provide_schemas() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target folder");
    let to = target
        .join("tests/trybuild")
        .join(env!("CARGO_PKG_NAME"))
        .join("schemas");
    copy(&from, &to);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder in the target folder");
    for entry in std::fs::read_dir(from).expect("the schemas of the cases") {
        let path: PathBuf = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).expect("a copy");
        }
    }
}
