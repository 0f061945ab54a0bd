//! Files: their packages, editions and options.
//!
//! **Invariant**: what is in a file is told with its own elements.

use super::super::files::whole;
use super::super::pairs::{Comparison, Pair};
use super::words::{deprecation, from_to, otherwise};
use super::{Element, Found, What, is_own};
use crate::image::{Edition, File};

pub(super) fn changes(comparison: &Comparison<'_>, found: &mut Found) {
    for old in comparison.old.files() {
        let gone = comparison.new.file_at(&old.path).is_none();
        if gone && is_own(comparison.old, old.id) {
            found.add(named(old), What::Removed, Vec::new(), None, whole(old));
        }
    }
    for new in comparison.new.files() {
        let added = comparison.old.file_at(&new.path).is_none();
        if added && is_own(comparison.new, new.id) {
            found.add(named(new), What::Added, Vec::new(), whole(new), None);
        }
    }
    for Pair { new, old } in &comparison.files {
        let mut details = Vec::new();
        if new.package != old.package {
            details.push(from_to("package", &old.package, &new.package));
        }
        if new.edition != old.edition {
            details.push(from_to("syntax", &edition(old), &edition(new)));
        }
        let (now, before) = (&new.options, &old.options);
        details.extend(deprecation(now.known.deprecated, before.known.deprecated));
        otherwise(&mut details, &now.raw, &before.raw);
        found.changed(named(new), details, whole(new), whole(old));
    }
}

fn named(file: &File) -> (Element, &str, String) {
    (Element::File, &file.path, format!("file {}", file.path))
}

fn edition(file: &File) -> String {
    match file.edition {
        Edition::Proto2 => "proto2".to_owned(),
        Edition::Proto3 => "proto3".to_owned(),
        Edition::Numbered(Edition::EDITION_2023) => "edition 2023".to_owned(),
        Edition::Numbered(Edition::EDITION_2024) => "edition 2024".to_owned(),
        Edition::Numbered(number) => format!("edition {number}"),
    }
}
