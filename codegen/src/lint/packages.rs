//! Rules on files, folders and packages.
//!
//! **Invariant**: files are compared within their module alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    BASIC_UP, Entry, MINIMAL_UP, STANDARD_ONLY, Subject, case, cycles, place, quoted, rule,
    version, whole,
};
use crate::image::options::FileOptions;
use crate::image::{File, Place};
use crate::rules::{Report, Rule};

const PACKAGE: i32 = 2; // with the next: field numbers of FileDescriptorProto
const OPTIONS: i32 = 8;
const SYNTAX: i32 = 12;

const ONE_FOLDER: &str = "Generators for many languages make one module of one folder.";
const SAME_OPTION: &str =
    "The code generated for one package would end up in several places, or none.";
const FIX_OPTION: &str = "Give all files of the package the same value.";

pub(super) static RULES: &[Entry] = &[
    Entry {
        rule: rule(
            "DIRECTORY_SAME_PACKAGE",
            MINIMAL_UP,
            "Checks that all files in a given directory are in the same package.",
            ONE_FOLDER,
            "Move the files of one of the packages to a folder of their own.",
        ),
        check: directory_same_package,
    },
    Entry {
        rule: rule(
            "PACKAGE_DEFINED",
            MINIMAL_UP,
            "Checks that all files have a package defined.",
            "Names without a package collide with those of everybody else.",
            "Add a package that follows from the folder, with a version.",
        ),
        check: |rule, subject, report| {
            for file in subject.files.iter().filter(|file| file.package.is_empty()) {
                let text = "Files must have a package defined.".to_owned();
                report.add(rule, whole(file.id), None, text);
            }
        },
    },
    Entry {
        rule: rule(
            "PACKAGE_DIRECTORY_MATCH",
            MINIMAL_UP,
            "Checks that all files are in a directory that matches their package name.",
            "Imports are found by path, and readers find files by package.",
            "Move the file, or rename the package.",
        ),
        check: directory_match,
    },
    Entry {
        rule: rule(
            "PACKAGE_NO_IMPORT_CYCLE",
            MINIMAL_UP,
            "Checks that packages do not have import cycles.",
            "Languages in which a package is a unit of compilation cannot build the code.",
            "Move what both need to a package of its own.",
        ),
        check: cycles::check,
    },
    Entry {
        rule: rule(
            "PACKAGE_SAME_DIRECTORY",
            MINIMAL_UP,
            "Checks that all files with a given package are in the same directory.",
            ONE_FOLDER,
            "Move the files together.",
        ),
        check: same_directory,
    },
    Entry {
        rule: rule(
            "FILE_LOWER_SNAKE_CASE",
            STANDARD_ONLY,
            "Checks that filenames are lower_snake_case.",
            "Generated files are named after it, on systems that ignore case too.",
            "Rename the file, and the imports of it.",
        ),
        check: file_case,
    },
    Entry {
        rule: rule(
            "PACKAGE_LOWER_SNAKE_CASE",
            BASIC_UP,
            "Checks that packages are lower_snake.case.",
            "Generators make modules and folders of the parts.",
            "Rename the package before anybody uses it.",
        ),
        check: package_case,
    },
    Entry {
        rule: rule(
            "PACKAGE_VERSION_SUFFIX",
            STANDARD_ONLY,
            "Checks that the last component of all packages is a version of the form v\\d+, v\\d+test.*, v\\d+(alpha|beta)\\d+, or v\\d+p\\d+(alpha|beta)\\d+, where numbers are >=1.",
            "A breaking change goes to a new package, beside the old one, only when packages have versions.",
            "Put a version at the end of the package, and of the folder.",
        ),
        check: version_suffix,
    },
    Entry {
        rule: rule(
            "SYNTAX_SPECIFIED",
            BASIC_UP,
            "Checks that all files have a syntax specified.",
            "Without a word, a file is proto2, which is rarely meant.",
            "Write `syntax = \"proto3\";` in the first line.",
        ),
        check: |rule, subject, report| {
            // A descriptor has no word for proto2, but a place where it stands.
            let stated =
                |file: &File| file.syntax_is_stated || subject.image.has_span(file.id, &[SYNTAX]);
            for file in subject.files.iter().filter(|file| !stated(file)) {
                let text = "Files must have a syntax explicitly specified. If no syntax is specified, the file defaults to \"proto2\".";
                report.add(rule, whole(file.id), None, text.to_owned());
            }
        },
    },
    Entry {
        rule: same_option(
            "PACKAGE_SAME_CSHARP_NAMESPACE",
            "Checks that all files with a given package have the same value for the csharp_namespace option.",
        ),
        check: |rule, subject, report| {
            let option = |options: &FileOptions| options.csharp_namespace.clone();
            same_value(rule, subject, report, ("csharp_namespace", 37), option);
        },
    },
    Entry {
        rule: same_option(
            "PACKAGE_SAME_GO_PACKAGE",
            "Checks that all files with a given package have the same value for the go_package option.",
        ),
        check: |rule, subject, report| {
            let option = |options: &FileOptions| options.go_package.clone();
            same_value(rule, subject, report, ("go_package", 11), option);
        },
    },
    Entry {
        rule: same_option(
            "PACKAGE_SAME_JAVA_MULTIPLE_FILES",
            "Checks that all files with a given package have the same value for the java_multiple_files option.",
        ),
        check: |rule, subject, report| {
            let option =
                |options: &FileOptions| options.java_multiple_files.map(|yes| yes.to_string());
            same_value(rule, subject, report, ("java_multiple_files", 10), option);
        },
    },
    Entry {
        rule: same_option(
            "PACKAGE_SAME_JAVA_PACKAGE",
            "Checks that all files with a given package have the same value for the java_package option.",
        ),
        check: |rule, subject, report| {
            let option = |options: &FileOptions| options.java_package.clone();
            same_value(rule, subject, report, ("java_package", 1), option);
        },
    },
    Entry {
        rule: same_option(
            "PACKAGE_SAME_PHP_NAMESPACE",
            "Checks that all files with a given package have the same value for the php_namespace option.",
        ),
        check: |rule, subject, report| {
            let option = |options: &FileOptions| options.php_namespace.clone();
            same_value(rule, subject, report, ("php_namespace", 41), option);
        },
    },
    Entry {
        rule: same_option(
            "PACKAGE_SAME_RUBY_PACKAGE",
            "Checks that all files with a given package have the same value for the ruby_package option.",
        ),
        check: |rule, subject, report| {
            let option = |options: &FileOptions| options.ruby_package.clone();
            same_value(rule, subject, report, ("ruby_package", 45), option);
        },
    },
    Entry {
        rule: same_option(
            "PACKAGE_SAME_SWIFT_PREFIX",
            "Checks that all files with a given package have the same value for the swift_prefix option.",
        ),
        check: |rule, subject, report| {
            let option = |options: &FileOptions| options.swift_prefix.clone();
            same_value(rule, subject, report, ("swift_prefix", 39), option);
        },
    },
];

