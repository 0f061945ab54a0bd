//! What a project says about its rules: in `buf.yaml`, where it has one, and in `evolution.toml` beside it.
//!
//! `buf.yaml` is read as buf reads it, versions `v1beta1`, `v1` and `v2`. `evolution.toml` has what buf would
//! refuse: rules and categories of ours. What it says of a key counts instead of what `buf.yaml` says.
//!
//! **Invariant**: paths of ignores are relative to the import root of their module, however they were
//! written.

mod buf_yaml;
mod files;
mod workspace;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Ignores, Names, Rule, Selection};
use crate::error::Error;
use crate::image::Image;
use crate::load::{Loaded, load_aside};

/// The name of buf's file.
pub const BUF_FILE: &str = "buf.yaml";
/// The name of ours.
pub const OWN_FILE: &str = "evolution.toml";

/// The configuration of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its modules, at least one.
    pub modules: Vec<Module>,
    /// The number of the oldest release whose peers have to be understood still; 1, which is all, by default.
    pub oldest_supported: u32,
    /// Import roots of what is not looked at itself: the other modules of a workspace.
    pub elsewhere: Vec<PathBuf>,
}

/// A tree of schemas with one import root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// The import root.
    pub root: PathBuf,
    /// Folders, relative to the root, that alone are looked into; empty for all.
    pub includes: Vec<String>,
    /// Folders, relative to the root, that are not looked into.
    pub excludes: Vec<String>,
    /// What applies to comparisons.
    pub breaking: Section,
    /// What applies to lint.
    pub lint: Section,
    /// How lint judges.
    pub lint_options: LintOptions,
}

/// Which rules apply, and where not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Section {
    /// Ids and categories to apply; empty for the default.
    #[serde(rename = "use")]
    pub used: Vec<String>,
    /// Ids and categories to leave out.
    pub except: Vec<String>,
    /// Files and folders whose findings do not count.
    pub ignore: Vec<String>,
    /// The same for single rules and categories.
    pub ignore_only: BTreeMap<String, Vec<String>>,
    /// Whether packages with an unstable version do not count.
    pub ignore_unstable_packages: bool,
}

/// What buf calls the options of lint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintOptions {
    /// Whether `buf:lint:ignore RULE` in a comment counts.
    pub comment_ignores: bool,
    /// How the name of an enum's zero value ends.
    pub enum_zero_value_suffix: String,
    /// Whether one message may be both request and reply of a method.
    pub rpc_allow_same_request_response: bool,
    /// Whether a request may be `google.protobuf.Empty`.
    pub rpc_allow_google_protobuf_empty_requests: bool,
    /// Whether a reply may be `google.protobuf.Empty`.
    pub rpc_allow_google_protobuf_empty_responses: bool,
    /// How the name of a service ends.
    pub service_suffix: String,
}

impl Default for LintOptions {
    fn default() -> Self {
        Self {
            comment_ignores: true,
            enum_zero_value_suffix: "_UNSPECIFIED".to_owned(),
            rpc_allow_same_request_response: false,
            rpc_allow_google_protobuf_empty_requests: false,
            rpc_allow_google_protobuf_empty_responses: false,
            service_suffix: "Service".to_owned(),
        }
    }
}

