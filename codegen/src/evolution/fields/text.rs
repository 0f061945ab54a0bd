//! Rules on options and features of strings and of numbers of 64 bits.
//!
//! **Invariant**: each looks at fields that are of its types in both schemas.

use super::super::describe;
use super::super::entry::Entry;
use super::super::names::SOURCE;
use super::super::pairs::{Comparison, Pair};
use super::{FEATURES, OPTIONS};
use crate::image::{Edition, Field, Image, Kind};
use crate::rules::{Report, Rule};

/// The option `java_string_check_utf8` of a file.
const JAVA_CHECK: [i32; 2] = [8, 27];

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "FIELD_SAME_CPP_STRING_TYPE",
        SOURCE,
        "Checks that fields have the same C++ string type, based on ctype field option or (pb.cpp).string_type feature.",
        "The field has another type in generated C++.",
        cpp_string,
    ),
    Entry::source(
        "FIELD_SAME_JAVA_UTF8_VALIDATION",
        SOURCE,
        "Checks that fields have the same Java string UTF8 validation, based on java_string_check_utf8 file option or \
         (pb.java).utf8_validation feature.",
        "Java takes strings that it refused before, or the reverse.",
        java_utf8,
    ),
    Entry::source(
        "FIELD_SAME_JSTYPE",
        SOURCE,
        "Checks that fields have the same value for the jstype option.",
        "The field has another type in generated JavaScript.",
        jstype,
    ),
    Entry::source(
        "FIELD_SAME_UTF8_VALIDATION",
        SOURCE,
        "Checks that string fields have the same UTF8 validation mode.",
        "Strings that were taken before are refused, or the reverse.",
        utf8,
    ),
];

/// Reports a change from one word to another at the first of the places that is there.
fn changed(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    Pair { new, old }: Pair<'_, Field>,
    what: &str,
    paths: impl Fn(&Field) -> Vec<Vec<i32>>,
) {
    let message = format!("{} changed {what}.", describe::field(comparison.new, new));
    let (at, against) = (paths(new), paths(old));
    let at: Vec<&[i32]> = at.iter().map(Vec::as_slice).collect();
    let against: Vec<&[i32]> = against.iter().map(Vec::as_slice).collect();
    let at = comparison.first(new.file, &at);
    report.add(rule, at, comparison.first_old(old.file, &against), message);
}

/// The paths of some parts of a field, then the field's own.
fn parts(field: &Field, parts: &[&[i32]]) -> Vec<Vec<i32>> {
    let below = parts.iter().map(|part| [&*field.path, *part].concat());
    below.chain([field.path.to_vec()]).collect()
}

fn cpp_string(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for pair in &comparison.fields {
        let Pair { new, old } = pair;
        let is_text = |field: &Field| matches!(field.kind, Kind::String | Kind::Bytes);
        if !is_text(new) || !is_text(old) || comparison.are_of_map_entries(new, old) {
            continue;
        }
        let (before, now) = (cpp_type(comparison.old, old), cpp_type(comparison.new, new));
        let harmless = before == "STRING_PIECE" && now == "STRING";
        if before != now && !harmless {
            let what = format!("C++ string type from \"{before}\" to \"{now}\"");
            changed(rule, comparison, report, *pair, &what, |field| {
                parts(field, &[&[OPTIONS, 1], &[OPTIONS, FEATURES, 1000, 2]])
            });
        }
    }
}

fn cpp_type(image: &Image, field: &Field) -> &'static str {
    let edition = image.file(field.file).edition;
    let old = edition < Edition::Numbered(Edition::EDITION_2024);
    match (field.options.known.ctype, field.features.cpp_string) {
        (Some(0), _) if old => "STRING",
        (Some(1), _) if old => "CORD",
        (Some(2), _) if old => "STRING_PIECE",
        (_, 1) => "VIEW",
        (_, 2) => "CORD",
        _ => "STRING",
    }
}

fn java_utf8(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for pair in &comparison.fields {
        let Pair { new, old } = pair;
        if new.kind != Kind::String || old.kind != Kind::String {
            continue;
        }
        let before = java_verifies(comparison.old, old);
        let now = java_verifies(comparison.new, new);
        if before != now {
            let what = format!(
                "Java string UTF8 validation from \"{}\" to \"{}\"",
                verifies(before),
                verifies(now)
            );
            changed(rule, comparison, report, *pair, &what, |field| {
                let own = parts(field, &[&[OPTIONS, FEATURES, 1001, 2]]);
                [JAVA_CHECK.to_vec()].into_iter().chain(own).collect()
            });
        }
    }
}

fn java_verifies(image: &Image, field: &Field) -> bool {
    let file = image.file(field.file);
    let is_edition = matches!(file.edition, Edition::Numbered(_));
    let java = match file.options.known.java_string_check_utf8 {
        None if is_edition => field.features.java_utf8,
        checked => checked == Some(true),
    };
    java || field.features.utf8
}

fn verifies(yes: bool) -> &'static str {
    if yes { "VERIFY" } else { "NONE" }
}

fn jstype(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    let is_long = |field: &Field| {
        matches!(
            field.kind,
            Kind::Int64 | Kind::Sint64 | Kind::Uint64 | Kind::Fixed64 | Kind::Sfixed64
        )
    };
    let name = |field: &Field| match field.options.known.jstype {
        Some(1) => "JS_STRING",
        Some(2) => "JS_NUMBER",
        _ => "JS_NORMAL",
    };
    for pair in &comparison.fields {
        let Pair { new, old } = pair;
        if is_long(new) && is_long(old) && name(new) != name(old) {
            let what = format!(
                "option \"jstype\" from \"{}\" to \"{}\"",
                name(old),
                name(new)
            );
            changed(rule, comparison, report, *pair, &what, |field| {
                parts(field, &[&[OPTIONS, 6]])
            });
        }
    }
}

fn utf8(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for pair in &comparison.fields {
        let Pair { new, old } = pair;
        if new.kind != Kind::String || old.kind != Kind::String {
            continue;
        }
        if new.features.utf8 != old.features.utf8 {
            let (before, now) = (verifies(old.features.utf8), verifies(new.features.utf8));
            let what = format!("UTF8 validation from {before} to {now}");
            changed(rule, comparison, report, *pair, &what, |field| {
                parts(field, &[&[OPTIONS, FEATURES, 4]])
            });
        }
    }
}
