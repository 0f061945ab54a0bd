//! Names and numbers that cannot live together in the emitted code.
//!
//! **Invariant**: looks at the model alone, changes nothing, and reports all that it finds.

use std::collections::BTreeMap;

use crate::emit::names;
use crate::error::{Place, Problem, ProblemKind};
use crate::model::{Method, Package, Schema, Service};
use crate::options::Options;

/// All collisions of a schema.
pub(crate) fn problems(schema: &Schema, options: &Options) -> Vec<Problem> {
    let mut problems = Vec::new();
    ordinals(schema, &mut problems);
    for package in &schema.packages {
        items(package, options, &mut problems);
        for service in &package.services {
            methods(service, &mut problems);
        }
    }
    problems
}

/// Ordinals name methods on the wire, so they must differ across the whole schema set.
fn ordinals(schema: &Schema, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<u64, &str> = BTreeMap::new();
    for method in schema.services().flat_map(|service| &service.methods) {
        if let Some(other) = seen.insert(method.ordinal, &method.path) {
            problems.push(
                Problem::new(
                    ProblemKind::Ordinal,
                    format!(
                        "methods `{other}` and `{}` have the same ordinal",
                        method.path
                    ),
                )
                .at(method.place.clone())
                .help("the wire could not tell them apart: rename one of the two"),
            );
        }
    }
}

/// The problem of two elements that become one, at the second of them.
pub(crate) fn clash(
    message: String,
    place: &Option<Place>,
    other: &Option<Place>,
    help: &str,
) -> Problem {
    let other = other.as_ref().map(|other| {
        format!(
            "\nthe other is at {}:{}:{}",
            other.file.display(),
            other.line,
            other.column
        )
    });
    Problem::new(ProblemKind::Collision, message)
        .at(place.clone())
        .help(format!("{help}{}", other.unwrap_or_default()))
}

/// Two methods of a service must not become one function.
fn methods(service: &Service, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&str, &Method> = BTreeMap::new();
    for method in &service.methods {
        if let Some(other) = seen.insert(&method.rust_name, method) {
            let text = format!(
                "methods `{}` and `{}` both become `fn {}` in Rust",
                other.proto_name, method.proto_name, method.rust_name
            );
            problems.push(clash(
                text,
                &method.place,
                &other.place,
                "rename one of the two",
            ));
        }
    }
}

/// Every item of a package's module needs a name of its own. Types that prost writes are known by
/// their messages; what else it writes lives in modules of its own.
fn items(package: &Package, options: &Options, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<String, (String, Option<Place>)> = BTreeMap::new();
    let mut claim = |item: String, owner: String, place: &Option<Place>, help: &str| {
        if let Some((other, at)) = seen.get(&item) {
            let text = format!("{other} and {owner} both need the Rust item `{item}`");
            problems.push(clash(text, place, at, help));
            return false;
        }
        seen.insert(item, (owner, place.clone()));
        true
    };
    for message in &package.messages {
        let owner = format!("message `{}`", message.ty.full_name);
        claim(
            message.ty.rust_path.clone(),
            owner,
            &message.place,
            "rename one of the two messages",
        );
    }
    for enumeration in &package.enums {
        let owner = format!("enum `{}`", enumeration.ty.full_name);
        claim(
            enumeration.ty.rust_path.clone(),
            owner,
            &enumeration.place,
            "rename one of the two",
        );
    }
    for service in &package.services {
        let owner = format!("service `{}`", service.full_name);
        let help = format!(
            "rename one of the two, or give the service another name in Rust: `.service_name(\".{}\", \"{}Api\")`",
            service.full_name, service.rust_name
        );
        // One name that is taken tells enough.
        names::type_items(service, options)
            .into_iter()
            .all(|item| claim(item, owner.clone(), &service.place, &help));
    }
}
