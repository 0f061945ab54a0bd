//! The one way to standard output: plain lines, tables, reports, JSON.
//!
//! **Invariant**: nothing else in this program writes to standard output, and a reader that goes away
//! is an error to pass up, never a panic.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{
    format,
    report::{Check, Outcome, Report, Verdict},
    table::Table,
};

/// Headings.
pub(crate) const HEADING: Style = Style::new().bold();
/// What is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What needs attention.
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default();
/// What is broken.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Columns of a check's name; longer names push their line to the right.
const NAME_WIDTH: usize = 21;

/// Standard output, for people or for programs.
#[derive(Debug)]
pub(crate) struct Output<W: Write = AutoStream<io::Stdout>> {
    writer: W,
    json: bool,
    width: Option<usize>,
}

impl Output {
    /// Standard output; `json` silences all that is for people.
    pub(crate) fn stdout(json: bool) -> Self {
        let stdout = io::stdout();
        let width = stdout
            .is_terminal()
            .then(terminal_size::terminal_size)
            .flatten()
            .map(|(width, _)| usize::from(width.0));
        Self {
            writer: AutoStream::auto(stdout),
            json,
            width,
        }
    }
}

impl<W: Write> Output<W> {
    /// Whether programs read this.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// One line for people.
    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(self.writer, "{text}")?;
        self.writer.flush()
    }

    /// One line for programs, as it is.
    pub(crate) fn raw(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.writer, "{text}")?;
        self.writer.flush()
    }

    /// A heading for people, set off by an empty line.
    pub(crate) fn section(&mut self, title: &str) -> io::Result<()> {
        self.line("")?;
        self.line(format_args!("{HEADING}{title}{HEADING:#}"))
    }

    /// A table for people, indented by `indent` columns, and cut where the terminal ends or the line
    /// gets longer than `longest`.
    pub(crate) fn table(
        &mut self,
        table: &Table,
        indent: usize,
        longest: Option<usize>,
    ) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let width = [self.width, longest].into_iter().flatten().min();
        let lines = table.lines(width.map(|width| width.saturating_sub(indent).max(20)));
        for (index, line) in lines.iter().enumerate() {
            let style = if index == 0 { HEADING } else { Style::new() };
            writeln!(self.writer, "{:indent$}{style}{line}{style:#}", "")?;
        }
        self.writer.flush()
    }

    /// One value for programs, on lines of its own.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_string_pretty(value)?;
        writeln!(self.writer, "{}", format::plain_json(json))?;
        self.writer.flush()
    }

    /// One value for programs, on one line.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_string(value)?;
        writeln!(self.writer, "{}", format::plain_json(json))?;
        self.writer.flush()
    }

    /// [`json`](Self::json) where programs read, nothing where people do.
    pub(crate) fn json_unless_text<V: Serialize>(
        &mut self,
        value: impl FnOnce() -> V,
    ) -> io::Result<()> {
        if self.json {
            self.json(&value())
        } else {
            Ok(())
        }
    }

    /// A check as soon as it is made, for people.
    pub(crate) fn check(&mut self, check: &Check, verbose: bool) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        for line in check_lines(check, verbose) {
            writeln!(self.writer, "{line}")?;
        }
        self.writer.flush()
    }

    /// The verdict under a report whose checks were shown already; the whole report for programs.
    pub(crate) fn verdict(&mut self, report: &Report) -> io::Result<()> {
        if self.json {
            return self.json(&report.to_json());
        }
        self.line("")?;
        self.line(verdict_line(report))
    }
}

/// One line for people beside the output, on standard error.
pub(crate) fn note(text: &str) {
    // Standard error may be gone too; there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{}", format::plain(text));
}

