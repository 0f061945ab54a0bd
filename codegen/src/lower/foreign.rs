//! Types of the library that have no Rust: those in which rules are written (`buf.validate`), and those of
//! `google/protobuf/descriptor.proto` that prost-types does not have.
//!
//! **Invariant**: looks at what a schema names, before prost does.

use prost_reflect::{FieldDescriptor, FileDescriptor, Kind};

use super::rules::PACKAGE;
use super::{Index, descriptors};
use crate::error::{Problem, ProblemKind};
use crate::options::Options;

/// The fields and methods of the files to be emitted that are of such types, unless the user says where these are.
pub(super) fn problems(
    files: &[FileDescriptor],
    index: &Index<'_>,
    options: &Options,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files
        .iter()
        .filter(|file| options.wants(file.package_name()))
    {
        for message in descriptors::messages(file) {
            for field in message.fields() {
                let (name, of) = match value_kind(&field) {
                    Kind::Message(ty) => (ty.full_name().to_owned(), ty.parent_file()),
                    Kind::Enum(ty) => (ty.full_name().to_owned(), ty.parent_file()),
                    _ => continue,
                };
                let place = || index.place(file, field.path());
                problems.extend(problem(&name, &of, options).map(|found| found.at(place())));
            }
        }
        for method in file
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
        {
            for ty in [method.input(), method.output()] {
                let place = || index.place(file, method.path());
                let found = problem(ty.full_name(), &ty.parent_file(), options);
                problems.extend(found.map(|found| found.at(place())));
            }
        }
    }
    problems.dedup();
    problems
}

/// What a field holds; of a map, its values.
fn value_kind(field: &FieldDescriptor) -> Kind {
    match field.kind() {
        Kind::Message(entry) if entry.is_map_entry() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

fn problem(name: &str, of: &FileDescriptor, options: &Options) -> Option<Problem> {
    let why = if of.package_name() == PACKAGE {
        format!("the types of `{PACKAGE}` are there to write rules")
    } else if is_absent(name) {
        "prost-types does not have it".to_owned()
    } else {
        return None;
    };
    (!options.is_extern(name)).then(|| {
        let text = format!("`{name}` has no Rust: {why}");
        Problem::new(ProblemKind::Unsupported, text)
            .help("use a message of your own, or say where this one is with an extern path")
    })
}

/// Whether that is one of those, or inside of one. prost-types is made from an older `descriptor.proto` than protox
/// brings.
fn is_absent(name: &str) -> bool {
    const ABSENT: [&str; 11] = [
        "Edition",
        "ExtensionRangeOptions.Declaration",
        "ExtensionRangeOptions.VerificationState",
        "FeatureSet",
        "FeatureSetDefaults",
        "FieldOptions.EditionDefault",
        "FieldOptions.FeatureSupport",
        "FieldOptions.OptionRetention",
        "FieldOptions.OptionTargetType",
        "GeneratedCodeInfo.Annotation.Semantic",
        "SymbolVisibility",
    ];
    let inside = name.strip_prefix("google.protobuf.");
    inside.is_some_and(|inside| {
        ABSENT.iter().any(|absent| {
            let rest = inside.strip_prefix(absent);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    })
}
