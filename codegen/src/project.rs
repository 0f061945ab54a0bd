//! Checked-in output: which packages of a folder of schemas go where, and whether what is there is
//! what the schemas give.
//!
//! **Invariant**: only files that carry the generator's header are ever removed, and `check` writes
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use similar::TextDiff;

use crate::error::Error;
use crate::generator::{GeneratedFile, Generator};
use crate::load::{Loaded, load};
use crate::render::HEADER;
use crate::write::write_if_changed;

/// The name of the file, in the folder of the schemas, that says what goes where.
pub const CONFIG_FILE: &str = "generate.toml";

/// The module tree of an output folder is a module file, so that `mod generated;` finds it.
const MODULE_TREE: &str = "mod.rs";

/// A folder of schemas and the folders that their code goes to.
#[derive(Clone, Debug)]
pub struct Project {
    schemas: PathBuf,
    outputs: Vec<Output>,
}

/// One folder of checked-in code.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The folder, relative to that of the schemas.
    pub dir: PathBuf,
    /// The packages that go there. Default: all that no other output names.
    pub packages: Option<Vec<String>>,
    /// Where packages of other outputs live, seen from this one: full protobuf name with a leading
    /// dot, and Rust path.
    #[serde(default)]
    pub extern_paths: BTreeMap<String, String>,
    /// As [`Generator::type_attribute`]: for each path, its attributes.
    #[serde(default)]
    pub type_attributes: BTreeMap<String, Vec<String>>,
    /// As [`Generator::field_attribute`]: for each path, its attributes.
    #[serde(default)]
    pub field_attributes: BTreeMap<String, Vec<String>>,
    /// As [`Generator::service_name`]: services, and the names of their handler traits.
    #[serde(default)]
    pub service_names: BTreeMap<String, String>,
    /// As [`Generator::build_client`].
    pub build_client: Option<bool>,
    /// As [`Generator::build_server`].
    pub build_server: Option<bool>,
    /// As [`Generator::runtime_path`].
    pub runtime_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    output: Vec<Output>,
}

/// What [`Project::write`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files that were written because they were new or different.
    pub changed: Vec<PathBuf>,
    /// Files that were removed because no schema gives them any more.
    pub removed: Vec<PathBuf>,
    /// How many files were as they should be.
    pub unchanged: usize,
}

/// What [`Project::check`] found; empty when all is as the schemas say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staleness {
    /// Files that are missing or different, each with a unified diff from what is there to what
    /// should be.
    pub stale: Vec<(PathBuf, String)>,
    /// Generated files that no schema gives any more.
    pub orphans: Vec<PathBuf>,
}

impl Output {
    /// The generator that this output asks for.
    fn generator(&self, packages: Vec<String>) -> Generator {
        let mut generator = Generator::new()
            .module_tree(MODULE_TREE)
            .build_client(self.build_client.unwrap_or(true))
            .build_server(self.build_server.unwrap_or(true));
        if let Some(path) = &self.runtime_path {
            generator = generator.runtime_path(path);
        }
        for package in packages {
            generator = generator.package(package);
        }
        for (proto, rust) in &self.extern_paths {
            generator = generator.extern_path(proto, rust);
        }
        for (path, attributes) in &self.type_attributes {
            for attribute in attributes {
                generator = generator.type_attribute(path, attribute);
            }
        }
        for (path, attributes) in &self.field_attributes {
            for attribute in attributes {
                generator = generator.field_attribute(path, attribute);
            }
        }
        for (service, rust) in &self.service_names {
            generator = generator.service_name(service, rust);
        }
        generator
    }
}

