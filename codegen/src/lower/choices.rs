//! Options that name elements of the schema, held against the schema: what names nothing is a slip of the pen, and
//! would otherwise do nothing in silence.
//!
//! **Invariant**: looks only; a path that prost would match with anything is never refused.

use std::collections::BTreeSet;

use prost_reflect::DescriptorPool;

use super::descriptors;
use crate::error::Error;
use crate::options::Options;
use crate::spelling::nearest;

/// Refuses paths of attributes and names of services that no element of the schemas has.
///
/// # Errors
///
/// [`Error::Usage`] for the first of them, with the nearest name that there is.
pub(super) fn check(pool: &DescriptorPool, options: &Options) -> Result<(), Error> {
    let types = options.type_attributes.iter().map(|(path, _)| path);
    let fields = options.field_attributes.iter().map(|(path, _)| path);
    let mut paths = types.chain(fields).peekable();
    if paths.peek().is_some() {
        let names = names(pool);
        for path in paths {
            if !matches_any(path, &names) {
                return Err(nothing("attribute", path, names.iter().map(String::as_str)));
            }
        }
    }
    let services: Vec<String> = pool
        .services()
        .map(|service| format!(".{}", service.full_name()))
        .collect();
    let mut asked = options.service_names.iter().map(|(service, _)| service);
    match asked.find(|service| !services.contains(service)) {
        Some(service) => Err(nothing(
            "service name",
            service,
            services.iter().map(String::as_str),
        )),
        None => Ok(()),
    }
}

/// Whether prost would apply an attribute for `path` to an element: by its name or one that it is below,
/// or, without a leading dot, by the end of its name.
fn matches_any(path: &str, names: &BTreeSet<String>) -> bool {
    if path == "." || names.contains(path) {
        return true;
    }
    let ends_with = |name: &String| {
        name.strip_suffix(path)
            .is_some_and(|before| before.ends_with('.'))
    };
    !path.starts_with('.') && names.iter().any(ends_with)
}

/// The full names, with a leading dot, of all that attributes are for, and of the packages that they are in.
fn names(pool: &DescriptorPool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in pool.files() {
        let package = file.package_name();
        let parts = package.match_indices('.').map(|(at, _)| at);
        for end in parts.chain([package.len()]).filter(|end| *end > 0) {
            names.insert(format!(".{}", &package[..end]));
        }
        for message in descriptors::messages(&file) {
            let fields = message.fields();
            names.extend(fields.map(|field| format!(".{}", field.full_name())));
            let oneofs = message.oneofs();
            names.extend(oneofs.map(|oneof| format!(".{}", oneof.full_name())));
            names.insert(format!(".{}", message.full_name()));
        }
        for enumeration in descriptors::enums(&file) {
            // prost names values below their enum; protobuf, beside it.
            let below = enumeration
                .values()
                .map(|value| format!(".{}.{}", enumeration.full_name(), value.name()));
            names.extend(below);
            names.insert(format!(".{}", enumeration.full_name()));
        }
    }
    names
}

fn nothing<'n>(what: &str, path: &str, names: impl Iterator<Item = &'n str>) -> Error {
    Error::usage(
        format!("the {what} for `{path}` meets nothing: no schema has an element of that name"),
        match nearest(path, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name it in full, with a leading dot, such as `.inventory.v1.Item`".to_owned(),
        },
    )
}
