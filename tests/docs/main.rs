//! What the documents say, run: the test vectors and the Python client of the wire contract, the list
//! of settings. (The quickstart of the README is followed in `tests/outside`.)
//!
//! **Invariant**: a document that no longer tells the truth fails a test here.

#[path = "../conformance_server.rs"]
#[expect(dead_code, reason = "the raw peer uses the rest")]
mod conformance_server;

mod python_client;
mod settings;
mod threat_model;
mod vectors;

use std::path::{Path, PathBuf};

/// The folder of the workspace.
fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace").to_path_buf()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text of the first code block that begins with that fence.
fn block<'a>(text: &'a str, fence: &str) -> &'a str {
    let fence = format!("\n```{fence}\n");
    let start = text
        .find(&fence)
        .unwrap_or_else(|| panic!("no block {fence}"))
        + fence.len();
    let length = text[start..].find("```").expect("the end of the block");
    &text[start..start + length]
}
