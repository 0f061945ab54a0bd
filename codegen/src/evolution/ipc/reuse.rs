//! Rules on numbers and ordinals that are taken up again, over the whole history.
//!
//! Two schemas do not show it: the release in between has no trace of what was deleted, unless it was reserved.
//!
//! **Invariant**: what is in the last release is none of these rules' business, and what comes back as it was is no
//! reuse.

use std::collections::BTreeMap;

use super::super::describe;
use super::super::entry::HistoryEntry;
use super::super::pairs::place;
use super::IPC;
use crate::image::{Enum, EnumValue, Field, Image, Message, Method, Place, Service};
use crate::rules::{Report, Rule};

pub(in super::super) const RULES: &[HistoryEntry] = &[
    HistoryEntry::new(
        "IPC_FIELD_NO_REUSE",
        IPC,
        "Checks that the number of a field of any earlier release is not given to another field.",
        "A peer of that release takes the one field for the other, and so does whoever reads what was stored then.",
        fields,
    ),
    HistoryEntry::new(
        "IPC_ENUM_VALUE_NO_REUSE",
        IPC,
        "Checks that the number of an enum value of any earlier release is not given to another value.",
        "A peer of that release takes the one value for the other, and so does whoever reads what was stored then.",
        values,
    ),
    HistoryEntry::new(
        "IPC_METHOD_NO_REUSE",
        IPC,
        "Checks that a method of any earlier release does not come back with other messages.",
        "A call names its method by a hash of the full names of service and method: a client of that release calls the new \
         method with the old request.",
        methods,
    ),
];

/// The schemas of the earlier releases: from the first to the last.
pub(in super::super) type Releases<'a> = [&'a Image];

/// The last release, and those before it from the newest to the oldest, each with a report of its own.
fn split<'a, 'r>(
    releases: &'a Releases<'a>,
    reports: &'r mut [Report],
) -> Option<(&'a Image, impl Iterator<Item = (&'a Image, &'r mut Report)>)> {
    let (last, earlier) = releases.split_last()?;
    Some((last, earlier.iter().copied().zip(reports).rev()))
}

fn fields(rule: &'static Rule, new: &Image, releases: &Releases<'_>, reports: &mut [Report]) {
    let Some((last, earlier)) = split(releases, reports) else {
        return;
    };
    let mut open: BTreeMap<(&str, i32), (&Message, &Field)> = BTreeMap::new();
    for message in new
        .messages()
        .iter()
        .filter(|message| !message.is_map_entry())
    {
        let before = last.message_named(&message.full_name);
        for field in &message.fields {
            if before
                .and_then(|before| numbered(before, field.number))
                .is_none()
            {
                open.insert((&message.full_name, field.number), (message, field));
            }
        }
    }
    for (old, report) in earlier {
        open.retain(|(name, number), (message, field)| {
            let before = old.message_named(name);
            let Some((before, used)) =
                before.and_then(|before| Some((before, numbered(before, *number)?)))
            else {
                return true;
            };
            if meaning(used, before) != meaning(field, message) {
                let said = format!(
                    "{} takes the number of {}, which was deleted.",
                    describe::field(new, field),
                    describe::inside(&describe::field(old, used)),
                );
                let (at, against) = (place(field.file, &field.path), place(used.file, &used.path));
                let all = [new].into_iter().chain(releases.iter().copied());
                let all = all.filter_map(|image| image.message_named(name));
                let numbers = all
                    .flat_map(|message| &message.fields)
                    .map(|field| field.number);
                let fix = advice("message", &message.name, numbers, *number, &[&used.name]);
                report.add(rule, at, against, said).fix = fix;
            }
            false
        });
    }
}

fn numbered(message: &Message, number: i32) -> Option<&Field> {
    message.fields.iter().find(|field| field.number == number)
}

/// What a field is to those who read it.
fn meaning<'a>(
    field: &'a Field,
    message: &'a Message,
) -> (&'a str, &'static str, &'a str, bool, Option<&'a str>) {
    let oneof = field.oneof.and_then(|at| message.oneofs.get(at));
    let oneof = oneof.filter(|oneof| !oneof.is_synthetic);
    (
        &field.name,
        field.encoding().name(),
        &field.type_name,
        field.label == crate::image::Label::Repeated,
        oneof.map(|oneof| &*oneof.name),
    )
}

