//! Rules on methods.
//!
//! **Invariant**: a method is told by the full name of its service and its own.

use super::entry::Entry;
use super::names::{OTHER_WIRES, SOURCE, WIRE};
use super::pairs::{Comparison, Pair, place};
use crate::image::{Method, Service};
use crate::rules::{Direction, Report, Rule};

/// What one method's two versions are called in messages.
type Words = fn(&Method) -> String;

/// The fields that lead from a method to its parts.
const INPUT: i32 = 2;
const OUTPUT: i32 = 3;
const IDEMPOTENCY: [i32; 2] = [4, 34];

const STREAMS: &str = "The two sides disagree on whether there is one message or a stream of them, and the call ends with an error.";
const TYPES: &str = "The bytes of one message are read as another: values get lost or change their meaning without an error.";

pub(super) const RULES: &[Entry] = &[
    Entry::source(
        "RPC_NO_DELETE",
        SOURCE,
        "Checks that rpcs are not deleted from a given service.",
        "Code that calls or serves the method no longer compiles.",
        deleted,
    ),
    Entry::wire(
        "RPC_SAME_CLIENT_STREAMING",
        WIRE,
        "Checks that rpcs have the same client streaming value.",
        Direction::Both,
        STREAMS,
        |rule, comparison, report| {
            streaming(rule, comparison, report, "client", |method| {
                method.client_streaming
            })
        },
    )
    .fix(ANOTHER_METHOD),
    Entry::wire(
        "RPC_SAME_SERVER_STREAMING",
        WIRE,
        "Checks that rpcs have the same server streaming value.",
        Direction::Both,
        STREAMS,
        |rule, comparison, report| {
            streaming(rule, comparison, report, "server", |method| {
                method.server_streaming
            })
        },
    )
    .fix(ANOTHER_METHOD),
    Entry::wire(
        "RPC_SAME_IDEMPOTENCY_LEVEL",
        OTHER_WIRES,
        "Checks that rpcs have the same value for the idempotency_level option.",
        Direction::Both,
        "Clients repeat calls by what the schema promised them: an effect that the old schema ruled out may happen \
         twice.",
        idempotency,
    ),
    Entry::wire(
        "RPC_SAME_REQUEST_TYPE",
        WIRE,
        "Checks that rpcs are have the same request type.",
        Direction::Both,
        TYPES,
        |rule, comparison, report| {
            types(rule, comparison, report, ("request", INPUT), |method| {
                method.input.clone()
            })
        },
    )
    .fix(ANOTHER_METHOD),
    Entry::wire(
        "RPC_SAME_RESPONSE_TYPE",
        WIRE,
        "Checks that rpcs are have the same response type.",
        Direction::Both,
        TYPES,
        |rule, comparison, report| {
            types(rule, comparison, report, ("response", OUTPUT), |method| {
                method.output.clone()
            })
        },
    )
    .fix(ANOTHER_METHOD),
];

const ANOTHER_METHOD: &str = "undo the change, and add a method under another name; the old one gets `option deprecated = true;` until \
     nobody calls it";

fn deleted(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.services {
        for method in &old.methods {
            if new.methods.iter().all(|other| other.name != method.name) {
                let message = format!(
                    "Previously present RPC \"{}\" on service \"{}\" was deleted.",
                    method.name, new.name
                );
                report.add(
                    rule,
                    place(new.file, &new.path),
                    place(old.file, &method.path),
                    message,
                );
            }
        }
    }
}

fn subject(service: &Service, method: &Method) -> String {
    format!("RPC \"{}\" on service \"{}\"", method.name, service.name)
}

fn streaming(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    side: &str,
    streams: fn(&Method) -> bool,
) {
    for (service, Pair { new, old }) in &comparison.methods {
        if streams(new) == streams(old) {
            continue;
        }
        let word = |method| {
            if streams(method) {
                "streaming"
            } else {
                "unary"
            }
        };
        let message = format!(
            "{} changed from {side} {} to {side} {}.",
            subject(service.new, new),
            word(old),
            word(new)
        );
        let (at, against) = (
            place(service.new.file, &new.path),
            place(service.old.file, &old.path),
        );
        report.add(rule, at, against, message);
    }
}

fn types(
    rule: &'static Rule,
    comparison: &Comparison<'_>,
    report: &mut Report,
    (word, part): (&str, i32),
    name: Words,
) {
    for (service, Pair { new, old }) in &comparison.methods {
        let (before, now) = (name(old), name(new));
        if before == now {
            continue;
        }
        let message = format!(
            "{} changed {word} type from \"{before}\" to \"{now}\".",
            subject(service.new, new)
        );
        let path = |method: &Method| [&*method.path, &[part]].concat();
        let at = comparison.first(service.new.file, &[&path(new)]);
        report.add(
            rule,
            at,
            comparison.first_old(service.old.file, &[&path(old)]),
            message,
        );
    }
}

fn idempotency(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for (service, Pair { new, old }) in &comparison.methods {
        let (before, now) = (level(old), level(new));
        if before == now {
            continue;
        }
        let message = format!(
            "{} changed option \"idempotency_level\" from \"{before}\" to \"{now}\".",
            subject(service.new, new)
        );
        let path = |method: &Method| [&*method.path, &IDEMPOTENCY].concat();
        let at = comparison.first(service.new.file, &[&path(new)]);
        report.add(
            rule,
            at,
            comparison.first_old(service.old.file, &[&path(old)]),
            message,
        );
    }
}

/// The name of a method's `idempotency_level`.
pub(super) fn level(method: &Method) -> &'static str {
    match method.options.known.idempotency_level {
        Some(1) => "NO_SIDE_EFFECTS",
        Some(2) => "IDEMPOTENT",
        _ => "IDEMPOTENCY_UNKNOWN",
    }
}

/// How much a method's `idempotency_level` promises.
pub(super) fn strength(method: &Method) -> u8 {
    match method.options.known.idempotency_level {
        Some(1) => 2,
        Some(2) => 1,
        _ => 0,
    }
}
