//! Rules on types and services that are gone, from their file or from their package.
//!
//! **Invariant**: types are told by their name in the package, outer messages included; a finding is about the
//! nearest outer message that is left, else about the file.

use std::collections::{HashMap, HashSet};

use super::entry::Entry;
use super::files::whole;
use super::names::{FILE, PACKAGE, REGISTRY_FILE};
use super::pairs::{Comparison, place};
use crate::image::{File, FileId, Image, Message, Place};
use crate::rules::{Report, Rule};

/// What code meets when a type is gone.
const GONE: &str = "Code that names it no longer compiles.";
/// What code meets when a type is no longer in its file.
const MOVED: &str = "Code is generated per file: who includes or imports the code of the file no longer finds it there.";

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "ENUM_NO_DELETE",
        REGISTRY_FILE,
        "Checks that enums are not deleted from a given file.",
        MOVED,
        |rule, comparison, report| from_file(rule, comparison, report, What::Enum),
    ),
    Entry::source(
        "EXTENSION_NO_DELETE",
        FILE,
        "Checks that extensions are not deleted from a given file.",
        MOVED,
        |rule, comparison, report| from_file(rule, comparison, report, What::Extension),
    ),
    Entry::source(
        "MESSAGE_NO_DELETE",
        REGISTRY_FILE,
        "Checks that messages are not deleted from a given file.",
        MOVED,
        |rule, comparison, report| from_file(rule, comparison, report, What::Message),
    ),
    Entry::source(
        "SERVICE_NO_DELETE",
        FILE,
        "Checks that services are not deleted from a given file.",
        MOVED,
        |rule, comparison, report| from_file(rule, comparison, report, What::Service),
    ),
    Entry::source(
        "PACKAGE_ENUM_NO_DELETE",
        PACKAGE,
        "Checks that enums are not deleted from a given package.",
        GONE,
        |rule, comparison, report| from_package(rule, comparison, report, What::Enum),
    ),
    Entry::source(
        "PACKAGE_EXTENSION_NO_DELETE",
        PACKAGE,
        "Checks that extensions are not deleted from a given package.",
        GONE,
        |rule, comparison, report| from_package(rule, comparison, report, What::Extension),
    ),
    Entry::source(
        "PACKAGE_MESSAGE_NO_DELETE",
        PACKAGE,
        "Checks that messages are not deleted from a given package.",
        GONE,
        |rule, comparison, report| from_package(rule, comparison, report, What::Message),
    ),
    Entry::source(
        "PACKAGE_SERVICE_NO_DELETE",
        PACKAGE,
        "Checks that services are not deleted from a given package.",
        GONE,
        |rule, comparison, report| from_package(rule, comparison, report, What::Service),
    ),
    Entry::source(
        "PACKAGE_NO_DELETE",
        PACKAGE,
        "Checks that packages are not deleted.",
        "Code that names anything of the package no longer compiles.",
        package,
    ),
];

/// The sort of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Message,
    Enum,
    Extension,
    Service,
}

impl What {
    const fn word(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Enum => "enum",
            Self::Extension => "extension",
            Self::Service => "service",
        }
    }

    fn all(self, image: &Image) -> Vec<Element<'_>> {
        let element = |file, full_name, path| Element {
            file: image.file(file),
            full_name,
            path,
        };
        match self {
            Self::Message => {
                let all = image.messages().iter();
                all.map(|item| element(item.file, &item.full_name, &item.path))
                    .collect()
            }
            Self::Enum => {
                let all = image.enums().iter();
                all.map(|item| element(item.file, &item.full_name, &item.path))
                    .collect()
            }
            Self::Extension => {
                let all = image.extensions();
                all.map(|item| element(item.file, &item.full_name, &item.path))
                    .collect()
            }
            Self::Service => {
                let all = image.services().iter();
                all.map(|item| element(item.file, &item.full_name, &item.path))
                    .collect()
            }
        }
    }
}

