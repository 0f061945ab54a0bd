//! Where the elements of a file are in its text.
//!
//! A descriptor set is positions for the most part, and most files are never asked for theirs: they are
//! taken apart on the first question, into flat arrays.
//!
//! protox counts columns in bytes; they are counted anew where the text is at hand. What comes without text is taken
//! as it is.
//!
//! **Invariant**: a path that occurs twice means its first occurrence.

use std::sync::OnceLock;

use prost::Message;
use serde::Serialize;

use super::wire;

/// A range of a file's text. Lines and columns count from 1; a column is a character, and a tab reaches to the next
/// multiple of four, as with buf. The end is behind the last character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// The first line.
    pub start_line: u32,
    /// The first column.
    pub start_column: u32,
    /// The last line.
    pub end_line: u32,
    /// The column behind the last.
    pub end_column: u32,
}

impl Default for Span {
    /// Nothing, at the very start.
    fn default() -> Self {
        Self {
            start_line: 1,
            start_column: 1,
            end_line: 1,
            end_column: 1,
        }
    }
}

/// The comments at an element, as protoc attributes them: without the comment signs, lines ended by `\n`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    /// The comment before it.
    pub leading: String,
    /// The comment behind it.
    pub trailing: String,
    /// Comments before it that an empty line sets off.
    pub detached: Vec<String>,
}

/// The positions of one file.
#[derive(Debug, Default)]
pub(super) struct Positions {
    encoded: Box<[u8]>,
    table: OnceLock<Table>,
    /// Where the lines of the text start.
    lines: OnceLock<Vec<u32>>,
}

#[derive(Debug, Default)]
struct Table {
    /// All paths, one behind the other.
    paths: Vec<i32>,
    /// Sorted by path.
    entries: Vec<Entry>,
    comments: Vec<Comments>,
}

#[derive(Debug)]
struct Entry {
    start: u32,
    length: u32,
    span: Span,
    /// An index into the comments; `u32::MAX` without any.
    comments: u32,
}

impl Positions {
    /// The positions in an encoded `SourceCodeInfo`.
    pub(super) fn new(encoded: Vec<u8>) -> Self {
        Self {
            encoded: encoded.into_boxed_slice(),
            ..Self::default()
        }
    }

    /// Whether the element at `path` has a place.
    pub(super) fn has(&self, path: &[i32]) -> bool {
        self.find(path).is_some()
    }

    /// Where the element at `path` is in the file, whose text is `text` if there is one.
    pub(super) fn span(&self, path: &[i32], text: Option<&str>) -> Option<Span> {
        let (_, entry) = self.find(path)?;
        let Some(text) = text else {
            return Some(entry.span);
        };
        let mut options = OPTIONS.iter();
        let option = options.find(|option| path.last() == Some(&option.0));
        let starts = self.lines.get_or_init(|| line_starts(text));
        let line = |number| line(text, starts, number);
        Some(columns(line, entry.span, option.map(|option| option.1)))
    }

    /// The comments at the element at `path`.
    pub(super) fn comments(&self, path: &[i32]) -> Option<&Comments> {
        let (table, entry) = self.find(path)?;
        table.comments.get(entry.comments as usize)
    }

    fn find(&self, path: &[i32]) -> Option<(&Table, &Entry)> {
        let table = self.table.get_or_init(|| Table::read(&self.encoded));
        let at = table
            .entries
            .binary_search_by(|entry| table.path(entry).cmp(path))
            .ok()?;
        Some((table, &table.entries[at]))
    }
}

impl Table {
    fn read(encoded: &[u8]) -> Self {
        let mut table = Self::default();
        for (tag, bytes) in super::options::delimited(encoded) {
            if tag == 1
                && let Ok(location) = wire::Location::decode(bytes)
            {
                table.push(location);
            }
        }
        let Self { paths, entries, .. } = &mut table;
        let path = |entry: &Entry| {
            let start = entry.start as usize;
            &paths[start..start + entry.length as usize]
        };
        entries.sort_by(|one, other| path(one).cmp(path(other)));
        entries.dedup_by(|later, first| path(later) == path(first));
        table
    }

    fn push(&mut self, location: wire::Location) {
        let Some(span) = span(&location.span) else {
            return;
        };
        let index = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let commented = !location.leading_comments.is_empty()
            || !location.trailing_comments.is_empty()
            || !location.leading_detached_comments.is_empty();
        let mut comments = u32::MAX;
        if commented {
            comments = index(self.comments.len());
            self.comments.push(Comments {
                leading: location.leading_comments,
                trailing: location.trailing_comments,
                detached: location.leading_detached_comments,
            });
        }
        self.entries.push(Entry {
            start: index(self.paths.len()),
            length: index(location.path.len()),
            span,
            comments,
        });
        self.paths.extend(location.path);
    }

    fn path(&self, entry: &Entry) -> &[i32] {
        let start = entry.start as usize;
        &self.paths[start..start + entry.length as usize]
    }
}

/// The numbers in a field of what is written as an option, and its name. With protox, the position of a default is that
/// of the value alone; of a JSON name there are both, in no certain order.
const OPTIONS: [(i32, &str); 2] = [(7, "default"), (10, "json_name")];
/// How far apart the stops of tabs are.
const TAB: u32 = 4;

