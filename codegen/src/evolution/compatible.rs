//! Changes that break nothing, for those who want to read all of them.
//!
//! **Invariant**: a change that a rule of evolution speaks of is none of these.

use std::collections::HashSet;

use super::describe;
use super::entry::Entry;
use super::ipc::is_loosened;
use super::methods::{level, strength};
use super::pairs::{Comparison, Pair, place};
use crate::image::{Message, Place};
use crate::rules::{Direction, Report, Rule};

pub(super) const RULES: &[Entry] = &[
    Entry::note(
        "MESSAGE_ADDED",
        Direction::Both,
        "Nobody of before knows it.",
        messages,
    ),
    Entry::note(
        "ENUM_ADDED",
        Direction::Both,
        "Nobody of before knows it.",
        enums,
    ),
    Entry::note(
        "SERVICE_ADDED",
        Direction::NewClientOldServer,
        "A server of before answers UNIMPLEMENTED.",
        services,
    ),
    Entry::note(
        "METHOD_ADDED",
        Direction::NewClientOldServer,
        "A server of before answers UNIMPLEMENTED.",
        methods,
    ),
    Entry::note(
        "FIELD_ADDED",
        Direction::Both,
        "Peers of before pass it over, and do not send it.",
        fields,
    ),
    Entry::note(
        "ENUM_VALUE_ADDED",
        Direction::Both,
        "Peers of before see a number without a name.",
        values,
    ),
    Entry::note(
        "FIELD_RETIRED",
        Direction::Both,
        "What peers of before send of it is passed over; its number stays reserved.",
        retired_fields,
    ),
    Entry::note(
        "ENUM_VALUE_RETIRED",
        Direction::Both,
        "Peers of before may still send it; its number stays reserved.",
        retired_values,
    ),
    Entry::note(
        "DEPRECATED",
        Direction::Source,
        "Code that uses it is warned.",
        deprecated,
    ),
    Entry::note(
        "IDEMPOTENCY_STRENGTHENED",
        Direction::NewClientOldServer,
        "Clients of the new schema repeat calls that a server of before did not promise to take twice.",
        strengthened,
    ),
    Entry::note(
        "VALIDATION_LOOSENED",
        Direction::NewClientOldServer,
        "A peer of before refuses what is allowed now.",
        loosened,
    ),
];

fn add(rule: &'static Rule, report: &mut Report, at: Option<Place>, message: String) {
    report.add(rule, at, None, message);
}

fn messages(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    let made = |message: &&Message| !message.is_map_entry();
    for new in comparison.new.messages().iter().filter(made) {
        if comparison.old.message_named(&new.full_name).is_none() {
            let message = format!("Message \"{}\" was added.", new.full_name);
            add(rule, report, place(new.file, &new.path), message);
        }
    }
}

fn enums(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for new in comparison.new.enums() {
        if comparison.old.enum_named(&new.full_name).is_none() {
            let message = format!("Enum \"{}\" was added.", new.full_name);
            add(rule, report, place(new.file, &new.path), message);
        }
    }
}

fn services(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for new in comparison.new.services() {
        if comparison.old.service_named(&new.full_name).is_none() {
            let message = format!("Service \"{}\" was added.", new.full_name);
            add(rule, report, place(new.file, &new.path), message);
        }
    }
}

fn methods(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.services {
        for method in &new.methods {
            if old.methods.iter().all(|other| other.name != method.name) {
                let message = format!(
                    "Method \"{}\" of service \"{}\" was added.",
                    method.name, new.full_name
                );
                add(rule, report, place(new.file, &method.path), message);
            }
        }
    }
}

fn fields(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.messages {
        for field in &new.fields {
            if old.fields.iter().all(|other| other.number != field.number) {
                let message = format!("{} was added.", describe::field(comparison.new, field));
                add(rule, report, place(field.file, &field.path), message);
            }
        }
    }
}

fn values(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.enums {
        for value in &new.values {
            if old.values.iter().all(|other| other.number != value.number) {
                let message = format!(
                    "Enum value \"{}\" with name \"{}\" on enum \"{}\" was added.",
                    value.number, value.name, new.name
                );
                add(rule, report, place(new.file, &value.path), message);
            }
        }
    }
}

fn retired_fields(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.messages {
        let kept: HashSet<i32> = new.fields.iter().map(|field| field.number).collect();
        for field in old
            .fields
            .iter()
            .filter(|field| !kept.contains(&field.number))
        {
            let mut reserved = new.reserved_ranges.iter();
            if reserved.any(|range| range.contains(field.number)) {
                let message = format!(
                    "{} was deleted, and its number reserved.",
                    describe::field(comparison.old, field)
                );
                add(rule, report, place(new.file, &new.path), message);
            }
        }
    }
}

fn retired_values(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.enums {
        let kept: HashSet<i32> = new.values.iter().map(|value| value.number).collect();
        for value in old
            .values
            .iter()
            .filter(|value| !kept.contains(&value.number))
        {
            let mut reserved = new.reserved_ranges.iter();
            if reserved.any(|range| range.contains(value.number)) {
                let message = format!(
                    "Enum value \"{}\" with name \"{}\" on enum \"{}\" was deleted, and its number reserved.",
                    value.number, value.name, new.name
                );
                add(rule, report, place(new.file, &new.path), message);
            }
        }
    }
}

fn deprecated(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    let mut newly = |new: Option<bool>, old: Option<bool>, at: Option<Place>, what: String| {
        if new == Some(true) && old != Some(true) {
            add(rule, report, at, format!("{what} was deprecated."));
        }
    };
    for Pair { new, old } in &comparison.fields {
        let (now, before) = (new.options.known.deprecated, old.options.known.deprecated);
        let what = describe::field(comparison.new, new);
        newly(now, before, place(new.file, &new.path), what);
    }
    for Pair { new, old } in &comparison.messages {
        let (now, before) = (new.options.known.deprecated, old.options.known.deprecated);
        let what = format!("Message \"{}\"", new.full_name);
        newly(now, before, place(new.file, &new.path), what);
    }
    for Pair { new, old } in &comparison.enums {
        let (now, before) = (new.options.known.deprecated, old.options.known.deprecated);
        newly(
            now,
            before,
            place(new.file, &new.path),
            format!("Enum \"{}\"", new.full_name),
        );
    }
    for (service, Pair { new, old }) in &comparison.methods {
        let (now, before) = (new.options.known.deprecated, old.options.known.deprecated);
        let what = format!(
            "Method \"{}\" of service \"{}\"",
            new.name, service.new.full_name
        );
        newly(now, before, place(service.new.file, &new.path), what);
    }
}

fn strengthened(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for (service, Pair { new, old }) in &comparison.methods {
        if strength(new) > strength(old) {
            let message = format!(
                "Method \"{}\" of service \"{}\" now promises \"{}\".",
                new.name,
                service.new.full_name,
                level(new)
            );
            add(rule, report, place(service.new.file, &new.path), message);
        }
    }
}

fn loosened(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.fields {
        if is_loosened(new, old) {
            let message = format!(
                "{} has looser rules of buf.validate.",
                describe::field(comparison.new, new)
            );
            add(rule, report, place(new.file, &new.path), message);
        }
    }
}