/// What can be deleted.
struct Element<'a> {
    file: &'a File,
    full_name: &'a str,
    path: &'a [i32],
}

impl<'a> Element<'a> {
    /// Its name inside of the package.
    fn nested_name(&self) -> &'a str {
        match &*self.file.package {
            "" => self.full_name,
            package => &self.full_name[package.len() + 1..],
        }
    }

    fn place(&self) -> Option<Place> {
        place(self.file.id, self.path)
    }
}

fn from_file(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report, what: What) {
    let known = what.all(comparison.new);
    let known: HashMap<&str, FileId> = known
        .iter()
        .map(|element| (element.full_name, element.file.id))
        .collect();
    for old in what.all(comparison.old) {
        let Some(file) = comparison.new.file_at(&old.file.path) else {
            continue;
        };
        let nested = old.nested_name();
        if known.get(&*named(file, nested)) == Some(&file.id) {
            continue;
        }
        let message = format!(
            "Previously present {} \"{nested}\" was deleted from file.",
            what.word()
        );
        let at = match what {
            What::Service => whole(file),
            _ => nearest(nested, |outer| in_file(comparison.new, file, outer)).or(whole(file)),
        };
        report.add(rule, at, old.place(), message);
    }
}

fn from_package(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report, what: What) {
    let known = what.all(comparison.new);
    // As buf has it: a package that lost all of its messages, enums or extensions is not looked at.
    let packages = match what {
        What::Service => packages(comparison.new),
        _ => known.iter().map(|element| &*element.file.package).collect(),
    };
    let known: HashSet<&str> = known.iter().map(|element| element.full_name).collect();
    for old in what.all(comparison.old) {
        let package = &*old.file.package;
        if !packages.contains(package) || known.contains(old.full_name) {
            continue;
        }
        let nested = old.nested_name();
        let message = format!(
            "Previously present {} \"{nested}\" was deleted from package \"{package}\".",
            what.word()
        );
        let file = comparison.new.file_at(&old.file.path);
        let at = file.and_then(|file| {
            let found = match what {
                What::Service => None,
                What::Message => nearest(nested, |outer| {
                    let full_name = named(old.file, outer);
                    let message = comparison.new.message_named(&full_name)?;
                    (comparison.new.file(message.file).package == package).then_some(message)
                }),
                _ => nearest(nested, |outer| in_file(comparison.new, file, outer)),
            };
            found.or(whole(file))
        });
        report.add(rule, at, old.place(), message);
    }
}

fn package(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    let packages = packages(comparison.new);
    let mut gone: HashMap<&str, &File> = HashMap::new();
    for old in comparison.old.files() {
        if !packages.contains(&*old.package) {
            let first = gone.entry(&old.package).or_insert(old);
            if old.path < first.path {
                *first = old;
            }
        }
    }
    for (package, file) in gone {
        let message = format!("Previously present package \"{package}\" was deleted.");
        report.add(rule, None, whole(file), message);
    }
}

fn packages(image: &Image) -> HashSet<&str> {
    image.files().iter().map(|file| &*file.package).collect()
}

/// The full name of what has the name `nested` in the package of `file`.
fn named(file: &File, nested: &str) -> String {
    match &*file.package {
        "" => nested.to_owned(),
        package => format!("{package}.{nested}"),
    }
}

fn in_file<'a>(image: &'a Image, file: &File, nested: &str) -> Option<&'a Message> {
    let message = image.message_named(&named(file, nested))?;
    (message.file == file.id).then_some(message)
}

/// The place of the nearest message around what was `nested` that `find` finds.
fn nearest<'a>(nested: &str, find: impl Fn(&str) -> Option<&'a Message>) -> Option<Place> {
    let mut outer = nested;
    while let Some((rest, _)) = outer.rsplit_once('.') {
        if let Some(message) = find(rest) {
            return place(message.file, &message.path);
        }
        outer = rest;
    }
    None
}
