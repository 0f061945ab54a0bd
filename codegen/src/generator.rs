//! The generator that `build.rs` scripts and checked-in output share.
//!
//! **Invariant**: a file is written only when its contents change, and never seen half-written.

use std::path::{Path, PathBuf};

use crate::emit::Scope;
use crate::error::Error;
use crate::load::{Loaded, load};
use crate::lower::lower;
use crate::model::Schema;
use crate::options::Options;
use crate::registered;
use crate::render;
use crate::write::write_if_changed;

/// Compiles schemas to Rust.
///
/// In a `build.rs`:
///
/// ```no_run
/// fn main() -> Result<(), daemoneye_ipc_codegen::Error> {
///     daemoneye_ipc_codegen::Generator::new()
///         .compile(&["schemas/inventory/v1/inventory.proto"], &["schemas"])
/// }
/// ```
///
/// The crate then has, per package, a file in `OUT_DIR` for `daemoneye_ipc::include_schema!`.
#[derive(Clone, Debug, Default)]
pub struct Generator {
    options: Options,
    out_dir: Option<PathBuf>,
    module_tree: Option<String>,
    quiet: bool,
}

/// Generated code in memory.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The files, sorted by name.
    pub files: Vec<GeneratedFile>,
    /// Every schema file that was read, with the histories and configurations beside them.
    pub inputs: Vec<PathBuf>,
    /// The folders in which a new file may take the place of one that was read: include roots that
    /// come before the one which holds an import.
    pub passed_by: Vec<PathBuf>,
    /// The model that the files were emitted from.
    pub schema: Schema,
}

/// One generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Its name, such as `inventory.v1.rs`.
    pub name: String,
    /// Its text.
    pub content: String,
}

