//! How many crates are built for those who depend on the product.
//!
//! **Invariant**: counts what cargo resolves, offline; the limits are below what tonic 0.14 builds.

use std::{collections::BTreeSet, path::Path, process::Command};

/// What `cargo tree -e normal,build` lists for tonic 0.14.9 with its default features, besides itself.
const TONIC: usize = 57;

/// Packages, the features they are built with, and at most how many crates that brings.
/// `docs/compile-cost.md` has the same beside tonic and ttrpc.
const LIMITS: &[(&str, &[&str], usize)] = &[
    // The runtime as users get it unless they ask for more.
    ("daemoneye-ipc", &[], 56),
    // The attribute: nearly all of it is prost's and protox's.
    ("daemoneye-ipc-macros", &[], 52),
    // What build scripts depend on.
    ("daemoneye-ipc-codegen", &["--no-default-features"], 51),
];

#[test]
fn users_build_fewer_crates_than_those_of_tonic() {
    for &(package, features, limit) in LIMITS {
        let crates = crates(package, features);
        let list: Vec<&str> = crates.iter().map(String::as_str).collect();
        assert!(
            crates.len() <= limit,
            "{package} brings {} crates, and {limit} is the limit: leave out features, or find a smaller crate\n{}",
            crates.len(),
            list.join("\n")
        );
        assert!(limit < TONIC, "the limit of {package} is not below {TONIC}");
    }
}

#[test]
fn without_the_attribute_the_runtime_brings_no_generator() {
    let crates = crates("daemoneye-ipc", &[]);
    for heavy in ["daemoneye-ipc-codegen", "prost-build", "protox"] {
        let named = crates
            .iter()
            .find(|line| line.split(' ').next() == Some(heavy));
        assert_eq!(named, None, "the runtime brings the generator");
    }
    assert!(
        crates.iter().any(|line| line.starts_with("tokio ")),
        "{crates:?}"
    );
}

/// All crates that a package brings on this platform, itself left out.
fn crates(package: &str, features: &[&str]) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges=normal,build",
            "--prefix=none",
        ])
        .args(["--package", package])
        .args(features)
        .current_dir(root)
        .output()
        .expect("cargo starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree has failed:\n{error}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .skip(1)
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect()
}
