//! Elements of messages that become one in what prost wrote: fields, variants, accessors, modules.
//!
//! **Invariant**: looks at names as prost wrote them, makes none, and reports all that it finds.

use std::collections::BTreeMap;

use prost_reflect::{FileDescriptor, MessageDescriptor};
use syn::{Field, Fields, Item};

use super::layout::Arguments;
use super::{Index, descriptors};
use crate::check::clash;
use crate::error::{Place, Problem, ProblemKind};
use crate::model::{Package, Schema};

/// An element, as it is called in an error, and its place.
type Owner = (String, Option<Place>);

/// What is behind a field of a struct.
struct Element {
    owner: Owner,
    member: String,
    arguments: Arguments,
}

/// Looks for elements of one package that become one.
struct Clashes<'a, 'i> {
    index: &'a Index<'i>,
    /// The messages by their Rust paths.
    messages: BTreeMap<&'a str, (&'a FileDescriptor, MessageDescriptor)>,
    /// What takes a name among the types of a module, by Rust path.
    items: BTreeMap<String, Owner>,
    problems: Vec<Problem>,
}

/// The problems of a package of `schema`, whose files are among `files`.
pub(super) fn problems(
    package: &Package,
    schema: &Schema,
    files: &[FileDescriptor],
    index: &Index<'_>,
) -> Vec<Problem> {
    // What does not parse is reported by those who need it whole.
    let Ok(types) = syn::parse_str::<syn::File>(&package.types) else {
        return Vec::new();
    };
    let (mut by_name, mut items) = (BTreeMap::new(), BTreeMap::new());
    for file in files {
        let name = file.package_name();
        if name == package.name {
            let messages = descriptors::messages(file).into_iter();
            by_name
                .extend(messages.map(|message| (message.full_name().to_owned(), (file, message))));
        } else if let Some(module) = schema.module_below(package, name) {
            const PACKAGE: i32 = 2; // the field number of `package` in a file's descriptor
            let owner = (format!("package `{name}`"), index.place(file, &[PACKAGE]));
            items.entry(module.to_owned()).or_insert(owner);
        }
    }
    let mut messages = BTreeMap::new();
    for message in &package.messages {
        let ty = &message.ty;
        items.insert(
            ty.rust_path.clone(),
            (format!("message `{}`", ty.full_name), message.place.clone()),
        );
        if let Some(found) = by_name.remove(&ty.full_name) {
            messages.insert(&*ty.rust_path, found);
        }
    }
    for found in &package.enums {
        let ty = &found.ty;
        items.insert(
            ty.rust_path.clone(),
            (format!("enum `{}`", ty.full_name), found.place.clone()),
        );
    }
    let mut clashes = Clashes {
        index,
        messages,
        items,
        problems: Vec::new(),
    };
    clashes.module("", &types.items);
    clashes.problems
}

impl Clashes<'_, '_> {
    fn module(&mut self, prefix: &str, items: &[Item]) {
        // prost puts the module of what is inside a message right behind the message.
        let mut last = None;
        for item in items {
            match item {
                Item::Struct(message) => {
                    let path = format!("{prefix}{}", message.ident);
                    if let Some((file, descriptor)) = self.messages.get(&*path).cloned() {
                        self.message(prefix, file, &descriptor, &message.fields);
                        last = Some((file, descriptor));
                    }
                }
                Item::Mod(module) => {
                    let path = format!("{prefix}{}", module.ident);
                    let Some((_, items)) = &module.content else {
                        continue;
                    };
                    if let Some((file, message)) = last.take() {
                        let what = format!("the inside of message `{}`", message.full_name());
                        self.claim(path.clone(), (what, self.index.place(file, message.path())));
                        self.variants(file, &message, items);
                    }
                    self.module(&format!("{path}::"), items);
                }
                _ => {}
            }
        }
    }

    /// Says that `owner` takes the path of an item.
    fn claim(&mut self, path: String, owner: Owner) {
        let Some((other, at)) = self.items.get(&path) else {
            self.items.insert(path, owner);
            return;
        };
        let text = format!("{other} and {} both need the Rust item `{path}`", owner.0);
        let problem = clash(text, &owner.1, at, "rename one of the two");
        self.problems.push(problem);
    }