impl Project {
    /// The project that `generate.toml` in the folder `schemas` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read, [`Error::Usage`] when it is malformed.
    pub fn open(schemas: impl Into<PathBuf>) -> Result<Self, Error> {
        let schemas = schemas.into();
        let path = schemas.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                Error::usage(
                    format!("`{}` is not there, so there is no saying where code goes", path.display()),
                    "name an output folder, or write that file with an `[[output]]` table and its `dir`",
                )
            } else {
                Error::io("cannot read", &path, error)
            }
        })?;
        let config: Config = toml::from_str(&text).map_err(|error| {
            Error::usage(
                format!("in `{}`: {}", path.display(), error.to_string().trim_end()),
                "an `[[output]]` has `dir`, and may have `packages`, `extern_paths`, `type_attributes`, `field_attributes`, \
                 `service_names`, `build_client`, `build_server` and `runtime_path`",
            )
        })?;
        Ok(Self {
            schemas,
            outputs: config.output,
        })
    }

    /// All packages below the folder `schemas`, into the one folder `out`.
    #[must_use]
    pub fn single(schemas: impl Into<PathBuf>, out: &Path) -> Self {
        // An absolute path stays itself when it is joined to another.
        let dir = std::path::absolute(out).unwrap_or_else(|_| out.to_path_buf());
        let output = Output {
            dir,
            ..Output::default()
        };
        Self {
            schemas: schemas.into(),
            outputs: vec![output],
        }
    }

    /// Generates all outputs: folder and files, in the order of the configuration.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the schemas or the configuration.
    pub fn generate(&self) -> Result<Vec<(PathBuf, Vec<GeneratedFile>)>, Error> {
        let loaded = self.load()?;
        let all: BTreeSet<String> = loaded
            .pool
            .files()
            .map(|file| file.package_name().to_owned())
            .collect();
        let named: BTreeSet<&String> = self
            .outputs
            .iter()
            .flat_map(|output| output.packages.iter().flatten())
            .collect();
        if let Some(unknown) = named.iter().find(|name| !all.contains(**name)) {
            return Err(Error::usage(
                format!("`{CONFIG_FILE}` names the package `{unknown}`, which no schema defines"),
                format!(
                    "the packages are: {}",
                    all.iter().cloned().collect::<Vec<_>>().join(", ")
                ),
            ));
        }
        let rest = || {
            all.iter()
                .filter(|name| !named.contains(name))
                .cloned()
                .collect()
        };
        let mut outputs = Vec::new();
        for output in &self.outputs {
            let packages: Vec<String> = output.packages.clone().unwrap_or_else(rest);
            let generated = output.generator(packages).generate_loaded(&loaded)?;
            outputs.push((tidy(&self.schemas.join(&output.dir)), generated.files));
        }
        Ok(outputs)
    }

    /// Brings all output folders up to date.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the schemas or the configuration (then nothing is written), or the
    /// first file that cannot be written.
    pub fn write(&self) -> Result<Written, Error> {
        let mut written = Written::default();
        for (dir, files) in self.generate()? {
            std::fs::create_dir_all(&dir)
                .map_err(|error| Error::io("cannot create", &dir, error))?;
            for orphan in orphans(&dir, &files)? {
                std::fs::remove_file(&orphan)
                    .map_err(|error| Error::io("cannot remove", &orphan, error))?;
                written.removed.push(orphan);
            }
            for file in files {
                let path = dir.join(&file.name);
                if write_if_changed(&path, &file.content)? {
                    written.changed.push(path);
                } else {
                    written.unchanged += 1;
                }
            }
        }
        Ok(written)
    }

    /// Compares all output folders with what the schemas give.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the schemas or the configuration, or a file that cannot be read.
    pub fn check(&self) -> Result<Staleness, Error> {
        let mut staleness = Staleness::default();
        for (dir, files) in self.generate()? {
            staleness.orphans.extend(orphans(&dir, &files)?);
            for file in files {
                let path = dir.join(&file.name);
                let old = match std::fs::read_to_string(&path) {
                    Ok(old) => old,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                    Err(error) => return Err(Error::io("cannot read", path, error)),
                };
                if old != file.content {
                    let diff = diff(&path, &old, &file.content);
                    staleness.stale.push((path, diff));
                }
            }
        }
        Ok(staleness)
    }

    fn load(&self) -> Result<Loaded, Error> {
        let mut protos = Vec::new();
        find_protos(&self.schemas, &mut protos)?;
        protos.sort();
        if protos.is_empty() {
            return Err(Error::usage(
                format!("there is no .proto file below `{}`", self.schemas.display()),
                "name the folder that the schemas are in",
            ));
        }
        load(&protos, std::slice::from_ref(&self.schemas))
    }
}

