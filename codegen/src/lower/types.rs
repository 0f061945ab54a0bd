//! prost-build, run in memory: the text of the types, and the Rust names it gives to everything.
//!
//! Every file gets one synthetic service more before prost sees it, with a method for each type of
//! the file: what prost then says of these methods is where each type went.
//!
//! **Invariant**: a panic of prost-build ends as an error of this crate.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost_build::{Comments, Module, ServiceGenerator};
use prost_types::source_code_info::Location;
use prost_types::{
    DescriptorProto, FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto,
};

use crate::comments::documentation;
use crate::error::{Error, Problem, ProblemKind};

/// No schema can hold this name: identifiers have no spaces.
const SYNTHETIC: &str = "synthetic types";
// Field numbers of descriptor.proto, of which source paths are made.
const FILE_SERVICES: i32 = 6;
const SERVICE_METHODS: i32 = 2;

/// The file as prost is to see it: comments made inert, and the synthetic service added.
pub(super) fn prepare(file: &FileDescriptorProto) -> FileDescriptorProto {
    let mut file = file.clone();
    let prefix = match file.package() {
        "" => String::new(),
        package => format!(".{package}"),
    };
    let mut names = Vec::new();
    names.extend(
        file.enum_type
            .iter()
            .map(|ty| format!("{prefix}.{}", ty.name())),
    );
    for message in &file.message_type {
        collect_names(&prefix, message, &mut names);
    }
    let index = i32::try_from(file.service.len()).unwrap_or(i32::MAX);
    let info = file.source_code_info.get_or_insert_default();
    for location in &mut info.location {
        location.leading_detached_comments.clear();
        location.leading_comments = location.leading_comments.as_deref().and_then(shield);
        location.trailing_comments = location.trailing_comments.as_deref().and_then(shield);
    }
    let at = |path: Vec<i32>| Location {
        path,
        span: vec![0, 0, 0],
        ..Location::default()
    };
    info.location.push(at(vec![FILE_SERVICES, index]));
    for method in 0..names.len() {
        let method = i32::try_from(method).unwrap_or(i32::MAX);
        info.location
            .push(at(vec![FILE_SERVICES, index, SERVICE_METHODS, method]));
    }
    let method = |name: String| MethodDescriptorProto {
        name: Some(name.clone()),
        input_type: Some(name.clone()),
        output_type: Some(name),
        ..MethodDescriptorProto::default()
    };
    file.service.push(ServiceDescriptorProto {
        name: Some(SYNTHETIC.to_owned()),
        method: names.into_iter().map(method).collect(),
        ..ServiceDescriptorProto::default()
    });
    file
}

fn collect_names(prefix: &str, message: &DescriptorProto, names: &mut Vec<String>) {
    let name = format!("{prefix}.{}", message.name());
    names.extend(
        message
            .enum_type
            .iter()
            .map(|ty| format!("{name}.{}", ty.name())),
    );
    for nested in &message.nested_type {
        if !nested
            .options
            .as_ref()
            .is_some_and(|options| options.map_entry())
        {
            collect_names(&name, nested, names);
        }
    }
    names.push(name);
}

/// Runs prost-build.
///
/// # Errors
///
/// What prost refuses, or fails on, as a problem of the schema.
pub(super) fn generate(
    config: &mut prost_build::Config,
    requests: Vec<(Module, FileDescriptorProto)>,
) -> Result<HashMap<Module, String>, Error> {
    match catch_unwind(AssertUnwindSafe(|| config.generate(requests))) {
        Ok(Ok(modules)) => Ok(modules),
        Ok(Err(error)) => Err(Error::usage(
            error.to_string(),
            "an extern path maps `.package` or `.package.Message` to a Rust path, once",
        )),
        Err(panic) => Err(Problem::new(ProblemKind::Unsupported, panic_text(&*panic))
            .help("the types have no Rust form in prost; rename the elements that it names")
            .into()),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("prost-build failed without saying why")
        .to_owned()
}

// prost would put a backslash before every bracket, code spans included, and angle brackets around
// every web address. `documentation` has done better already, so both are hidden from it.
const SHIELDED: [(&str, &str); 3] = [
    ("[", "\u{E000}"),
    ("]", "\u{E001}"),
    ("http", "htt\u{E002}"),
];

fn shield(comment: &str) -> Option<String> {
    let lines = documentation(comment);
    if lines.is_empty() {
        return None;
    }
    // prost puts a space before a line, unless it starts with exactly one.
    let spaced = lines.iter().map(|line| match line.as_bytes() {
        [b' ', next, ..] if *next != b' ' => format!(" {line}"),
        _ => line.clone(),
    });
    let text = spaced.collect::<Vec<_>>().join("\n");
    Some(
        SHIELDED
            .iter()
            .fold(text, |text, (plain, hidden)| text.replace(plain, hidden)),
    )
}

/// Undoes the shielding of comments in what prost wrote.
pub(super) fn restore(text: &str) -> String {
    SHIELDED
        .iter()
        .fold(text.to_owned(), |text, (plain, hidden)| {
            text.replace(hidden, plain)
        })
}

/// The documentation lines of comments that went through [`prepare`].
pub(super) fn docs(comments: &Comments) -> Vec<String> {
    let mut lines = comments.leading.clone();
    if !lines.is_empty() && !comments.trailing.is_empty() {
        lines.push(String::new());
    }
    lines.extend(comments.trailing.iter().cloned());
    lines.iter().map(|line| restore(line)).collect()
}

/// What prost said, by full name.
#[derive(Default)]
pub(super) struct Collected {
    services: BTreeMap<String, prost_build::Service>,
    types: BTreeMap<String, String>,
}

impl Collected {
    pub(super) fn service(&self, full_name: &str) -> Option<&prost_build::Service> {
        self.services.get(full_name)
    }

    /// The Rust path of a message or enum relative to the module of its own package.
    pub(super) fn ty(&self, full_name: &str) -> Option<&str> {
        self.types.get(full_name).map(String::as_str)
    }
}

/// The service generator that only listens.
#[derive(Clone, Default)]
pub(super) struct Collector(Arc<Mutex<Collected>>);

impl Collector {
    pub(super) fn finish(self) -> Collected {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServiceGenerator for Collector {
    fn generate(&mut self, service: prost_build::Service, buf: &mut String) {
        // prost-build drops a package without text, and then fails on its services.
        buf.push('\n');
        let mut collected = self.lock();
        if service.proto_name == SYNTHETIC {
            let names = service.methods.into_iter().map(|method| {
                (
                    method.proto_name.trim_start_matches('.').to_owned(),
                    method.input_type,
                )
            });
            collected.types.extend(names);
        } else {
            let full_name = match service.package.as_str() {
                "" => service.proto_name.clone(),
                package => format!("{package}.{}", service.proto_name),
            };
            collected.services.insert(full_name, service);
        }
    }
}
