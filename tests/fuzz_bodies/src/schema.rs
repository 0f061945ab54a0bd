//! The generator, with any text for a schema.
//!
//! **Invariant**: code, or an error that is the schema's own; the fault is never the generator's.

use std::fs;

use daemoneye_ipc_codegen::Generator;

/// Stands between two files of one input.
const BREAK: &str = "\n// ---- ";

/// What an error says when the generator is at fault.
const FAULTS: [&str; 3] = [
    "does not parse",
    "fault of the generator",
    "have no Rust form in prost",
];

/// Takes the bytes for one or more files, which may import each other as `a.proto`, `b.proto` and so on.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    let mut protos = Vec::new();
    for (name, text) in ('a'..='z').zip(text.split(BREAK)) {
        let path = folder.path().join(format!("{name}.proto"));
        if fs::write(&path, text).is_err() {
            return;
        }
        protos.push(path);
    }
    if let Err(error) = Generator::new().generate(&protos, &[folder.path()]) {
        let words = error.to_string();
        let fault = FAULTS.iter().any(|fault| words.contains(fault));
        assert!(!fault, "{words}");
    }
}
