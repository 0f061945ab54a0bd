//! Rules on what the wire of this product depends on, and other wires do not.
//!
//! Methods are called by their ordinal, a hash of the full names of service and method; messages are validated by
//! rules of their schema; the schema says what may be repeated, and who may call. What a number or an ordinal meant once, in
//! any release, it means forever.
//!
//! **Invariant**: a rule here never repeats one of buf's; the category holds both.

mod access;
mod methods;
mod names;
mod reach;
pub(super) mod reuse;
mod tighter;
mod validation;

pub(super) use self::access::{Callers, callers};
pub(super) use self::methods::{moved, renamed};
pub(super) use self::tighter::shown;
pub(super) use self::validation::{field_rules, is_loosened, message_rules, oneof_rules};
use super::entry::Entry;

/// The category.
const IPC: &[&str] = &[super::IPC];

/// All of them.
pub(super) const GROUPS: [&[Entry]; 4] = [
    access::RULES,
    methods::RULES,
    names::RULES,
    validation::RULES,
];