/// `evolution.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OwnFile {
    /// Import roots, relative to this file; instead of those in `buf.yaml`.
    roots: Vec<PathBuf>,
    check: OwnSection,
    lint: OwnSection,
    history: OwnHistory,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OwnHistory {
    oldest_supported: Option<NonZeroU32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OwnSection {
    #[serde(rename = "use")]
    used: Option<Vec<String>>,
    except: Option<Vec<String>>,
    ignore: Option<Vec<String>>,
    ignore_only: Option<BTreeMap<String, Vec<String>>>,
    ignore_unstable_packages: Option<bool>,
}

impl Config {
    /// These modules, and the default of all else.
    #[must_use]
    pub const fn of(modules: Vec<Module>) -> Self {
        Self {
            modules,
            oldest_supported: 1,
            elsewhere: Vec::new(),
        }
    }

    /// The configuration of the schemas in `folder`: that of its `buf.yaml` and `evolution.toml`. Without
    /// either, that of the workspace that has `folder` as a module, from a `buf.yaml` in a folder above; without one,
    /// `folder` is the one import root and everything is the default.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read, [`Error::Usage`] when one cannot be understood, or when `folder` is a
    /// part of a module that is configured above.
    pub fn find(folder: &Path) -> Result<Self, Error> {
        let (buf, own) = (folder.join(BUF_FILE), folder.join(OWN_FILE));
        if let Some(text) = present(&buf) {
            return Self::of(buf_yaml::modules(&buf, folder, &text?)?).overlaid(&own, folder);
        }
        if let Some(text) = present(&own) {
            return Self::of(vec![Module::at(folder)]).overlaid_by(&own, folder, &text?);
        }
        let found = workspace::above(folder)?;
        Ok(found.unwrap_or_else(|| Self::of(vec![Module::at(folder)])))
    }

    /// The configuration in `file` for the schemas in `folder`, to which paths in it are relative: in the format
    /// of `evolution.toml` when its name ends in `.toml`, else in that of `buf.yaml`, with the `evolution.toml`
    /// beside it.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn open(file: &Path, folder: &Path) -> Result<Self, Error> {
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let modules = vec![Module::at(folder)];
            return Self::of(modules).overlaid_by(file, folder, &read(file)?);
        }
        let modules = buf_yaml::modules(file, folder, &read(file)?)?;
        Self::of(modules).overlaid(&file.with_file_name(OWN_FILE), folder)
    }

    fn overlaid(self, own: &Path, folder: &Path) -> Result<Self, Error> {
        match present(own) {
            Some(text) => self.overlaid_by(own, folder, &text?),
            None => Ok(self),
        }
    }

    fn overlaid_by(mut self, file: &Path, folder: &Path, text: &str) -> Result<Self, Error> {
        let own: OwnFile = toml::from_str(text).map_err(|error| misread(file, &error))?;
        if !own.roots.is_empty() {
            let first = self.modules.swap_remove(0);
            let module = |root: &PathBuf| Module {
                root: folder.join(root),
                ..first.clone()
            };
            self.modules = own.roots.iter().map(module).collect();
        }
        if let Some(oldest) = own.history.oldest_supported {
            self.oldest_supported = oldest.get();
        }
        for module in &mut self.modules {
            own.check.onto(&mut module.breaking);
            own.lint.onto(&mut module.lint);
        }
        Ok(self)
    }

    /// Reads and links the schema files of all modules, and what they import.
    ///
    /// # Errors
    ///
    /// As [`load`](crate::load::load), and [`Error::Usage`] when there is no schema file.
    pub fn image(&self) -> Result<Image, Error> {
        Image::of(self.load()?)
    }

    /// The same, as the linker has it.
    pub(crate) fn load(&self) -> Result<Loaded, Error> {
        let mut protos = Vec::new();
        for module in &self.modules {
            files::collect(module, &mut protos)?;
        }
        if protos.is_empty() {
            let roots: Vec<_> = self
                .roots()
                .iter()
                .map(|root| root.display().to_string())
                .collect();
            return Err(Error::usage(
                format!(
                    "there is no schema file (*.proto) below {}",
                    roots.join(", ")
                ),
                "name the folder that its imports are relative to",
            ));
        }
        load_aside(&protos, &self.roots())
    }

    /// The import roots.
    #[must_use]
    pub fn roots(&self) -> Vec<PathBuf> {
        let own = self.modules.iter().map(|module| &module.root);
        own.chain(&self.elsewhere).cloned().collect()
    }

    /// The module that holds the file at `path`, relative to an import root; the first when none does.
    #[must_use]
    pub fn module_of(&self, path: &str) -> &Module {
        let holds = |module: &&Module| self.modules.len() == 1 || module.root.join(path).is_file();
        self.modules.iter().find(holds).unwrap_or(&self.modules[0])
    }
}

impl Module {
    /// A module without configuration.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            ..Self::default()
        }
    }
}

impl Section {
    /// The rules that apply and what they leave out, among the rules of `names`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a name that is no rule and no category.
    pub fn resolve(&self, names: &Names<'_>) -> Result<(Vec<&'static Rule>, Ignores), Error> {
        let rules = names.select(&Selection {
            used: self.used.clone(),
            except: self.except.clone(),
        })?;
        let mut only: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, paths) in &self.ignore_only {
            for id in names.ids(&[name])? {
                only.entry(id.to_owned())
                    .or_default()
                    .extend(paths.iter().cloned());
            }
        }
        let ignores = Ignores {
            everywhere: self.ignore.clone(),
            only,
            unstable_packages: self.ignore_unstable_packages,
        };
        Ok((rules, ignores))
    }
}

impl OwnSection {
    fn onto(&self, section: &mut Section) {
        let Self {
            used,
            except,
            ignore,
            ignore_only,
            ignore_unstable_packages,
        } = self;
        let set = |own: &Option<Vec<String>>, other: &mut Vec<String>| {
            if let Some(own) = own {
                other.clone_from(own);
            }
        };
        set(used, &mut section.used);
        set(except, &mut section.except);
        set(ignore, &mut section.ignore);
        if let Some(own) = ignore_only {
            section.ignore_only.clone_from(own);
        }
        if let Some(own) = ignore_unstable_packages {
            section.ignore_unstable_packages = *own;
        }
    }
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|error| Error::io("cannot read", file, error))
}

/// The text of a file that need not be there.
fn present(file: &Path) -> Option<Result<String, Error>> {
    file.is_file().then(|| read(file))
}

fn misread(file: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::usage(
        format!("`{}` cannot be read: {error}", file.display()),
        "correct it; docs/schema-evolution.md lists what it may say",
    )
}

#[cfg(test)]
mod tests;
