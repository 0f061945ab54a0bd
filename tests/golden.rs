//! One folder per feature of schemas under `golden/`: the schema, and the Rust that it becomes.
//!
//! The Rust is compiled with this test, so that what is pinned is also known to be accepted.
//! `UPDATE_GOLDEN=1 cargo test -p daemoneye-ipc-tests --test golden` writes it anew.
//!
//! **Invariant**: every folder is compiled, and no output is left without its schema.
#![deny(missing_docs, unreachable_pub, unused_qualifications, clippy::pedantic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use daemoneye_ipc_codegen::project::Project;

macro_rules! golden {
    ($($name:ident: $path:literal,)*) => {
        $(
            #[rustfmt::skip]
            #[path = $path]
            mod $name;
        )*
        const COMPILED: &[&str] = &[$(stringify!($name)),*];
    };
}

golden! {
    access: "golden/access/rust/mod.rs",
    cel: "golden/cel/rust/mod.rs",
    comments: "golden/comments/rust/mod.rs",
    comments_hostile: "golden/comments_hostile/rust/mod.rs",
    defaults: "golden/defaults/rust/mod.rs",
    deprecated: "golden/deprecated/rust/mod.rs",
    empty: "golden/empty/rust/mod.rs",
    enum_aliases: "golden/enum_aliases/rust/mod.rs",
    extensions: "golden/extensions/rust/mod.rs",
    groups: "golden/groups/rust/mod.rs",
    keywords: "golden/keywords/rust/mod.rs",
    kinds: "golden/kinds/rust/mod.rs",
    maps: "golden/maps/rust/mod.rs",
    method_names: "golden/method_names/rust/mod.rs",
    names: "golden/names/rust/mod.rs",
    nested: "golden/nested/rust/mod.rs",
    nested_packages: "golden/nested_packages/rust/mod.rs",
    no_package: "golden/no_package/rust/mod.rs",
    oneofs: "golden/oneofs/rust/mod.rs",
    optional: "golden/optional/rust/mod.rs",
    options: "golden/options/rust/mod.rs",
    package_keywords: "golden/package_keywords/rust/mod.rs",
    packages: "golden/packages/rust/mod.rs",
    prelude: "golden/prelude/rust/mod.rs",
    proto2: "golden/proto2/rust/mod.rs",
    public_imports: "golden/public_imports/rust/mod.rs",
    recursive: "golden/recursive/rust/mod.rs",
    rules: "golden/rules/rust/mod.rs",
    services: "golden/services/rust/mod.rs",
    shapes: "golden/shapes/rust/mod.rs",
    streams: "golden/streams/rust/mod.rs",
    well_known: "golden/well_known/rust/mod.rs",
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

#[test]
fn every_schema_becomes_the_rust_beside_it() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut failures = Vec::new();
    for name in COMPILED {
        let folder = folder().join(name);
        let project = Project::single(&folder, &folder.join("rust"));
        if update {
            project
                .write()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let staleness = project
            .check()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        if !staleness.is_fresh() {
            failures.push(format!("{name}:\n{staleness}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{}\nrun with UPDATE_GOLDEN=1 if this is meant",
        failures.join("\n")
    );
}

#[test]
fn every_folder_is_compiled() {
    let folders: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the folder of golden schemas")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let compiled: BTreeSet<String> = COMPILED.iter().map(ToString::to_string).collect();
    assert_eq!(folders, compiled);
}

/// The documentation of all emitted code, each piece on an item of its own.
fn documentation() -> String {
    let mut text = "//! What the golden folders say.\n".to_owned();
    let mut pieces = 0;
    for name in COMPILED {
        let rust = std::fs::read_dir(folder().join(name).join("rust")).expect("the folder of code");
        for entry in rust {
            let code = std::fs::read_to_string(entry.expect("an entry").path()).expect("the code");
            let mut open = false;
            for line in code.lines().map(str::trim_start) {
                let documents = line.starts_with("///") && !line.starts_with("/// Serves [`");
                if documents {
                    text.push_str(line);
                    text.push('\n');
                } else if open {
                    pieces += 1;
                    text.extend(["pub struct P", &pieces.to_string(), ";\n"]);
                }
                open = documents;
            }
        }
    }
    text
}

#[test]
fn documentation_warns_of_nothing_and_runs_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("lib.rs");
    std::fs::write(&file, documentation()).expect("written");
    let rustdoc = |arguments: &[&str]| {
        let output = std::process::Command::new("rustdoc")
            .args(["--edition", "2024"])
            .args(arguments)
            .arg(&file)
            .current_dir(folder.path())
            .output()
            .expect("rustdoc");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    rustdoc(&["-D", "warnings", "-D", "rustdoc::all"]);
    let tests = rustdoc(&["--test"]);
    assert!(tests.contains("running 0 tests"), "{tests}");
}
