//! How fast the product must be: the bars of `bars.json`, held against what one run measured.
//!
//! **Invariant**: a bar is judged by medians of the same run; one whose peer was not in the run is not judged.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::{
    contenders::{Contender, ours::Ours},
    results::Results,
};

#[derive(Deserialize)]
struct File {
    source: String,
    bars: Vec<Bar>,
}

#[derive(Deserialize)]
struct Bar {
    workload: String,
    figure: String,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    /// A contender, `peers` for each that is not raw, or `value` for the figure itself.
    against: String,
    /// Workload and figure of the other, when not the same.
    of: Option<(String, String)>,
    at_most: Option<f64>,
    at_least: Option<f64>,
}

/// One bar, held against the run.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) workload: String,
    pub(crate) figure: String,
    /// What is asked for.
    pub(crate) bar: String,
    /// What was measured, as the bar counts: a ratio or a value.
    pub(crate) reached: f64,
    pub(crate) met: bool,
}

/// The bars' source, and all that can be judged.
pub(crate) fn judge(results: &Results) -> anyhow::Result<(String, Vec<Verdict>)> {
    let file: File = serde_json::from_str(include_str!("../bars.json"))
        .context("bars.json is no list of bars")?;
    let mut verdicts = Vec::new();
    for bar in &file.bars {
        for test in &bar.tests {
            verdicts.extend(test.judge(bar, results));
        }
    }
    Ok((file.source, verdicts))
}

impl Test {
    fn judge(&self, bar: &Bar, results: &Results) -> Option<Verdict> {
        let ours = results.median(Ours::NAME, &bar.workload, &bar.figure)?;
        let (workload, figure) = match &self.of {
            Some((workload, figure)) => (workload, figure),
            None => (&bar.workload, &bar.figure),
        };
        let base = match self.against.as_str() {
            "value" => 1.0,
            "peers" => {
                let peers = results
                    .contenders
                    .iter()
                    .filter(|name| !name.starts_with(Ours::NAME) && !name.starts_with("raw-"));
                let peers = peers.filter_map(|name| results.median(name, workload, figure));
                let best = if self.at_most.is_some() {
                    f64::min
                } else {
                    f64::max
                };
                peers.reduce(best)?
            }
            name => results.median(name, workload, figure)?,
        };
        let reached = ours / base;
        let (word, bound, met) = match (self.at_most, self.at_least) {
            (Some(bound), _) => ("at most", bound, reached <= bound),
            (None, Some(bound)) => ("at least", bound, reached >= bound),
            (None, None) => return None,
        };
        let other = match (self.against.as_str(), &self.of) {
            ("value", _) => String::new(),
            ("peers", _) => "x the best peer".to_owned(),
            (name, None) => format!("x {name}"),
            (name, Some((workload, figure))) => format!("x {name}'s {workload} {figure}"),
        };
        Some(Verdict {
            workload: bar.workload.clone(),
            figure: bar.figure.clone(),
            bar: format!("{word} {bound:.3} {other}").trim_end().to_owned(),
            reached,
            met,
        })
    }
}
