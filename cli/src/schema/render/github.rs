//! Workflow commands of GitHub, which it shows as annotations beside the lines of a change.
//!
//! **Invariant**: a finding is one line, whatever its texts hold.

use std::io::{self, Write};

use daemoneye_ipc_codegen::rules::{Finding, Severity};

use super::Findings;
use crate::output::Output;

pub(super) fn render<W: Write>(findings: &Findings<'_>, out: &mut Output<W>) -> io::Result<()> {
    for finding in findings.list {
        out.raw(command(findings, finding))?;
    }
    Ok(())
}

fn command(findings: &Findings<'_>, finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = format!("title={}", property(finding.rule));
    if let Some(place) = findings.place(finding) {
        let span = place.span;
        let (file, line) = (property(&place.file), span.start_line);
        properties.push_str(&format!(
            ",file={file},line={line},endLine={}",
            span.end_line
        ));
        // Columns of an annotation mean something on a single line alone.
        if line == span.end_line {
            let (first, last) = (span.start_column, span.end_column);
            properties.push_str(&format!(",col={first},endColumn={last}"));
        }
    }
    format!("::{level} {properties}::{}", data(&super::words(finding)))
}

fn data(text: &str) -> String {
    let text = text.replace('%', "%25");
    text.replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
