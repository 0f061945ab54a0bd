//! Histories of real folders.
//!
//! **Invariant**: what is read was written by a release.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{History, Release, check};
use crate::error::Error;
use crate::rules::config::Config;

const SHOP: &str = "syntax = \"proto3\";\npackage shop.v1;\nimport \"money/v1/money.proto\";\nservice Shop {\n  rpc Buy(Order) returns (Order);\n}\n\
                    service Till {\n  rpc Open(Drawer) returns (Drawer);\n}\nmessage Order {\n  string name = 1;\n  money.v1.Price price = 2;\n}\n\
                    message Drawer {\n  int32 id = 1;\n}\n";
const MONEY: &str =
    "syntax = \"proto3\";\npackage money.v1;\nmessage Price {\n  int64 cents = 1;\n}\n";

struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().expect("a temporary folder"));
        tree.write("shop/v1/shop.proto", SHOP);
        tree.write("money/v1/money.proto", MONEY);
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, text).expect("a file");
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).expect("a file");
        assert!(text.contains(from), "{from:?} in {text}");
        fs::write(self.path(path), text.replace(from, to)).expect("a file");
    }

    fn config(&self) -> Config {
        Config::find(self.0.path()).expect("a configuration")
    }

    fn history(&self) -> History {
        History::of(self.0.path()).expect("a history")
    }

    /// Releases what is there, and gives what the release brought.
    fn release(&self) -> Release {
        let mut history = self.history();
        let plan = history.plan(&self.config()).expect("a plan");
        assert!(plan.findings.is_empty(), "{:?}", plan.findings);
        let release = history.record(plan).expect("recorded").clone();
        assert_eq!(self.history(), history, "what is read is what was recorded");
        release
    }

    /// What speaks against a release of what is there.
    fn refused(&self) -> Vec<String> {
        let plan = self.history().plan(&self.config()).expect("a plan");
        let told = plan.findings.iter().map(|found| {
            let release = found.release.expect("a release");
            format!("{release}: {} {:?}", found.rule, found.services)
        });
        told.collect()
    }

    fn fault(&self) -> String {
        let history = History::of(self.0.path()).and_then(|history| history.images());
        history.expect_err("refused").to_string()
    }
}

fn revisions(release: &Release) -> Vec<(&str, u32, &[u32])> {
    let services = release.services.iter();
    services
        .map(|revision| (&*revision.service, revision.number, &*revision.compatible))
        .collect()
}

#[test]
fn a_release_brings_what_has_changed_alone() {
    let tree = Tree::new();
    assert!(tree.history().releases().is_empty());
    let first = tree.release();
    assert_eq!(
        revisions(&first),
        [("shop.v1.Shop", 1, &[][..]), ("shop.v1.Till", 1, &[])]
    );
    assert_eq!(first.files.len(), 2);

    tree.edit(
        "money/v1/money.proto",
        "cents = 1;",
        "cents = 1;\n  string currency = 2;",
    );
    let second = tree.release();
    assert_eq!(
        revisions(&second),
        [("shop.v1.Shop", 2, &[1][..])],
        "Till has nothing to do with money"
    );
    assert_eq!(
        second.files.keys().collect::<Vec<_>>(),
        ["money/v1/money.proto"]
    );
    assert!(tree.path("history/files/money/v1/money.proto.2").is_file());
    assert!(!tree.path("history/files/shop/v1/shop.proto.2").exists());

    let history = tree.history();
    let text = |release| {
        let image = history.image(release).expect("an image");
        image
            .file_at("money/v1/money.proto")
            .and_then(|file| file.text.clone())
    };
    assert_eq!(text(1).as_deref(), Some(MONEY));
    assert!(text(2).is_some_and(|text| text.contains("currency")));
    assert!(history.image(3).is_err() && history.image(0).is_err());
}

#[test]
fn comments_are_nothing_to_release_and_what_is_gone_is() {
    let tree = Tree::new();
    tree.release();
    tree.edit(
        "shop/v1/shop.proto",
        "service Shop",
        "// Sells things.\nservice Shop",
    );
    let plan = tree.history().plan(&tree.config()).expect("a plan");
    assert!(plan.is_empty(), "{plan:?}");
    // What is not on the wire of a service is released without a revision.
    tree.write("more.proto", "syntax = \"proto3\"; message Unused {}");
    let second = tree.release();
    assert_eq!((second.files.len(), second.services.len()), (1, 0));
    tree.write(
        "evolution.toml",
        "[check]\nexcept = [\"IPC_MESSAGE_NO_DELETE\"]\n",
    );
    fs::remove_file(tree.path("more.proto")).expect("a file");
    assert_eq!(tree.release().removed, ["more.proto"]);
    assert!(
        tree.history()
            .image(3)
            .expect("an image")
            .file_at("more.proto")
            .is_none()
    );
}

