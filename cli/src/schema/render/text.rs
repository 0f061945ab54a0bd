//! Findings for people: message, the lines of the new and the old schema, why, and what to do.
//!
//! **Invariant**: of an element of several lines the first is shown; what a schema says is shown without
//! characters that a terminal would act on.

use std::io::{self, Write};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use daemoneye_ipc_codegen::{
    image::Image,
    rules::{Finding, Location, Severity},
};

use super::Findings;
use crate::{
    format,
    output::{GOOD, Output},
};

pub(super) fn render<W: Write>(findings: &Findings<'_>, out: &mut Output<W>) -> io::Result<()> {
    let renderer = Renderer::styled();
    for finding in findings.list {
        out.line(renderer.render(&groups(findings, finding)))?;
        out.line("")?;
    }
    out.line(summary(findings))
}

fn groups<'a>(findings: &Findings<'a>, finding: &'a Finding) -> Vec<Group<'a>> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(&*finding.message).id(finding.rule);
    let mut group = match snippet(findings.new, &finding.location) {
        Some(snippet) => title.element(snippet),
        None => Group::with_title(title),
    };
    if !finding.why.is_empty() {
        group = group.element(Level::NOTE.message(why(finding)));
    }
    if !finding.fix.is_empty() {
        group = group.element(Level::HELP.message(&*finding.fix));
    }
    let old = findings.old(finding).zip(finding.against.as_ref());
    let old = old.and_then(|(image, at)| snippet(image, at));
    let was = match finding.release {
        Some(number) => format!("in release {number} it was"),
        None => "it was".to_owned(),
    };
    let old = old.map(|snippet| Level::NOTE.secondary_title(was).element(snippet));
    [group].into_iter().chain(old).collect()
}

fn why(finding: &Finding) -> String {
    match finding.direction {
        Some(direction) => format!("{} ({})", finding.why, direction.words()),
        None => finding.why.to_owned(),
    }
}

/// The lines at a place, when its text is at hand.
fn snippet<'a>(
    image: &'a Image,
    at: &Location,
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let file = image.file_at(at.path.as_deref()?)?;
    let text = file.text.as_deref()?;
    let (range, line) = (at.span.bytes(text), at.span.start_line);
    let first = text.lines().nth(line as usize - 1).unwrap_or_default();
    let start = range.start - text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let start = start.min(first.len());
    let end = (start + range.len()).clamp(start, first.len());
    let snippet = Snippet::source(first)
        .line_start(line as usize)
        .path(&*file.path);
    Some(snippet.annotation(AnnotationKind::Primary.span(start..end)))
}

fn summary(findings: &Findings<'_>) -> String {
    let count = |severity| {
        let all = findings.list.iter();
        all.filter(|finding| finding.severity == severity).count()
    };
    let counted = [
        (count(Severity::Error), "error", "errors"),
        (count(Severity::Warning), "warning", "warnings"),
        (count(Severity::Note), "note", "notes"),
    ];
    let counted = counted.into_iter().filter(|(count, ..)| *count > 0);
    let counted: Vec<String> = counted
        .map(|(count, one, many)| format::plural(count, one, many))
        .collect();
    if counted.is_empty() {
        return format!("{GOOD}no findings{GOOD:#}: {}", findings.subject);
    }
    format!("{}: {}", counted.join(", "), findings.subject)
}
