//! What the script of the pages searches: a script itself, since pages that are opened as files cannot read others.
//!
//! **Invariant**: the index is data, in JSON: names and comments that look like code stay strings.

use std::{borrow::Cow, io};

use serde::Serialize;

use super::view::{About, Package};

#[derive(Serialize)]
struct Index<'a> {
    /// Names, and the files of their pages.
    packages: Vec<(&'a str, &'a str)>,
    entries: Vec<Entry<'a>>,
}

/// An element: its kind, its name in the package, the number of the package, its place on the page, what it is for.
#[derive(Serialize)]
struct Entry<'a>(&'static str, Cow<'a, str>, usize, &'a str, &'a str);

/// The index of all elements, as a script.
pub(crate) fn index(packages: &[Package]) -> io::Result<String> {
    let mut index = Index {
        packages: Vec::new(),
        entries: Vec::new(),
    };
    for (at, package) in packages.iter().enumerate() {
        index.packages.push((&package.name, &package.file));
        add(package, at, &mut index.entries);
    }
    let json = serde_json::to_string(&index)?;
    Ok(format!("\"use strict\";\nconst INDEX = {json};\n"))
}

fn add<'a>(package: &'a Package, at: usize, entries: &mut Vec<Entry<'a>>) {
    let mut add = |kind, name: Cow<'a, str>, about: &'a About| {
        entries.push(Entry(kind, name, at, &about.anchor, &about.summary));
    };
    let within = |outer: &str, inner: &str| Cow::Owned(format!("{outer}.{inner}"));
    for service in &package.services {
        add("service", (&*service.name).into(), &service.about);
        for method in &service.methods {
            let name = within(&service.name, &method.name);
            add("method", name, &method.about);
        }
    }
    for message in &package.messages {
        add("message", (&*message.name).into(), &message.about);
        for field in &message.fields {
            add("field", within(&message.name, &field.name), &field.about);
        }
    }
    for item in &package.enums {
        add("enum", (&*item.name).into(), &item.about);
        for value in &item.values {
            add("value", within(&item.name, &value.name), &value.about);
        }
    }
    for extension in &package.extensions {
        let field = &extension.field;
        add("extension", (&*field.name).into(), &field.about);
    }
}
