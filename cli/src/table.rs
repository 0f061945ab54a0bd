//! Aligned columns of text.
//!
//! **Invariant**: a cell never breaks its row: control characters are escaped, and only the last
//! column is cut, only where a terminal's width is known.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::format::plain;

/// Which side of its column a cell keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headed columns, two spaces apart.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty, surplus ones are dropped.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<_> = cells
            .into_iter()
            .map(|cell| plain(&cell).into_owned())
            .take(self.columns.len())
            .collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// The lines of the table, headings first, cut to `width` columns if one is given.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let widths = self.widths();
        let headings = self
            .columns
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect::<Vec<_>>();
        std::iter::once(&headings)
            .chain(&self.rows)
            .map(|cells| cut(&self.line(cells, &widths), width))
            .collect()
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<_> = self.columns.iter().map(|(name, _)| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            match align {
                Align::Left => line.extend([cell.as_str(), &padding]),
                Align::Right => line.extend([&padding, cell.as_str()]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// `text` in at most `width` columns, with an ellipsis where something was cut off.
pub(crate) fn cut(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| text.width() > *width) else {
        return text.to_owned();
    };
    let mut kept = String::new();
    let mut used = 0;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used >= width {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[
            ("PID", Align::Right),
            ("NAME", Align::Left),
            ("COMMAND", Align::Left),
        ]);
        table.row(["1".into(), "init".into(), "/sbin/init splash".into()]);
        table.row(["4711".into(), "日本".into(), "a\tb".into()]);
        table.row(["5".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        insta::assert_snapshot!(table().lines(None).join("\n"), @r"
         PID  NAME  COMMAND
           1  init  /sbin/init splash
        4711  日本  a\tb
           5
        ");
    }

    #[test]
    fn a_terminal_cuts_and_a_pipe_does_not() {
        let lines = table().lines(Some(20));
        assert_eq!(lines[1], "   1  init  /sbin/i…");
        assert!(lines.iter().all(|line| line.width() <= 20));
        assert!(cut("日本日本", Some(4)).width() <= 4);
    }
}
