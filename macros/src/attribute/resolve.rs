//! From the arguments to the service's model.
//!
//! **Invariant**: reads only below the workspace of the crate, and anew each time.

use std::path::{Component, Path as FilePath, PathBuf};

use daemoneye_ipc_codegen::load::{Loaded, load, read_file};
use daemoneye_ipc_codegen::lower::lower;
use daemoneye_ipc_codegen::model::{Schema, Service};
use daemoneye_ipc_codegen::registered::{self, Registered};
use daemoneye_ipc_codegen::{Error, Options};
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Ident, ItemTrait, LitStr, Path};

use super::args::Arguments;
use super::errors::{Errors, nearest};
use super::{Surroundings, publish};

/// A schema that was read.
pub(super) struct ReadSchema {
    /// All packages that it reaches.
    pub(super) model: Schema,
    /// The package of the file itself.
    pub(super) package: String,
    /// Every file that the expansion depends on.
    pub(super) inputs: Vec<PathBuf>,
    /// Warnings about where it is.
    pub(super) warnings: TokenStream,
    /// How emitted code names the runtime.
    pub(super) runtime: Path,
    /// Whether build.rs compiled it, messages and all.
    pub(super) is_registered: bool,
    /// Where it is from, as in "no service `X` in …".
    origin: String,
    /// The services that it offers.
    services: Vec<String>,
}

/// Reads the schema, or takes the one that build.rs compiled; reports what is wrong with it.
pub(super) fn schema(
    arguments: &Arguments,
    surroundings: &Surroundings,
    input: &ItemTrait,
    errors: &mut Errors,
) -> Option<ReadSchema> {
    match &arguments.schema {
        Some(given) => read(given, arguments, input, &surroundings.dir, errors),
        // What else is wrong with the arguments may be why it is missing.
        None if !errors.is_empty() => None,
        None => registered(arguments, surroundings, &input.ident, errors),
    }
}

fn read(
    given: &LitStr,
    arguments: &Arguments,
    input: &ItemTrait,
    crate_dir: &FilePath,
    errors: &mut Errors,
) -> Option<ReadSchema> {
    if given.value().is_empty() {
        errors.on(
            given,
            "the path is empty: name the file, as in `schema = \"schemas/….proto\"`",
        );
        return None;
    }
    let path = inside_workspace(given, crate_dir, errors)?;
    let includes = arguments
        .includes
        .iter()
        .map(|include| inside_workspace(include, crate_dir, errors))
        .collect::<Option<Vec<_>>>()?;
    let runtime = arguments.runtime();
    let options = Options {
        runtime: text(&runtime),
        // The items of the service are named after the user's trait, and live beside it.
        build_client: false,
        build_server: false,
        ..Options::default()
    };
    let lowered =
        load(&[path], &includes).and_then(|loaded| Ok((lower(&loaded, &options)?, loaded)));
    let (model, loaded) = match lowered {
        Ok(lowered) => lowered,
        Err(error) => {
            report(&error, given, crate_dir, errors);
            return None;
        }
    };
    let outside = |path: &&LitStr| !inside(path, crate_dir).starts_with(plain(crate_dir));
    let outside: Vec<_> = [given]
        .into_iter()
        .chain(&arguments.includes)
        .filter(outside)
        .collect();
    let (warnings, manifests) =
        publish::warnings(&outside, &input.attrs, crate_dir, workspace_of(crate_dir));
    Some(ReadSchema {
        inputs: loaded.inputs().cloned().chain(manifests).collect(),
        warnings,
        services: names(&model),
        package: package_of_root(&loaded)?,
        origin: format!("`{}`", loaded.roots.first()?),
        is_registered: false,
        model,
        runtime,
    })
}

