//! All samples of a run, their medians and spreads.
//!
//! **Invariant**: a median is of rounds; a spread is from the smallest to the largest of them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::workloads::Sample;

/// A run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    /// Those that took part, in the order of the table.
    pub(crate) contenders: Vec<String>,
    /// Samples by workload and contender, one for each round.
    pub(crate) samples: BTreeMap<String, BTreeMap<String, Vec<Sample>>>,
    /// Measurements that failed, and why.
    pub(crate) failures: Vec<String>,
}

impl Results {
    pub(crate) fn add(&mut self, workload: &str, contender: &str, sample: Sample) {
        let workload = self.samples.entry(workload.to_owned()).or_default();
        workload
            .entry(contender.to_owned())
            .or_default()
            .push(sample);
    }

    /// A figure of all rounds, from the smallest to the largest.
    fn figures(&self, contender: &str, workload: &str, figure: &str) -> Vec<f64> {
        let samples = self
            .samples
            .get(workload)
            .and_then(|samples| samples.get(contender));
        let figures = samples
            .into_iter()
            .flatten()
            .filter_map(|sample| sample.figures.get(figure));
        let mut figures: Vec<f64> = figures.copied().collect();
        figures.sort_by(f64::total_cmp);
        figures
    }

    pub(crate) fn median(&self, contender: &str, workload: &str, figure: &str) -> Option<f64> {
        middle(&self.figures(contender, workload, figure))
    }

    /// The range of a figure over the rounds, against its median.
    pub(crate) fn spread(&self, contender: &str, workload: &str, figure: &str) -> Option<f64> {
        let figures = self.figures(contender, workload, figure);
        let (least, most) = (figures.first()?, figures.last()?);
        Some((most - least) / middle(&figures)?)
    }

    /// The median of each point of a plot.
    pub(crate) fn curve(&self, contender: &str, workload: &str) -> Vec<(f64, f64)> {
        let samples = self
            .samples
            .get(workload)
            .and_then(|samples| samples.get(contender));
        let mut points = BTreeMap::<u64, Vec<f64>>::new();
        for (x, y) in samples
            .into_iter()
            .flatten()
            .flat_map(|sample| &sample.curve)
        {
            points
                .entry((x * 100.0).round() as u64)
                .or_default()
                .push(*y);
        }
        let median = |(x, mut ys): (u64, Vec<f64>)| {
            ys.sort_by(f64::total_cmp);
            Some((x as f64 / 100.0, middle(&ys)?))
        };
        points.into_iter().filter_map(median).collect()
    }
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let at = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[at]),
        _ => Some((sorted[at - 1] + sorted[at]) / 2.0),
    }
}
