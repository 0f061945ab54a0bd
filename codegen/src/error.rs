//! The errors of the generator: what is wrong, where in the schema, and what to do.
//!
//! **Invariant**: an error never stands without a remedy when one is known, and rendering one reads
//! no file: every problem carries the source line that it shows.

use std::fmt;
use std::path::{Path, PathBuf};

/// What went wrong on the way from a schema to Rust code.
///
/// `Display` prints every problem like the compiler does: message, place, source line, help.
/// `Debug` prints the same, because that is what `fn main() -> Result<(), Error>` in a `build.rs`
/// shows to its user.
#[non_exhaustive]
pub enum Error {
    /// The schema is at fault; at least one problem, all that were found.
    Schema(Vec<Problem>),
    /// The call of the generator is at fault: an input, an option or its configuration file.
    Usage {
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: String,
    },
    /// A file or folder could not be read or written.
    Io {
        /// What was being done, as in "cannot write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// One mistake in a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The sort of mistake.
    pub kind: ProblemKind,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Where, when a place is known.
    pub place: Option<Place>,
    /// What to do about it, when that is known.
    pub help: Option<String>,
}

/// The sort of a [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A schema file, or one that it imports, is not there.
    NotFound,
    /// The text is not valid protobuf.
    Syntax,
    /// The text is well formed but means nothing: an unknown type, a number used twice.
    Meaning,
    /// Two elements become the same Rust item, or one of an emitted item.
    Collision,
    /// Two methods of the schema set have one ordinal.
    Ordinal,
    /// What breaks a supported release.
    Evolution,
    /// Valid protobuf for which no Rust can be emitted.
    Unsupported,
}

/// A place in a schema file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as a user can open it.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters of the line are meant, at least 1.
    pub width: usize,
    /// The text of the line.
    pub source_line: String,
}

impl Place {
    /// The place of byte `offset` of `text`, `length` bytes long.
    ///
    /// An offset beyond the text means its end; a span over several lines is cut at the first.
    #[must_use]
    pub fn of_offset(file: &Path, text: &str, offset: usize, length: usize) -> Self {
        let offset = floor_char_boundary(text, offset);
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let source_line = text[line_start..].lines().next().unwrap_or_default();
        let column = before[line_start..].chars().count() + 1;
        let end = floor_char_boundary(text, offset.saturating_add(length));
        let meant = text[offset..end].lines().next().unwrap_or_default();
        Self {
            file: file.to_path_buf(),
            line: before.matches('\n').count() + 1,
            column,
            width: meant.chars().count().max(1),
            source_line: source_line.to_owned(),
        }
    }

