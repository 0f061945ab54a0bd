//! The warning that a schema is outside of a package which is to be published.
//!
//! **Invariant**: each step is judged by what the compiler says after an edit of a manifest or of one attribute.

use crate::cargo::Project;

const MANIFEST: &str = "stated/Cargo.toml";
const SOURCE: &str = "stated/src/lib.rs";

/// What is warned of, by the tokens that are pointed at.
fn warned(project: &Project) -> Vec<String> {
    let build = project.cargo(&["check", "-p", "stated"]);
    build.assert_success();
    let warnings = build.diagnostics.iter().map(|found| {
        assert!(
            found.message.contains("this path leaves the package"),
            "{}",
            found.rendered
        );
        assert!(found.rendered.contains("publish = false"));
        found.token.clone()
    });
    warnings.collect()
}

#[test]
fn a_schema_that_would_not_be_published_is_warned_of_until_it_is_said_to_be_fine() {
    let paths = [
        "\"../schemas/greeter/v1/greeter.proto\"",
        "\"../overrides\"",
        "\"../schemas\"",
    ];
    let project = Project::fixture("tracked");
    assert_eq!(warned(&project), [""; 0]);

    project.edit(MANIFEST, "publish = false\n", "");
    assert_eq!(warned(&project), paths);

    project.edit(
        SOURCE,
        "pub trait Greeter",
        "#[allow(deprecated)]\npub trait Greeter",
    );
    assert_eq!(warned(&project), [""; 0]);
    project.edit(SOURCE, "#[allow(deprecated)]\n", "");

    // Who denies warnings has an error that says as much.
    project.edit(SOURCE, "//! A handler", "#![deny(warnings)]\n//! A handler");
    let build = project.cargo(&["check", "-p", "stated"]);
    let errors: Vec<_> = build.errors().iter().map(|error| &error.token).collect();
    assert_eq!(errors, paths);
    project.edit(SOURCE, "#![deny(warnings)]\n", "");
    assert_eq!(warned(&project), paths);

    project.edit(
        MANIFEST,
        "[dependencies]",
        "publish.workspace = true\n\n[dependencies]",
    );
    project.edit(
        "Cargo.toml",
        "[workspace]",
        "[workspace.package]\npublish = false\n\n[workspace]",
    );
    assert_eq!(warned(&project), [""; 0]);
}
