//! The mistakes of the compile-fail suite, made in a crate whose build.rs has compiled the schema: the attribute, which then
//! reads no file, says the same of each.
//!
//! **Invariant**: what is expected is the text that the compile-fail suite holds, word for word.

use std::fs;

use crate::cargo::{Diagnostic, Project, workspace};

/// How a case names the schema, and how it does here.
const READ: &str = "#[ipc_service(schema = \"schemas/inventory/v1/inventory.proto\", service";
const REGISTERED: &str = "#[ipc_service(messages = ::inventory::v1, service";

/// A mistake, and what is said of it.
struct Case {
    name: String,
    source: String,
    message: String,
    /// The line that the error is on.
    line: String,
}

/// All cases in which the schema itself is as it should be.
fn cases() -> Vec<Case> {
    let folder = workspace().join("tests/compile_fail/cases");
    let paths = fs::read_dir(folder).expect("the cases");
    let paths = paths.map(|entry| entry.expect("an entry").path());
    let sources = paths.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    sources
        .filter_map(|path| {
            let source = fs::read_to_string(&path).expect("a case");
            let expected = fs::read_to_string(path.with_extension("stderr")).expect("its errors");
            let (message, rest) = expected.split_once(" --> ")?;
            let line = rest.lines().next()?.split(':').nth(1)?;
            source.contains(READ).then(|| Case {
                name: path
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                source: source
                    .replace(READ, REGISTERED)
                    .replace("use inventory_messages::", "use inventory::v1::"),
                message: said(message).replace(
                    "in `inventory/v1/inventory.proto`",
                    "in the schemas that build.rs compiled",
                ),
                line: line.to_owned(),
            })
        })
        .collect()
}

/// What an error says, without its code and the margin. The messages are in a crate of their own here, and the compiler
/// names them without a path.
fn said(rendered: &str) -> String {
    let (_, text) = rendered.split_once(": ").unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let text = lines.join("\n").replace("inventory::v1::", "");
    text.trim().to_owned()
}

/// Where an error is, as `file:line`, and what it says.
fn told(error: &Diagnostic) -> (String, String) {
    let (message, rest) = error.rendered.split_once(" --> ").unwrap_or_default();
    let place = rest.lines().next().unwrap_or_default();
    let place = place.rsplit_once(':').map_or(place, |(place, _)| place);
    (place.to_owned(), said(message))
}

#[test]
fn each_is_told_alike_behind_both_doors() {
    let project = Project::fixture("mistakes");
    for file in ["inventory.proto", "item.proto"] {
        let from = workspace()
            .join("tests/compile_fail/schemas/inventory/v1")
            .join(file);
        let text = fs::read_to_string(from).expect("a schema");
        project.write(format!("schemas/inventory/v1/{file}"), &text);
    }
    let cases = cases();
    assert!(cases.len() >= 50, "only {} cases", cases.len());
    for case in &cases {
        project.write(format!("src/bin/{}.rs", case.name), &case.source);
    }
    let build = project.cargo(&["check", "--keep-going", "--bins"]);
    let mut faults = Vec::new();
    for case in &cases {
        let place = format!("src/bin/{}.rs", case.name);
        let errors = build.errors();
        let errors = errors.iter().filter(|error| error.file == place);
        let mut told: Vec<_> = errors.map(|error| told(error)).collect();
        // What is equal, cargo shows once.
        told.dedup();
        let expected = (format!("{place}:{}", case.line), case.message.clone());
        if told != [expected.clone()] {
            faults.push(format!("expected {expected:#?}, not {told:#?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