    /// The place of a protobuf source span (`[line, column, (end line,) end column]`, from 0) in a file of
    /// these lines.
    #[must_use]
    pub fn of_span(file: &Path, lines: &[&str], span: &[i32]) -> Option<Self> {
        let at = |index: usize| {
            span.get(index)
                .and_then(|value| usize::try_from(*value).ok())
        };
        let (line, column) = (at(0)?, at(1)?);
        let source_line = (*lines.get(line)?).to_owned();
        let length = source_line.chars().count();
        let end = if span.len() == 3 { at(2)? } else { length };
        Some(Self {
            file: file.to_path_buf(),
            line: line + 1,
            column: column + 1,
            width: end.saturating_sub(column).max(1),
            source_line,
        })
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }

    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            help: help.into(),
        }
    }

    /// The problems of the schema; empty when something else is at fault.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Schema(problems) => problems,
            Self::Usage { .. } | Self::Io { .. } => &[],
        }
    }
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            place: None,
            help: None,
        }
    }

    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Schema(vec![problem])
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Schema(_) | Self::Usage { .. } => None,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(problems) => {
                for (index, problem) in problems.iter().enumerate() {
                    if index > 0 {
                        f.write_str("\n\n")?;
                    }
                    write!(f, "{problem}")?;
                }
                Ok(())
            }
            Self::Usage { message, help } => write!(f, "{message}\n  = help: {help}"),
            Self::Io {
                action,
                path,
                source,
            } => {
                write!(f, "{action} {}: {source}", path.display())
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let margin = match &self.place {
            Some(place) => {
                write!(f, "\n{place}")?;
                place.line.to_string().len()
            }
            None => 1,
        };
        if let Some(help) = &self.help {
            let gap = " ".repeat(margin + 1);
            let help = help.replace('\n', &format!("\n{gap}        "));
            write!(f, "\n{gap}= help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gap = " ".repeat(number.len());
        let (shown, before) = self.shown();
        let lead: String = shown
            .chars()
            .take(before)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let width = self.width.min(shown.chars().count().saturating_sub(before));
        writeln!(
            f,
            "{gap}--> {}:{}:{}",
            self.file.display(),
            self.line,
            self.column
        )?;
        writeln!(f, "{gap} |")?;
        writeln!(f, "{number} | {shown}")?;
        write!(f, "{gap} | {lead}{}", "^".repeat(width.max(1)))
    }
}

impl Place {
    /// What is shown of the line, and how many characters of that are before what is meant: all, or of a line that no
    /// terminal has room for, what is around it.
    fn shown(&self) -> (String, usize) {
        const MOST: usize = 160;
        const BEFORE: usize = 60;
        let (before, all) = (self.column - 1, self.source_line.chars().count());
        if all <= MOST {
            return (self.source_line.clone(), before);
        }
        let skipped = before.saturating_sub(BEFORE);
        let line = self.source_line.chars().skip(skipped).take(MOST);
        let lead = if skipped > 0 { "…" } else { "" };
        let tail = if skipped + MOST < all { "…" } else { "" };
        let shown = lead.chars().chain(line).chain(tail.chars()).collect();
        (shown, before - skipped + lead.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_characters_and_survives_any_offset() {
        let text = "é\n  größe x;\n";
        let offset = text.find('x').expect("there");
        let place = Place::of_offset(Path::new("a.proto"), text, offset, 1);
        assert_eq!((place.line, place.column, place.width), (2, 9, 1));
        assert_eq!(place.source_line, "  größe x;");
        let end = Place::of_offset(Path::new("a.proto"), text, 10_000, 5);
        assert_eq!((end.line, end.column, end.width), (3, 1, 1));
        let inside = Place::of_offset(Path::new("a.proto"), text, 1, 1);
        assert_eq!((inside.line, inside.column), (1, 1));
    }

    #[test]
    fn of_a_long_line_that_part_is_shown_which_is_meant() {
        let text = format!("{}wrong{}", "a".repeat(500), "b".repeat(500));
        let place = Place::of_offset(Path::new("a.proto"), &text, 500, 5).to_string();
        let lines: Vec<&str> = place.lines().collect();
        let (shown, marks) = (lines[2], lines[3]);
        assert!(
            shown.starts_with("1 | …aaa") && shown.ends_with("bbb…"),
            "{place}"
        );
        assert!(shown.chars().count() < 170, "{place}");
        let at = marks.find('^').expect("a mark");
        assert_eq!(shown.chars().skip(at).take(5).collect::<String>(), "wrong");
        assert!(marks.ends_with(" ^^^^^"), "{place}");
        // What is meant is longer than what is shown.
        let place = Place::of_offset(Path::new("a.proto"), &text, 2, 900).to_string();
        assert!(
            place.lines().all(|line| line.chars().count() < 170),
            "{place}"
        );
    }

    #[test]
    fn a_problem_reads_like_the_compiler() {
        let problem = Problem::new(ProblemKind::Meaning, "name 'Foo' is not defined")
            .at(Place::of_span(
                Path::new("a.proto"),
                &["rpc A(Foo);"],
                &[0, 6, 9],
            ))
            .help("define it");
        let expected = "name 'Foo' is not defined\n --> a.proto:1:7\n  |\n1 | rpc A(Foo);\n  |       ^^^\n  = help: define it";
        assert_eq!(problem.to_string(), expected);
        assert_eq!(format!("{:?}", Error::from(problem)), expected);
    }
}
