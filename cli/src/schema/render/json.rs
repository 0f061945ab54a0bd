//! A JSON object on a line for each finding.
//!
//! **Invariant**: buf's keys come first, with buf's values.

use std::io::{self, Write};

use super::Findings;
use crate::output::Output;

pub(super) fn render<W: Write>(findings: &Findings<'_>, out: &mut Output<W>) -> io::Result<()> {
    for finding in findings.list {
        out.json_line(finding)?;
    }
    Ok(())
}
