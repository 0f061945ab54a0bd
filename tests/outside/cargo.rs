//! Crates of users: laid out in a folder outside of this workspace, built with the real cargo, whose
//! own messages tell what was built anew and what was wrong.
//!
//! All share one folder for what cargo builds, in this workspace's target folder, so that the product
//! is built once.
//!
//! **Invariant**: nothing is looked up or downloaded: versions are those of this workspace's lock file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::Value;
use tempfile::TempDir;

/// What stands for the folder of the product in the manifests of fixtures.
const PLACEHOLDER: &str = "WORKSPACE";

/// A folder of a user, gone when the test is over.
///
/// Cargo tells packages apart by their names and by where they are in their workspace, so that two
/// projects with a package of one name share what is built: there is one project at a time. A
/// new one is newer than what is there of the last.
pub(crate) struct Project {
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

/// What one run of cargo did.
pub(crate) struct Build {
    pub(crate) success: bool,
    /// The packages outside of the product of which something was compiled or run anew.
    pub(crate) rebuilt: BTreeSet<String>,
    /// The output folders of the build scripts, by package.
    pub(crate) out_dirs: BTreeMap<String, PathBuf>,
    /// What the compiler had to say, warnings first as it came.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What cargo printed; the failure of a build script is there.
    pub(crate) stderr: String,
}

/// An error or a warning of the compiler.
#[derive(Debug)]
pub(crate) struct Diagnostic {
    pub(crate) level: String,
    pub(crate) message: String,
    /// The file of the user that it points at, relative to the package or the workspace.
    pub(crate) file: String,
    /// The text that it points at.
    pub(crate) token: String,
    /// All of it, as on a terminal.
    pub(crate) rendered: String,
}

impl Project {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        // A test that failed in its turn has nothing that the next relies on.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::Builder::new().prefix("users' own-").tempdir();
        let folder = folder.expect("a temporary folder");
        let inside = folder.path().starts_with(workspace());
        assert!(!inside, "{} is not outside", folder.path().display());
        // The versions that this workspace is tested with.
        fs::copy(
            workspace().join("Cargo.lock"),
            folder.path().join("Cargo.lock"),
        )
        .expect("a lock file");
        Self {
            folder,
            _turn: turn,
        }
    }

    /// A copy of a folder under `fixtures/`.
    pub(crate) fn fixture(name: &str) -> Self {
        let project = Self::empty();
        let fixtures = workspace().join("tests/outside/fixtures");
        project.copy(&fixtures.join(name), Path::new(""));
        project
    }

    /// Copies a folder of texts to one below the project's.
    pub(crate) fn copy(&self, from: &Path, to: &Path) {
        for entry in fs::read_dir(from).expect("a folder of the fixture") {
            let path = entry.expect("an entry").path();
            let to = to.join(path.file_name().expect("a name"));
            if path.is_dir() {
                self.copy(&path, &to);
            } else {
                let text = fs::read_to_string(&path).expect("a text");
                self.write(&to, &text);
            }
        }
    }

