//! Rules on who may call a method: the options of `daemoneye/ipc/v1/options.proto`.
//!
//! **Invariant**: a method's own option counts, else its service's, else whoever may connect may call.

use std::collections::BTreeSet;

use super::super::describe;
use super::super::entry::Entry;
use super::super::pairs::{Comparison, Pair, place};
use super::IPC;
use crate::image::options::delimited;
use crate::image::{Method, Service};
use crate::rules::{Direction, Report, Rule};

/// The number of the options `access` of methods and `default_access` of services.
const ACCESS: u32 = 77_310;
/// The field `allow` of `Access`.
const ALLOW: u32 = 1;
/// Who lets everybody in.
const ANYONE: &str = "anyone";

pub(in super::super) const RULES: &[Entry] = &[
    Entry::wire(
        "IPC_ACCESS_NO_WIDEN",
        IPC,
        "Checks that methods are not opened to callers that were refused before.",
        Direction::OldClientNewServer,
        "Callers that the schema kept out are let in. Nothing fails, which is why it is easily overlooked.",
        |rule, comparison, report| changed(rule, comparison, report, added),
    )
    .fix("put the option back; if it is meant, have the change reviewed, and except this rule for the file"),
    Entry::wire(
        "IPC_ACCESS_NO_NARROW",
        IPC,
        "Checks that callers of methods are not shut out.",
        Direction::OldClientNewServer,
        "Calls of those callers end with PERMISSION_DENIED.",
        |rule, comparison, report| changed(rule, comparison, report, removed),
    )
    .fix("put the callers back until none of them calls the method any more"),
];

/// Who may call, in words of the option.
pub(in super::super) type Callers<'a> = BTreeSet<&'a str>;

/// What a change of callers means to a rule: `None` when nothing.
type Judge = fn(&Callers<'_>, &Callers<'_>) -> Option<String>;

fn changed(rule: &'static Rule, comparison: &Comparison<'_>, report: &mut Report, judge: Judge) {
    for (service, Pair { new, old }) in &comparison.methods {
        let (before, now) = (callers(service.old, old), callers(service.new, new));
        let Some(what) = judge(&before, &now) else {
            continue;
        };
        let message = format!(
            "Method \"{}\" of service \"{}\" {what}.",
            new.name, service.new.full_name
        );
        let at = place(service.new.file, &new.path);
        report.add(rule, at, place(service.old.file, &old.path), message);
    }
}

/// Who may call a method.
pub(in super::super) fn callers<'a>(service: &'a Service, method: &'a Method) -> Callers<'a> {
    let own = method.options.extension(ACCESS).last();
    let Some(access) = own.or_else(|| service.options.extension(ACCESS).last()) else {
        return Callers::from([ANYONE]);
    };
    let allowed = delimited(access).filter(|(number, _)| *number == ALLOW);
    allowed
        .filter_map(|(_, name)| std::str::from_utf8(name).ok())
        .collect()
}

fn added(before: &Callers<'_>, now: &Callers<'_>) -> Option<String> {
    if before.contains(ANYONE) {
        return None;
    }
    let added: Vec<&str> = now.difference(before).copied().collect();
    (!added.is_empty()).then(|| format!("may now be called by {} too", describe::quoted(added)))
}

fn removed(before: &Callers<'_>, now: &Callers<'_>) -> Option<String> {
    if now.contains(ANYONE) {
        return None;
    }
    let removed: Vec<&str> = before.difference(now).copied().collect();
    (!removed.is_empty())
        .then(|| format!("may no longer be called by {}", describe::quoted(removed)))
}
