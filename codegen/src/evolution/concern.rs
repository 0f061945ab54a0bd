//! Which services a finding concerns: those whose methods lead to what it is about.
//!
//! **Invariant**: when in doubt, a service is concerned. What a message inside of an `Any` is, no schema tells.

use std::collections::{BTreeSet, HashMap};

use crate::image::{Image, Place};
use crate::rules::Report;

const ANY: &str = "google.protobuf.Any";

// The numbers of the fields that lead from a descriptor to the ones in it.
const FILE_MESSAGE: i32 = 4;
const FILE_ENUM: i32 = 5;
const FILE_SERVICE: i32 = 6;
const FILE_EXTENSION: i32 = 7;
const MESSAGE_MESSAGE: i32 = 3;
const MESSAGE_ENUM: i32 = 4;
const MESSAGE_EXTENSION: i32 = 6;

/// Notes with each finding which services it concerns.
pub(super) fn mark(report: &mut Report, new: &Image, old: &Image) {
    if report.drafts().is_empty() {
        return;
    }
    let (of_new, of_old) = (Users::of(new), Users::of(old));
    for draft in report.drafts_mut() {
        let sides = [(&of_new, &draft.at), (&of_old, &draft.against)];
        let owners: Vec<_> = sides
            .into_iter()
            .filter_map(|(users, place)| Some((users, owner(users.image, place.as_ref()?)?)))
            .collect();
        let mut services = BTreeSet::new();
        for (users, owner) in &owners {
            users.services(owner, &mut services);
        }
        if services.is_empty() {
            for users in [&of_new, &of_old] {
                match owners.is_empty() {
                    true => services.extend(
                        users
                            .image
                            .services()
                            .iter()
                            .map(|service| &*service.full_name),
                    ),
                    false => users.services(ANY, &mut services),
                }
            }
        }
        draft.services = services.into_iter().map(str::to_owned).collect();
    }
}

/// Who names a type: messages in their fields, services in their methods.
struct Users<'a> {
    image: &'a Image,
    of: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Users<'a> {
    fn of(image: &'a Image) -> Self {
        let mut of: HashMap<&str, Vec<&str>> = HashMap::new();
        for message in image.messages() {
            for field in message
                .fields
                .iter()
                .filter(|field| !field.type_name.is_empty())
            {
                of.entry(&field.type_name)
                    .or_default()
                    .push(&message.full_name);
            }
        }
        for field in image
            .extensions()
            .filter(|field| !field.type_name.is_empty())
        {
            of.entry(&field.type_name)
                .or_default()
                .push(&field.extendee);
        }
        for service in image.services() {
            for method in &service.methods {
                for message in [&method.input, &method.output] {
                    of.entry(message).or_default().push(&service.full_name);
                }
            }
        }
        Self { image, of }
    }

    /// Adds the services that lead to what is called `name`, or are.
    fn services(&self, name: &str, found: &mut BTreeSet<&'a str>) {
        let (mut open, mut seen) = (vec![name], BTreeSet::from([name]));
        while let Some(name) = open.pop() {
            if let Some(service) = self.image.service_named(name) {
                found.insert(&service.full_name);
            }
            let users = self.of.get(name).into_iter().flatten().copied();
            open.extend(users.filter(|user| seen.insert(user)));
        }
    }
}

/// The full name of the message, enum or service that a place is in; of an extension, what it extends.
fn owner<'a>(image: &'a Image, place: &Place) -> Option<&'a str> {
    let file = image.file(place.file);
    let (kind, at, mut rest) = split(place.path.as_deref()?)?;
    match kind {
        FILE_ENUM => return Some(&image.enumeration(*file.enums.get(at)?).full_name),
        FILE_SERVICE => return Some(&image.service(*file.services.get(at)?).full_name),
        FILE_EXTENSION => return Some(&file.extensions.get(at)?.extendee),
        FILE_MESSAGE => {}
        _ => return None,
    }
    let mut message = image.message(*file.messages.get(at)?);
    while let Some((kind, at, inner)) = split(rest) {
        match kind {
            MESSAGE_MESSAGE => message = image.message(*message.messages.get(at)?),
            MESSAGE_ENUM => return Some(&image.enumeration(*message.enums.get(at)?).full_name),
            MESSAGE_EXTENSION => return Some(&message.extensions.get(at)?.extendee),
            _ => break,
        }
        rest = inner;
    }
    Some(&message.full_name)
}

fn split(path: &[i32]) -> Option<(i32, usize, &[i32])> {
    let (kind, rest) = path.split_first()?;
    let (at, rest) = rest.split_first()?;
    Some((*kind, usize::try_from(*at).ok()?, rest))
}
