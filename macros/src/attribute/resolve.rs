//! From the arguments to the service's model.
//!
//! **Invariant**: reads only below the workspace of the crate, and anew each time.

use std::path::{Component, Path, PathBuf};

use daemoneye_ipc_codegen::load::{Loaded, load};
use daemoneye_ipc_codegen::lower::lower;
use daemoneye_ipc_codegen::model::{Schema, Service};
use daemoneye_ipc_codegen::{Error, Options};
use syn::{Ident, LitStr};

use super::args::Arguments;
use super::errors::{Errors, nearest};

/// A service, its schema, and how to name what it needs.
pub(super) struct Resolved {
    /// The service, named like the user's trait.
    pub(super) service: Service,
    /// All packages that the schema reaches.
    pub(super) schema: Schema,
    /// The package of the service.
    pub(super) package: String,
    /// Every schema file that was read.
    pub(super) inputs: Vec<PathBuf>,
    /// The module of the package's messages, when the user has one.
    pub(super) messages: Option<syn::Path>,
}

/// Loads the schema and finds the service; reports what is wrong with either.
pub(super) fn resolve(
    arguments: &Arguments,
    trait_name: &Ident,
    crate_dir: &Path,
    errors: &mut Errors,
) -> Option<Resolved> {
    let schema_path = inside_workspace(&arguments.schema, crate_dir, errors)?;
    let includes = arguments
        .includes
        .iter()
        .map(|include| inside_workspace(include, crate_dir, errors))
        .collect::<Option<Vec<_>>>()?;
    let lowered = load(&[schema_path], &includes)
        .and_then(|loaded| Ok((lower(&loaded, &Options::default())?, loaded)));
    let (schema, loaded) = match lowered {
        Ok(lowered) => lowered,
        Err(error) => {
            report(&error, &arguments.schema, crate_dir, errors);
            return None;
        }
    };
    let Some(mut service) = find(&schema, &arguments.service.value()) else {
        unknown_service(arguments, &loaded, &schema, errors);
        return None;
    };
    service.rust_name = trait_name.to_string();
    let package = package_of(&service.full_name).to_owned();
    let inputs = loaded
        .sources
        .into_iter()
        .map(|source| source.path)
        .collect();
    Some(Resolved {
        service,
        schema,
        package,
        inputs,
        messages: arguments.messages.clone(),
    })
}

fn package_of(full_name: &str) -> &str {
    full_name
        .rsplit_once('.')
        .map_or("", |(package, _)| package)
}

fn find(schema: &Schema, full_name: &str) -> Option<Service> {
    schema
        .services()
        .find(|service| service.full_name == full_name)
        .cloned()
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

fn unknown_service(arguments: &Arguments, loaded: &Loaded, schema: &Schema, errors: &mut Errors) {
    let wanted = arguments.service.value();
    let names: Vec<&str> = schema
        .services()
        .map(|service| service.full_name.as_str())
        .collect();
    // A name without its package is a near miss, however long the package is.
    let short = names
        .iter()
        .copied()
        .find(|name| name.rsplit('.').next() == Some(wanted.as_str()));
    let hint = match short.or_else(|| nearest(&wanted, names.iter().copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "it defines no service".to_owned(),
        None => format!("it defines `{}`", names.join("`, `")),
    };
    let file = loaded.roots.first().map_or("the schema", String::as_str);
    errors.on(
        &arguments.service,
        format_args!("no service `{wanted}` in `{file}`: {hint}"),
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
