//! Rules on files: their options, syntax and package, and whether they are there.
//!
//! **Invariant**: a finding on an option that is gone is about the file as a whole.

use super::entry::Entry;
use super::names::{REGISTRY_FILE, REGISTRY_SOURCE, SOURCE, WIRE};
use super::pairs::{Comparison, Pair};
use crate::image::{Edition, File, Place};
use crate::rules::{Direction, Report, Rule};

/// The field of `FileDescriptorProto` with the options.
const OPTIONS: i32 = 8;

/// What an option does to generated code.
const GENERATED: &str =
    "The option decides what generated code looks like, and code that uses it no longer compiles.";

macro_rules! option {
    ($id:literal, $option:ident, $number:literal, $default:expr) => {
        Entry::source(
            $id,
            SOURCE,
            concat!(
                "Checks that files have the same value for the ",
                stringify!($option),
                " option."
            ),
            GENERATED,
            |rule, comparison, report| {
                let value = |file: &File| match &file.options.known.$option {
                    Some(value) => value.to_string(),
                    None => $default.to_string(),
                };
                let name = concat!("option \"", stringify!($option), "\"");
                same(
                    rule,
                    comparison,
                    report,
                    name,
                    &[&[OPTIONS, $number]],
                    value,
                );
            },
        )
    };
}

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "FILE_NO_DELETE",
        REGISTRY_FILE,
        "Checks that files are not deleted.",
        "Whoever imports or includes the file no longer finds it.",
        |rule, comparison, report| {
            for old in comparison.old.files() {
                if comparison.new.file_at(&old.path).is_none() {
                    let message = format!("Previously present file \"{}\" was deleted.", old.path);
                    report.add(rule, None, whole(old), message);
                }
            }
        },
    )
    .fix("put the file back, if only with `import public` of the files that hold what was in it"),
    option!("FILE_SAME_CC_ENABLE_ARENAS", cc_enable_arenas, 31, true),
    option!("FILE_SAME_CC_GENERIC_SERVICES", cc_generic_services, 16, false),
    option!("FILE_SAME_CSHARP_NAMESPACE", csharp_namespace, 37, ""),
    option!("FILE_SAME_GO_PACKAGE", go_package, 11, ""),
    option!("FILE_SAME_JAVA_GENERIC_SERVICES", java_generic_services, 17, false),
    option!("FILE_SAME_JAVA_MULTIPLE_FILES", java_multiple_files, 10, false),
    option!("FILE_SAME_JAVA_OUTER_CLASSNAME", java_outer_classname, 8, ""),
    option!("FILE_SAME_JAVA_PACKAGE", java_package, 1, ""),
    option!("FILE_SAME_OBJC_CLASS_PREFIX", objc_class_prefix, 36, ""),
    Entry::source(
        "FILE_SAME_OPTIMIZE_FOR",
        SOURCE,
        "Checks that files have the same value for the optimize_for option.",
        GENERATED,
        |rule, comparison, report| {
            let value = |file: &File| match file.options.known.optimize_for {
                Some(2) => "CODE_SIZE".to_owned(),
                Some(3) => "LITE_RUNTIME".to_owned(),
                _ => "SPEED".to_owned(),
            };
            same(rule, comparison, report, "option \"optimize_for\"", &[&[OPTIONS, 9]], value);
        },
    ),
    option!("FILE_SAME_PHP_CLASS_PREFIX", php_class_prefix, 40, ""),
    option!("FILE_SAME_PHP_METADATA_NAMESPACE", php_metadata_namespace, 44, ""),
    option!("FILE_SAME_PHP_NAMESPACE", php_namespace, 41, ""),
    option!("FILE_SAME_PY_GENERIC_SERVICES", py_generic_services, 18, false),
    option!("FILE_SAME_RUBY_PACKAGE", ruby_package, 45, ""),
    option!("FILE_SAME_SWIFT_PREFIX", swift_prefix, 39, ""),
    Entry::source(
        "FILE_SAME_SYNTAX",
        REGISTRY_SOURCE,
        "Checks that files have the same syntax.",
        "Presence of fields, packing and enums mean something else in another syntax, in code above all.",
        |rule, comparison, report| {
            let value = |file: &File| match file.edition {
                Edition::Proto2 => "proto2".to_owned(),
                Edition::Proto3 => "proto3".to_owned(),
                Edition::Numbered(_) => "editions".to_owned(),
            };
            same(rule, comparison, report, "syntax", &[&[12], &[14]], value);
        },
    ),
    Entry::wire(
        "FILE_SAME_PACKAGE",
        WIRE,
        "Checks that files have the same package.",
        Direction::Both,
        "The package is part of every full name: methods get other ordinals, so that calls of peers of before \
         find nothing, and types inside of Any are no longer found.",
        |rule, comparison, report| {
            same(rule, comparison, report, "package", &[&[2]], |file| file.package.clone());
        },
    )
    .fix("put the package back; a new version of a package lives in files of its own, beside the old one"),
];

/// The file as a whole.
pub(super) fn whole(file: &File) -> Option<Place> {
    Some(Place {
        file: file.id,
        path: None,
    })
}

fn same(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    name: &str,
    paths: &[&[i32]],
    value: impl Fn(&File) -> String,
) {
    for Pair { new, old } in &comparison.files {
        let (before, now) = (value(old), value(new));
        if before != now {
            let message = format!("File {name} changed from {before:?} to {now:?}.");
            let at = comparison.first(new.id, paths);
            report.add(rule, at, comparison.first_old(old.id, paths), message);
        }
    }
}
