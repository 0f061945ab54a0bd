//! What changes mean: what all rules of evolution say of the two schemas, put to the changes that they are about.
//!
//! **Invariant**: every finding ends up with a change.

use std::collections::HashMap;

use serde::Serialize;

use super::super::pairs::Comparison;
use super::super::{IPC, compatible, entries};
use super::{Change, Draft, Element, Found, What};
use crate::image::{FileId, Image, Place};
use crate::rules::{Direction, Draft as Finding, Report, Rule};

/// What a rule says of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// What it breaks.
    pub breaks: Breaks,
    /// Who meets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The rule, or the name of a note.
    pub rule: &'static str,
    /// Why.
    pub why: &'static str,
}

/// What a change breaks, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Breaks {
    /// Calls between peers that were built before and after.
    Wire,
    /// JSON of before, or of after.
    Json,
    /// Code that is compiled against the schema.
    Code,
    /// Nothing.
    Nothing,
}

impl Breaks {
    /// By the categories of the rule: what this product's wire depends on is in its own.
    fn of(rule: &Rule) -> Self {
        if rule.categories.contains(&IPC) {
            Self::Wire
        } else if rule.categories.contains(&"WIRE_JSON") {
            Self::Json
        } else if rule.categories.is_empty() {
            Self::Nothing
        } else {
            Self::Code
        }
    }
}

/// The numbers of fields that lead from a descriptor to elements of their own: within files, messages, enums and
/// services.
const FILE: [i32; 4] = [4, 5, 6, 7];
const MESSAGE: [i32; 4] = [2, 3, 4, 6];
const MEMBER: i32 = 2;

/// Puts findings to the changes that they are about.
pub(super) fn attach(comparison: &Comparison<'_>, found: &mut Found) {
    let mut report = Report::default();
    let notes = compatible::RULES.iter();
    for entry in entries().chain(notes) {
        (entry.check)(&entry.rule, comparison, &mut report);
    }
    let mut at = Index::of(&found.drafts);
    for finding in report.into_drafts() {
        let old = finding.against.as_ref().map(element);
        let new = finding.at.as_ref().map(element);
        let known = [
            old.as_ref().and_then(|place| at.old.get(place)),
            new.as_ref().and_then(|place| at.new.get(place)),
        ];
        let known = known.into_iter().flatten().next().copied();
        let index = match known {
            Some(index) => index,
            None if is_of_import(comparison, &finding) => continue,
            None => {
                let draft = draft(comparison, &finding, new, old);
                let index = found.drafts.len();
                at.add(index, &draft);
                found.drafts.push(draft);
                index
            }
        };
        let effects = &mut found.drafts[index].change.effects;
        let effect = Effect {
            breaks: Breaks::of(finding.rule),
            direction: finding.direction,
            rule: finding.rule.id,
            why: finding.rule.why,
        };
        if !effects.contains(&effect) {
            effects.push(effect);
        }
    }
    for draft in &mut found.drafts {
        draft.change.effects.sort_by_key(|effect| effect.breaks);
    }
}

/// Changes by their places.
struct Index {
    new: HashMap<(FileId, Vec<i32>), usize>,
    old: HashMap<(FileId, Vec<i32>), usize>,
}

impl Index {
    fn of(drafts: &[Draft]) -> Self {
        let mut index = Self {
            new: HashMap::new(),
            old: HashMap::new(),
        };
        for (at, draft) in drafts.iter().enumerate() {
            index.add(at, draft);
        }
        index
    }

    fn add(&mut self, at: usize, draft: &Draft) {
        if let Some(place) = &draft.new {
            self.new.entry(element(place)).or_insert(at);
        }
        if let Some(place) = &draft.old {
            self.old.entry(element(place)).or_insert(at);
        }
    }
}

/// The element that a place is in.
fn element(place: &Place) -> (FileId, Vec<i32>) {
    let path = place.path.as_deref().unwrap_or_default();
    let mut length = 0;
    let mut inner: &[i32] = &FILE;
    while let Some([tag, _]) = path.get(length..length + 2) {
        if !inner.contains(tag) {
            break;
        }
        inner = match (length, *tag) {
            (0, 4) => &MESSAGE,
            (0, 5 | 6) => &[MEMBER],
            (0, _) => &[],
            (_, 3) if inner == MESSAGE => &MESSAGE,
            (_, 4) if inner == MESSAGE => &[MEMBER],
            _ => &[],
        };
        length += 2;
    }
    (place.file, path[..length].to_vec())
}

/// Whether a finding is about what the schemas merely import.
fn is_of_import(comparison: &Comparison<'_>, finding: &Finding) -> bool {
    let is_import = |image: &Image, place: &Option<Place>| {
        let place = place.as_ref();
        place.is_none_or(|place| image.file(place.file).is_import)
    };
    is_import(comparison.new, &finding.at) && is_import(comparison.old, &finding.against)
}

/// The service, message or enum that a place is in, by its full name; else the file.
fn owner<'a>(image: &'a Image, place: &Place) -> (Element, &'a str) {
    let path = place.path.as_deref().unwrap_or_default();
    let around = |own: &[i32]| !own.is_empty() && path.starts_with(own);
    let file = image.file(place.file);
    let services = image.services().iter();
    let service = services.filter(|item| item.file == place.file && around(&item.path));
    let service = service.map(|item| (Element::Service, &*item.full_name, item.path.len()));
    let messages = image.messages().iter();
    let message = messages.filter(|item| item.file == place.file && around(&item.path));
    let message = message.map(|item| (Element::Message, &*item.full_name, item.path.len()));
    let enums = image.enums().iter();
    let item = enums.filter(|item| item.file == place.file && around(&item.path));
    let item = item.map(|item| (Element::Enum, &*item.full_name, item.path.len()));
    let nearest = service
        .chain(message)
        .chain(item)
        .max_by_key(|(.., depth)| *depth);
    nearest.map_or((Element::File, &*file.path), |(element, name, _)| {
        (element, name)
    })
}

/// A change of an element that only a rule has seen.
fn draft(
    comparison: &Comparison<'_>,
    finding: &Finding,
    new: Option<(FileId, Vec<i32>)>,
    old: Option<(FileId, Vec<i32>)>,
) -> Draft {
    let place = |(file, path): (FileId, Vec<i32>)| Place {
        file,
        path: (!path.is_empty()).then(|| path.into_boxed_slice()),
    };
    let (new, old) = (new.map(place), old.map(place));
    let (element, of) = match (&new, &old) {
        (Some(place), _) => owner(comparison.new, place),
        (None, Some(place)) => owner(comparison.old, place),
        (None, None) => (Element::File, ""),
    };
    let word = match element.outer() {
        Element::Service => "service",
        Element::Message => "message",
        Element::Enum => "enum",
        _ => "file",
    };
    let name = of.rsplit('.').next().filter(|_| element != Element::File);
    let change = Change {
        element,
        of: of.to_owned(),
        name: format!("{word} {}", name.unwrap_or(of)),
        what: What::Changed,
        details: vec![finding.message.trim_end_matches('.').to_owned()],
        effects: Vec::new(),
        location: None,
        against: None,
    };
    Draft { change, new, old }
}
