//! `schema release`, and `schema check` with what was released or committed, end to end.
//!
//! **Invariant**: histories and repositories are made by their programs.

use std::{fs, process::Command};

use serde_json::Value;

use crate::cli_support::{CLI, Place, bare};

const SHOP: &str = "syntax = \"proto3\";\n\npackage shop.v1;\n\nservice Shop {\n  rpc Buy(Order) returns (Order);\n}\n\nmessage Order {\n  \
                    string name = 1;\n  int32 count = 2;\n}\n";

struct Project(Place);

impl Project {
    fn new() -> Self {
        let project = Self(Place::new());
        project.write(SHOP);
        project
    }

    fn write(&self, schema: &str) {
        let folder = self.0.path().join("schemas/shop/v1");
        fs::create_dir_all(&folder).expect("folders");
        fs::write(folder.join("shop.proto"), schema).expect("a schema");
    }

    /// Changes the schema as it is first, and nothing that was changed before.
    fn change(&self, from: &str, to: &str) {
        assert!(SHOP.contains(from));
        self.write(&SHOP.replace(from, to));
    }

    fn schema(&self, words: &str) -> (i32, String, String) {
        let mut command = bare(Command::new(CLI));
        command.arg("schema").args(words.split_whitespace());
        let output = command.current_dir(self.0.path()).output();
        let output = output.expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("a code");
        (code, text(output.stdout), text(output.stderr))
    }

