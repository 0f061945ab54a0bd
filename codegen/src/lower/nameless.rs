//! Elements that prost has no name for, or one name for two: found before prost fails on them.
//!
//! **Invariant**: what is refused here has no Rust form; all of it is reported at once.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase;
use prost_build::Module;
use prost_reflect::{EnumDescriptor, FileDescriptor, MessageDescriptor};

use super::{Index, descriptors};
use crate::check::clash;
use crate::error::{Place, Problem, ProblemKind};
use crate::options::Options;

/// The problems of all files, in the order of the files.
pub(super) fn problems(
    files: &[FileDescriptor],
    index: &Index<'_>,
    options: &Options,
) -> Vec<Problem> {
    let mut found = Finder {
        index,
        problems: Vec::new(),
    };
    found.packages(files);
    for file in files {
        for service in file.services() {
            found.name(file, "service", service.name(), service.path());
            for method in service.methods() {
                found.name(file, "method", method.name(), method.path());
            }
        }
        for message in descriptors::messages(file) {
            if !options.is_elsewhere(message.full_name()) {
                found.message(file, &message);
            }
        }
        for enumeration in descriptors::enums(file) {
            if !options.is_elsewhere(enumeration.full_name()) {
                found.enumeration(file, &enumeration);
            }
        }
    }
    found.problems
}

struct Finder<'a, 'i> {
    index: &'a Index<'i>,
    problems: Vec<Problem>,
}

impl Finder<'_, '_> {
    /// Two packages must not become one module.
    fn packages(&mut self, files: &[FileDescriptor]) {
        const PACKAGE: i32 = 2; // the field number of `package` in a file's descriptor
        let mut seen: BTreeMap<Module, (&str, Option<Place>)> = BTreeMap::new();
        let mut refused = BTreeSet::new();
        for file in files {
            let name = file.package_name();
            let place = self.index.place(file, &[PACKAGE]);
            for part in name.split('.').filter(|part| !part.is_empty()) {
                if nameless(part) && refused.insert(name) {
                    self.refuse("part of a package", part, place.clone());
                }
            }
            let module = Module::from_protobuf_package_name(name);
            match seen.get(&module) {
                Some((other, _)) if *other == name => {}
                Some((other, at)) => {
                    let text = format!(
                        "packages `{other}` and `{name}` both become the module `{module}` in Rust"
                    );
                    self.problems
                        .push(clash(text, &place, at, "rename one of the two"));
                }
                None => {
                    seen.insert(module, (name, place));
                }
            }
        }
    }

    fn message(&mut self, file: &FileDescriptor, message: &MessageDescriptor) {
        self.name(file, "message", message.name(), message.path());
        for field in message.fields() {
            self.name(file, "field", field.name(), field.path());
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            self.name(file, "oneof", oneof.name(), oneof.path());
        }
    }

    fn enumeration(&mut self, file: &FileDescriptor, enumeration: &EnumDescriptor) {
        self.name(file, "enum", enumeration.name(), enumeration.path());
        let (mut numbers, mut seen) = (BTreeSet::new(), BTreeMap::new());
        for value in enumeration.values() {
            self.name(file, "enum value", value.name(), value.path());
            // Of the names of one number, prost takes the first.
            if !numbers.insert(value.number()) {
                continue;
            }
            let variant = variant(enumeration.name(), value.name());
            let place = self.index.place(file, value.path());
            if let Some((other, at)) = seen.get(&variant) {
                let text = format!(
                    "values `{other}` and `{}` of the enum `{}` both become the variant `{variant}` in Rust",
                    value.name(),
                    enumeration.full_name()
                );
                self.problems
                    .push(clash(text, &place, at, "rename one of the two"));
            } else {
                seen.insert(variant, (value.name().to_owned(), place));
            }
        }
    }

    fn name(&mut self, file: &FileDescriptor, what: &str, name: &str, path: &[i32]) {
        if nameless(name) {
            self.refuse(what, name, self.index.place(file, path));
        }
    }

    fn refuse(&mut self, what: &str, name: &str, place: Option<Place>) {
        let problem = Problem::new(
            ProblemKind::Unsupported,
            format!(
                "the {what} `{name}` has no name in Rust: there is nothing in it but underscores"
            ),
        );
        self.problems
            .push(problem.at(place).help("give it a name with letters"));
    }
}

/// Underscores separate words, and are dropped.
fn nameless(name: &str) -> bool {
    name.chars().all(|c| c == '_')
}

/// The variant that prost makes of a value: in camel case, without the name of the enum before it.
fn variant(enumeration: &str, value: &str) -> String {
    let (prefix, name) = (
        enumeration.to_upper_camel_case(),
        value.to_upper_camel_case(),
    );
    let rest = name.strip_prefix(&prefix);
    let rest = rest.filter(|rest| rest.starts_with(char::is_uppercase));
    rest.unwrap_or(&name).to_owned()
}
