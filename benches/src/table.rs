//! The tables of a run, as text.
//!
//! **Invariant**: each cell says its spread; a ratio is to `raw-tokio` of the same run.

use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::{
    bars::Verdict,
    contenders::{Contender, raw_tokio::RawTokio},
    results::Results,
    workloads::About,
};

/// A number with three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        value if value >= 1e6 => format!("{:.2}M", value / 1e6),
        value if value >= 1e4 => format!("{:.1}k", value / 1e3),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Median, and its ratio to `raw-tokio` with the spread.
pub(crate) fn cell(
    results: &Results,
    contender: &str,
    workload: &str,
    figure: &str,
) -> Option<(String, String)> {
    let median = results.median(contender, workload, figure)?;
    let spread = results.spread(contender, workload, figure).unwrap_or(0.0) * 100.0;
    let ratio = results
        .median(RawTokio::NAME, workload, figure)
        .filter(|base| *base != 0.0);
    let ratio = ratio.map_or(String::new(), |base| format!("{:.2}x ", median / base));
    Some((short(median), format!("{ratio}({spread:.0}%)")))
}

/// Medians, ratios and spreads: a row for each figure, a column for each contender.
pub(crate) fn table(results: &Results, workloads: &[&About]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let heads = ["workload", "figure"].map(str::to_owned);
    table.set_header(heads.iter().chain(&results.contenders));
    for about in workloads {
        for (figure, unit) in about.figures {
            let mut row = vec![
                Cell::new(about.title),
                Cell::new(format!("{figure}, {unit}")),
            ];
            let cells = results.contenders.iter().map(|contender| {
                let cell = cell(results, contender, about.name, figure);
                cell.map_or("-".to_owned(), |(median, rest)| format!("{median} {rest}"))
            });
            row.extend(cells.map(|text| Cell::new(text).set_alignment(CellAlignment::Right)));
            table.add_row(row);
        }
    }
    table
}

/// The bars, and what was reached.
pub(crate) fn verdict_table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["workload", "figure", "bar", "reached", "met"]);
    for verdict in verdicts {
        let met = if verdict.met { "yes" } else { "NO" };
        table.add_row([
            &verdict.workload,
            &verdict.figure,
            &verdict.bar,
            &format!("{:.3}", verdict.reached),
            met,
        ]);
    }
    table
}