    fn git(&self, words: &str) {
        let mut command = Command::new("git");
        for (key, value) in [
            ("user.name", "Test"),
            ("user.email", "test@localhost"),
            ("init.defaultBranch", "main"),
        ] {
            command.arg("-c").arg(format!("{key}={value}"));
        }
        let output = command
            .args(words.split_whitespace())
            .current_dir(self.0.path())
            .output();
        let output = output.expect("git is installed");
        assert!(
            output.status.success(),
            "git {words}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn commit(&self) {
        self.git("add .");
        self.git("commit --quiet --message change");
    }
}

#[test]
fn a_release_is_told_and_recorded_unless_nothing_has_changed() {
    let project = Project::new();
    let (code, out, error) = project.schema("release --dry-run");
    assert_eq!((code, &*error), (0, ""), "{out}");
    assert!(
        out.contains("rehearsal") && !project.0.path().join("schemas/history").exists(),
        "{out}"
    );
    let (code, out, _) = project.schema("release");
    assert_eq!(code, 0);
    for expected in [
        "release 1",
        "shop.v1.Shop",
        "1 file new or changed",
        "recorded in schemas/history",
    ] {
        assert!(out.contains(expected), "{expected:?} in\n{out}");
    }
    let index = fs::read_to_string(project.0.path().join("schemas/history/history.toml"))
        .expect("an index");
    assert!(index.contains("revision = 1"), "{index}");
    let (code, out, _) = project.schema("release");
    assert_eq!(
        (code, &*out),
        (0, "nothing to release: schemas is as release 1 has it\n")
    );

    project.change("count = 2;", "count = 2;\n  string note = 3;");
    let (code, out, _) = project.schema("release");
    assert_eq!(code, 0);
    assert!(
        out.contains("release 2") && out.contains("revision 1\n"),
        "{out}"
    );
    let (code, out, _) = project.schema("check");
    assert_eq!(
        (code, &*out),
        (0, "no findings: schemas compared with releases 1 to 2\n")
    );
    let (_, out, _) = project.schema("check --against released --non-breaking");
    assert_eq!(out, "no findings: schemas compared with release 2\n");
}

#[test]
fn what_breaks_a_release_is_shown_as_it_was_and_not_recorded() {
    let project = Project::new();
    project.schema("release");
    project.change("count = 2;", "count = 2;\n  string note = 3;");
    project.schema("release");
    let index = project.0.path().join("schemas/history/history.toml");
    let before = fs::read(&index).expect("an index");
    project.change("int32 count", "string count");
    for (words, end) in [
        ("release", "release 3 of schemas is refused\n"),
        ("check", "schemas compared with releases 1 to 2\n"),
        (
            "check --against released",
            "schemas compared with release 2\n",
        ),
    ] {
        let (code, out, _) = project.schema(words);
        assert_eq!(code, 100, "{words}\n{out}");
        assert_eq!(
            out.matches("error[FIELD_WIRE_COMPATIBLE_TYPE]").count(),
            1,
            "{words}\n{out}"
        );
        assert!(
            out.contains("in release 2 it was") && out.contains("11 |   int32 count = 2;"),
            "{out}"
        );
        assert!(out.ends_with(end), "{out}");
    }
    assert_eq!(fs::read(&index).expect("an index"), before);
    let (_, out, _) = project.schema("check --format json --use FIELD_WIRE_COMPATIBLE_TYPE");
    let finding: Value = serde_json::from_str(out.trim_end()).expect("one line of JSON");
    assert_eq!(
        (&finding["release"], &finding["against"]["start_line"]),
        (&2.into(), &11.into())
    );

    let own = project.0.path().join("schemas/evolution.toml");
    fs::write(&own, "[history]\noldest_supported = 3\n").expect("a file");
    let (code, out, _) = project.schema("check");
    assert_eq!(
        (code, &*out),
        (
            0,
            "no findings: schemas compared with no supported release\n"
        )
    );
    let (_, out, _) = project.schema("release");
    assert!(out.contains("none before it"), "{out}");
}

#[test]
fn without_a_history_or_with_one_that_was_edited_nothing_is_checked() {
    let project = Project::new();
    for words in ["check", "check --against released", "check --against all"] {
        let (code, out, error) = project.schema(words);
        assert_eq!((code, &*out), (1, ""), "{error}");
        assert!(
            error.contains("nothing was released yet") && error.contains("schema release"),
            "{error}"
        );
    }
    project.schema("release");
    let text = project
        .0
        .path()
        .join("schemas/history/files/shop/v1/shop.proto.1");
    fs::write(&text, SHOP.replace("count", "amount")).expect("a text");
    for words in ["check", "release"] {
        let (code, _, error) = project.schema(words);
        assert_eq!(code, 1);
        assert!(
            error.contains("shop.proto.1` is not what was recorded") && error.contains("restore"),
            "{error}"
        );
    }
}

#[test]
fn a_commit_is_compared_with_where_the_branch_left_it() {
    let project = Project::new();
    project.git("init --quiet");
    project.commit();
    project.git("checkout --quiet -b change");
    project.change("  int32 count = 2;\n", "");
    project.commit();
    let (code, out, error) = project.schema("check --against git:main");
    assert_eq!(code, 100, "{error}");
    assert!(
        out.contains("compared with where this branch left main (") && out.contains("it was"),
        "{out}"
    );
    assert!(project.schema("check --against git:HEAD").0 == 0);

    // What others did since is no change of this branch, unless it is asked for.
    project.git("checkout --quiet main");
    project.change("count = 2;", "count = 2;\n  string note = 3;");
    project.commit();
    project.git("checkout --quiet change");
    let numbers = |words: &str| {
        let (_, out, _) = project.schema(words);
        let lines = out
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        let lines: Vec<Value> = lines.collect();
        lines.len()
    };
    assert_eq!(numbers("check --format json --against git:main"), 1);
    assert_eq!(numbers("check --format json --against git-tip:main"), 2);

    for (words, expected) in [
        ("git:nowhere", "git knows no commit `nowhere`"),
        ("git-tip:", "git knows no commit"),
    ] {
        let (code, _, error) = project.schema(&format!("check --against {words}"));
        assert_eq!(code, 1, "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let elsewhere = Project::new();
    let (code, _, error) = elsewhere.schema("check --against git:main");
    assert_eq!(code, 1);
    assert!(error.contains("is in no git repository"), "{error}");
}

/// The checkout of a build server, which has one commit.
#[test]
fn a_shallow_clone_says_how_to_get_the_rest() {
    let project = Project::new();
    project.git("init --quiet");
    project.commit();
    project.git("checkout --quiet -b change");
    project.change("count = 2;", "count = 2;\n  string note = 3;");
    project.commit();
    project.git("checkout --quiet main");
    project.write(&SHOP.replace("count = 2;", "count = 2;\n  string other = 4;"));
    project.commit();
    let origin = project.0.path().display().to_string();
    project.git(&format!(
        "clone --quiet --depth 1 --no-single-branch file://{origin} shallow"
    ));
    let mut command = bare(Command::new(CLI));
    command.args([
        "schema",
        "check",
        "shallow/schemas",
        "--against",
        "git:origin/change",
    ]);
    let output = command
        .current_dir(project.0.path())
        .output()
        .expect("the program starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("shallow clone") && error.contains("git fetch --unshallow"),
        "{error}"
    );
}