const fn same_option(id: &'static str, purpose: &'static str) -> Rule {
    rule(id, BASIC_UP, purpose, SAME_OPTION, FIX_OPTION)
}

/// The folder of a file, `.` for the import root.
fn folder(file: &File) -> &str {
    file.path.rsplit_once('/').map_or(".", |(folder, _)| folder)
}

fn package_place(file: &File) -> Option<Place> {
    if file.package.is_empty() {
        whole(file.id)
    } else {
        place(file.id, &[PACKAGE], &[])
    }
}

fn groups<'a>(
    subject: &Subject<'a>,
    key: fn(&'a File) -> &'a str,
) -> BTreeMap<&'a str, Vec<&'a File>> {
    let mut groups: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for file in &subject.files {
        groups.entry(key(file)).or_default().push(file);
    }
    groups
}

fn joined(values: &BTreeSet<&str>) -> String {
    let values: Vec<&str> = values.iter().copied().collect();
    quoted(&values.join(","))
}

fn directory_same_package(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for (folder, files) in groups(subject, folder) {
        let mut packages: BTreeSet<&str> = files.iter().map(|file| &*file.package).collect();
        if packages.len() < 2 {
            continue;
        }
        let nameless = packages.remove("");
        let listed = joined(&packages);
        let found = match (nameless, packages.len()) {
            (true, 1) => format!("Package {listed} and file with no package"),
            (true, _) => format!("Multiple packages {listed} and file with no package"),
            (false, _) => format!("Multiple packages {listed}"),
        };
        for file in files {
            let text = format!("{found} detected within directory {}.", quoted(folder));
            report.add(rule, package_place(file), None, text);
        }
    }
}

