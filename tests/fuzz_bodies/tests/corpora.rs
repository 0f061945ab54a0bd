//! All inputs that are kept, through the bodies: what a fuzzer found once stays found, on every machine.
//!
//! **Invariant**: every target has a corpus, and every corpus a target.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ipc_fuzz_bodies::TARGETS;

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

#[test]
fn every_corpus_has_a_target() {
    let mut folders: Vec<String> = fs::read_dir(corpora())
        .expect("the corpora")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("a name"))
        .collect();
    folders.sort();
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, names);
}

/// Plays all inputs of a target.
fn holds(target: &str) {
    let (_, body) = TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a target");
    let mut inputs = 0;
    for entry in fs::read_dir(corpora().join(target)).expect("a corpus") {
        let path = entry.expect("an entry").path();
        eprintln!("{}", path.display());
        body(&fs::read(&path).expect("an input"));
        inputs += 1;
    }
    assert!(inputs > 10, "{target} has {inputs} inputs");
}

#[test]
fn every_input_that_is_kept_for_clients_holds() {
    holds("client");
}

#[test]
fn every_input_that_is_kept_for_settings_holds() {
    holds("config");
}

#[test]
fn every_input_that_is_kept_for_envelopes_holds() {
    holds("envelope");
}

#[test]
fn every_input_that_is_kept_for_frames_holds() {
    holds("frame");
}

#[test]
fn every_input_that_is_kept_for_the_scan_holds() {
    holds("scan");
}

#[test]
fn every_input_that_is_kept_for_schemas_holds() {
    holds("schema");
}

#[test]
fn every_input_that_is_kept_for_servers_holds() {
    holds("server");
}
