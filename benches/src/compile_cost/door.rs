//! The crates that are compared, and the edits that are made to them.
//!
//! **Invariant**: the same service, the same answers and the same edits behind each door.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use daemoneye_ipc::prost::Message;

/// A way from a schema to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Door {
    /// daemoneye-ipc with a build script.
    BuildScript,
    /// daemoneye-ipc with `#[ipc_service]`.
    Attribute,
    /// tonic with a build script in which protox parses the schema.
    Tonic,
    /// tonic with a build script that is given the descriptor set.
    TonicProtoc,
    /// ttrpc, async, with ttrpc-codegen in a build script.
    Ttrpc,
}

/// What happens to a crate between two builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    /// A message has a field more.
    Field,
    /// The service has a method more, and the handler too.
    Method,
    /// The handler gives another answer.
    Handler,
}

/// The path of a file in its crate, and its text.
type Files = &'static [(&'static str, &'static str)];

/// The files of a fixture.
macro_rules! files {
    ($folder:literal: $($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../fixtures/compile_cost/", $folder, "/", $path)))),*]
    };
}

const SCHEMA: &str = "schemas/depot/v1/depot.proto";
const SCHEMA_TEXT: &str = include_str!("../../fixtures/compile_cost/schemas/depot/v1/depot.proto");
const DESCRIPTORS: &str = "schemas/descriptors.bin";
const HANDLER: &str = "src/handler.rs";

const BUILD_SCRIPT: Files =
    files!("build_script": "Cargo.toml" "build.rs" "src/lib.rs" "src/handler.rs" "src/main.rs");
const ATTRIBUTE: Files =
    files!("attribute": "Cargo.toml" "src/lib.rs" "src/handler.rs" "src/main.rs");
const TONIC: Files =
    files!("tonic": "Cargo.toml" "build.rs" "src/lib.rs" "src/handler.rs" "src/main.rs");
const TONIC_PROTOC: Files = files!("tonic_protoc": "Cargo.toml" "build.rs");
const TTRPC: Files =
    files!("ttrpc": "Cargo.toml" "build.rs" "src/lib.rs" "src/handler.rs" "src/main.rs");

impl Door {
    pub(crate) const ALL: &[Self] = &[
        Self::BuildScript,
        Self::Attribute,
        Self::Tonic,
        Self::TonicProtoc,
        Self::Ttrpc,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BuildScript => "build.rs",
            Self::Attribute => "attribute",
            Self::Tonic => "tonic",
            Self::TonicProtoc => "tonic, protoc",
            Self::Ttrpc => "ttrpc",
        }
    }

    /// The library that carries the calls.
    pub(crate) fn runtime(self) -> &'static str {
        match self {
            Self::BuildScript | Self::Attribute => "daemoneye-ipc",
            Self::Tonic | Self::TonicProtoc => "tonic",
            Self::Ttrpc => "ttrpc",
        }
    }

    /// Two sources where one only differs in what is built from the schema.
    fn files(self) -> [Files; 2] {
        match self {
            Self::BuildScript => [BUILD_SCRIPT, &[]],
            Self::Attribute => [ATTRIBUTE, &[]],
            Self::Tonic => [TONIC, &[]],
            Self::TonicProtoc => [TONIC, TONIC_PROTOC],
            Self::Ttrpc => [TTRPC, &[]],
        }
    }

    /// Writes the crate as it is before all edits.
    pub(crate) fn lay_out(self, folder: &Path) -> anyhow::Result<()> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .canonicalize()?;
        let workspace = workspace
            .to_str()
            .context("the path of the workspace is not UTF-8")?;
        write(folder, SCHEMA, SCHEMA_TEXT.as_bytes())?;
        for (path, text) in self.files().concat() {
            write(folder, path, text.replace("@ROOT@", workspace).as_bytes())?;
        }
        self.write_descriptors(folder)
    }

    /// Removes what was built.
    pub(crate) fn clear(self, folder: &Path) -> anyhow::Result<()> {
        for built in ["target", "src/generated"] {
            let built = folder.join(built);
            if built.exists() {
                fs::remove_dir_all(&built)
                    .with_context(|| format!("cannot remove {}", built.display()))?;
            }
        }
        Ok(())
    }

    pub(crate) fn edit(self, folder: &Path, edit: Edit) -> anyhow::Result<()> {
        let (from, to, paths): (_, _, &[&str]) = match edit {
            Edit::Field => ("//@field ", "", &[SCHEMA]),
            Edit::Method => ("//@method ", "", &[SCHEMA, "src/lib.rs", HANDLER]),
            Edit::Handler => ("\"crate\"", "\"box\"", &[HANDLER]),
        };
        let mut edited = false;
        for path in paths {
            let text = fs::read_to_string(folder.join(path))?;
            if text.contains(from) {
                write(folder, path, text.replace(from, to).as_bytes())?;
                edited = true;
            }
        }
        ensure!(
            edited,
            "{edit:?} has nothing to edit in {}",
            folder.display()
        );
        self.write_descriptors(folder)
    }

    /// What a protoc would write, where the build script expects it.
    fn write_descriptors(self, folder: &Path) -> anyhow::Result<()> {
        if self != Self::TonicProtoc {
            return Ok(());
        }
        let set = protox::compile([folder.join(SCHEMA)], [folder.join("schemas")])?;
        write(folder, DESCRIPTORS, &set.encode_to_vec())
    }
}

/// Writes a file if that changes it.
fn write(folder: &Path, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(path);
    if fs::read(&path).is_ok_and(|now| now == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
