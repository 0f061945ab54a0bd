//! How findings are shown: one file per format.
//!
//! **Invariant**: every format shows every finding, in the order it was given.

mod github;
mod json;
mod junit;
mod sarif;
mod text;

use std::io::{self, Write};

use daemoneye_ipc_codegen::{
    image::{Image, Span},
    rules::{Finding, Rule, config::Config},
};

use super::against::Earlier;
use crate::{args::Format, format, output::Output};

/// What there is to show.
pub(crate) struct Findings<'a> {
    /// What was found.
    pub(crate) list: &'a [Finding],
    /// The schemas that were checked.
    pub(crate) new: &'a Image,
    /// The schemas they were compared with, oldest first.
    pub(crate) earlier: &'a [Earlier],
    /// The rules that there are.
    pub(crate) rules: &'a [&'static Rule],
    /// Where the checked schemas are.
    pub(crate) config: &'a Config,
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
        Format::Github => github::render(findings, out),
        Format::Sarif => sarif::render(findings, out),
        Format::Junit => junit::render(findings, out),
    }
}

/// Where programs that know no import root find a place.
struct Placed {
    /// The file as seen from the working directory, with `/` between folders.
    file: String,
    /// The place in it.
    span: Span,
    /// The same with a tab as one column.
    characters: Span,
}

impl<'a> Findings<'a> {
    /// The schemas that a finding was compared with.
    fn old(&self, finding: &Finding) -> Option<&'a Image> {
        let mut earlier = self.earlier.iter();
        let found = earlier.find(|earlier| earlier.release == finding.release);
        found.map(|earlier| &earlier.image)
    }

    /// Where a finding is; of a file that is gone, where it would be.
    fn place(&self, finding: &Finding) -> Option<Placed> {
        let own = finding.location.path.as_deref();
        let old = finding.against.as_ref().and_then(|at| at.path.as_deref());
        let path = own.or(old)?;
        let root = &self.config.module_of(path).root;
        let is_text = self
            .new
            .file_at(path)
            .is_none_or(|file| file.text.is_some());
        let file = match root.join(path).to_str() {
            Some(file) if is_text => file.trim_start_matches("./").replace('\\', "/"),
            _ => path.to_owned(),
        };
        let span = finding.location.span;
        let text = own.and_then(|path| self.new.file_at(path)?.text.as_deref());
        let characters = text.map_or(span, |text| characters(text, span));
        Some(Placed {
            file,
            span,
            characters,
        })
    }
}

/// A span whose columns count characters, tabs too.
fn characters(text: &str, span: Span) -> Span {
    let range = span.bytes(text);
    let column = |at: usize| {
        let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
        u32::try_from(text[line..at].chars().count() + 1).unwrap_or(u32::MAX)
    };
    Span {
        start_column: column(range.start),
        end_column: column(range.end),
        ..span
    }
}

/// All that a finding says, in lines.
fn words(finding: &Finding) -> String {
    let why = match finding.direction {
        Some(direction) if !finding.why.is_empty() => {
            format!("{} ({})", finding.why, direction.words())
        }
        _ => finding.why.to_owned(),
    };
    let parts = [&finding.message, &why, &finding.fix].into_iter();
    let parts: Vec<&str> = parts
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    let lines = parts.iter().flat_map(|part| part.lines());
    let lines: Vec<_> = lines.map(format::plain).collect();
    lines.join("\n")
}
