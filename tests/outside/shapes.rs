//! Crates of every shape that users have: both doors in each, without a warning, and at work.
//!
//! **Invariant**: each crate is built as its user would build it; the lints of this workspace do not reach it.

use crate::cargo::Project;

#[test]
fn crates_of_every_shape_build_without_a_warning_and_run() {
    let project = Project::fixture("shapes");
    let build = project.cargo(&["clippy", "--workspace", "--keep-going"]);
    build.assert_success();
    let rendered: Vec<_> = build
        .diagnostics
        .iter()
        .map(|found| &found.rendered)
        .collect();
    assert!(rendered.is_empty(), "{rendered:#?}");
    build.assert_rebuilt(&[
        "both-doors",
        "dashed-name",
        "edition-2021",
        "importer",
        "messages",
        "preludeless",
        "renamed",
        "strict",
    ]);

    let endpoint = project.path("shop.sock");
    let endpoint = endpoint.to_str().expect("UTF-8");
    let printed = project.run_program(&["run", "--quiet", "-p", "both-doors"], &[endpoint]);
    let once = "price 4\nrefused which thing?\nnew lamp\nnew chair\nbought for 9\noffered for 5\n";
    assert_eq!(printed, [once, once].concat());
}
