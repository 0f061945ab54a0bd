//! From linked descriptors to the model.
//!
//! **Invariant**: message and method names become Rust names in prost alone; this module only asks it, and refuses
//! beforehand what prost would fail on.

mod access;
mod choices;
mod clashes;
mod descriptors;
mod footprint;
mod foreign;
mod layout;
mod literals;
mod nameless;
mod rules;
mod types;

use std::collections::{BTreeMap, BTreeSet};

use prost_build::Module;
use prost_reflect::{FileDescriptor, MessageDescriptor, ServiceDescriptor};
use prost_types::method_options::IdempotencyLevel;

use self::access::Access;
use self::layout::Layout;
use self::rules::{Mistake, Rules};
use self::types::{Collected, Collector};
use crate::error::{Error, Problem, ProblemKind};
use crate::fingerprint;
use crate::hash::{message_hash, method_ordinal};
use crate::index::Index;
use crate::load::Loaded;
use crate::model::{
    Enum, Idempotency, Message, MessageRules, Method, MethodKind, Package, Revision, Schema,
    Service, TypeRef,
};
use crate::options::Options;

/// Lowers all packages of `loaded` but those that are elsewhere (`google.protobuf`, extern paths) or
/// not selected.
///
/// # Errors
///
/// [`Error::Schema`] for names that collide and for what has no Rust form, [`Error::Usage`] for
/// extern paths that are malformed or a selection that leaves out what it needs.
pub fn lower(loaded: &Loaded, options: &Options) -> Result<Schema, Error> {
    let files: Vec<FileDescriptor> = loaded.pool.files().collect();
    let wanted: BTreeSet<String> = files
        .iter()
        .filter(|file| !is_options(file))
        .map(|file| file.package_name().to_owned())
        .filter(|package| options.wants(package))
        .collect();
    check_selection(loaded, options, &wanted)?;
    choices::check(&loaded.pool, options)?;
    let index = Index::of(&files, loaded);
    let mut refused = nameless::problems(&files, &index, options);
    refused.extend(foreign::problems(&files, &index, options));
    if !refused.is_empty() {
        return Err(Error::Schema(refused));
    }
    let (collected, mut texts) = run_prost(&files, options)?;
    let rules = Rules::of(&loaded.pool);
    let (mut packages, mut mistakes) = (Vec::new(), Vec::new());
    for name in wanted {
        let files = files.iter().filter(|file| file.package_name() == name);
        let package = Lowering {
            index: &index,
            revisions: &loaded.revisions,
            options,
            collected: &collected,
            rules: &rules,
            mistakes: &mut mistakes,
        }
        .package(&name, files, texts.remove(&name).unwrap_or_default())?;
        if !(package.messages.is_empty()
            && package.services.is_empty()
            && package.types.trim().is_empty())
        {
            packages.push(package);
        }
    }
    let schema = Schema { packages };
    let mut problems = crate::check::problems(&schema, options);
    for package in &schema.packages {
        problems.extend(clashes::problems(package, &schema, &files, &index));
    }
    problems.append(&mut mistakes);
    if problems.is_empty() {
        Ok(schema)
    } else {
        Err(Error::Schema(problems))
    }
}

/// Everything prost has to say: names by package, and the text of each package's types.
fn run_prost(
    files: &[FileDescriptor],
    options: &Options,
) -> Result<(Collected, BTreeMap<String, String>), Error> {
    let mut requests = Vec::new();
    let mut packages = BTreeMap::new();
    for file in files {
        let module = Module::from_protobuf_package_name(file.package_name());
        packages.insert(module.clone(), file.package_name().to_owned());
        requests.push((module, types::prepare(file.file_descriptor_proto())));
    }
    let collected = Collector::default();
    let mut config = options.prost_config();
    config.service_generator(Box::new(collected.clone()));
    let modules = types::generate(&mut config, requests)?;
    let types = modules
        .into_iter()
        .filter_map(|(module, text)| Some((packages.get(&module)?.clone(), types::restore(&text))))
        .collect();
    Ok((collected.finish(), types))
}

