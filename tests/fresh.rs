//! The checked-in bindings are what the schemas give, and nothing else.
//!
//! **Invariant**: compares and never writes; the remedy is in the message.

use std::path::Path;

use daemoneye_ipc_codegen::project::Project;

#[test]
fn generated_code_is_up_to_date() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let project = Project::open(schemas).expect("schemas/generate.toml");
    let staleness = project.check().expect("schemas that compile");
    assert!(
        staleness.is_fresh(),
        "{staleness}\n\nto bring it up to date: cargo run -p daemoneye-ipc-codegen -- generate"
    );
}