/// A check that was made, with its explanation below it when it has one.
fn check_lines(check: &Check, verbose: bool) -> Vec<String> {
    let (word, style) = match check.outcome {
        Outcome::Passed => ("ok", GOOD),
        Outcome::Warned => ("warn", ODD),
        Outcome::Failed => ("FAIL", BAD),
        Outcome::Skipped => ("skip", FAINT),
    };
    let time = match check.elapsed_us {
        0 => String::new(),
        micros => format::duration(Duration::from_micros(micros)),
    };
    let first = format!(
        "  {style}{word:<4}{style:#}  {FAINT}{time:>7}{FAINT:#}  {:<NAME_WIDTH$} {}",
        format::plain(&check.name),
        format::plain(&check.detail)
    );
    let below = |label: &str, text: &str| {
        format!(
            "{:17}{FAINT}{label:<NAME_WIDTH$}{FAINT:#} {}",
            "",
            format::plain(text)
        )
    };
    let mut lines = vec![first];
    lines.extend(check.cause.as_deref().map(|cause| below("cause", cause)));
    lines.extend(check.hint.as_deref().map(|hint| below("try", hint)));
    if verbose {
        lines.extend(check.facts.iter().map(|(name, value)| match value {
            serde_json::Value::String(text) => below(name, text),
            other => below(name, &other.to_string()),
        }));
    }
    lines
}

fn verdict_line(report: &Report) -> String {
    let verdict = report.verdict();
    let style = match verdict {
        Verdict::Healthy => GOOD,
        Verdict::Degraded => ODD,
        Verdict::Unhealthy | Verdict::Unreachable => BAD,
    };
    let made = report.checks().len() - report.tally(Outcome::Skipped);
    let counts = [
        (report.tally(Outcome::Failed), "failed"),
        (report.tally(Outcome::Warned), "warned"),
        (report.tally(Outcome::Skipped), "skipped"),
    ];
    let mut text = format!(
        "{style}{}{style:#}: {} of {} passed",
        verdict.name(),
        report.tally(Outcome::Passed),
        format::plural(made, "check", "checks"),
    );
    for (number, word) in counts.into_iter().filter(|(number, _)| *number > 0) {
        text.push_str(&format!(", {number} {word}"));
    }
    text + &format!(
        " in {}",
        format::duration(Duration::from_micros(report.elapsed_us()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::Explanation;

    fn report() -> Report {
        let mut report = Report::new("health-check", "/run/x.sock");
        let micros = Duration::from_micros;
        report.push(
            Check::passed("endpoint", "a socket")
                .took(micros(12))
                .fact("inode", 7),
        );
        report.push(
            Check::warned(
                "mode",
                "0666",
                Explanation::new("any user may connect", "chmod 600 x.sock"),
            )
            .took(micros(3)),
        );
        report.push(
            Check::failed(
                "connect",
                "refused",
                Explanation::new("nobody listens", "start procmond"),
            )
            .on_the_way()
            .took(micros(1_500)),
        );
        report.push(Check::skipped("handshake", "not connected"));
        report
    }

    fn shown(verbose: bool) -> String {
        let report = report();
        let mut output = Output {
            writer: Vec::new(),
            json: false,
            width: None,
        };
        for check in report.checks() {
            output.check(check, verbose).expect("memory");
        }
        output.verdict(&report).expect("memory");
        let text = String::from_utf8(output.writer).expect("UTF-8");
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_report_for_people() {
        insta::assert_snapshot!(shown(false));
    }

    #[test]
    fn a_verbose_report_shows_the_facts() {
        assert!(!shown(false).contains("inode"));
        assert!(
            shown(true)
                .lines()
                .any(|line| line.split_whitespace().eq(["inode", "7"]))
        );
    }

    #[test]
    fn programs_read_nothing_but_json() {
        let mut output = Output {
            writer: Vec::new(),
            json: true,
            width: None,
        };
        output.line("hello").expect("memory");
        output.section("hello").expect("memory");
        output.check(&report().checks()[0], true).expect("memory");
        output.verdict(&report()).expect("memory");
        let value: serde_json::Value =
            serde_json::from_slice(&output.writer).expect("one JSON value");
        assert_eq!(value["exit_code"], 4);
    }

    #[test]
    fn a_reader_that_went_away_is_an_error_and_not_a_panic() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output {
            writer: Closed,
            json: false,
            width: None,
        };
        let error = output.line("x").expect_err("closed");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let mut output = Output {
            writer: Closed,
            json: true,
            width: None,
        };
        let error = output.verdict(&report()).expect_err("closed");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
