//! From the arguments to the service's model.
//!
//! **Invariant**: reads only below the workspace of the crate, and anew each time.

use std::path::{Component, Path, PathBuf};

use daemoneye_ipc_codegen::load::load;
use daemoneye_ipc_codegen::lower::lower;
use daemoneye_ipc_codegen::model::{Schema, Service};
use daemoneye_ipc_codegen::{Error, Options};
use syn::{Ident, LitStr};

use super::args::Arguments;
use super::errors::{Errors, nearest};

/// A schema that was read.
pub(super) struct ReadSchema {
    /// All packages that it reaches.
    pub(super) model: Schema,
    /// The package of the file itself.
    pub(super) package: String,
    /// Every file that was read.
    pub(super) inputs: Vec<PathBuf>,
    /// The name of the file, below its include root.
    file: String,
}

/// Reads the schema; reports what is wrong with it.
pub(super) fn schema(
    arguments: &Arguments,
    crate_dir: &Path,
    errors: &mut Errors,
) -> Option<ReadSchema> {
    let given = arguments.schema.as_ref()?;
    let path = inside_workspace(given, crate_dir, errors)?;
    let includes = arguments
        .includes
        .iter()
        .map(|include| inside_workspace(include, crate_dir, errors))
        .collect::<Option<Vec<_>>>()?;
    let lowered = load(&[path], &includes)
        .and_then(|loaded| Ok((lower(&loaded, &Options::default())?, loaded)));
    let (model, loaded) = match lowered {
        Ok(lowered) => lowered,
        Err(error) => {
            report(&error, given, crate_dir, errors);
            return None;
        }
    };
    let file = loaded.roots.first()?.clone();
    let package = loaded
        .pool
        .get_file_by_name(&file)?
        .package_name()
        .to_owned();
    let inputs = loaded
        .sources
        .into_iter()
        .map(|source| source.path)
        .collect();
    Some(ReadSchema {
        model,
        package,
        inputs,
        file,
    })
}

/// Finds the service, and names it like the user's trait; reports that it is not there.
pub(super) fn service(
    arguments: &Arguments,
    schema: &ReadSchema,
    trait_name: &Ident,
    errors: &mut Errors,
) -> Option<Service> {
    let wanted = arguments.service.as_ref()?;
    let full_name = wanted.value();
    let found = schema
        .model
        .services()
        .find(|service| service.full_name == full_name);
    let Some(found) = found else {
        unknown_service(wanted, schema, errors);
        return None;
    };
    Some(Service {
        rust_name: trait_name.to_string(),
        ..found.clone()
    })
}

/// The package of a service or message.
pub(super) fn package_of(full_name: &str) -> &str {
    full_name
        .rsplit_once('.')
        .map_or("", |(package, _)| package)
}

/// The faults of a schema, each on the path that the user gave for it, with file names as in that
/// path: relative to the crate.
fn report(error: &Error, on: &LitStr, crate_dir: &Path, errors: &mut Errors) {
    let prefix = crate_dir.join("").display().to_string();
    let relative = |text: String| text.replace(&prefix, "");
    if error.problems().is_empty() {
        errors.on(on, relative(error.to_string()));
    }
    for problem in error.problems() {
        errors.on(on, relative(problem.to_string()));
    }
}

fn unknown_service(wanted: &LitStr, schema: &ReadSchema, errors: &mut Errors) {
    let name = wanted.value();
    let names: Vec<&str> = schema
        .model
        .services()
        .map(|service| service.full_name.as_str())
        .collect();
    // A name without its package is a near miss, however long the package is.
    let short = names
        .iter()
        .copied()
        .find(|full| full.rsplit('.').next() == Some(name.as_str()));
    let hint = match short.or_else(|| nearest(&name, names.iter().copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "it defines no service".to_owned(),
        None => format!("it defines `{}`", names.join("`, `")),
    };
    errors.on(
        wanted,
        format_args!("no service `{name}` in `{}`: {hint}", schema.file),
    );
}

/// The path that `literal` means, refused when it is absolute or leads out of the workspace.
fn inside_workspace(literal: &LitStr, crate_dir: &Path, errors: &mut Errors) -> Option<PathBuf> {
    let given = PathBuf::from(literal.value());
    if given.is_absolute() {
        errors.on(
            literal,
            "the path is absolute, so that the crate would build on one machine alone: give it \
             relative to the crate's Cargo.toml",
        );
        return None;
    }
    let path = plain(&crate_dir.join(&given));
    if !path.starts_with(workspace_of(crate_dir)) {
        errors.on(
            literal,
            "the path leads out of the workspace, where a build cannot rely on it: copy the schema \
             into the workspace",
        );
        return None;
    }
    Some(path)
}

/// `a/b/../c` as `a/c`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// The folder of the nearest manifest above the crate that has a `[workspace]`, else the crate's.
fn workspace_of(crate_dir: &Path) -> &Path {
    let is_workspace = |dir: &&Path| {
        std::fs::read_to_string(dir.join("Cargo.toml")).is_ok_and(|text| {
            text.lines()
                .any(|line| line.trim_start().starts_with("[workspace"))
        })
    };
    crate_dir
        .ancestors()
        .find(is_workspace)
        .unwrap_or(crate_dir)
}
