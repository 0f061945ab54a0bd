//! What changed between two schemas, element by element, as people would say it, and what each change means to peers.
//!
//! **Invariant**: what a change breaks is what the rules of evolution say of it; a finding of theirs on an element that
//! seems unchanged makes a change of its own, so that none is lost.

mod effect;
mod enums;
mod fields;
mod files;
mod messages;
mod services;
mod whole;
mod words;

use serde::Serialize;

pub use self::effect::{Breaks, Effect};
use super::pairs::Comparison;
use crate::image::{FileId, Image, Place};
use crate::rules::{Location, location};

/// A change of one element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What sort of element.
    pub element: Element,
    /// The service, message or enum that it is in, or that it is, by its full name; of a file its path.
    pub of: String,
    /// The element, as people would call it: `rpc GetProcess`, `field 3 "name"`.
    pub name: String,
    /// What became of it.
    pub what: What,
    /// What else there is to say, a line each.
    pub details: Vec<String>,
    /// What it means, worst first; empty when rules have nothing to say of it.
    pub effects: Vec<Effect>,
    /// Where it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Location>,
}

impl Change {
    /// What it breaks, at worst.
    #[must_use]
    pub fn breaks(&self) -> Breaks {
        self.effects
            .first()
            .map_or(Breaks::Nothing, |effect| effect.breaks)
    }
}

/// The sort of an element, in the order in which changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of protobuf")]
pub enum Element {
    Service,
    Method,
    Message,
    Field,
    Enum,
    Value,
    Extension,
    File,
}

impl Element {
    /// The sort of what it is in.
    const fn outer(self) -> Self {
        match self {
            Self::Service | Self::Method => Self::Service,
            Self::Message | Self::Field => Self::Message,
            Self::Enum | Self::Value => Self::Enum,
            Self::Extension => Self::Extension,
            Self::File => Self::File,
        }
    }
}

/// What became of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another name, as far as one can tell.
    Renamed,
    /// It has another number.
    Renumbered,
    /// It is there, and not as it was.
    Changed,
}

/// All that changed from `old` to `new`: services first, then messages, enums, extensions and files, each in the order of
/// their names.
#[must_use]
pub fn diff(new: &Image, old: &Image) -> Vec<Change> {
    let comparison = Comparison::of(new, old);
    let mut found = Found::default();
    services::changes(&comparison, &mut found);
    messages::changes(&comparison, &mut found);
    enums::changes(&comparison, &mut found);
    files::changes(&comparison, &mut found);
    effect::attach(&comparison, &mut found);
    let mut drafts = found.drafts;
    drafts.sort_by(|one, other| one.change.key().cmp(&other.change.key()));
    let place = |image: &Image, place: Option<Place>| place.map(|place| location(image, place));
    let change = |draft: Draft| Change {
        location: place(new, draft.new),
        against: place(old, draft.old),
        ..draft.change
    };
    drafts.into_iter().map(change).collect()
}

impl Change {
    /// Changes of one service, message or enum stay together, that of itself first.
    fn key(&self) -> (Element, &str, Element) {
        (self.element.outer(), &self.of, self.element)
    }
}

/// Changes that were found so far.
#[derive(Default)]
struct Found {
    drafts: Vec<Draft>,
}

/// A change whose places are not looked up yet.
struct Draft {
    change: Change,
    new: Option<Place>,
    old: Option<Place>,
}

impl Found {
    fn add(
        &mut self,
        (element, of, name): (Element, &str, String),
        what: What,
        details: Vec<String>,
        new: Option<Place>,
        old: Option<Place>,
    ) {
        let change = Change {
            element,
            of: of.to_owned(),
            name,
            what,
            details,
            effects: Vec::new(),
            location: None,
            against: None,
        };
        self.drafts.push(Draft { change, new, old });
    }

    /// Adds a change of what is there before and after, when there is something to say of it.
    fn changed(
        &mut self,
        named: (Element, &str, String),
        details: Vec<String>,
        new: Option<Place>,
        old: Option<Place>,
    ) {
        if !details.is_empty() {
            self.add(named, What::Changed, details, new, old);
        }
    }
}

/// Whether a file was asked for: what it imports is no part of the schemas.
fn is_own(image: &Image, file: FileId) -> bool {
    !image.file(file).is_import
}
