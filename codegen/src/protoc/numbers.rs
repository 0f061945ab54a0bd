//! Reserved numbers and names, and the ranges of extensions: each number and name is spoken for once.
//!
//! **Invariant**: takes time that grows with the number of ranges, not with their square.

use std::collections::{HashMap, HashSet};

use prost_types::{DescriptorProto, EnumDescriptorProto};

use super::{Judge, child, positions, tag};

/// A range of numbers, both ends included.
struct Range {
    what: &'static str,
    start: i32,
    end: i32,
    path: Vec<i32>,
}

impl Range {
    fn text(&self) -> String {
        let (what, start, end) = (self.what, self.start, self.end);
        if start == end {
            format!("the {what} number {start}")
        } else {
            format!("the {what} range {start} to {end}")
        }
    }
}

impl Judge<'_> {
    pub(super) fn message_numbers(&mut self, message: &DescriptorProto, path: &[i32]) {
        let reserved = positions(&message.reserved_range).map(|(at, range)| Range {
            what: "reserved",
            start: range.start(),
            end: range.end() - 1,
            path: child(path, &[tag::message::RESERVED_RANGE, at]),
        });
        let extensions = positions(&message.extension_range).map(|(at, range)| Range {
            what: "extension",
            start: range.start(),
            end: range.end() - 1,
            path: child(path, &[tag::message::EXTENSION_RANGE, at]),
        });
        self.disjoint(reserved.chain(extensions).collect());
        let names = child(path, &[tag::message::RESERVED_NAME]);
        self.reserved_twice("field", &message.reserved_name, &names);
        let reserved = set(&message.reserved_name);
        for (at, field) in positions(&message.field) {
            if reserved.contains(field.name()) {
                let path = child(path, &[tag::message::FIELD, at, tag::field::NAME]);
                self.reserved_used("field", field.name(), &path);
            }
        }
    }

    pub(super) fn enum_numbers(&mut self, enumeration: &EnumDescriptorProto, path: &[i32]) {
        let reserved = positions(&enumeration.reserved_range).map(|(at, range)| Range {
            what: "reserved",
            start: range.start(),
            end: range.end(),
            path: child(path, &[tag::enumeration::RESERVED_RANGE, at]),
        });
        self.disjoint(reserved.collect());
        let names = child(path, &[tag::enumeration::RESERVED_NAME]);
        self.reserved_twice("enum value", &enumeration.reserved_name, &names);
        let reserved = set(&enumeration.reserved_name);
        for (at, value) in positions(&enumeration.value) {
            if reserved.contains(value.name()) {
                let name = [tag::enumeration::VALUE, at, tag::enumeration::NAME];
                self.reserved_used("enum value", value.name(), &child(path, &name));
            }
        }
    }

    /// Ranges that are empty, or that share numbers.
    fn disjoint(&mut self, ranges: Vec<Range>) {
        let (mut ranges, empty): (Vec<_>, Vec<_>) = ranges
            .into_iter()
            .partition(|range| range.start <= range.end);
        for range in empty {
            let message = format!("{} ends before it starts", range.text());
            self.refuse(&range.path, message, "write the smaller number first");
        }
        ranges.sort_by(|a, b| (a.start, &a.path).cmp(&(b.start, &b.path)));
        let mut widest = 0;
        for at in 1..ranges.len() {
            if ranges[at].start <= ranges[widest].end {
                let (one, two) = (&ranges[widest], &ranges[at]);
                let (first, second) = if one.path < two.path {
                    (one, two)
                } else {
                    (two, one)
                };
                let message = format!("{} overlaps {}", second.text(), first.text());
                let path = second.path.clone();
                self.refuse(
                    &path,
                    message,
                    "take the numbers that are there twice out of one",
                );
            }
            if ranges[at].end > ranges[widest].end {
                widest = at;
            }
        }
    }

    fn reserved_twice(&mut self, what: &str, names: &[String], path: &[i32]) {
        let mut seen = HashMap::new();
        for (at, name) in positions(names) {
            if seen.insert(name, at).is_some() {
                self.refuse(
                    &child(path, &[at]),
                    format!("the {what} name `{name}` is reserved twice"),
                    "remove one of the two",
                );
            }
        }
    }

    fn reserved_used(&mut self, what: &str, name: &str, path: &[i32]) {
        self.refuse(
            path,
            format!("the {what} name `{name}` is reserved"),
            format!(
                "take another name; or remove the reservation, when no message with the old `{name}` \
                 can be met any more"
            ),
        );
    }
}

fn set(names: &[String]) -> HashSet<&str> {
    names.iter().map(String::as_str).collect()
}