    pub(crate) fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, file: impl AsRef<Path>, text: &str) {
        let path = self.path(&file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let text = match path.file_name().is_some_and(|name| name == "Cargo.toml") {
            true => text.replace(PLACEHOLDER, workspace().to_str().expect("UTF-8")),
            false => text.to_owned(),
        };
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn read(&self, file: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(file)).expect("a file")
    }

    /// Replaces the one place where `from` stands in a file.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {file}:\n{text}");
        self.write(file, &text.replace(from, to));
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("a new name");
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).expect("a file that was there");
    }

    /// Gives a file the present time without a change of its text.
    pub(crate) fn touch(&self, file: &str) {
        let file = File::options().append(true).open(self.path(file));
        let touched = file.and_then(|file| file.set_modified(SystemTime::now()));
        touched.expect("a new time");
    }

    /// Lets cargo make a crate of that name out of the folder, as `cargo new` does with a new one.
    pub(crate) fn cargo_new(&self, name: &str) {
        let output = self.run(&["init", "--quiet", "--vcs", "none", "--name", name], &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }

    /// Runs `cargo` with these arguments and reads its messages.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Build {
        let output = self.run(arguments, &["--message-format=json"]);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut build = Build {
            success: output.status.success(),
            rebuilt: BTreeSet::new(),
            out_dirs: BTreeMap::new(),
            diagnostics: Vec::new(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        for line in stdout.lines().filter(|line| line.starts_with('{')) {
            let message: Value = serde_json::from_str(line).expect("a message of cargo");
            match message["reason"].as_str() {
                Some("compiler-artifact") if message["fresh"] == false => {
                    build.rebuilt.extend(self.own_package(&message));
                }
                Some("build-script-executed") => {
                    let folder = PathBuf::from(message["out_dir"].as_str().expect("a folder"));
                    build.out_dirs.insert(package_name(&message), folder);
                }
                Some("compiler-message") => build.diagnostics.extend(diagnostic(&message)),
                _ => {}
            }
        }
        build
    }

    /// Runs a program of the project; gives what it printed.
    pub(crate) fn run_program(&self, cargo: &[&str], arguments: &[&str]) -> String {
        let arguments: Vec<&str> = ["--"].iter().chain(arguments).copied().collect();
        let output = self.run(cargo, &arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn run(&self, arguments: &[&str], more: &[&str]) -> Output {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .arg("--offline")
            .args(more)
            .current_dir(self.folder.path())
            .env("CARGO_TARGET_DIR", target())
            .env_remove("RUSTFLAGS")
            // Quicker, and no part of what is tested.
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("CARGO_INCREMENTAL", "0")
            .output();
        output.expect("cargo runs")
    }

    /// The package of an artifact, if it is in this folder.
    fn own_package(&self, message: &Value) -> Option<String> {
        let package = Path::new(message["manifest_path"].as_str()?).parent()?;
        let folder = self.folder.path().canonicalize().expect("the folder");
        let own = package
            .canonicalize()
            .is_ok_and(|package| package.starts_with(folder));
        own.then(|| package_name(message))
    }
}

/// The name in `path+file:///…/folder#name@version`, or in `path+file:///…/name#version`.
fn package_name(message: &Value) -> String {
    let id = message["package_id"].as_str().unwrap_or_default();
    let (path, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    let named = fragment.split_once('@').map(|(name, _)| name);
    named
        .or_else(|| path.rsplit('/').next())
        .unwrap_or_default()
        .to_owned()
}

impl Build {
    /// The errors, each of which has to be in a file of the user.
    pub(crate) fn errors(&self) -> Vec<&Diagnostic> {
        let errors = self.diagnostics.iter();
        errors
            .filter(|diagnostic| diagnostic.level == "error")
            .collect()
    }

    pub(crate) fn assert_success(&self) -> &Self {
        let rendered: String = self
            .diagnostics
            .iter()
            .map(|diagnostic| diagnostic.rendered.as_str())
            .collect();
        assert!(self.success, "{}\n{rendered}", self.stderr);
        self
    }

    pub(crate) fn assert_rebuilt(&self, packages: &[&str]) -> &Self {
        let rebuilt: Vec<&str> = self.rebuilt.iter().map(String::as_str).collect();
        assert_eq!(rebuilt, packages, "{}", self.stderr);
        self
    }
}

fn diagnostic(message: &Value) -> Option<Diagnostic> {
    let message = &message["message"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spans = message["spans"].as_array()?;
    // Without a place it is rustc's summary, as in "aborting due to 1 previous error".
    let span = spans.iter().find(|span| span["is_primary"] == true)?;
    let line = &span["text"][0];
    let column = |name: &str| line[name].as_u64().unwrap_or(1) as usize - 1;
    let characters: Vec<char> = text(&line["text"]).chars().collect();
    let token = characters.get(column("highlight_start")..column("highlight_end"));
    Some(Diagnostic {
        level: text(&message["level"]),
        message: text(&message["message"]),
        file: text(&span["file_name"]),
        token: token.unwrap_or_default().iter().collect(),
        rendered: text(&message["rendered"]),
    })
}

/// The folder of this workspace.
pub(crate) fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace").to_path_buf()
}

/// Where all crates of this suite are built.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside-target")
}
