//! Messages, and the extensions of any.
//!
//! **Invariant**: what was made for a map is told with the field that has the map.

use std::collections::{HashMap, HashSet};

use super::super::pairs::{Comparison, Pair, place};
use super::super::policy::Validated as _;
use super::fields;
use super::whole::{self, About, Whole};
use super::words::{self, field_type, numbers, otherwise};
use super::{Element, Found, What, is_own};
use crate::image::{Field, Image, Message};

pub(super) fn changes(comparison: &Comparison<'_>, found: &mut Found) {
    let (new_image, old_image) = (comparison.new, comparison.old);
    let gone = whole::unknown(old_image, written(old_image), |name| {
        new_image.message_named(name).is_some()
    });
    let added = whole::unknown(new_image, written(new_image), |name| {
        old_image.message_named(name).is_some()
    });
    let mut alike: HashMap<Vec<(i32, String, String)>, &Message> = added
        .iter()
        .filter(|message| !message.fields.is_empty())
        .map(|message| (shape(new_image, message), *message))
        .collect();
    let became = |old| alike.remove(&shape(old_image, old));
    whole::names(gone, added, became, found);
    let pairs = comparison.messages.iter();
    for pair in pairs.filter(|pair| !pair.new.is_map_entry() && !pair.old.is_map_entry()) {
        itself(comparison, *pair, found);
        fields::changes((new_image, pair.new), (old_image, pair.old), found);
    }
    extensions(new_image, old_image, found);
}

/// Messages that somebody wrote, those for maps left out.
fn written(image: &Image) -> impl Iterator<Item = &Message> {
    let messages = image.messages().iter();
    messages.filter(|message| !message.is_map_entry())
}

/// What two messages have in common of which one may be the other under a new name.
fn shape(image: &Image, message: &Message) -> Vec<(i32, String, String)> {
    let field = |field: &Field| {
        let ty = field_type(image, field);
        (field.number, field.name.clone(), ty)
    };
    message.fields.iter().map(field).collect()
}

impl Whole for Message {
    fn about(&self) -> About<'_> {
        About {
            element: Element::Message,
            keyword: "message",
            name: &self.name,
            full_name: &self.full_name,
            file: self.file,
            path: &self.path,
            deprecated: self.options.known.deprecated,
        }
    }

    fn listed(&self) -> Vec<String> {
        let names: Vec<&str> = self.fields.iter().map(|field| &*field.name).collect();
        match &*names {
            [] => Vec::new(),
            names => vec![format!("fields: {}", names.join(", "))],
        }
    }
}

fn itself(comparison: &Comparison<'_>, pair: Pair<'_, Message>, found: &mut Found) {
    let Pair { new, old } = pair;
    let mut details = whole::details(comparison, pair);
    details.extend(words::reservations(
        (&new.reserved_ranges, &new.reserved_names),
        (&old.reserved_ranges, &old.reserved_names),
    ));
    details.extend(ranges(new, old));
    details.extend(words::validation(&new.rules(), &old.rules()));
    details.extend(oneofs(new, old));
    otherwise(&mut details, &new.options.raw, &old.options.raw);
    whole::changed(pair, details, found);
}

fn ranges(new: &Message, old: &Message) -> Vec<String> {
    let listed = |message: &Message| -> Vec<String> {
        let ranges = message.extension_ranges.iter();
        ranges.map(|range| numbers(range.range)).collect()
    };
    let (new, old) = (listed(new), listed(old));
    let gone = old.iter().filter(|range| !new.contains(range));
    let gone = gone.map(|range| format!("extensions {range} removed"));
    let added = new.iter().filter(|range| !old.contains(range));
    gone.chain(added.map(|range| format!("extensions {range} added")))
        .collect()
}

fn oneofs(new: &Message, old: &Message) -> Vec<String> {
    let mut details = Vec::new();
    let real = |message: &Message, name: &str| {
        let mut oneofs = message.oneofs.iter().filter(|oneof| !oneof.is_synthetic);
        oneofs.any(|oneof| oneof.name == name)
    };
    for oneof in new.oneofs.iter().filter(|oneof| !oneof.is_synthetic) {
        if !real(old, &oneof.name) {
            details.push(format!("oneof `{}` added", oneof.name));
        }
        let before = old.oneofs.iter().find(|other| other.name == oneof.name);
        let before = before.map(|other| other.rules()).unwrap_or_default();
        let said = words::validation(&oneof.rules(), &before).into_iter();
        details.extend(said.map(|said| format!("oneof `{}`: {said}", oneof.name)));
    }
    let old = old.oneofs.iter().filter(|oneof| !oneof.is_synthetic);
    let gone = old.filter(|oneof| !real(new, &oneof.name));
    details.extend(gone.map(|oneof| format!("oneof `{}` removed", oneof.name)));
    details
}

fn extensions(new_image: &Image, old_image: &Image, found: &mut Found) {
    let key = |field: &Field| (field.extendee.clone(), field.number);
    let known =
        |image: &'_ Image| -> HashSet<(String, i32)> { image.extensions().map(key).collect() };
    let (new_keys, old_keys) = (known(new_image), known(old_image));
    let named = |field: &'_ Field| format!("extension {} `{}`", field.number, field.full_name);
    for old in old_image.extensions() {
        let against = place(old.file, &old.path);
        if new_keys.contains(&key(old)) {
            let mut all = new_image.extensions();
            let Some(new) = all.find(|new| key(new) == key(old)) else {
                continue;
            };
            let details = fields::differences(new_image, old_image, Pair { new, old });
            let at = place(new.file, &new.path);
            let named = (Element::Extension, &*new.extendee, named(new));
            found.changed(named, details, at, against);
        } else if is_own(old_image, old.file) {
            let details = vec![field_type(old_image, old)];
            let named = (Element::Extension, &*old.extendee, named(old));
            found.add(named, What::Removed, details, None, against);
        }
    }
    for new in new_image.extensions() {
        if !old_keys.contains(&key(new)) && is_own(new_image, new.file) {
            let details = fields::added(new_image, new);
            let at = place(new.file, &new.path);
            let named = (Element::Extension, &*new.extendee, named(new));
            found.add(named, What::Added, details, at, None);
        }
    }
}
