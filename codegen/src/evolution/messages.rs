//! Rules on messages as a whole: oneofs, required fields, options.
//!
//! **Invariant**: fields that are in both schemas are left to other rules, unless one is required.

use super::entry::Entry;
use super::names::{JSON, REGISTRY_SOURCE, WIRE};
use super::pairs::{Comparison, Pair, place};
use crate::image::Message;
use crate::rules::{Direction, Report, Rule};

/// The fields that lead from a message to its options, and to its features.
const OPTIONS: i32 = 7;
const FEATURES: [i32; 2] = [OPTIONS, 12];

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "MESSAGE_NO_REMOVE_STANDARD_DESCRIPTOR_ACCESSOR",
        REGISTRY_SOURCE,
        "Checks that messages do not change the no_standard_descriptor_accessor option from false or unset to true.",
        "Generated code loses an accessor that other code may call.",
        descriptor_accessor,
    ),
    Entry::source(
        "MESSAGE_SAME_JSON_FORMAT",
        JSON,
        "Checks that messages have the same JSON format support.",
        "Without the promise, JSON of the message may not be written or read as before.",
        same_json,
    ),
    Entry::source(
        "ONEOF_NO_DELETE",
        REGISTRY_SOURCE,
        "Checks that oneofs are not deleted from a given message.",
        "Code that names the oneof no longer compiles.",
        oneof_deleted,
    )
    .fix("put the oneof back, around the fields that were in it"),
    Entry::wire(
        "MESSAGE_SAME_REQUIRED_FIELDS",
        WIRE,
        "Checks that messages have no added or deleted required fields.",
        Direction::Both,
        "A message without a required field is refused as a whole, and one side does not know of the field.",
        required,
    )
    .fix("make the field optional, and have the code check what it needs"),
];

fn descriptor_accessor(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    let removed =
        |message: &Message| message.options.known.no_standard_descriptor_accessor == Some(true);
    for Pair { new, old } in &comparison.messages {
        if removed(new) && !removed(old) {
            let path = |message: &Message| [&*message.path, &[OPTIONS, 2]].concat();
            let message = "Message option \"no_standard_descriptor_accessor\" changed from \"false\" to \"true\".";
            let at = comparison.first(new.file, &[&path(new)]);
            let against = comparison.first_old(old.file, &[&path(old)]);
            report.add(rule, at, against, message.to_owned());
        }
    }
}

fn same_json(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.messages {
        if old.features.json && !new.features.json {
            let message = format!(
                "Message \"{}\" JSON format support changed from ALLOW to LEGACY_BEST_EFFORT.",
                new.name
            );
            let path = |message: &Message| [&*message.path, &FEATURES, &[6]].concat();
            let at = comparison.first(new.file, &[&path(new), &new.path]);
            let against = comparison.first_old(old.file, &[&path(old), &old.path]);
            report.add(rule, at, against, message);
        }
    }
}

fn oneof_deleted(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.messages {
        for oneof in old.oneofs.iter().filter(|oneof| !oneof.is_synthetic) {
            if new.oneofs.iter().all(|other| other.name != oneof.name) {
                let message = format!(
                    "Previously present oneof \"{}\" on message \"{}\" was deleted.",
                    oneof.name, new.name
                );
                report.add(
                    rule,
                    place(new.file, &new.path),
                    place(old.file, &old.path),
                    message,
                );
            }
        }
    }
}

fn required(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    const CONSEQUENCE: &str = "Required fields must always be sent, so if one side does not know about the required field, \
                               this will result in a breakage.";
    let is_required = |message: &Message, number: i32| {
        let mut fields = message.fields.iter();
        fields.any(|field| field.number == number && field.is_required())
    };
    for Pair { new, old } in &comparison.messages {
        let (whole, against) = (place(new.file, &new.path), place(old.file, &old.path));
        for field in old.fields.iter().filter(|field| field.is_required()) {
            if !is_required(new, field.number) {
                let message = format!(
                    "Message \"{}\" had required field \"{}\" deleted. {CONSEQUENCE}",
                    old.name, field.number
                );
                report.add(rule, whole.clone(), against.clone(), message);
            }
        }
        for field in new.fields.iter().filter(|field| field.is_required()) {
            if !is_required(old, field.number) {
                let message = format!(
                    "Message \"{}\" had required field \"{}\" added. {CONSEQUENCE}",
                    new.name, field.number
                );
                report.add(
                    rule,
                    place(field.file, &field.path),
                    against.clone(),
                    message,
                );
            }
        }
    }
}
