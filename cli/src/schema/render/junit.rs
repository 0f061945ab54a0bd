//! The XML of JUnit, which build servers count and show: a suite for each file, a failure for each finding.
//!
//! **Invariant**: the output is well-formed, whatever names schemas use; a report without findings has a test that
//! passed, since many readers take an empty one for a mistake.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use daemoneye_ipc_codegen::rules::{Finding, Severity};

use super::{Findings, Placed};
use crate::output::Output;

pub(super) fn render<W: Write>(findings: &Findings<'_>, out: &mut Output<W>) -> io::Result<()> {
    let mut suites: BTreeMap<String, Vec<(&Finding, Option<Placed>)>> = BTreeMap::new();
    for finding in findings.list {
        let place = findings.place(finding);
        let suite = place.as_ref().map_or("schemas", |place| &place.file);
        let suite = suites.entry(suite.to_owned()).or_default();
        suite.push((finding, place));
    }
    let total = findings.list.len().max(1);
    let failures = failures(findings.list.iter());
    let name = escaped(findings.subject);
    out.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    out.raw(format_args!(
        "<testsuites name=\"{name}\" tests=\"{total}\" failures=\"{failures}\">"
    ))?;
    if suites.is_empty() {
        out.raw("  <testsuite name=\"schemas\" tests=\"1\" failures=\"0\">")?;
        out.raw(format_args!(
            "    <testcase classname=\"schemas\" name=\"{name}\"/>"
        ))?;
        out.raw("  </testsuite>")?;
    }
    for (file, cases) in &suites {
        suite(file, cases, out)?;
    }
    out.raw("</testsuites>")
}

fn suite<W: Write>(
    file: &str,
    cases: &[(&Finding, Option<Placed>)],
    out: &mut Output<W>,
) -> io::Result<()> {
    let (file, tests) = (escaped(file), cases.len());
    let failures = failures(cases.iter().map(|(finding, _)| *finding));
    out.raw(format_args!(
        "  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failures}\">"
    ))?;
    for (finding, place) in cases {
        let span = place.as_ref().map(|place| place.span).unwrap_or_default();
        out.raw(format_args!(
            "    <testcase classname=\"{file}\" name=\"{} {}:{}\">",
            finding.rule, span.start_line, span.start_column
        ))?;
        let text = escaped(&super::words(finding)).replace("&#10;", "\n");
        if finding.severity == Severity::Note {
            out.raw(format_args!("      <system-out>{text}</system-out>"))?;
        } else {
            let (message, rule) = (escaped(&finding.message), finding.rule);
            out.raw(format_args!(
                "      <failure message=\"{message}\" type=\"{rule}\">{text}</failure>"
            ))?;
        }
        out.raw("    </testcase>")?;
    }
    out.raw("  </testsuite>")
}

fn failures<'a>(findings: impl Iterator<Item = &'a Finding>) -> usize {
    findings
        .filter(|finding| finding.severity != Severity::Note)
        .count()
}

/// Text for an attribute in double quotes or for an element. What XML cannot say at all is U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\t' => escaped.push_str("&#9;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_an_attribute_or_an_element() {
        assert_eq!(
            escaped("a<b> & \"c\"\n\u{1b}\u{0}ö]]>"),
            "a&lt;b&gt; &amp; &quot;c&quot;&#10;\u{fffd}\u{fffd}ö]]&gt;"
        );
    }
}
