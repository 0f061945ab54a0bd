//! Rules on services and methods that are gone, and on what methods promise.
//!
//! **Invariant**: a method is gone when nothing has its ordinal; where it went is a guess, and said as one.

use super::super::entry::Entry;
use super::super::files::whole;
use super::super::methods::{level, strength};
use super::super::pairs::{Comparison, Pair, place};
use super::IPC;
use crate::image::{Method, Service};
use crate::rules::{Direction, Report, Rule};

const ORDINAL: &str = "A call names its method by a hash of the full names of service and method. A server that has no such method \
     answers UNIMPLEMENTED.";

pub(in super::super) const RULES: &[Entry] = &[
    Entry::wire(
        "IPC_METHOD_NO_DELETE",
        IPC,
        "Checks that methods are not deleted or renamed.",
        Direction::OldClientNewServer,
        ORDINAL,
        method_deleted,
    ),
    Entry::wire(
        "IPC_SERVICE_NO_DELETE",
        IPC,
        "Checks that services are not deleted, renamed or moved to another package.",
        Direction::OldClientNewServer,
        ORDINAL,
        service_deleted,
    ),
    Entry::wire(
        "IPC_IDEMPOTENCY_NO_WEAKEN",
        IPC,
        "Checks that methods keep the promise of their idempotency_level, or make a stronger one.",
        Direction::OldClientNewServer,
        "Clients repeat a call by what the schema that they were built from promised: an effect that was ruled out may \
         happen twice.",
        weakened,
    )
    .fix(
        "put the option back, and keep the promise; or add a method under another name that does not make it, and \
         deprecate the old one",
    ),
];

fn method_deleted(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for Pair { new, old } in &comparison.services {
        for gone in &old.methods {
            if new.methods.iter().any(|method| method.name == gone.name) {
                continue;
            }
            let renamed = renamed(gone, new, old);
            let message = match renamed {
                Some(to) => format!(
                    "Method \"{}\" of service \"{}\" was deleted; it looks as if it were renamed to \"{}\".",
                    gone.name, new.full_name, to.name
                ),
                None => format!(
                    "Method \"{}\" of service \"{}\" was deleted.",
                    gone.name, new.full_name
                ),
            };
            let at = renamed.map_or(&new.path, |method| &method.path);
            let draft = report.add(
                rule,
                place(new.file, at),
                place(old.file, &gone.path),
                message,
            );
            if renamed.is_some() {
                draft.direction = Some(Direction::Both);
            }
            draft.fix = format!(
                "put it back into `service {}`, deprecated, and delete it when no client calls it any more:\n{}",
                new.name,
                deprecated(gone)
            );
        }
    }
}

/// A method that is new, and takes and gives what `gone` did.
pub(in super::super) fn renamed<'a>(
    gone: &Method,
    new: &'a Service,
    old: &Service,
) -> Option<&'a Method> {
    let is_new = |method: &&Method| old.methods.iter().all(|other| other.name != method.name);
    let alike = |method: &&Method| {
        let shape = |method: &Method| {
            (
                method.input.clone(),
                method.output.clone(),
                method.client_streaming,
                method.server_streaming,
            )
        };
        shape(method) == shape(gone)
    };
    new.methods.iter().filter(is_new).find(alike)
}

/// A method as a schema has it, marked as deprecated.
fn deprecated(method: &Method) -> String {
    let stream = |yes| if yes { "stream " } else { "" };
    let level = match level(method) {
        "IDEMPOTENCY_UNKNOWN" => String::new(),
        level => format!("      option idempotency_level = {level};\n"),
    };
    format!(
        "    rpc {}({}{}) returns ({}{}) {{\n      option deprecated = true;\n{level}    }}",
        method.name,
        stream(method.client_streaming),
        method.input,
        stream(method.server_streaming),
        method.output
    )
}

fn service_deleted(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for old in comparison.old.services() {
        if comparison.new.service_named(&old.full_name).is_some() {
            continue;
        }
        let moved = moved(comparison, old);
        let message = match moved {
            Some(to) => format!(
                "Service \"{}\" was deleted; it looks as if it had become \"{}\".",
                old.full_name, to.full_name
            ),
            None => format!("Service \"{}\" was deleted.", old.full_name),
        };
        let file = comparison.new.file_at(&comparison.old.file(old.file).path);
        let at = match moved {
            Some(to) => place(to.file, &to.path),
            None => file.and_then(whole),
        };
        let draft = report.add(rule, at, place(old.file, &old.path), message);
        if moved.is_some() {
            draft.direction = Some(Direction::Both);
        }
        draft.fix = format!(
            "put `service {}` back, with `option deprecated = true;`, and serve it beside what takes its place until no \
             client calls it any more",
            old.name
        );
    }
}

/// A service that is new, and has all the methods of the one that is gone.
pub(in super::super) fn moved<'a>(
    comparison: &Comparison<'a>,
    gone: &Service,
) -> Option<&'a Service> {
    let is_new = |service: &&Service| comparison.old.service_named(&service.full_name).is_none();
    let has_all = |service: &&Service| {
        let has = |name: &str| service.methods.iter().any(|method| method.name == name);
        !gone.methods.is_empty() && gone.methods.iter().all(|method| has(&method.name))
    };
    comparison
        .new
        .services()
        .iter()
        .filter(is_new)
        .find(has_all)
}

fn weakened(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report) {
    for (service, Pair { new, old }) in &comparison.methods {
        if strength(new) >= strength(old) {
            continue;
        }
        let message = format!(
            "Method \"{}\" of service \"{}\" no longer promises \"{}\", but \"{}\".",
            new.name,
            service.new.full_name,
            level(old),
            level(new)
        );
        let path = |method: &Method| [&*method.path, &[4, 34]].concat();
        let at = comparison.first(service.new.file, &[&path(new), &new.path]);
        let against = comparison.first_old(service.old.file, &[&path(old), &old.path]);
        report.add(rule, at, against, message);
    }
}