fn directory_match(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for file in subject.files.iter().filter(|file| !file.package.is_empty()) {
        let (expected, found) = (file.package.replace('.', "/"), folder(file));
        if found != expected {
            let text = format!(
                "Files with package {} must be within a directory \"{expected}\" relative to root but were in directory \"{found}\".",
                quoted(&file.package)
            );
            report.add(rule, package_place(file), None, text);
        }
    }
}

fn same_directory(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for (package, files) in groups(subject, |file| &file.package) {
        let folders: BTreeSet<&str> = files.iter().map(|file| folder(file)).collect();
        if folders.len() < 2 {
            continue;
        }
        for file in files {
            let text = format!(
                "Multiple directories {} contain files with package {}.",
                joined(&folders),
                quoted(package)
            );
            report.add(rule, package_place(file), None, text);
        }
    }
}

fn file_case(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for file in &subject.files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let (stem, ending) = match name.rfind('.') {
            Some(dot) => name.split_at(dot),
            None => (name, ""),
        };
        let expected = case::lower_snake(stem);
        if stem != expected {
            let text = format!(
                "Filename {} should be lower_snake_case{ending}, such as \"{expected}{ending}\".",
                quoted(name)
            );
            report.add(rule, whole(file.id), None, text);
        }
    }
}

fn package_case(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for file in subject.files.iter().filter(|file| !file.package.is_empty()) {
        let parts: Vec<String> = file.package.split('.').map(case::lower_snake).collect();
        let expected = parts.join(".");
        if file.package != expected {
            let text = format!(
                "Package name {} should be lower_snake.case, such as {}.",
                quoted(&file.package),
                quoted(&expected)
            );
            report.add(rule, package_place(file), None, text);
        }
    }
}

fn version_suffix(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for file in subject.files.iter().filter(|file| !file.package.is_empty()) {
        if version::of_package(&file.package).is_none() {
            let text = format!(
                "Package name {} should be suffixed with a correctly formed version, such as {}.",
                quoted(&file.package),
                quoted(&format!("{}.v1", file.package))
            );
            report.add(rule, package_place(file), None, text);
        }
    }
}

/// An option has one value in all files of a package; an empty text is none.
fn same_value(
    rule: &'static Rule,
    subject: &Subject<'_>,
    report: &mut Report,
    (name, number): (&str, i32),
    option: impl Fn(&FileOptions) -> Option<String>,
) {
    for (package, files) in groups(subject, |file| &file.package) {
        let values: Vec<String> = files
            .iter()
            .map(|file| option(&file.options.known).unwrap_or_default())
            .collect();
        let mut distinct: BTreeSet<&str> = values.iter().map(String::as_str).collect();
        if distinct.len() < 2 {
            continue;
        }
        let missing = distinct.remove("");
        let listed = joined(&distinct);
        let found = if missing {
            format!("both values {listed} and no value")
        } else {
            format!("multiple values {listed}")
        };
        for file in files {
            let text = format!(
                "Files in package {} have {found} for option {} and all values must be equal.",
                quoted(package),
                quoted(name)
            );
            let at = match option(&file.options.known) {
                Some(_) => place(file.id, &[OPTIONS, number], &[]),
                None => whole(file.id),
            };
            report.add(rule, at, None, text);
        }
    }
}
