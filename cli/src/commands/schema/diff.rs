//! `schema diff`: what changed between two schemas, as people would say it.
//!
//! **Invariant**: judges nothing by itself: what breaks whom is what the rules of evolution say.

use std::{
    io::{self, Write},
    path::Path,
};

use anstyle::Style;
use daemoneye_ipc_codegen::evolution::{self, Breaks, Change, Effect, What};
use daemoneye_ipc_codegen::rules::Direction;
use serde::Serialize;

use crate::{
    args::SchemaDiff,
    failure::Failure,
    format,
    output::{BAD, FAINT, GOOD, HEADING, ODD, Output},
    schema::{CLEAN, against::Against, source::Source},
};

/// Runs the command; 0 whatever has changed.
pub(crate) fn run(args: &SchemaDiff) -> Result<u8, Failure> {
    let source = Source::asked(&args.source);
    let new = source.image(&source.config(args.source.config.as_deref())?)?;
    let (old, words) = Against::of(args.against.as_deref()).image(&source)?;
    let changes = evolution::diff(&new, &old);
    let mut out = Output::stdout(args.json);
    if args.json {
        out.json(&Report::of(args.source.path(), &words, &changes))?;
    } else {
        let subject = format!("{} since {words}", args.source.path().display());
        show(&changes, &subject, &mut out)?;
    }
    Ok(CLEAN)
}

#[derive(Serialize)]
struct Report<'a> {
    command: &'static str,
    schemas: &'a Path,
    against: &'a str,
    /// How many changes break what.
    wire: usize,
    json: usize,
    code: usize,
    nothing: usize,
    changes: &'a [Change],
}

impl<'a> Report<'a> {
    fn of(schemas: &'a Path, against: &'a str, changes: &'a [Change]) -> Self {
        Self {
            command: "schema diff",
            schemas,
            against,
            wire: count(changes, Breaks::Wire),
            json: count(changes, Breaks::Json),
            code: count(changes, Breaks::Code),
            nothing: count(changes, Breaks::Nothing),
            changes,
        }
    }
}

fn count(changes: &[Change], breaks: Breaks) -> usize {
    let all = changes.iter();
    all.filter(|change| change.breaks() == breaks).count()
}

fn show<W: Write>(changes: &[Change], subject: &str, out: &mut Output<W>) -> io::Result<()> {
    let mut of = None;
    for change in changes {
        if of != Some(&change.of) {
            if of.is_some() {
                out.line("")?;
            }
            let title = format::plain(&change.of);
            out.line(format_args!("{HEADING}{title}{HEADING:#}"))?;
            of = Some(&change.of);
        }
        let (sign, style, word) = match change.what {
            What::Added => ('+', GOOD, "added"),
            What::Removed => ('-', BAD, "removed"),
            What::Renamed => ('~', ODD, "renamed"),
            What::Renumbered => ('~', ODD, "renumbered"),
            What::Changed => ('~', Style::new(), ""),
        };
        let name = format::plain(&change.name);
        let details: Vec<_> = change
            .details
            .iter()
            .map(|text| format::plain(text))
            .collect();
        let word = if word.is_empty() {
            String::new()
        } else {
            format!(" {word}")
        };
        let colon = if details.is_empty() { "" } else { ": " };
        let details = details.join("; ");
        out.line(format_args!(
            "  {style}{sign} {name}{word}{style:#}{colon}{details}"
        ))?;
        if let Some(effect) = change.effects.first() {
            let rules = rules(change, effect.breaks);
            let (style, what) = meaning(effect, direction(change, effect));
            out.line(format_args!(
                "      {style}{what}{style:#}{FAINT}{rules}{FAINT:#}"
            ))?;
        }
    }
    if of.is_some() {
        out.line("")?;
    }
    out.line(summary(changes, subject))
}

/// Who meets what is worst of a change, all rules taken together.
fn direction(change: &Change, worst: &Effect) -> Option<Direction> {
    let all = change.effects.iter();
    let mut all = all.filter(|effect| effect.breaks == worst.breaks);
    let one = worst.direction?;
    let same = all.all(|effect| effect.direction == Some(one));
    Some(if same { one } else { Direction::Both })
}

fn meaning(effect: &Effect, direction: Option<Direction>) -> (Style, String) {
    let whom = direction.map_or("", Direction::words);
    match effect.breaks {
        Breaks::Wire => (BAD, format!("breaks {whom}")),
        Breaks::Json => (ODD, "breaks JSON, and not the wire".to_owned()),
        Breaks::Code => (
            ODD,
            "breaks code built against the schema, and not the wire".to_owned(),
        ),
        Breaks::Nothing => (FAINT, effect.why.trim_end_matches('.').to_owned()),
    }
}

/// The rules that say so, to ask `schema explain` about.
fn rules(change: &Change, breaks: Breaks) -> String {
    let rules = change
        .effects
        .iter()
        .filter(|effect| effect.breaks == breaks);
    let mut rules: Vec<&str> = rules.map(|effect| effect.rule).collect();
    rules.dedup();
    match breaks {
        Breaks::Nothing => String::new(),
        _ => format!(" ({})", rules.join(", ")),
    }
}

fn summary(changes: &[Change], subject: &str) -> String {
    if changes.is_empty() {
        return format!("{GOOD}nothing changed{GOOD:#}: {subject}");
    }
    let counted = [
        (Breaks::Wire, "breaks peers", "break peers"),
        (Breaks::Json, "breaks JSON", "break JSON"),
        (Breaks::Code, "breaks code", "break code"),
        (Breaks::Nothing, "breaks nothing", "break nothing"),
    ];
    let counted = counted.map(|(breaks, one, many)| (count(changes, breaks), one, many));
    let counted = counted.into_iter().filter(|(count, ..)| *count > 0);
    let counted: Vec<String> = counted
        .map(|(count, one, many)| format::plural(count, one, many))
        .collect();
    let all = format::plural(changes.len(), "change", "changes");
    format!("{all}, {}: {subject}", counted.join(", "))
}