fn find_protos(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |error| Error::io("cannot read the folder", dir, error);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            find_protos(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
            && !hidden
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Files in `dir` that this generator wrote once and would not write now.
fn orphans(dir: &Path, files: &[GeneratedFile]) -> Result<Vec<PathBuf>, Error> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("cannot read the folder", dir, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| Error::io("cannot read the folder", dir, error))?
            .path();
        let wanted = files
            .iter()
            .any(|file| path.file_name().is_some_and(|name| name == &*file.name));
        let ours = || std::fs::read(&path).is_ok_and(|text| text.starts_with(HEADER.as_bytes()));
        if !wanted && path.is_file() && ours() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// `schemas/../runtime` as people write it: `runtime`.
fn tidy(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut tidy = PathBuf::new();
    for part in path.components() {
        let named = matches!(tidy.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            // Not across a symbolic link, whose parent is another folder than it seems.
            Component::ParentDir if named && !tidy.is_symlink() => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}

/// A unified diff, its lines cut to what a terminal shows: descriptors are one long line.
fn diff(path: &Path, old: &str, new: &str) -> String {
    const SHOWN: usize = 160;
    let name = path.display().to_string();
    let diff = TextDiff::from_lines(old, new);
    let text = diff
        .unified_diff()
        .header(&name, &format!("{name} (generated)"))
        .to_string();
    let cut = |line: &str| match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…\n", &line[..at]),
        None => format!("{line}\n"),
    };
    text.lines().map(cut).collect()
}

impl Staleness {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.stale.is_empty() && self.orphans.is_empty()
    }
}

impl fmt::Display for Staleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, diff) in &self.stale {
            f.write_str(diff)?;
        }
        for orphan in &self.orphans {
            writeln!(
                f,
                "{}: generated, but by no schema any more",
                orphan.display()
            )?;
        }
        if self.is_fresh() {
            return write!(f, "generated code is up to date");
        }
        let (stale, orphans) = (self.stale.len(), self.orphans.len());
        write!(
            f,
            "{stale} generated files are out of date, {orphans} are orphans: generate again"
        )
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in &self.changed {
            writeln!(f, "wrote   {}", path.display())?;
        }
        for path in &self.removed {
            writeln!(f, "removed {}", path.display())?;
        }
        write!(
            f,
            "{} written, {} removed, {} up to date",
            self.changed.len(),
            self.removed.len(),
            self.unchanged
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str =
        "syntax = \"proto3\"; package a.v1; message A {} service S { rpc Do(A) returns (A); }";

    fn project() -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(dir.path().join("schemas")).expect("a folder");
        std::fs::write(dir.path().join("schemas/a.proto"), SCHEMA).expect("a file");
        std::fs::write(
            dir.path().join("schemas/generate.toml"),
            "[[output]]\ndir = \"../out\"\n",
        )
        .expect("a file");
        let project = Project::open(dir.path().join("schemas")).expect("a project");
        (dir, project)
    }

    #[test]
    fn what_is_written_is_fresh_and_a_changed_schema_is_stale_with_a_diff() {
        let (dir, project) = project();
        assert_eq!(project.check().expect("checked").stale.len(), 2);
        assert_eq!(project.write().expect("written").changed.len(), 2);
        assert!(project.check().expect("checked").is_fresh());
        assert_eq!(project.write().expect("written").unchanged, 2);
        let changed = SCHEMA.replace("message A {}", "message A { int32 count = 1; }");
        std::fs::write(dir.path().join("schemas/a.proto"), changed).expect("a file");
        let staleness = project.check().expect("checked");
        assert_eq!(staleness.stale.len(), 1);
        assert!(
            staleness.to_string().contains("\n+    pub count: i32,\n"),
            "{staleness}"
        );
        assert_eq!(staleness.stale[0].0, dir.path().join("out/a.v1.rs"));
    }

    #[test]
    fn orphans_are_found_and_removed_but_foreign_files_are_not() {
        let (dir, project) = project();
        project.write().expect("written");
        let (orphan, foreign) = (
            dir.path().join("out/b.v1.rs"),
            dir.path().join("out/mine.rs"),
        );
        std::fs::write(&orphan, format!("{HEADER}// gone")).expect("a file");
        std::fs::write(&foreign, "// mine").expect("a file");
        assert_eq!(
            project.check().expect("checked").orphans,
            std::slice::from_ref(&orphan)
        );
        assert_eq!(project.write().expect("written").removed, [orphan]);
        assert!(foreign.exists() && project.check().expect("checked").is_fresh());
    }

    #[test]
    fn a_bad_configuration_is_explained() {
        let (dir, project) = project();
        let config = dir.path().join("schemas/generate.toml");
        std::fs::write(&config, "[[output]]\ndir = \"x\"\npackages = [\"b.v1\"]\n")
            .expect("a file");
        let project_of = |_: &Project| Project::open(dir.path().join("schemas"));
        let error = project_of(&project)
            .expect("well formed")
            .generate()
            .expect_err("unknown");
        assert!(error.to_string().contains("`b.v1`") && error.to_string().contains("a.v1"));
        std::fs::write(&config, "[[output]]\nfolder = \"x\"\n").expect("a file");
        let error = project_of(&project).expect_err("malformed").to_string();
        assert!(
            error.contains("generate.toml") && error.contains("folder"),
            "{error}"
        );
    }
}
