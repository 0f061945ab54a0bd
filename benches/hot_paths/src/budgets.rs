//! The file of budgets: a line for each path, with the instructions of one unit and the percentage by which it may be
//! missed.
//!
//! **Invariant**: what is written can be read, and keeps the tolerances that were there.

use std::{
    fmt::Write as _,
    fs, io,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets};

use super::callgrind::Count;

/// Of a path that is new in the file. Counts of one build differ by less; another processor or libc may take other ways
/// through a copy or a checksum.
const TOLERANCE_PERCENT: u64 = 3;

#[derive(Debug, Clone)]
struct Budget {
    name: String,
    instructions: u64,
    tolerance_percent: u64,
}

/// All budgets, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    made_with: String,
    budgets: Vec<Budget>,
}

/// What is to be said of one path.
#[derive(Debug)]
pub(crate) struct Verdict {
    name: String,
    counted: Option<u64>,
    budget: Option<Budget>,
    is: Is,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Kept,
    Passed,
    /// So far below its budget that this would not notice a loss.
    Stale,
    WithoutBudget,
    WithoutPath,
}

impl Budgets {
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.with_context(|| file.display().to_string())?,
        };
        let mut all = Self::default();
        for (number, line) in text.lines().enumerate() {
            if let Some(tools) = line.strip_prefix("# made with ") {
                tools.clone_into(&mut all.made_with);
            } else if !line.starts_with('#') && !line.trim().is_empty() {
                let budget = Budget::parse(line).with_context(|| {
                    format!(
                        "{}:{}: not `path instructions tolerance%`",
                        file.display(),
                        number + 1
                    )
                });
                all.budgets.push(budget?);
            }
        }
        Ok(all)
    }

    /// Compares what was counted with the budgets; with `all` paths counted, what is in the file alone is told too.
    pub(crate) fn judge(&self, counts: &[Count], all: bool) -> Vec<Verdict> {
        let counted = counts.iter().map(|count| {
            let budget = self.budgets.iter().find(|budget| budget.name == count.name);
            Verdict {
                name: count.name.to_owned(),
                counted: Some(count.instructions),
                is: budget.map_or(Is::WithoutBudget, |budget| budget.judge(count.instructions)),
                budget: budget.cloned(),
            }
        });
        let gone = self
            .budgets
            .iter()
            .filter(|budget| all && counts.iter().all(|count| count.name != budget.name));
        let gone = gone.map(|budget| Verdict {
            name: budget.name.clone(),
            counted: None,
            budget: Some(budget.clone()),
            is: Is::WithoutPath,
        });
        counted.chain(gone).collect()
    }

    /// Takes over what was counted; with `all` paths counted, others are forgotten.
    pub(crate) fn update(&mut self, counts: &[Count], all: bool) {
        let old = std::mem::take(&mut self.budgets);
        let tolerance = |name: &str| {
            let before = old.iter().find(|budget| budget.name == name);
            before.map_or(TOLERANCE_PERCENT, |budget| budget.tolerance_percent)
        };
        let of = |count: &Count| Budget {
            name: count.name.to_owned(),
            instructions: count.instructions,
            tolerance_percent: tolerance(count.name),
        };
        if all {
            self.budgets = counts.iter().map(of).collect();
        } else {
            self.budgets.clone_from(&old);
            for new in counts.iter().map(of) {
                match self
                    .budgets
                    .iter_mut()
                    .find(|budget| budget.name == new.name)
                {
                    Some(budget) => *budget = new,
                    None => self.budgets.push(new),
                }
            }
        }
        self.made_with = tools();
    }

    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let mut text = String::from(
            "# Instructions of one call, frame or message, of both sides together, and by how much they may be missed.\n\
             # Written by `--update`; see ../README.md.\n",
        );
        writeln!(text, "# made with {}\n", self.made_with)?;
        for budget in &self.budgets {
            let Budget {
                name,
                instructions,
                tolerance_percent,
            } = budget;
            writeln!(text, "{name:40} {instructions:>9} {tolerance_percent:>3}%")?;
        }
        fs::write(file, text).with_context(|| file.display().to_string())
    }

    /// Says what there is to do, and returns the exit code.
    pub(crate) fn conclude(&self, verdicts: &[Verdict]) -> ExitCode {
        let count = |is| verdicts.iter().filter(|verdict| verdict.is == is).count();
        let (passed, stale) = (count(Is::Passed), count(Is::Stale));
        let unknown = count(Is::WithoutBudget) + count(Is::WithoutPath);
        if stale > 0 {
            println!("{stale} stale: less is needed than budgeted; write it down with --update");
        }
        if passed > 0 {
            println!("{passed} passed: what takes more has to be worth it; then --update");
            let now = tools();
            if now != self.made_with {
                println!(
                    "The budgets were made with {}; this is {now}",
                    self.made_with
                );
            }
        }
        if unknown > 0 {
            println!("{unknown} without a budget or without a path: write them down with --update");
        }
        if passed + unknown == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl Budget {
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split_whitespace();
        let (name, instructions) = (parts.next()?, parts.next()?.parse().ok()?);
        let tolerance_percent = parts.next()?.strip_suffix('%')?.parse().ok()?;
        parts.next().is_none().then(|| Self {
            name: name.to_owned(),
            instructions,
            tolerance_percent,
        })
    }

    fn judge(&self, counted: u64) -> Is {
        let room = self.instructions * self.tolerance_percent / 100;
        match counted {
            _ if counted > self.instructions + room => Is::Passed,
            _ if counted < self.instructions - room.min(self.instructions) => Is::Stale,
            _ => Is::Kept,
        }
    }
}

/// What counts depend on besides the code.
fn tools() -> String {
    let first_line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let line = text
            .ok()
            .and_then(|text| text.lines().next().map(str::to_owned));
        line.unwrap_or_else(|| format!("no {program}"))
    };
    [
        first_line("rustc", "--version"),
        first_line("ldd", "--version"),
        first_line("valgrind", "--version"),
    ]
    .join(", ")
}

pub(crate) fn table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["path", "instructions", "budget", "difference", ""]);
    for verdict in verdicts {
        let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        let budget = verdict.budget.as_ref();
        table.add_row([
            verdict.name.clone(),
            number(verdict.counted),
            budget
                .map(|b| format!("{} ±{}%", b.instructions, b.tolerance_percent))
                .unwrap_or_default(),
            difference(verdict).unwrap_or_default(),
            match verdict.is {
                Is::Kept => "kept",
                Is::Passed => "PASSED",
                Is::Stale => "stale",
                Is::WithoutBudget => "no budget",
                Is::WithoutPath => "no such path",
            }
            .to_owned(),
        ]);
    }
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn difference(verdict: &Verdict) -> Option<String> {
    let (counted, budget) = (verdict.counted?, verdict.budget.as_ref()?.instructions);
    let percent = (counted as f64 / budget.max(1) as f64 - 1.0) * 100.0;
    Some(format!("{percent:+.1}%"))
}
