//! What protoc refuses in a linked schema and protox takes, refused here too: whoever compiles the same
//! schema with protoc would be told, and later.
//!
//! **Invariant**: judges files that were read from disk, reports all that it finds in their order, and
//! looks at the source text only for what it reports.

mod declarations;
mod extensions;
mod fields;
mod names;
mod numbers;
mod options;
mod services;

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor, Syntax};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use crate::error::{Problem, ProblemKind};
use crate::index::Index;
use crate::load::Loaded;

/// Field numbers of descriptors, as they occur in the paths of elements.
mod tag {
    pub(super) mod file {
        pub(in crate::protoc) const DEPENDENCY: i32 = 3;
        pub(in crate::protoc) const MESSAGE: i32 = 4;
        pub(in crate::protoc) const ENUM: i32 = 5;
        pub(in crate::protoc) const SERVICE: i32 = 6;
        pub(in crate::protoc) const EXTENSION: i32 = 7;
        pub(in crate::protoc) const OPTIONS: i32 = 8;
    }
    pub(super) mod message {
        pub(in crate::protoc) const FIELD: i32 = 2;
        pub(in crate::protoc) const MESSAGE: i32 = 3;
        pub(in crate::protoc) const ENUM: i32 = 4;
        pub(in crate::protoc) const EXTENSION_RANGE: i32 = 5;
        pub(in crate::protoc) const EXTENSION: i32 = 6;
        pub(in crate::protoc) const OPTIONS: i32 = 7;
        pub(in crate::protoc) const RESERVED_RANGE: i32 = 9;
        pub(in crate::protoc) const RESERVED_NAME: i32 = 10;
    }
    pub(super) mod field {
        pub(in crate::protoc) const NAME: i32 = 1;
        pub(in crate::protoc) const NUMBER: i32 = 3;
        pub(in crate::protoc) const LABEL: i32 = 4;
        pub(in crate::protoc) const TYPE_NAME: i32 = 6;
        pub(in crate::protoc) const OPTIONS: i32 = 8;
        pub(in crate::protoc) const JSON_NAME: i32 = 10;
    }
    pub(super) mod service {
        pub(in crate::protoc) const METHOD: i32 = 2;
    }
    pub(super) mod method {
        pub(in crate::protoc) const INPUT: i32 = 2;
        pub(in crate::protoc) const OUTPUT: i32 = 3;
    }
    pub(super) mod enumeration {
        pub(in crate::protoc) const NAME: i32 = 1;
        pub(in crate::protoc) const VALUE: i32 = 2;
        pub(in crate::protoc) const OPTIONS: i32 = 3;
        pub(in crate::protoc) const RESERVED_RANGE: i32 = 4;
        pub(in crate::protoc) const RESERVED_NAME: i32 = 5;
    }
}

/// All that protoc would refuse in the files of `loaded` that were read from disk.
pub(crate) fn problems(loaded: &Loaded) -> Vec<Problem> {
    let files: Vec<FileDescriptor> = loaded.pool.files().collect();
    let index = Index::of(&files, loaded);
    let mut problems = Vec::new();
    let options = options::Options::of(loaded);
    for file in files.iter().filter(|file| index.is_source(file.name())) {
        let mut judge = Judge {
            pool: &loaded.pool,
            file,
            index: &index,
            proto3: file.syntax() == Syntax::Proto3,
            lite: is_lite(file),
            says: Words::of(file.name(), &index),
            ranges: HashMap::new(),
            problems: Vec::new(),
        };
        judge.file(file.file_descriptor_proto());
        if let Some(options) = &options {
            options.check(&mut judge);
        }
        let place = |problem: &Problem| {
            problem
                .place
                .as_ref()
                .map(|place| (place.line, place.column))
        };
        judge.problems.sort_by_key(place);
        problems.append(&mut judge.problems);
    }
    problems
}

fn is_lite(file: &FileDescriptor) -> bool {
    use prost_types::file_options::OptimizeMode;
    let options = file.file_descriptor_proto().options.as_ref();
    options.is_some_and(|options| options.optimize_for() == OptimizeMode::LiteRuntime)
}

/// Words without which a file cannot have some problems: to look for the options themselves takes longer.
struct Words {
    map_entry: bool,
    unverified_lazy: bool,
    json_name: bool,
    php_generic_services: bool,
}

