//! `buf.yaml`, in its three versions.
//!
//! **Invariant**: keys that are not about rules and roots (dependencies, plugins, names) are passed over; a
//! version that does not exist is an error.

use std::path::Path;

use serde::Deserialize;

use super::{LintOptions, Module, Section, misread};
use crate::error::Error;

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    version: String,
    /// `v1` and `v1beta1`.
    build: Build,
    /// `v2`.
    modules: Vec<FileModule>,
    breaking: Option<Section>,
    lint: Option<Lint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Build {
    /// `v1beta1` alone.
    roots: Vec<String>,
    excludes: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FileModule {
    path: Option<String>,
    includes: Vec<String>,
    excludes: Vec<String>,
    breaking: Option<Section>,
    lint: Option<Lint>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Lint {
    #[serde(flatten)]
    section: Section,
    /// `v2`: comments count unless this is set.
    disallow_comment_ignores: bool,
    /// `v1` and `v1beta1`: comments count only if this is set.
    allow_comment_ignores: bool,
    enum_zero_value_suffix: Option<String>,
    rpc_allow_same_request_response: bool,
    rpc_allow_google_protobuf_empty_requests: bool,
    rpc_allow_google_protobuf_empty_responses: bool,
    service_suffix: Option<String>,
}

/// The modules that a `buf.yaml` describes.
pub(super) fn modules(path: &Path, folder: &Path, text: &str) -> Result<Vec<Module>, Error> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| misread(path, &error))?;
    match &*file.version {
        "v2" => second(file, folder),
        "v1" => Ok(vec![first(&file, folder, ".")]),
        "v1beta1" => {
            let roots = match &*file.build.roots {
                [] => vec![".".to_owned()],
                roots => roots.to_vec(),
            };
            Ok(roots
                .iter()
                .map(|root| first(&file, folder, root))
                .collect())
        }
        other => Err(misread(
            path,
            &format_args!("version `{other}` is none of v1beta1, v1 and v2"),
        )),
    }
}

/// A module of the versions before `v2`, whose paths are relative to the import root.
fn first(file: &File, folder: &Path, root: &str) -> Module {
    let lint = file.lint.clone().unwrap_or_default();
    let options = options(&lint, lint.allow_comment_ignores);
    // The excludes of `v1beta1` are relative to the folder, and its roots are below that.
    let excludes = file.build.excludes.iter();
    Module {
        root: joined(folder, root),
        includes: Vec::new(),
        excludes: excludes.filter_map(|path| inside(root, path)).collect(),
        breaking: file.breaking.clone().unwrap_or_default(),
        lint: lint.section,
        lint_options: options,
    }
}

/// The modules of `v2`, whose paths are relative to the folder of the file.
fn second(mut file: File, folder: &Path) -> Result<Vec<Module>, Error> {
    if file.modules.is_empty() {
        file.modules.push(FileModule::default());
    }
    let (breaking, lint) = (
        file.breaking.unwrap_or_default(),
        file.lint.unwrap_or_default(),
    );
    let module = |module: FileModule| {
        let root = module.path.as_deref().unwrap_or(".");
        let lint = module.lint.unwrap_or_else(|| lint.clone());
        let breaking = module.breaking.unwrap_or_else(|| breaking.clone());
        let within =
            |paths: &[String]| paths.iter().filter_map(|path| inside(root, path)).collect();
        Module {
            root: joined(folder, root),
            includes: within(&module.includes),
            excludes: within(&module.excludes),
            breaking: relative(breaking, root),
            lint_options: options(&lint, !lint.disallow_comment_ignores),
            lint: relative(lint.section, root),
        }
    };
    Ok(file.modules.into_iter().map(module).collect())
}

/// The ignores of a section that are about a module.
fn relative(section: Section, root: &str) -> Section {
    let within = |paths: Vec<String>| -> Vec<String> {
        paths.iter().filter_map(|path| inside(root, path)).collect()
    };
    let only = section.ignore_only.into_iter();
    Section {
        ignore: within(section.ignore),
        ignore_only: only.map(|(name, paths)| (name, within(paths))).collect(),
        ..section
    }
}

fn options(lint: &Lint, comment_ignores: bool) -> LintOptions {
    let default = LintOptions::default();
    let or = |given: &Option<String>, default: String| match given {
        Some(given) if !given.is_empty() => given.clone(),
        _ => default,
    };
    LintOptions {
        comment_ignores,
        enum_zero_value_suffix: or(&lint.enum_zero_value_suffix, default.enum_zero_value_suffix),
        rpc_allow_same_request_response: lint.rpc_allow_same_request_response,
        rpc_allow_google_protobuf_empty_requests: lint.rpc_allow_google_protobuf_empty_requests,
        rpc_allow_google_protobuf_empty_responses: lint.rpc_allow_google_protobuf_empty_responses,
        service_suffix: or(&lint.service_suffix, default.service_suffix),
    }
}

fn joined(folder: &Path, root: &str) -> std::path::PathBuf {
    match plain(root) {
        "" => folder.to_path_buf(),
        root => folder.join(root),
    }
}

/// `path` as seen from `root`, when it is there: `.` for the root itself, or for a folder around it.
fn inside(root: &str, path: &str) -> Option<String> {
    let (root, path) = (plain(root), plain(path));
    if root.is_empty() {
        return Some(path.to_owned());
    }
    match path.strip_prefix(root) {
        Some("") => Some(".".to_owned()),
        Some(rest) => rest.strip_prefix('/').map(str::to_owned),
        None => {
            let around = path.is_empty() || root.starts_with(&format!("{path}/"));
            around.then(|| ".".to_owned())
        }
    }
}

/// A path without what does not count.
fn plain(path: &str) -> &str {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    if path == "." { "" } else { path }
}
