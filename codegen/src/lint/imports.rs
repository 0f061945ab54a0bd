//! Rules on imports.
//!
//! **Invariant**: an import is looked at where it stands, in a file of the module.

use super::{BASIC_UP, Entry, Subject, place, quoted, rule, usage, version};
use crate::image::{File, Import, Place};
use crate::rules::{Report, Rule};

const DEPENDENCY: i32 = 3; // FileDescriptorProto.dependency

pub(super) static RULES: &[Entry] = &[
    Entry {
        rule: rule(
            "IMPORT_NO_PUBLIC",
            BASIC_UP,
            "Checks that imports are not public.",
            "Whoever imports the file gets names that it does not show, and generators disagree on them.",
            "Import the other file where it is used.",
        ),
        check: |rule, subject, report| {
            for (file, at, import) in imports(subject).filter(|(_, _, import)| import.public) {
                let text = format!("Import {} must not be public.", quoted(&import.path));
                report.add(rule, import_place(file, at), None, text);
            }
        },
    },
    Entry {
        rule: rule(
            "IMPORT_USED",
            BASIC_UP,
            "Checks that imports are used.",
            "Code for the other file is built and linked for nothing.",
            "Remove the import.",
        ),
        check: used,
    },
    Entry {
        rule: rule(
            "STABLE_PACKAGE_NO_IMPORT_UNSTABLE",
            &[],
            "Checks that all files that have stable versioned packages do not import packages with unstable version packages.",
            "What the other package may still break, breaks this one.",
            "Import a stable package, or give this one an unstable version.",
        ),
        check: stable,
    },
];

fn imports<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (&'a File, usize, &'a Import)> {
    let files = subject.files.iter().copied();
    files.flat_map(|file| {
        let imports = file.imports.iter().enumerate();
        imports.map(move |(at, import)| (file, at, import))
    })
}

/// Where the import at an index of a file is.
pub(super) fn import_place(file: &File, at: usize) -> Option<Place> {
    place(
        file.id,
        &[DEPENDENCY],
        &[i32::try_from(at).unwrap_or(i32::MAX)],
    )
}

fn used(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    let usage = usage::Usage::of(subject.image);
    for file in &subject.files {
        let used = usage.imports(file);
        for (at, import) in file.imports.iter().enumerate() {
            if !used[at] && !import.public {
                let text = format!("Import {} is unused.", quoted(&import.path));
                report.add(rule, import_place(file, at), None, text);
            }
        }
    }
}

fn stable(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for (file, at, import) in imports(subject) {
        if version::of_package(&file.package) != Some(version::Stability::Stable) {
            continue;
        }
        let imported = subject.image.file_at(&import.path);
        let Some(imported) = imported.filter(|imported| !imported.is_import) else {
            continue;
        };
        if version::of_package(&imported.package) == Some(version::Stability::Unstable) {
            let text = format!(
                "This file is in stable package {}, so it should not depend on {} from unstable package {}.",
                quoted(&file.package),
                quoted(&import.path),
                quoted(&imported.package)
            );
            report.add(rule, import_place(file, at), None, text);
        }
    }
}