/// The set that build.rs registered and that has the service, else the first.
fn registered(
    arguments: &Arguments,
    surroundings: &Surroundings,
    on: &Ident,
    errors: &mut Errors,
) -> Option<ReadSchema> {
    let (Some(out_dir), Some(names)) = (&surroundings.out_dir, &surroundings.registered) else {
        errors.on(
            on,
            "`schema` is missing, and this crate has no build.rs that compiled one: name the file, as in \
             `schema = \"schemas/….proto\"`, or compile it with \
             `daemoneye_ipc_codegen::Generator` in build.rs",
        );
        return None;
    };
    if let Some(include) = arguments.includes.first() {
        errors.on(
            include,
            "`includes` goes with `schema`: what build.rs compiled has found its imports",
        );
        return None;
    }
    let mut sets = match registered::read(names, out_dir) {
        Ok(sets) => sets,
        Err(error) => {
            errors.on(on, error);
            return None;
        }
    };
    let wanted = arguments.service.as_ref().map(LitStr::value);
    let has = |set: &Registered| set.services().any(|name| Some(&name) == wanted.as_ref());
    let at = sets.iter().position(has).unwrap_or_default();
    let services = sets.iter().flat_map(Registered::services).collect();
    // A build script that names its sets has written one.
    let set = (at < sets.len()).then(|| sets.swap_remove(at))?;
    let model = match lower(&set.loaded, &set.options) {
        Ok(model) => model,
        Err(error) => {
            errors.on(on, error);
            return None;
        }
    };
    let runtime = arguments.runtime.clone();
    Some(ReadSchema {
        services,
        package: package_of_root(&set.loaded)?,
        origin: "the schemas that build.rs compiled".to_owned(),
        is_registered: true,
        runtime: runtime.or_else(|| syn::parse_str(&set.options.runtime).ok())?,
        inputs: vec![set.file],
        warnings: TokenStream::new(),
        model,
    })
}

fn names(model: &Schema) -> Vec<String> {
    let services = model.services();
    services.map(|service| service.full_name.clone()).collect()
}

fn package_of_root(loaded: &Loaded) -> Option<String> {
    let file = loaded.pool.get_file_by_name(loaded.roots.first()?)?;
    Some(file.package_name().to_owned())
}

/// A path as text, as the generator's options have it.
fn text(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

/// Whether it is known where the messages are: build.rs has put them into some module of the crate.
pub(super) fn knows_messages(
    arguments: &Arguments,
    schema: &ReadSchema,
    service: &Service,
    on: &Ident,
    errors: &mut Errors,
) -> bool {
    let mut methods = service.methods.iter();
    let known = !schema.is_registered
        || arguments.messages.is_some()
        || !methods.any(|method| method.input.relative || method.output.relative);
    if !known {
        let package = package_of(&service.full_name);
        errors.on(
            on,
            format_args!(
                "`messages` is missing: name the module that has \
                 `daemoneye_ipc::include_schema!(\"{package}\")`, as in `messages = crate::{}`",
                package
                    .split('.')
                    .next()
                    .filter(|name| !name.is_empty())
                    .unwrap_or("schema")
            ),
        );
    }
    known
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
fn report(error: &Error, on: &LitStr, crate_dir: &FilePath, errors: &mut Errors) {
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
    let names: Vec<&str> = schema.services.iter().map(String::as_str).collect();
    // A name without its package is a near miss, however long the package is.
    let short = names
        .iter()
        .copied()
        .find(|full| full.rsplit('.').next() == Some(name.as_str()));
    let hint = match short.or_else(|| nearest(&name, names.iter().copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "there is none".to_owned(),
        None => format!("there is `{}`", names.join("`, `")),
    };
    errors.on(
        wanted,
        format_args!("no service `{name}` in {}: {hint}", schema.origin),
    );
}

/// The path that `literal` means, refused when it is absolute or leads out of the workspace.
fn inside_workspace(
    literal: &LitStr,
    crate_dir: &FilePath,
    errors: &mut Errors,
) -> Option<PathBuf> {
    let given = PathBuf::from(literal.value());
    if given.is_absolute() {
        errors.on(
            literal,
            "the path is absolute, so that the crate would build on one machine alone: give it \
             relative to the crate's Cargo.toml",
        );
        return None;
    }
    let path = inside(literal, crate_dir);
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

/// The path that `literal` means in the crate.
fn inside(literal: &LitStr, crate_dir: &FilePath) -> PathBuf {
    plain(&crate_dir.join(literal.value()))
}

/// What can be read of a schema that is not sound.
pub(super) fn remains(arguments: &Arguments, crate_dir: &FilePath) -> String {
    let path = arguments.schema.as_ref();
    let path = path.and_then(|path| inside_workspace(path, crate_dir, &mut Errors::default()));
    let bytes = path.and_then(|path| read_file(&path).ok());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// `a/b/../c` as `a/c`.
fn plain(path: &FilePath) -> PathBuf {
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
fn workspace_of(crate_dir: &FilePath) -> &FilePath {
    let is_workspace = |dir: &&FilePath| {
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