#[test]
fn what_breaks_a_supported_release_is_refused_and_the_rest_stays_known() {
    let tree = Tree::new();
    tree.release();
    tree.edit(
        "shop/v1/shop.proto",
        "string name = 1;",
        "string name = 1;\n  string note = 3;",
    );
    tree.release();
    tree.edit("shop/v1/shop.proto", "string name = 1;", "int32 name = 1;");
    let told = "FIELD_WIRE_COMPATIBLE_TYPE [\"shop.v1.Shop\"]";
    assert_eq!(
        tree.refused(),
        [format!("2: {told}")],
        "once, with the newest release"
    );

    // Who breaks both says that neither is supported any more; services that are not concerned stay compatible.
    tree.write("evolution.toml", "[history]\noldest_supported = 3\n");
    tree.edit(
        "shop/v1/shop.proto",
        "int32 id = 1;",
        "int32 id = 1;\n  int32 shelf = 2;",
    );
    let third = tree.release();
    assert_eq!(
        revisions(&third),
        [("shop.v1.Shop", 3, &[][..]), ("shop.v1.Till", 2, &[1])]
    );
    tree.write("evolution.toml", "[history]\noldest_supported = 5\n");
    let error = tree
        .history()
        .plan(&tree.config())
        .expect_err("not there")
        .to_string();
    assert!(
        error.contains("`oldest_supported` in evolution.toml is 5") && error.contains("1 to 3"),
        "{error}"
    );
}

#[test]
fn a_service_that_is_as_it_was_keeps_all_that_understood_it() {
    let tree = Tree::new();
    tree.release();
    let add = |number: u32| {
        let (last, field) = (number - 1, format!("string note_{number} = {number};"));
        let after = if last == 2 {
            "money.v1.Price price = 2;".to_owned()
        } else {
            format!("string note_{last} = {last};")
        };
        tree.edit("shop/v1/shop.proto", &after, &format!("{after}\n  {field}"));
        tree.release()
    };
    assert_eq!(revisions(&add(3)), [("shop.v1.Shop", 2, &[1][..])]);
    assert_eq!(revisions(&add(4)), [("shop.v1.Shop", 3, &[2, 1][..])]);
    let history = tree.history();
    let numbers: Vec<_> = history
        .revisions("shop.v1.Shop")
        .map(|(release, revision)| (release, revision.number))
        .collect();
    assert_eq!(numbers, [(3, 3), (2, 2), (1, 1)]);
}

/// Neither the last release nor any pair of schemas shows it.
#[test]
fn what_any_release_had_is_not_taken_up_again() {
    let tree = Tree::new();
    let extended = "int32 id = 1;\n  enum State { STATE_UNSPECIFIED = 0; STATE_OPEN = 1; }\n  State state = 2;\n  string owner = 3;";
    tree.edit("shop/v1/shop.proto", "int32 id = 1;", extended);
    tree.edit(
        "shop/v1/shop.proto",
        "rpc Open(Drawer) returns (Drawer);",
        "rpc Open(Drawer) returns (Drawer);\n  rpc Close(Drawer) returns (Drawer);",
    );
    tree.release();
    tree.write("evolution.toml", "[history]\noldest_supported = 2\n");
    tree.edit("shop/v1/shop.proto", " STATE_OPEN = 1;", "");
    tree.edit("shop/v1/shop.proto", "  string owner = 3;\n", "");
    tree.edit(
        "shop/v1/shop.proto",
        "  rpc Close(Drawer) returns (Drawer);\n",
        "",
    );
    tree.release();
    assert_eq!(tree.refused(), [""; 0]);

    let back = |tree: &Tree, field: &str, value: &str, method: &str| {
        tree.edit(
            "shop/v1/shop.proto",
            "State state = 2;",
            &format!("State state = 2;\n  {field}"),
        );
        tree.edit(
            "shop/v1/shop.proto",
            "STATE_UNSPECIFIED = 0;",
            &format!("STATE_UNSPECIFIED = 0; {value}"),
        );
        tree.edit(
            "shop/v1/shop.proto",
            "rpc Open",
            &format!("{method}\n  rpc Open"),
        );
    };
    back(
        &tree,
        "string keeper = 3;",
        "STATE_SHUT = 1;",
        "rpc Close(Order) returns (Drawer);",
    );
    let told = tree.refused();
    let rules: Vec<_> = told
        .iter()
        .map(|told| told.split(' ').nth(1).expect("a rule"))
        .collect();
    assert_eq!(
        rules,
        [
            "IPC_METHOD_NO_REUSE",
            "IPC_ENUM_VALUE_NO_REUSE",
            "IPC_FIELD_NO_REUSE"
        ]
    );
    assert!(
        told.iter()
            .all(|told| told.starts_with("1: ") && told.contains("shop.v1.Till")),
        "{told:?}"
    );

    // What comes back as it was is what it was.
    for (from, to) in [
        ("keeper", "owner"),
        ("STATE_SHUT", "STATE_OPEN"),
        ("Close(Order)", "Close(Drawer)"),
    ] {
        tree.edit("shop/v1/shop.proto", from, to);
    }
    assert_eq!(tree.refused(), [""; 0]);
}