impl Words {
    fn of(file: &str, index: &Index<'_>) -> Self {
        Self {
            map_entry: index.says(file, "map_entry"),
            unverified_lazy: index.says(file, "unverified_lazy"),
            json_name: index.says(file, "json_name"),
            php_generic_services: index.says(file, "php_generic_services"),
        }
    }
}

/// One file, and what was found in it.
struct Judge<'a> {
    pool: &'a DescriptorPool,
    file: &'a FileDescriptor,
    index: &'a Index<'a>,
    proto3: bool,
    lite: bool,
    says: Words,
    ranges: HashMap<String, declarations::File>,
    problems: Vec<Problem>,
}

impl Judge<'_> {
    /// Reports what is wrong with the element at `path`.
    fn refuse(&mut self, path: &[i32], message: impl Into<String>, help: impl Into<String>) {
        let problem = Problem::new(ProblemKind::Meaning, message)
            .at(self.index.nearest(self.file, path))
            .help(help);
        self.problems.push(problem);
    }

    /// The full name of the message or extension at `path`, without a leading dot.
    fn full_name(&self, path: &[i32]) -> String {
        let file = self.file.file_descriptor_proto();
        let mut names: Vec<&str> = vec![file.package()];
        names.retain(|package| !package.is_empty());
        let mut scope: (&[DescriptorProto], &[FieldDescriptorProto]) =
            (&file.message_type, &file.extension);
        for step in path.chunks(2) {
            let [tag, at] = step else { break };
            let at = usize::try_from(*at).unwrap_or(usize::MAX);
            if matches!(*tag, tag::file::EXTENSION | tag::message::EXTENSION) {
                names.extend(scope.1.get(at).map(FieldDescriptorProto::name));
            } else if let Some(message) = scope.0.get(at) {
                names.push(message.name());
                scope = (&message.nested_type, &message.extension);
            }
        }
        names.join(".")
    }

    fn file(&mut self, file: &FileDescriptorProto) {
        self.lite_file(file);
        let mut extensions = extensions::Numbers::default();
        for (at, message) in positions(&file.message_type) {
            self.message(message, &[tag::file::MESSAGE, at], &mut extensions);
        }
        for (at, enumeration) in positions(&file.enum_type) {
            self.enumeration(enumeration, &[tag::file::ENUM, at]);
        }
        for (at, service) in positions(&file.service) {
            self.service(service, &[tag::file::SERVICE, at]);
        }
        let scope = [tag::file::EXTENSION];
        self.extensions(&file.extension, &scope, &mut extensions);
    }

    fn message(
        &mut self,
        message: &DescriptorProto,
        path: &[i32],
        extensions: &mut extensions::Numbers,
    ) {
        if message.options.as_ref().is_some_and(|o| o.map_entry()) && !self.wrote_map_entry(path) {
            return;
        }
        self.message_numbers(message, path);
        self.message_options(message, path);
        for (at, field) in positions(&message.field) {
            let path = child(path, &[tag::message::FIELD, at]);
            self.field(field, Some(message), &path);
        }
        for (at, nested) in positions(&message.nested_type) {
            self.message(
                nested,
                &child(path, &[tag::message::MESSAGE, at]),
                extensions,
            );
        }
        for (at, enumeration) in positions(&message.enum_type) {
            self.enumeration(enumeration, &child(path, &[tag::message::ENUM, at]));
        }
        let scope = child(path, &[tag::message::EXTENSION]);
        self.extensions(&message.extension, &scope, extensions);
    }

    fn field(
        &mut self,
        field: &FieldDescriptorProto,
        owner: Option<&DescriptorProto>,
        path: &[i32],
    ) {
        self.field_options(field, path);
        self.field_type(field, owner, path);
        self.json_name(field, owner.is_none(), path);
    }

    fn extensions(
        &mut self,
        extensions: &[FieldDescriptorProto],
        scope: &[i32],
        numbers: &mut extensions::Numbers,
    ) {
        for (at, extension) in positions(extensions) {
            let path = child(scope, &[at]);
            self.field(extension, None, &path);
            self.extension(extension, &path, numbers);
        }
    }

    fn enumeration(&mut self, enumeration: &EnumDescriptorProto, path: &[i32]) {
        self.enum_numbers(enumeration, path);
        self.aliases(enumeration, path);
        self.value_names(enumeration, path);
    }
}

/// The elements of a list with their positions, as paths have them.
fn positions<T>(list: &[T]) -> impl Iterator<Item = (i32, &T)> {
    (0..).zip(list)
}

fn child(path: &[i32], rest: &[i32]) -> Vec<i32> {
    [path, rest].concat()
}
