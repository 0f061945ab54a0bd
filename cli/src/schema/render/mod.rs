//! How findings are shown: one file per format.
//!
//! **Invariant**: every format shows every finding, in the order it was given.

mod json;
mod text;

use std::io::{self, Write};

use daemoneye_ipc_codegen::{image::Image, rules::Finding};

use crate::{args::Format, output::Output};

/// What there is to show.
pub(crate) struct Findings<'a> {
    /// What was found.
    pub(crate) list: &'a [Finding],
    /// The schemas that were checked.
    pub(crate) new: &'a Image,
    /// The schemas they were compared with.
    pub(crate) old: Option<&'a Image>,
    /// What was done, as in `compared with old/`.
    pub(crate) subject: &'a str,
}

/// Writes findings in a format.
pub(crate) fn render<W: Write>(
    format: Format,
    findings: &Findings<'_>,
    out: &mut Output<W>,
) -> io::Result<()> {
    match format {
        Format::Text => text::render(findings, out),
        Format::Json => json::render(findings, out),
    }
}