    fn message(
        &mut self,
        prefix: &str,
        file: &FileDescriptor,
        message: &MessageDescriptor,
        fields: &Fields,
    ) {
        let of = message.full_name();
        let (mut members, mut accessors) = (BTreeMap::new(), BTreeMap::new());
        for field in fields {
            let Some(Element {
                owner,
                member,
                arguments,
            }) = self.element(file, message, field)
            else {
                continue;
            };
            if let Some((other, at)) = members.insert(member.clone(), owner.clone()) {
                let text = format!(
                    "{other} and {} of message `{of}` both become the field `{member}` in Rust",
                    owner.0
                );
                self.problems
                    .push(clash(text, &owner.1, &at, "rename one of the two"));
                continue;
            }
            if let Some(ty) = arguments.text("oneof") {
                let what = format!("{} of message `{of}`", owner.0);
                self.claim(format!("{prefix}{ty}"), (what, owner.1.clone()));
            }
            for accessor in self.accessors(&member, &arguments, of, &owner) {
                if let Some((other, at)) = accessors.insert(accessor.clone(), owner.clone()) {
                    let text = format!(
                        "{other} and {} of message `{of}` both get the function `{accessor}` in Rust",
                        owner.0
                    );
                    self.problems
                        .push(clash(text, &owner.1, &at, "rename one of the two"));
                }
            }
        }
    }

    /// The field or oneof of the schema behind a field of a struct.
    fn element(
        &self,
        file: &FileDescriptor,
        message: &MessageDescriptor,
        field: &Field,
    ) -> Option<Element> {
        let arguments = Arguments::of(&field.attrs)?;
        let number = arguments
            .number()
            .or_else(|| arguments.numbers().first().copied())?;
        let descriptor = message.get_field(number)?;
        let (what, path) = match descriptor.containing_oneof() {
            Some(oneof) if arguments.text("oneof").is_some() => {
                (format!("oneof `{}`", oneof.name()), oneof.path().to_vec())
            }
            _ => (
                format!("field `{}`", descriptor.name()),
                descriptor.path().to_vec(),
            ),
        };
        Some(Element {
            owner: (what, self.index.place(file, &path)),
            member: field.ident.as_ref()?.to_string(),
            arguments,
        })
    }

    /// The functions that prost's derive adds to a message for a field.
    fn accessors(
        &mut self,
        member: &str,
        arguments: &Arguments,
        message: &str,
        (what, place): &Owner,
    ) -> Vec<String> {
        let plain = member.trim_start_matches("r#");
        let own = member.to_owned();
        if arguments.text("enumeration").is_some() {
            let repeated = arguments.has("repeated");
            return vec![
                own,
                format!("{}_{plain}", if repeated { "push" } else { "set" }),
            ];
        }
        if let Some(map) = arguments.text("map") {
            if !map.contains("enumeration(") {
                return Vec::new();
            }
            if plain != member {
                let text = format!(
                    "{what} of message `{message}` is a map to an enum, and prost has no names for its functions: `{plain}` is a keyword"
                );
                let problem = Problem::new(ProblemKind::Unsupported, text);
                self.problems
                    .push(problem.at(place.clone()).help("rename the field"));
            }
            return vec![format!("get_{plain}"), format!("insert_{plain}")];
        }
        let scalar = !["message", "group", "oneof"]
            .iter()
            .any(|name| arguments.has(name));
        if scalar && arguments.has("optional") {
            vec![own]
        } else {
            Vec::new()
        }
    }

    /// Two alternatives of a oneof must not become one variant.
    fn variants(&mut self, file: &FileDescriptor, message: &MessageDescriptor, items: &[Item]) {
        for item in items {
            let Item::Enum(oneof) = item else { continue };
            let mut seen: BTreeMap<String, Owner> = BTreeMap::new();
            for variant in &oneof.variants {
                // Variants of an enum of the schema have no number of a field.
                let number = Arguments::of(&variant.attrs).and_then(|arguments| arguments.number());
                let Some(field) = number.and_then(|number| message.get_field(number)) else {
                    continue;
                };
                let variant = variant.ident.to_string();
                let owner = (
                    format!("`{}`", field.name()),
                    self.index.place(file, field.path()),
                );
                if let Some((other, at)) = seen.insert(variant.clone(), owner.clone()) {
                    let text = format!(
                        "fields {other} and {} of a oneof of message `{}` both become the variant `{variant}` in Rust",
                        owner.0,
                        message.full_name()
                    );
                    self.problems
                        .push(clash(text, &owner.1, &at, "rename one of the two"));
                }
            }
        }
    }
}