#[test]
fn all_that_is_not_as_recorded_is_refused_with_what_to_do() {
    let tree = Tree::new();
    tree.release();
    tree.edit(
        "shop/v1/shop.proto",
        "string name = 1;",
        "string name = 1;\n  string note = 3;",
    );
    tree.release();
    let index = fs::read_to_string(tree.path("history/history.toml")).expect("an index");
    let text = "history/files/shop/v1/shop.proto.1";
    for (from, to, expected) in [
        (
            "number = 2",
            "number = 3",
            "where release 2 should be, release 3 is",
        ),
        (
            "revision = 2",
            "revision = 7",
            "release 2 is not what was recorded",
        ),
        (
            "compatible = [1]",
            "compatible = []",
            "release 2 is not what was recorded",
        ),
        ("format = 1", "format = 9", "format 9"),
        ("format = 1", "formt = 1", "unknown field `formt`"),
    ] {
        assert!(index.contains(from), "{from} in {index}");
        tree.write("history/history.toml", &index.replacen(from, to, 1));
        let fault = tree.fault();
        assert!(
            fault.contains(expected) && fault.contains("history.toml") && fault.contains("help: "),
            "{fault}"
        );
    }
    // A release that was cut out, or one of another branch: the checksum covers the one before.
    let first = index.find("[[release]]").expect("a release");
    let second = index.rfind("[[release]]").expect("another");
    let renumbered = index[second..].replace("number = 2", "number = 1");
    tree.write(
        "history/history.toml",
        &format!("{}{renumbered}", &index[..first]),
    );
    assert!(
        tree.fault().contains("release 1 is not what was recorded"),
        "{}",
        tree.fault()
    );

    // The layout does not matter, nor do the ends of lines that git gives a checkout.
    tree.write(
        "history/history.toml",
        &index.replace('\n', "\r\n").replace(" = ", "  =  "),
    );
    tree.write(text, &SHOP.replace('\n', "\r\n"));
    assert_eq!(tree.history().images().expect("images").len(), 2);

    tree.write(text, &SHOP.replace("string name", "string nome"));
    assert!(
        tree.fault()
            .contains("shop.proto.1` is not what was recorded"),
        "{}",
        tree.fault()
    );
    fs::remove_file(tree.path(text)).expect("a file");
    assert!(
        tree.fault()
            .contains("is missing: it holds `shop/v1/shop.proto` as of release 1"),
        "{}",
        tree.fault()
    );
    fs::remove_file(tree.path("history/history.toml")).expect("a file");
    assert!(
        tree.fault().contains("history.toml` is missing"),
        "{}",
        tree.fault()
    );
}

#[test]
fn a_release_is_there_whole_or_not_at_all() {
    let tree = Tree::new();
    tree.release();
    tree.edit(
        "shop/v1/shop.proto",
        "string name = 1;",
        "string name = 1;\n  string note = 3;",
    );
    let mut history = tree.history();
    let plan = |history: &History| history.plan(&tree.config()).expect("a plan");
    // Where the text belongs there is a folder: nothing is released, and what is there stays.
    let obstacle = tree.path("history/files/shop/v1/shop.proto.2/in the way");
    fs::create_dir_all(&obstacle).expect("folders");
    let error = history.record(plan(&history)).expect_err("in the way");
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(
        (tree.history().releases().len(), &tree.history()),
        (1, &history)
    );
    fs::remove_dir_all(tree.path("history/files/shop/v1/shop.proto.2")).expect("a folder");
    // What a release that was cut short left behind is in nobody's way.
    tree.write("history/files/shop/v1/shop.proto.2", "half of a");
    let (mine, mut theirs) = (plan(&history), tree.history());
    theirs.record(plan(&theirs)).expect("recorded");
    let error = history.record(mine).expect_err("too late").to_string();
    assert!(
        error.contains("has changed since the release was planned"),
        "{error}"
    );
    assert_eq!(tree.history(), theirs);
    let names = fs::read_dir(tree.path("history"))
        .expect("a folder")
        .count();
    assert_eq!(names, 2, "history.toml and files");
}

#[test]
fn no_tool_takes_the_history_for_schemas() {
    let tree = Tree::new();
    tree.release();
    let image = tree.config().image().expect("an image");
    let own = |path: &str| !path.starts_with("google/");
    assert_eq!(
        image.files().iter().filter(|file| own(&file.path)).count(),
        2
    );
    let mut open = vec![tree.path("history")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                fs::read_dir(&path)
                    .expect("a folder")
                    .map(|entry| entry.expect("an entry").path()),
            );
        }
        assert!(!is_schema(&path), "{}", path.display());
    }
    let history = tree.history();
    let releases = history.images().expect("images");
    let supported = history.supported(&tree.config()).expect("a range");
    assert!(
        check(&image, &releases, &supported, &tree.config())
            .expect("rules")
            .is_empty()
    );
}

fn is_schema(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "proto")
}
