//! Rules on reserved numbers and names, and on the ranges of extensions.
//!
//! **Invariant**: ranges may be cut and joined at will, as long as no number is lost.

use super::entry::Entry;
use super::names::{REGISTRY_SOURCE, WIRE};
use super::pairs::{Comparison, Pair, place};
use crate::image::{Message, NumberRange, Place};
use crate::rules::{Direction, Report, Rule};

/// The greatest number of a field.
const LAST_FIELD: i32 = (1 << 29) - 1;
/// The greatest number of an extension of a message set.
const LAST_IN_SET: i32 = i32::MAX - 1;

/// Why reserved numbers and names stay reserved.
const RESERVED: &str = "What was reserved was in use once: whoever takes it again gives peers and stored data of that time another \
     meaning.";

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "EXTENSION_MESSAGE_NO_DELETE",
        REGISTRY_SOURCE,
        "Checks that extension ranges are not deleted from a given message.",
        "Extensions that others declared in the range are no longer valid.",
        extensions,
    ),
    Entry::wire(
        "RESERVED_ENUM_NO_DELETE",
        WIRE,
        "Checks that reserved ranges and names are not deleted from a given enum.",
        Direction::Both,
        RESERVED,
        reserved_in_enums,
    ),
    Entry::wire(
        "RESERVED_MESSAGE_NO_DELETE",
        WIRE,
        "Checks that reserved ranges and names are not deleted from a given message.",
        Direction::Both,
        RESERVED,
        reserved_in_messages,
    ),
];

/// A message or an enum, in both schemas.
struct Owner<'a> {
    word: &'a str,
    name: &'a str,
    last: i32,
    at: Option<Place>,
    against: Option<Place>,
}

fn extensions(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.messages {
        let ranges = |message: &Message| -> Vec<NumberRange> {
            message
                .extension_ranges
                .iter()
                .map(|extension| extension.range)
                .collect()
        };
        numbers(
            rule,
            report,
            &message_owner(new, old),
            "extension",
            (&ranges(old), &ranges(new)),
        );
    }
}

fn reserved_in_messages(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.messages {
        let owner = message_owner(new, old);
        numbers(
            rule,
            report,
            &owner,
            "reserved",
            (&old.reserved_ranges, &new.reserved_ranges),
        );
        names(
            rule,
            report,
            &owner,
            (&old.reserved_names, &new.reserved_names),
        );
    }
}

fn reserved_in_enums(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.enums {
        let owner = Owner {
            word: "enum",
            name: &new.name,
            last: i32::MAX,
            at: place(new.file, &new.path),
            against: place(old.file, &old.path),
        };
        numbers(
            rule,
            report,
            &owner,
            "reserved",
            (&old.reserved_ranges, &new.reserved_ranges),
        );
        names(
            rule,
            report,
            &owner,
            (&old.reserved_names, &new.reserved_names),
        );
    }
}

fn message_owner<'a>(new: &'a Message, old: &Message) -> Owner<'a> {
    let is_set = new.options.known.message_set_wire_format == Some(true);
    Owner {
        word: "message",
        name: &new.name,
        last: if is_set { LAST_IN_SET } else { LAST_FIELD },
        at: place(new.file, &new.path),
        against: place(old.file, &old.path),
    }
}

fn numbers(
    rule: &'static Rule,
    report: &mut Report,
    owner: &Owner<'_>,
    kind: &str,
    (old, new): (&[NumberRange], &[NumberRange]),
) {
    if old.is_empty() {
        return;
    }
    let joined = joined(new);
    for range in old {
        let missing = missing(*range, &joined);
        if missing.is_empty() {
            continue;
        }
        let removed: Vec<String> = missing
            .iter()
            .map(|range| shown(*range, owner.last))
            .collect();
        let message = format!(
            "Previously present {kind} range \"{}\" on {} \"{}\" is missing values: {} were removed.",
            shown(*range, owner.last),
            owner.word,
            owner.name,
            removed.join(", ")
        );
        let draft = report.add(rule, owner.at.clone(), owner.against.clone(), message);
        let word = if kind == "extension" {
            "extensions"
        } else {
            "reserved"
        };
        let lines: Vec<String> = missing
            .iter()
            .map(|range| pasted(word, *range, owner.last))
            .collect();
        draft.fix = format!(
            "write into `{} {}`\n{}",
            owner.word,
            owner.name,
            lines.join("\n")
        );
    }
}

fn names(
    rule: &'static Rule,
    report: &mut Report,
    owner: &Owner<'_>,
    (old, new): (&[String], &[String]),
) {
    for name in old.iter().filter(|name| !new.contains(name)) {
        let message = format!(
            "Previously present reserved name \"{name}\" on {} \"{}\" was deleted.",
            owner.word, owner.name
        );
        let draft = report.add(rule, owner.at.clone(), owner.against.clone(), message);
        draft.fix = format!(
            "write into `{} {}`\n    reserved \"{name}\";",
            owner.word, owner.name
        );
    }
}

/// Ranges in order, without gaps of no numbers between them.
fn joined(ranges: &[NumberRange]) -> Vec<NumberRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort();
    let mut joined: Vec<NumberRange> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(1) => {
                last.end = last.end.max(range.end)
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// What of `range` is in none of `joined`.
fn missing(range: NumberRange, joined: &[NumberRange]) -> Vec<NumberRange> {
    let (mut missing, mut start) = (Vec::new(), i64::from(range.start));
    let mut push = |start: i64, end: i64| {
        if let (Ok(start), Ok(end)) = (i32::try_from(start), i32::try_from(end))
            && start <= end
        {
            missing.push(NumberRange { start, end });
        }
    };
    let touching = joined
        .iter()
        .filter(|other| other.end >= range.start && other.start <= range.end);
    for other in touching {
        push(start, i64::from(other.start) - 1);
        start = i64::from(other.end) + 1;
    }
    push(start, i64::from(range.end));
    missing
}

/// A range as messages show it.
fn shown(NumberRange { start, end }: NumberRange, last: i32) -> String {
    if start == end {
        format!("[{start}]")
    } else if end == last {
        format!("[{start},max]")
    } else {
        format!("[{start},{end}]")
    }
}

/// A range as a schema has it.
fn pasted(word: &str, NumberRange { start, end }: NumberRange, last: i32) -> String {
    if start == end {
        format!("    {word} {start};")
    } else if end == last {
        format!("    {word} {start} to max;")
    } else {
        format!("    {word} {start} to {end};")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i32, end: i32) -> NumberRange {
        NumberRange { start, end }
    }

    #[test]
    fn only_lost_numbers_are_missing() {
        let new = joined(&[
            range(8, 9),
            range(1, 3),
            range(4, 5),
            range(i32::MAX, i32::MAX),
        ]);
        assert_eq!(new, [range(1, 5), range(8, 9), range(i32::MAX, i32::MAX)]);
        for (old, expected) in [
            (range(2, 5), vec![]),
            (range(0, 10), vec![range(0, 0), range(6, 7), range(10, 10)]),
            (range(6, 7), vec![range(6, 7)]),
            (range(9, 12), vec![range(10, 12)]),
            (range(i32::MIN, 0), vec![range(i32::MIN, 0)]),
            (range(10, i32::MAX), vec![range(10, i32::MAX - 1)]),
        ] {
            assert_eq!(missing(old, &new), expected, "{old:?}");
        }
    }
}