fn values(rule: &'static Rule, new: &Image, releases: &Releases<'_>, reports: &mut [Report]) {
    let Some((last, earlier)) = split(releases, reports) else {
        return;
    };
    let mut open: BTreeMap<(&str, i32), (&Enum, &EnumValue)> = BTreeMap::new();
    for item in new.enums() {
        let before = last.enum_named(&item.full_name);
        let known = |number| {
            before.is_some_and(|before| before.values.iter().any(|value| value.number == number))
        };
        for value in item.values.iter().filter(|value| !known(value.number)) {
            open.entry((&item.full_name, value.number))
                .or_insert((item, value));
        }
    }
    for (old, report) in earlier {
        open.retain(|(name, number), (item, value)| {
            let named = |item: &'_ Enum| -> Vec<String> {
                let values = item.values.iter().filter(|value| value.number == *number);
                values.map(|value| value.name.clone()).collect()
            };
            let Some(before) = old.enum_named(name) else {
                return true;
            };
            let (used, now) = (named(before), named(item));
            let Some(first) = before.values.iter().find(|value| value.number == *number) else {
                return true;
            };
            if !used.iter().any(|name| now.contains(name)) {
                let said = format!(
                    "Enum value \"{number}\" with name \"{}\" on enum \"{}\" takes the number of {}, which was deleted.",
                    value.name,
                    item.name,
                    describe::quoted(used.iter().map(String::as_str)),
                );
                let (at, against) = (place(item.file, &value.path), place(before.file, &first.path));
                let all = [new].into_iter().chain(releases.iter().copied());
                let all = all.filter_map(|image| image.enum_named(name));
                let numbers = all.flat_map(|item| &item.values).map(|value| value.number);
                let used: Vec<&str> = used.iter().map(String::as_str).collect();
                let fix = advice("enum", &item.name, numbers, *number, &used);
                report.add(rule, at, against, said).fix = fix;
            }
            false
        });
    }
}

fn methods(rule: &'static Rule, new: &Image, releases: &Releases<'_>, reports: &mut [Report]) {
    let Some((last, earlier)) = split(releases, reports) else {
        return;
    };
    let method = |service: &'_ Service, name: &str| -> Option<(Shape, Option<Place>)> {
        let found = service.methods.iter().find(|method| method.name == name)?;
        Some((shape(found), place(service.file, &found.path)))
    };
    let mut open: BTreeMap<(&str, &str), (&Service, &Method)> = BTreeMap::new();
    for service in new.services() {
        let before = last.service_named(&service.full_name);
        for each in &service.methods {
            if before
                .and_then(|before| method(before, &each.name))
                .is_none()
            {
                open.insert((&service.full_name, &each.name), (service, each));
            }
        }
    }
    for (old, report) in earlier {
        open.retain(|(service, name), (now, each)| {
            let before = old.service_named(service);
            let Some((used, against)) = before.and_then(|before| method(before, name)) else {
                return true;
            };
            if used != shape(each) {
                let said = format!(
                    "Method \"{name}\" of service \"{service}\" takes the ordinal of one of that name, which was deleted and had {}.",
                    used.words()
                );
                let draft = report.add(rule, place(now.file, &each.path), against, said);
                draft.fix = format!("give the method a name that `service {}` never had", now.name);
            }
            false
        });
    }
}

/// What a method takes and gives.
#[derive(PartialEq, Eq)]
struct Shape {
    input: (bool, String),
    output: (bool, String),
}

impl Shape {
    fn words(&self) -> String {
        let side = |(streams, name): &(bool, String)| {
            let stream = if *streams { "stream " } else { "" };
            format!("{stream}{name}")
        };
        format!("({}) returns ({})", side(&self.input), side(&self.output))
    }
}

fn shape(method: &Method) -> Shape {
    Shape {
        input: (method.client_streaming, method.input.clone()),
        output: (method.server_streaming, method.output.clone()),
    }
}

/// What to do about a number that is taken up again; `numbers` were ever in use.
fn advice(
    word: &str,
    owner: &str,
    numbers: impl Iterator<Item = i32>,
    number: i32,
    names: &[&str],
) -> String {
    let free = numbers.max().map_or(1, |last| last.saturating_add(1));
    format!(
        "give it a number that was never used, such as {free}; and write into `{word} {owner}`\n    reserved {number};\n    \
         reserved {};",
        describe::quoted(names.iter().copied())
    )
}