impl Span {
    /// The bytes of `text`, the text of its file, that it means.
    #[must_use]
    pub fn bytes(self, text: &str) -> std::ops::Range<usize> {
        let at = |line: u32, column: u32| {
            let start = line_start(text, line);
            let rest = text[start..].split('\n').next().unwrap_or_default();
            let mut now = 1;
            let found = rest.char_indices().find(|(_, character)| {
                let found = now >= column;
                now = after(now, *character);
                found
            });
            start + found.map_or(rest.len(), |(at, _)| at)
        };
        let start = at(self.start_line, self.start_column);
        start..at(self.end_line, self.end_column).max(start)
    }
}

/// The column behind a character that is in `column`.
fn after(column: u32, character: char) -> u32 {
    match character {
        '\t' => (column - 1) / TAB * TAB + TAB + 1,
        _ => column + 1,
    }
}

/// Where a line of `text` starts; the end of the text when there is no such line.
fn line_start(text: &str, line: u32) -> usize {
    let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
    let mut starts = [0].into_iter().chain(newlines);
    starts.nth(line as usize - 1).unwrap_or(text.len())
}

/// Where all lines of `text` start.
fn line_starts(text: &str) -> Vec<u32> {
    let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
    let starts = [0].into_iter().chain(newlines);
    starts
        .map(|start| u32::try_from(start).unwrap_or(u32::MAX))
        .collect()
}

/// A line of `text` by its number, of which `starts` are all.
fn line<'t>(text: &'t str, starts: &[u32], number: u32) -> &'t str {
    let start = starts.get(number as usize - 1);
    let rest = start.and_then(|start| text.get(*start as usize..));
    rest.unwrap_or_default()
        .split('\n')
        .next()
        .unwrap_or_default()
}

/// A span whose columns are bytes, with columns as people count them. `line` finds a line by its number.
fn columns<'t>(line: impl Fn(u32) -> &'t str, span: Span, option: Option<&str>) -> Span {
    let column = |line: &str, bytes: u32| {
        let before = line
            .char_indices()
            .take_while(|(at, _)| *at + 1 < bytes as usize);
        before.fold(1, |column, (_, character)| after(column, character))
    };
    let first = line(span.start_line);
    let start = option
        .and_then(|option| named(first, span.start_column, option))
        .unwrap_or(span.start_column);
    Span {
        start_column: column(first, start),
        end_column: column(line(span.end_line), span.end_column),
        ..span
    }
}

/// Where `option = ` starts that ends before the byte at `column`.
fn named(line: &str, column: u32, option: &str) -> Option<u32> {
    let before = line.get(..column as usize - 1)?.trim_end();
    let name = before.strip_suffix('=')?.trim_end().strip_suffix(option)?;
    u32::try_from(name.len() + 1).ok()
}

/// A span as protobuf has it: `[line, column, (end line,) end column]`, from 0.
fn span(span: &[i32]) -> Option<Span> {
    let one = |value: i32| u32::try_from(value).ok()?.checked_add(1);
    let (start_line, start_column, end_line, end_column) = match *span {
        [line, column, end] => (line, column, line, end),
        [line, column, end_line, end] => (line, column, end_line, end),
        _ => return None,
    };
    Some(Span {
        start_line: one(start_line)?,
        start_column: one(start_column)?,
        end_line: one(end_line)?,
        end_column: one(end_column)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_positions_counts() {
        let location = |path: &[i32], span: &[i32], comment: &str| {
            wire::Location {
                path: path.to_vec(),
                span: span.to_vec(),
                leading_comments: comment.to_owned(),
                ..wire::Location::default()
            }
            .encode_to_vec()
        };
        let locations = [
            location(&[4, 0], &[3, 2, 9], " First."),
            location(&[4, 0], &[8, 0, 1], ""),
            location(&[4], &[0, 0, 2, 4], ""),
            location(&[], &[0], ""),
        ];
        let mut info = Vec::new();
        for location in &locations {
            prost::encoding::bytes::encode(1, location, &mut info);
        }
        let positions = Positions::new(info);
        let first = Span {
            start_line: 4,
            start_column: 3,
            end_line: 4,
            end_column: 10,
        };
        assert_eq!(positions.span(&[4, 0], None), Some(first));
        assert_eq!(positions.span(&[], None), None);
        assert_eq!(
            positions.span(&[4], None).map(|span| span.end_line),
            Some(3)
        );
        let comments = positions.comments(&[4, 0]).expect("a comment");
        assert_eq!(comments.leading, " First.");
        assert_eq!(positions.comments(&[4]), None);
    }

    #[test]
    fn columns_are_characters_and_tabs_reach_to_stops() {
        let text = "\n\t/* ö */ a\tb [default = 3];\n";
        let line = text.lines().nth(1).expect("a line");
        let at =
            |needle: &str| u32::try_from(line.find(needle).expect("there") + 1).expect("small");
        let span = |start_column, end_column| Span {
            start_line: 2,
            start_column,
            end_line: 2,
            end_column,
        };
        let starts = line_starts(text);
        let columns =
            |span, option| columns(|number| super::line(text, &starts, number), span, option);
        let found = columns(span(at("b"), at("b") + 1), None);
        assert_eq!(found, span(17, 18));
        assert_eq!(&text[found.bytes(text)], "b");
        let found = columns(span(at("3"), at("3") + 1), Some("default"));
        assert_eq!(&text[found.bytes(text)], "default = 3");
        let found = columns(span(at("3"), at("3") + 1), Some("json_name"));
        assert_eq!(&text[found.bytes(text)], "3");
    }
}