/// A package that is selected must not need one that is neither selected nor elsewhere.
fn check_selection(
    loaded: &Loaded,
    options: &Options,
    wanted: &BTreeSet<String>,
) -> Result<(), Error> {
    for file in loaded
        .pool
        .files()
        .filter(|file| wanted.contains(file.package_name()))
    {
        for needed in file.dependencies() {
            let package = needed.package_name();
            if !wanted.contains(package)
                && !options.is_elsewhere(package)
                && !defines_nothing(&needed)
                && !is_options(&needed)
            {
                return Err(Error::usage(
                    format!(
                        "package `{}` needs `{package}`, which is not generated here",
                        file.package_name()
                    ),
                    format!(
                        "select `{package}` too, or give the Rust path of its module as an extern \
                         path for `.{package}`"
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Whether a file is the one with the options for methods: whoever imports it needs none of its code.
fn is_options(file: &FileDescriptor) -> bool {
    file.name() == crate::load::OPTIONS.0
}

fn defines_nothing(file: &FileDescriptor) -> bool {
    file.messages().len() == 0 && file.enums().len() == 0
}

struct Lowering<'a, 'i> {
    index: &'a Index<'i>,
    revisions: &'a BTreeMap<String, (u32, Vec<Revision>)>,
    options: &'a Options,
    collected: &'a Collected,
    rules: &'a Rules,
    mistakes: &'a mut Vec<Problem>,
}

impl Lowering<'_, '_> {
    fn package<'f>(
        &mut self,
        name: &str,
        files: impl Iterator<Item = &'f FileDescriptor>,
        types: String,
    ) -> Result<Package, Error> {
        let (mut messages, mut enums, mut services) = (Vec::new(), Vec::new(), Vec::new());
        // Read for the first message that has rules.
        let mut layout = None;
        for file in files {
            for message in descriptors::messages(file) {
                let full_name = message.full_name();
                if let Some(ty) = self.own_type(full_name)? {
                    let rules = self.rules.covers(full_name).then(|| {
                        let layout =
                            layout.get_or_insert_with(|| Layout::read(&types).unwrap_or_default());
                        self.message_rules(file, &message, &ty, layout)
                    });
                    messages.push(Message {
                        hash: message_hash(full_name),
                        rules,
                        place: self.index.place(file, message.path()),
                        ty,
                    });
                }
            }
            for enumeration in descriptors::enums(file) {
                if let Some(ty) = self.own_type(enumeration.full_name())? {
                    enums.push(Enum {
                        ty,
                        place: self.index.place(file, enumeration.path()),
                    });
                }
            }
            for service in file.services() {
                services.push(self.service(&service)?);
            }
        }
        messages.sort_by(|a, b| a.ty.full_name.cmp(&b.ty.full_name));
        enums.sort_by(|a, b| a.ty.full_name.cmp(&b.ty.full_name));
        let has_cel = |message: &Message| message.rules.as_ref().is_some_and(|rules| rules.cel);
        let cel_descriptors = if messages.iter().any(has_cel) {
            self.index.package_descriptor_set(name)
        } else {
            Vec::new()
        };
        let module = Module::from_protobuf_package_name(name);
        let module = module.parts().map(str::to_owned).collect();
        Ok(Package {
            name: name.to_owned(),
            module,
            types,
            messages,
            enums,
            services,
            cel_descriptors,
        })
    }

    fn message_rules(
        &mut self,
        file: &FileDescriptor,
        message: &MessageDescriptor,
        ty: &TypeRef,
        layout: &Layout,
    ) -> MessageRules {
        let (rules, mistakes) = self.rules.lower(message, &ty.rust_path, layout);
        for Mistake {
            path,
            message,
            help,
        } in mistakes
        {
            let place = self.index.place(file, &path);
            let problem = Problem::new(ProblemKind::Meaning, message);
            self.mistakes.push(problem.at(place).help(help));
        }
        rules
    }

    /// The type of that name, or nothing when an extern path says that it is defined elsewhere.
    fn own_type(&self, full_name: &str) -> Result<Option<TypeRef>, Error> {
        if self.options.is_extern(full_name) {
            return Ok(None);
        }
        let rust_path = self
            .collected
            .ty(full_name)
            .ok_or_else(|| unresolved(full_name))?;
        Ok(Some(self.type_ref(full_name, rust_path)))
    }

    fn type_ref(&self, full_name: &str, rust_path: &str) -> TypeRef {
        let full_name = full_name.trim_start_matches('.');
        TypeRef {
            full_name: full_name.to_owned(),
            rust_path: rust_path.to_owned(),
            relative: !self.options.is_elsewhere(full_name),
        }
    }

    fn service(&mut self, service: &ServiceDescriptor) -> Result<Service, Error> {
        let full_name = service.full_name();
        let from_prost = self
            .collected
            .service(full_name)
            .ok_or_else(|| unresolved(full_name))?;
        let file = service.parent_file();
        let mut access = Access::of(self.index, service);
        let (footprints, places) = footprint::of_service(service, self.options);
        let mut methods = Vec::new();
        let described = service.methods().zip(&places);
        for ((descriptor, places), named) in described.zip(&from_prost.methods) {
            let path = format!("/{full_name}/{}", named.proto_name);
            methods.push(Method {
                rust_name: method_name(&named.name),
                ordinal: method_ordinal(&path),
                path,
                kind: MethodKind::new(named.client_streaming, named.server_streaming),
                idempotency: idempotency(named.options.idempotency_level()),
                access: access.method(&descriptor),
                input: self.type_ref(&named.input_proto_type, &named.input_type),
                output: self.type_ref(&named.output_proto_type, &named.output_type),
                input_footprint: places.0,
                output_footprint: places.1,
                checks_input: self.rules.covers(descriptor.input().full_name()),
                checks_output: self.rules.covers(descriptor.output().full_name()),
                docs: types::docs(&named.comments),
                deprecated: named.options.deprecated(),
                place: self.index.place(&file, descriptor.path()),
                proto_name: named.proto_name.clone(),
            });
        }
        self.mistakes.append(&mut access.problems);
        let (revision, compatible) = self.revisions.get(full_name).cloned().unwrap_or_default();
        Ok(Service {
            full_name: full_name.to_owned(),
            rust_name: self
                .options
                .service_name(full_name)
                .unwrap_or(&from_prost.name)
                .to_owned(),
            docs: types::docs(&from_prost.comments),
            deprecated: from_prost.options.deprecated(),
            methods,
            revision,
            fingerprint: fingerprint::of_service(service),
            compatible,
            file_descriptor_set: self.index.file_descriptor_set(&file),
            footprints,
            place: self.index.place(&file, service.path()),
        })
    }
}

/// A method called `New` would be the client's constructor; the trait follows the client.
fn method_name(rust_name: &str) -> String {
    if rust_name == "new" {
        "new_".to_owned()
    } else {
        rust_name.to_owned()
    }
}

fn idempotency(level: IdempotencyLevel) -> Idempotency {
    match level {
        IdempotencyLevel::IdempotencyUnknown => Idempotency::Unknown,
        IdempotencyLevel::NoSideEffects => Idempotency::NoSideEffects,
        IdempotencyLevel::Idempotent => Idempotency::Idempotent,
    }
}

fn unresolved(full_name: &str) -> Error {
    Problem::new(
        ProblemKind::Unsupported,
        format!("no Rust name was found for `{full_name}`"),
    )
    .help("this is a fault of the generator; please report it with the schema")
    .into()
}
