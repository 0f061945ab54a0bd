//! What is built anew when a schema changes, and what is said when it is gone: behind both doors, in
//! one workspace, step by step.
//!
//! **Invariant**: every edit is undone before the next, and the build is sound again; nothing but the
//! files named is touched.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::cargo::{Build, Diagnostic, Project};

const SCHEMA: &str = "schemas/greeter/v1/greeter.proto";
const IMPORT: &str = "schemas/words/words.proto";

fn check(project: &Project) -> Build {
    project.cargo(&["check", "--workspace", "--keep-going"])
}

/// Both crates are sound, and had to be built anew.
fn repaired(project: &Project) {
    check(project)
        .assert_success()
        .assert_rebuilt(&["built", "stated"]);
}

/// Both crates are sound, and nothing had to be done.
fn untouched(project: &Project) {
    check(project).assert_success().assert_rebuilt(&[]);
}

#[test]
fn an_edit_rebuilds_those_who_read_the_file_and_nothing_else() {
    let project = Project::fixture("tracked");
    repaired(&project);
    untouched(&project);

    for unrelated in ["schemas/README.md", "schemas/words/unused.proto"] {
        project.touch(unrelated);
    }
    untouched(&project);

    for (file, from, to) in [
        (SCHEMA, "service Greeter", "// Greets.\nservice Greeter"),
        (
            IMPORT,
            "string text = 1;",
            "string text = 1; uint32 count = 2;",
        ),
    ] {
        project.edit(file, from, to);
        let build = check(&project);
        if file == IMPORT {
            // Handlers that fill in all fields are told of the new one.
            for error in build.errors() {
                assert!(
                    error.message.contains("missing field `count`"),
                    "{}",
                    error.rendered
                );
            }
            assert_eq!(build.errors().len(), 2, "{:#?}", build.errors());
        } else {
            build.assert_success().assert_rebuilt(&["built", "stated"]);
        }
        project.edit(file, to, from);
        repaired(&project);
        untouched(&project);
    }
}

#[test]
fn a_renamed_method_is_an_error_at_every_handler() {
    let project = Project::fixture("tracked");
    repaired(&project);
    project.edit(SCHEMA, "rpc Greet(", "rpc Welcome(");
    let build = check(&project);
    assert!(!build.success);
    let errors = build.errors();
    let find = |file: &str, part: &str| {
        let found = errors
            .iter()
            .find(|error| error.file == file && error.message.contains(part));
        found.unwrap_or_else(|| panic!("no `{part}` in {file}: {errors:#?}"))
    };
    let unknown = find(
        "built/src/lib.rs",
        "method `greet` is not a member of trait",
    );
    assert!(
        unknown.token.starts_with("async fn greet("),
        "{}",
        unknown.rendered
    );
    find("built/src/lib.rs", "missing: `welcome`");
    let unknown = find(
        "stated/src/lib.rs",
        "no method `greet` in service `greeter.v1.Greeter`",
    );
    assert_eq!(unknown.token, "greet");
    // The same in the crate whose build.rs compiled the schema.
    find(
        "built/src/lib.rs",
        "no method `greet` in service `greeter.v1.Greeter`",
    );
    for file in ["stated/src/lib.rs", "built/src/lib.rs"] {
        let missing = find(file, "trait `Greeter` lacks a method");
        let signature = "async fn welcome(&self, ctx: &CallContext, request: Words)";
        assert!(missing.message.contains(signature));
    }
    assert_eq!(errors.len(), 6, "{errors:#?}");

    project.edit(SCHEMA, "rpc Welcome(", "rpc Greet(");
    repaired(&project);
}

#[test]
fn a_schema_that_is_gone_is_an_error_that_names_it_until_it_is_back() {
    let project = Project::fixture("tracked");
    repaired(&project);
    let aside = "schemas/greeter/v1/greeting.proto";
    project.rename(SCHEMA, aside);
    for _ in 0..2 {
        let build = check(&project);
        let expected = "schema file `../schemas/greeter/v1/greeter.proto` not found";
        assert!(build.stderr.contains(expected), "{}", build.stderr);
        let error = attribute_error(&build);
        assert!(
            error.message.contains("greeter.proto` not found"),
            "{}",
            error.rendered
        );
    }
    // With the time that it had before.
    project.rename(aside, SCHEMA);
    repaired(&project);
    untouched(&project);

    let text = project.read(IMPORT);
    project.remove(IMPORT);
    let build = check(&project);
    let place = "greeter/v1/greeter.proto:5:1";
    for said in [&build.stderr, &attribute_error(&build).message] {
        assert!(said.contains("words/words.proto' not found"), "{said}");
        assert!(said.contains(place), "{said}");
    }
    project.write(IMPORT, &text);
    repaired(&project);
}

/// What the attribute says of its schema, on the path that the user gave. Where the messages come from
/// the attribute, the compiler then also misses the module that they were imported from.
fn attribute_error(build: &Build) -> &Diagnostic {
    let errors = build.errors();
    assert!(
        errors.iter().all(|error| error.file == "stated/src/lib.rs"),
        "{errors:#?}"
    );
    let (schema, others): (Vec<&Diagnostic>, Vec<_>) = errors
        .iter()
        .partition(|error| error.token == "\"../schemas/greeter/v1/greeter.proto\"");
    assert_eq!(schema.len(), 1, "{errors:#?}");
    assert!(
        others
            .iter()
            .all(|error| error.message.contains("greeter_messages")),
        "{others:#?}"
    );
    schema[0]
}

#[test]
fn a_new_file_that_goes_before_an_import_is_noticed() {
    let project = Project::fixture("tracked");
    repaired(&project);
    let text = project
        .read(IMPORT)
        .replace("message Words", "message Speech");
    project.write("overrides/words/words.proto", &text);
    let build = check(&project);
    assert!(
        build.stderr.contains("'words.Words', which is not defined"),
        "{}",
        build.stderr
    );
    project.remove("overrides/words/words.proto");
    check(&project).assert_success();
    untouched(&project);
}

#[test]
fn a_new_time_alone_rewrites_no_output() {
    let project = Project::fixture("tracked");
    let arguments = ["check", "--package", "built"];
    let first = project.cargo(&arguments);
    let written = outputs(first.assert_success());
    assert!(written.len() >= 3, "{written:?}");
    project.touch(SCHEMA);
    let second = project.cargo(&arguments);
    second.assert_success().assert_rebuilt(&["built"]);
    assert_eq!(outputs(&second), written);
}

/// What a generator wrote for the crate `built`, with the times of writing.
fn outputs(build: &Build) -> Vec<(PathBuf, SystemTime)> {
    let folder = build.out_dirs.get("built").expect("a build script ran");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("its output") {
        let path = entry.expect("an entry").path();
        let time = path.metadata().and_then(|metadata| metadata.modified());
        files.push((path, time.expect("a time")));
    }
    files.sort();
    files
}
