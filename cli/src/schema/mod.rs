//! What the commands on schemas have in common: where schemas come from, and how findings are shown.
//!
//! **Invariant**: no rule is judged here; that is the library's.

pub(crate) mod against;
pub(crate) mod docs;
mod git;
pub(crate) mod render;
pub(crate) mod source;

use daemoneye_ipc_codegen::rules::config::{Config, Section};

use crate::args::RuleArgs;

/// What exit codes of rules mean.
pub(crate) const CLEAN: u8 = 0;
pub(crate) const FOUND: u8 = 100;

/// Has the command line decide where it says something, in the section that `section` picks.
pub(crate) fn overrule(
    config: &mut Config,
    args: &RuleArgs,
    section: fn(&mut Config) -> Vec<&mut Section>,
) {
    for section in section(config) {
        if !args.used.is_empty() {
            section.used.clone_from(&args.used);
        }
        section.except.extend(args.except.iter().cloned());
    }
}