impl Generator {
    /// A generator for the folder that cargo names (`OUT_DIR`), of all packages, with a module tree
    /// in `schema.rs`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes to `dir` instead of `OUT_DIR`.
    #[must_use]
    pub fn out_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(dir.into());
        self
    }

    /// The name of the file with the module tree, which includes those of all packages. Schemas
    /// that import other packages need it. Default: `schema.rs`.
    #[must_use]
    pub fn module_tree(mut self, file: impl Into<String>) -> Self {
        self.module_tree = Some(file.into());
        self
    }

    /// Emits only these packages; may be repeated. Default: all that the schemas reach.
    #[must_use]
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.options
            .packages
            .get_or_insert_default()
            .push(name.into());
        self
    }

    /// Says that a protobuf package or message (`.inventory.v1`) is defined in another Rust module
    /// (`::inventory_schema::v1`), so that it is used from there and not emitted.
    #[must_use]
    pub fn extern_path(mut self, proto: impl Into<String>, rust: impl Into<String>) -> Self {
        self.options.extern_paths.push((proto.into(), rust.into()));
        self
    }

    /// The path of the runtime crate, for a crate that depends on it under another name.
    /// Default: `::daemoneye_ipc`.
    #[must_use]
    pub fn runtime_path(mut self, path: impl Into<String>) -> Self {
        self.options.runtime = path.into();
        self
    }

    /// Adds an attribute to a message or enum (`.inventory.v1.Item`), or to all below a path.
    #[must_use]
    pub fn type_attribute(mut self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.options
            .type_attributes
            .push((path.into(), attribute.into()));
        self
    }

    /// Adds an attribute to a field (`.inventory.v1.Item.name`), or to all below a path.
    #[must_use]
    pub fn field_attribute(
        mut self,
        path: impl Into<String>,
        attribute: impl Into<String>,
    ) -> Self {
        self.options
            .field_attributes
            .push((path.into(), attribute.into()));
        self
    }

    /// Whether clients are emitted. Default: yes. With neither clients nor servers, a crate holds the messages alone, for
    /// others to name by an [`extern_path`](Self::extern_path).
    #[must_use]
    pub fn build_client(mut self, yes: bool) -> Self {
        self.options.build_client = yes;
        self
    }

    /// Whether handler traits and servers are emitted. Default: yes.
    #[must_use]
    pub fn build_server(mut self, yes: bool) -> Self {
        self.options.build_server = yes;
        self
    }

    /// Gives a service (`.inventory.v1.Inventory`) another name in Rust than in the schema: that of the handler trait,
    /// from which those of the client, the server and the descriptor follow. For a service `Orders` beside a message `OrdersClient`.
    #[must_use]
    pub fn service_name(mut self, service: impl Into<String>, rust: impl Into<String>) -> Self {
        self.options
            .service_names
            .push((service.into(), rust.into()));
        self
    }

    /// Prints no lines for cargo: no file is tracked, and nothing is registered for `#[ipc_service]`.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Compiles `protos`, whose imports are looked up below `includes`, and writes the result.
    ///
    /// Prints a `cargo::rerun-if-changed` line for every file that was read, and for the folders of
    /// earlier include roots in which an import was looked for in vain. Without `includes`, the
    /// root of each file follows from its folder and its package.
    ///
    /// In a build script, the schemas are registered besides, so that `#[ipc_service]` in the same
    /// crate takes them without a `schema` of its own: as a descriptor set in `OUT_DIR`, which a
    /// `cargo::rustc-env` line names. Several calls register the schemas of each.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the schema or the options, or the first file that cannot be written.
    pub fn compile(
        &self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<(), Error> {
        let build_script = std::env::var_os("OUT_DIR").map(PathBuf::from);
        let dir = self.out_dir.clone().or_else(|| build_script.clone());
        let dir = dir.ok_or_else(|| {
            Error::usage(
                "`OUT_DIR` is not set",
                "call `compile` from a build.rs, or name a folder with `out_dir`",
            )
        })?;
        let loaded = load(&owned(protos), &owned(includes))?;
        if !self.quiet {
            print_inputs(&loaded);
        }
        let generated = self.generate_loaded(&loaded)?;
        std::fs::create_dir_all(&dir).map_err(|error| Error::io("cannot create", &dir, error))?;
        for file in &generated.files {
            write_if_changed(&dir.join(&file.name), &file.content)?;
        }
        if let Some(out_dir) = build_script.filter(|_| !self.quiet) {
            print_registered(&registered::write(&loaded, &self.options, &out_dir)?);
        }
        Ok(())
    }

    /// Compiles `protos` without writing anything.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the schema or the options.
    pub fn generate(
        &self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Generated, Error> {
        self.generate_loaded(&load(&owned(protos), &owned(includes))?)
    }

    /// Generates from schemas that are already loaded.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the schema or the options.
    pub fn generate_loaded(&self, loaded: &Loaded) -> Result<Generated, Error> {
        self.options.validate()?;
        let schema = lower(loaded, &self.options)?;
        let scope = Scope::beside_messages(&self.options.runtime)?;
        let mut files = Vec::new();
        for package in &schema.packages {
            files.push(GeneratedFile {
                name: render::file_name(&package.name),
                content: render::package_file(package, &scope, &self.options)?,
            });
        }
        files.push(GeneratedFile {
            name: self
                .module_tree
                .clone()
                .unwrap_or_else(|| "schema.rs".to_owned()),
            content: render::module_tree(&schema),
        });
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let inputs = loaded.inputs().cloned().collect();
        Ok(Generated {
            files,
            inputs,
            passed_by: loaded.passed_by.clone(),
            schema,
        })
    }
}

fn owned(paths: &[impl AsRef<Path>]) -> Vec<PathBuf> {
    let paths = paths.iter().map(|path| path.as_ref().to_path_buf());
    paths.collect()
}

#[expect(
    clippy::print_stdout,
    reason = "this is how a build script talks to cargo"
)]
fn print_inputs(loaded: &Loaded) {
    for input in loaded.inputs().chain(&loaded.passed_by) {
        println!("cargo::rerun-if-changed={}", input.display());
    }
}

#[expect(
    clippy::print_stdout,
    reason = "this is how a build script talks to cargo"
)]
fn print_registered(names: &str) {
    println!("cargo::rustc-env={}={names}", registered::VARIABLE);
}
