//! Rules of lists and maps themselves; those of their items are checked one by one.
//!
//! **Invariant**: a peer cannot make a check take more than linear time.

use std::{collections::HashSet, hash::Hash};

use super::{BOOL_TYPE, Field, Path, Report, UINT64_TYPE};
use crate::validate::report::MESSAGE;

static REPEATED: Field = Field::new(18, "repeated", MESSAGE);
static MAP: Field = Field::new(19, "map", MESSAGE);

/// A rule of a list.
#[derive(Debug, Clone, Copy)]
pub enum RepeatedRule {
    /// At least so many items.
    MinItems(u64),
    /// At most so many items.
    MaxItems(u64),
}

/// Checks the length of a list.
pub fn repeated(length: usize, rules: &[RepeatedRule], at: &Path<'_>, report: &mut Report) {
    static MIN_ITEMS: Field = Field::new(1, "min_items", UINT64_TYPE);
    static MAX_ITEMS: Field = Field::new(2, "max_items", UINT64_TYPE);
    let length = length as u64;
    for rule in rules {
        match *rule {
            RepeatedRule::MinItems(least) if length < least => {
                let message = format!("must contain at least {least} item(s)");
                let path = [&REPEATED, &MIN_ITEMS];
                report.add(at, &path, "repeated.min_items", message);
            }
            RepeatedRule::MaxItems(most) if length > most => {
                let message = format!("must contain no more than {most} item(s)");
                let path = [&REPEATED, &MAX_ITEMS];
                report.add(at, &path, "repeated.max_items", message);
            }
            _ => {}
        }
    }
}

/// Checks that no item of a list is there twice.
pub fn unique<T: Eq + Hash>(items: &[T], at: &Path<'_>, report: &mut Report) {
    let mut seen = HashSet::with_capacity(items.len());
    if !items.iter().all(|item| seen.insert(item)) {
        not_unique(at, report);
    }
}

/// The same for floating-point numbers: both zeros are one, and no NaN equals another.
pub fn unique_floats<T: Copy + Into<f64>>(items: &[T], at: &Path<'_>, report: &mut Report) {
    let items = items.iter().map(|item| Into::<f64>::into(*item));
    let mut seen = HashSet::new();
    let mut numbers = items.filter(|item| !item.is_nan());
    // Adding zero turns -0.0 into 0.0.
    if !numbers.all(|item| seen.insert((item + 0.0).to_bits())) {
        not_unique(at, report);
    }
}

fn not_unique(at: &Path<'_>, report: &mut Report) {
    static UNIQUE: Field = Field::new(3, "unique", BOOL_TYPE);
    let message = "repeated value must contain unique items";
    report.add(at, &[&REPEATED, &UNIQUE], "repeated.unique", message);
}

/// A rule of a map.
#[derive(Debug, Clone, Copy)]
pub enum MapRule {
    /// At least so many entries.
    MinPairs(u64),
    /// At most so many entries.
    MaxPairs(u64),
}

/// Checks the size of a map.
pub fn map(length: usize, rules: &[MapRule], at: &Path<'_>, report: &mut Report) {
    static MIN_PAIRS: Field = Field::new(1, "min_pairs", UINT64_TYPE);
    static MAX_PAIRS: Field = Field::new(2, "max_pairs", UINT64_TYPE);
    let length = length as u64;
    for rule in rules {
        match *rule {
            MapRule::MinPairs(least) if length < least => {
                let message = format!("map must be at least {least} entries");
                report.add(at, &[&MAP, &MIN_PAIRS], "map.min_pairs", message);
            }
            MapRule::MaxPairs(most) if length > most => {
                let message = format!("map must be at most {most} entries");
                report.add(at, &[&MAP, &MAX_PAIRS], "map.max_pairs", message);
            }
            _ => {}
        }
    }
}
