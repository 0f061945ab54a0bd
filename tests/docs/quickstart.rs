//! The quickstart of the README as a crate of its own: it compiles, runs, and fails to compile in the
//! handler once the schema has changed.
//!
//! The crate and its build output stay in cargo's folder for tests, so that the next run is quick.
//!
//! **Invariant**: what is built is the text of the README, plus what `cargo new` writes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{read, workspace};

/// The code blocks of the README that are files: a line that names the file ends with a colon and
/// comes before its block.
fn files() -> Vec<(String, String)> {
    let readme = read("README.md");
    let mut files = Vec::new();
    let mut lines = readme.lines();
    let mut named = None;
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if let Some(name) = named.take() {
                files.push((name, format!("{}\n", text.join("\n"))));
            }
        } else if let Some(rest) = line.strip_suffix("`:") {
            named = rest.rsplit('`').next().map(str::to_owned);
        }
    }
    files
}

fn crate_folder(name: &str, change: impl Fn(&str, String) -> String) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // What an earlier README had must not help this one.
    let _ = fs::remove_dir_all(&folder);
    for (file, text) in files() {
        let path = folder.join(&file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, change(&file, text)).expect("a file");
    }
    let manifest = folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("the README has a Cargo.toml");
    let root = workspace();
    let text = text.replace("../daemoneye-ipc", root.to_str().expect("UTF-8"));
    let package = "[package]\nname = \"greeter\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n";
    let settings = "\n[workspace]\n\n[profile.dev]\ndebug = false\nincremental = false\n";
    fs::write(manifest, format!("{package}{text}{settings}")).expect("a manifest");
    // The versions that this workspace is tested with; nothing is looked up.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock file");
    folder
}

fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quickstart-target");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .env_remove("RUSTFLAGS")
        .output();
    output.expect("cargo runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_works_as_printed_and_a_renamed_method_is_found_by_the_compiler() {
    let folder = crate_folder("quickstart", |_, text| text);
    let endpoint = tempfile::tempdir_in("/tmp").expect("a directory");
    let endpoint = endpoint.path().join("greeter.sock");
    let output = cargo(
        &folder,
        &["run", "--quiet", "--", endpoint.to_str().expect("UTF-8")],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let greeting = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(greeting.starts_with("Hello world, user "), "{greeting}");
    assert!(!endpoint.exists(), "the socket stays");

    let renamed = crate_folder("quickstart", |file, text| match file {
        "schemas/greeter.proto" => text.replace("rpc Greet(", "rpc Welcome("),
        _ => text,
    });
    let output = cargo(&renamed, &["build", "--quiet"]);
    let errors = stderr(&output);
    assert!(!output.status.success(), "it compiles all the same");
    for part in [
        "method `greet` is not a member of trait `Greeter`",
        "missing: `welcome`",
    ] {
        assert!(errors.contains(part), "no `{part}` in:\n{errors}");
    }
    assert!(errors.contains("src/main.rs"), "{errors}");
}

#[test]
fn it_is_as_short_as_promised() {
    let files = files();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Cargo.toml",
            "schemas/greeter.proto",
            "build.rs",
            "src/main.rs"
        ]
    );
    let lines: usize = files
        .iter()
        .skip(1)
        .map(|(_, text)| text.lines().count())
        .sum();
    assert!(lines <= 40, "{lines} lines");
}
