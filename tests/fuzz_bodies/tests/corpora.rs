//! All inputs that are kept, through the bodies: what a fuzzer found once stays found, on every machine.
//!
//! **Invariant**: every target has a corpus, and every corpus a target.

use std::{fs, path::Path};

use ipc_fuzz_bodies::TARGETS;

#[test]
fn every_input_that_is_kept_holds() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut folders: Vec<String> = fs::read_dir(&corpora)
        .expect("the corpora")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    folders.sort();
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, names);
    for (name, body) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpora.join(name)).expect("a corpus") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            body(&fs::read(&path).expect("an input"));
            inputs += 1;
        }
        assert!(inputs > 10, "{name} has {inputs} inputs");
    }
}
