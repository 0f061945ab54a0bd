//! The rule on rules: `buf.validate` may be loosened, not tightened.
//!
//! **Invariant**: what cannot be told to be looser counts as tighter: expressions in CEL, patterns, formats.

use super::super::describe;
use super::super::entry::Entry;
use super::super::pairs::{Comparison, Pair, place};
use super::tighter::{self, Rules};
use super::{IPC, reach::Ways};
use crate::image::{Field, Message, Oneof};
use crate::rules::{Direction, Report, Rule};

/// The number of the options `buf.validate.field`, `.message` and `.oneof`.
const VALIDATE: u32 = 1159;
/// The same in a path, below the options of a field.
const FIELD_RULES: [i32; 2] = [8, 1159];

pub(in super::super) const RULES: &[Entry] = &[Entry::wire(
    "IPC_VALIDATION_NO_TIGHTEN",
    IPC,
    "Checks that rules of buf.validate are not made tighter.",
    Direction::Both,
    "Peers of before send what was allowed then, and have it refused with INVALID_ARGUMENT.",
    tightened,
)
.fix(
    "loosen the rule to what it was; to be stricter, check in the handler first and log, and tighten the schema when \
     nobody sends such values any more",
)];

fn tightened(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    let ways = Ways::of(comparison.new);
    for pair in &comparison.fields {
        let Pair { new, old } = pair;
        let (now, before) = (field_rules(new), field_rules(old));
        for what in tighter::compared(&before, &now) {
            let subject = describe::field(comparison.new, new);
            add(
                rule,
                comparison,
                report,
                &ways,
                (new, Some(old)),
                &format!("{subject}: {what}."),
            );
        }
    }
    for Pair { new, old } in &comparison.messages {
        for field in &new.fields {
            if old.fields.iter().any(|other| other.number == field.number) {
                continue;
            }
            if let Some(what) = tighter::of_added(&field_rules(field), field.has_presence()) {
                let subject = describe::field(comparison.new, field);
                let message =
                    format!("{subject} is new, and {what}, which no peer of before can meet.");
                add(rule, comparison, report, &ways, (field, None), &message);
            }
        }
        whole(rule, report, &ways, new, old);
    }
}

/// Whether the rules of a field ask for less than before, and for nothing more.
pub(in super::super) fn is_loosened(new: &Field, old: &Field) -> bool {
    let (now, before) = (field_rules(new), field_rules(old));
    now != before && tighter::compared(&before, &now).is_empty()
}

/// The rules of a field.
pub(in super::super) fn field_rules(field: &Field) -> Rules {
    tighter::field(field.options.extension(VALIDATE))
}

/// The rules of a message as a whole.
pub(in super::super) fn message_rules(message: &Message) -> Rules {
    tighter::message(message.options.extension(VALIDATE))
}

/// The rules of a oneof.
pub(in super::super) fn oneof_rules(oneof: &Oneof) -> Rules {
    tighter::oneof(oneof.options.extension(VALIDATE))
}

fn add(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    ways: &Ways<'_>,
    (new, old): (&Field, Option<&Field>),
    message: &str,
) {
    let path = |field: &Field| [&*field.path, &FIELD_RULES].concat();
    let at = comparison.first(new.file, &[&path(new), &new.path]);
    let against = old.and_then(|old| comparison.first_old(old.file, &[&path(old), &old.path]));
    let parent = new.parent.map(|id| &*comparison.new.message(id).full_name);
    let draft = report.add(rule, at, against, message.to_owned());
    draft.direction = Some(ways.direction(parent.unwrap_or_default()));
}

/// The rules of a message as a whole, and of its oneofs.
fn whole(rule: &'static Rule, report: &mut Report, ways: &Ways<'_>, new: &Message, old: &Message) {
    let mut found: Vec<String> = tighter::compared(&message_rules(old), &message_rules(new));
    for oneof in &new.oneofs {
        let before = old.oneofs.iter().find(|other| other.name == oneof.name);
        let before = before.map(oneof_rules).unwrap_or_default();
        let tighter = tighter::compared(&before, &oneof_rules(oneof));
        found.extend(
            tighter
                .into_iter()
                .map(|what| format!("oneof \"{}\": {what}", oneof.name)),
        );
    }
    for what in found {
        let message = format!("Message \"{}\": {what}.", new.name);
        let (at, against) = (place(new.file, &new.path), place(old.file, &old.path));
        report.add(rule, at, against, message).direction = Some(ways.direction(&new.full_name));
    }
}
