//! What services, messages and enums have in common: each is there under its name, is new, is gone, or goes by another name.
//!
//! **Invariant**: what is new is told as added only if nothing that is gone has become it.

use std::collections::HashSet;

use super::super::pairs::{Comparison, Pair, place};
use super::words::{deprecation, moved};
use super::{Element, Found, What, is_own};
use crate::image::{FileId, Image, Place};

/// A service, a message or an enum.
pub(super) trait Whole {
    fn about(&self) -> About<'_>;

    /// What is said of one that is new.
    fn listed(&self) -> Vec<String>;

    /// What is said of one that is gone.
    fn lost(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What is told of any of them.
pub(super) struct About<'a> {
    pub(super) element: Element,
    /// As the language calls it.
    pub(super) keyword: &'static str,
    pub(super) name: &'a str,
    pub(super) full_name: &'a str,
    pub(super) file: FileId,
    pub(super) path: &'a [i32],
    pub(super) deprecated: Option<bool>,
}

impl<'a> About<'a> {
    fn named(&self) -> (Element, &'a str, String) {
        let name = format!("{} {}", self.keyword, self.name);
        (self.element, self.full_name, name)
    }

    fn place(&self) -> Option<Place> {
        place(self.file, self.path)
    }
}

/// Those of `items` that belong to the schemas of `image` and that `is_known` does not know by name.
pub(super) fn unknown<'a, T: Whole>(
    image: &Image,
    items: impl IntoIterator<Item = &'a T>,
    is_known: impl Fn(&str) -> bool,
) -> Vec<&'a T> {
    let is_unknown = |item: &&T| {
        let about = item.about();
        is_own(image, about.file) && !is_known(about.full_name)
    };
    items.into_iter().filter(is_unknown).collect()
}

/// Tells of those that are gone and those that were added; `became` finds what one that is gone goes by now. Returns those
/// that have another name.
pub(super) fn names<'a, T: Whole>(
    gone: impl IntoIterator<Item = &'a T>,
    added: impl IntoIterator<Item = &'a T>,
    mut became: impl FnMut(&'a T) -> Option<&'a T>,
    found: &mut Found,
) -> Vec<Pair<'a, T>> {
    let mut renamed = Vec::new();
    for old in gone {
        let was = old.about();
        if let Some(new) = became(old) {
            let is = new.about();
            let details = vec![format!("it was `{}`", was.full_name)];
            found.add(is.named(), What::Renamed, details, is.place(), was.place());
            renamed.push(Pair { new, old });
        } else {
            found.add(was.named(), What::Removed, old.lost(), None, was.place());
        }
    }
    let names = renamed.iter().map(|pair| pair.new.about().full_name);
    let names: HashSet<&str> = names.collect();
    for new in added {
        let is = new.about();
        if !names.contains(is.full_name) {
            found.add(is.named(), What::Added, new.listed(), is.place(), None);
        }
    }
    renamed
}

/// What is said first of one that is there before and after.
pub(super) fn details<T: Whole>(comparison: &Comparison<'_>, pair: Pair<'_, T>) -> Vec<String> {
    let (is, was) = (pair.new.about(), pair.old.about());
    let (now, before) = (comparison.new.file(is.file), comparison.old.file(was.file));
    let moved = moved(&now.path, &before.path);
    let deprecation = deprecation(is.deprecated, was.deprecated);
    moved.into_iter().chain(deprecation).collect()
}

/// Adds the change of one that is there before and after, when there is something to say of it.
pub(super) fn changed<T: Whole>(pair: Pair<'_, T>, details: Vec<String>, found: &mut Found) {
    let (is, was) = (pair.new.about(), pair.old.about());
    found.changed(is.named(), details, is.place(), was.place());
}
