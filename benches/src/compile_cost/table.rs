//! All figures, their medians, and their ratios to tonic.
//!
//! **Invariant**: a ratio is of medians of the same run.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{build::Cost, door::Door};

/// What is measured, in the order of the first measurement.
#[derive(Debug)]
pub(crate) struct Table {
    doors: Vec<Door>,
    rows: Vec<Row>,
    notes: Vec<(Door, Vec<String>)>,
}

#[derive(Debug)]
struct Row {
    name: String,
    unit: Unit,
    /// The figures of all rounds, by door.
    figures: Vec<(Door, Vec<f64>)>,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Count,
    Seconds,
}

impl Table {
    pub(crate) fn new(doors: &[Door]) -> Self {
        Self {
            doors: doors.to_vec(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Which versions a door has.
    pub(crate) fn note(&mut self, door: Door, versions: Vec<String>) {
        self.notes.push((door, versions));
    }

    pub(crate) fn add_time(&mut self, door: Door, row: &str, cost: Cost) {
        self.add(door, format!("{row}, s"), Unit::Seconds, cost.clock);
        self.add(
            door,
            format!("{row}, CPU s"),
            Unit::Seconds,
            cost.processors,
        );
    }

    pub(crate) fn add_count(&mut self, door: Door, row: &str, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        self.add(door, row.to_owned(), Unit::Count, count as f64);
    }

    fn add(&mut self, door: Door, name: String, unit: Unit, figure: f64) {
        let at = self.rows.iter().position(|row| row.name == name);
        let at = at.unwrap_or_else(|| {
            self.rows.push(Row {
                name,
                unit,
                figures: Vec::new(),
            });
            self.rows.len() - 1
        });
        let Some(row) = self.rows.get_mut(at) else {
            return;
        };
        match row.figures.iter_mut().find(|(of, _)| *of == door) {
            Some((_, figures)) => figures.push(figure),
            None => row.figures.push((door, vec![figure])),
        }
    }

    /// The table of medians. In brackets the ratio to tonic, and the distance between the smallest and the
    /// largest figure, in percent of the median.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("| |");
        for door in &self.doors {
            let _ = write!(text, " {} |", door.name());
        }
        text.push_str("\n|---|");
        text.push_str(&"---:|".repeat(self.doors.len()));
        for row in &self.rows {
            let _ = write!(text, "\n| {} |", row.name);
            for &door in &self.doors {
                let _ = write!(text, " {} |", row.cell(door));
            }
        }
        text
    }

    pub(crate) fn json(&self, toolchain: &str) -> Value {
        let rows = self.rows.iter().map(|row| {
            let figures = row.figures.iter();
            let figures =
                figures.map(|(door, figures)| json!({"door": door.name(), "figures": figures}));
            json!({"row": row.name, "figures": figures.collect::<Vec<_>>()})
        });
        let notes = self.notes.iter();
        let notes =
            notes.map(|(door, versions)| json!({"door": door.name(), "versions": versions}));
        json!({
            "toolchain": toolchain.lines().collect::<Vec<_>>(),
            "doors": notes.collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

impl Row {
    fn figures(&self, door: Door) -> Option<Figures> {
        let (_, figures) = self.figures.iter().find(|(of, _)| *of == door)?;
        Figures::new(figures)
    }

    fn cell(&self, door: Door) -> String {
        let Some(figures) = self.figures(door) else {
            return "–".to_owned();
        };
        let mut brackets = Vec::new();
        if let Some(tonic) = self.figures(Door::Tonic).filter(|_| door != Door::Tonic) {
            brackets.push(format!("{:.2}×", figures.median / tonic.median));
        }
        if figures.spread > 0.0 {
            brackets.push(format!("±{:.0} %", 50.0 * figures.spread));
        }
        let median = match self.unit {
            Unit::Count => format!("{:.0}", figures.median),
            Unit::Seconds => format!("{:.1}", figures.median),
        };
        match brackets.as_slice() {
            [] => median,
            some => format!("{median} ({})", some.join(", ")),
        }
    }
}

struct Figures {
    median: f64,
    /// From the smallest to the largest, as a part of the median.
    spread: f64,
}

impl Figures {
    fn new(figures: &[f64]) -> Option<Self> {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let (low, high) = (
            sorted.get((sorted.len() - 1) / 2)?,
            sorted.get(sorted.len() / 2)?,
        );
        let median = f64::midpoint(*low, *high);
        let spread = if median > 0.0 {
            (last - first) / median
        } else {
            0.0
        };
        Some(Self { median, spread })
    }
}
