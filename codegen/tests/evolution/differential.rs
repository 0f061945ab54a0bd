//! Schemas made and changed by chance, judged by buf and by the rules.
//!
//! `DIFFERENTIAL_PAIRS=2000 DIFFERENTIAL_SEED=fresh cargo test -p daemoneye-ipc-codegen --features evolution --test evolution
//! differential -- --nocapture` tries others, and more, and prints how far the two agree.
//!
//! **Invariant**: a pair follows from the seed of the run and its number.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use daemoneye_ipc_codegen::evolution;
use daemoneye_ipc_codegen::image::Image;
use daemoneye_ipc_codegen::rules::Finding;
use fastrand::Rng;

use crate::buf::{self, Line};
use crate::{CATEGORIES, compare, grow, mutate, write};

/// How many pairs buf is asked about at once.
const BATCH: usize = 150;

#[test]
fn buf_says_the_same_of_schemas_made_by_chance() {
    let Some(program) = buf::program() else {
        eprintln!(
            "SKIPPED: there is no buf; `npm install --prefix target/buf @bufbuild/buf@1.75.0` brings it"
        );
        return;
    };
    let (mut left, seed) = (pairs(), seed());
    let mut tally = Tally::default();
    let mut first = 0;
    while left > 0 {
        let batch = Batch::made(&program, seed, first, left.min(BATCH));
        first += batch.tried;
        left -= batch.names.len().min(left);
        batch.judge(&mut tally);
    }
    eprintln!("seed {seed}\n{}", tally.table());
    assert!(
        tally.differences.is_empty(),
        "seed {seed}:\n{}",
        tally.shown()
    );
}

fn pairs() -> usize {
    let given = std::env::var("DIFFERENTIAL_PAIRS").ok();
    given.map_or(120, |pairs| pairs.parse().expect("a number"))
}

fn seed() -> u64 {
    match std::env::var("DIFFERENTIAL_SEED").ok().as_deref() {
        None => 1,
        Some("fresh") => fastrand::u64(..1_000_000),
        Some(seed) => seed.parse().expect("a number, or `fresh`"),
    }
}

/// Pairs of schemas in two folders, each pair in a folder and a package of its own.
struct Batch {
    folder: tempfile::TempDir,
    names: BTreeSet<String>,
    /// How many numbers of pairs were used, valid or not.
    tried: usize,
    buf: Vec<Line>,
}

impl Batch {
    fn made(program: &Path, seed: u64, first: usize, count: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mut names, mut tried) = (BTreeSet::new(), 0);
        while names.len() < count {
            let number = first + tried;
            tried += 1;
            let name = format!("p{number:06}");
            if pair(
                folder.path(),
                &name,
                Rng::with_seed(seed.wrapping_mul(1_000_003) + number as u64),
            ) {
                names.insert(name);
            }
        }
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        let buf = loop {
            match buf::breaking(program, &new, &old, &CATEGORIES) {
                Ok(lines) => break lines,
                Err(broken) => {
                    for path in broken {
                        let name = path
                            .split('/')
                            .find(|part| part.starts_with('p'))
                            .expect("a pair");
                        names.remove(name);
                        for version in [&new, &old] {
                            let _ = fs::remove_dir_all(version.join(name));
                        }
                    }
                }
            }
        };
        Self {
            folder,
            names,
            tried,
            buf,
        }
    }

    fn judge(self, tally: &mut Tally) {
        let (new, old) = (
            self.folder.path().join("new"),
            self.folder.path().join("old"),
        );
        let ours = compare(&new, &old, &CATEGORIES);
        let ours: Vec<Line> = ours.iter().map(line).collect();
        let (ours, buf) = (by_pair(ours), by_pair(self.buf));
        let none = BTreeSet::new();
        let mut differs = false;
        for name in &self.names {
            let (ours, buf) = (
                ours.get(name).unwrap_or(&none),
                buf.get(name).unwrap_or(&none),
            );
            differs |= tally.add(name, ours, buf);
        }
        if differs && std::env::var_os("KEEP").is_some() {
            eprintln!("kept: {}", self.folder.keep().display());
        }
    }
}

/// Writes a pair, and says whether both of its schemas are valid.
fn pair(folder: &Path, name: &str, mut rng: Rng) -> bool {
    let mut tree = grow::tree(name, &mut rng);
    let old = tree.texts();
    mutate::mutate(&mut tree, &mut rng);
    let new = tree.texts();
    let valid = [("old", &old), ("new", &new)]
        .into_iter()
        .all(|(version, texts)| {
            let root = folder.join(version);
            texts
                .iter()
                .for_each(|(path, text)| write(&root, path, text));
            let protos: Vec<PathBuf> = texts.iter().map(|(path, _)| root.join(path)).collect();
            Image::read_files(&protos, &[root]).is_ok()
        });
    if !valid {
        for version in ["old", "new"] {
            let _ = fs::remove_dir_all(folder.join(version).join(name));
        }
    }
    valid
}

/// A finding as buf prints it.
pub(crate) fn line(finding: &Finding) -> Line {
    let json = serde_json::to_string(finding).expect("JSON");
    serde_json::from_str(&json).expect("buf's keys")
}

fn by_pair(lines: Vec<Line>) -> BTreeMap<String, BTreeSet<Line>> {
    let mut pairs: BTreeMap<String, BTreeSet<Line>> = BTreeMap::new();
    for line in lines {
        // What has no path names the file or the package that is gone.
        let text = if line.path.is_empty() {
            &line.message
        } else {
            &line.path
        };
        let name = text.split(['/', '.', '"']).find(|part| is_pair(part));
        let name = name
            .unwrap_or_else(|| panic!("no pair in {line:?}"))
            .to_owned();
        pairs.entry(name).or_default().insert(line);
    }
    pairs
}

fn is_pair(part: &str) -> bool {
    part.strip_prefix('p')
        .is_some_and(|number| number.len() == 6 && number.parse::<u32>().is_ok())
}

#[derive(Default)]
struct Tally {
    pairs: usize,
    exact: usize,
    /// Pairs whose messages are the same too.
    worded: usize,
    findings: usize,
    shared: usize,
    /// By category: pairs that buf finds breaking, and pairs with another verdict.
    verdicts: BTreeMap<&'static str, (usize, usize)>,
    rules: BTreeMap<String, usize>,
    differences: Vec<String>,
}

impl Tally {
    /// Counts a pair; true when the two do not say the same.
    fn add(&mut self, name: &str, ours: &BTreeSet<Line>, buf: &BTreeSet<Line>) -> bool {
        self.pairs += 1;
        for category in CATEGORIES {
            let names = evolution::names();
            let ids = names.ids(&[category]).expect("a category");
            let breaks =
                |lines: &BTreeSet<Line>| lines.iter().any(|line| ids.contains(&*line.rule));
            let (breaking, other) = self.verdicts.entry(category).or_default();
            *breaking += usize::from(breaks(buf));
            *other += usize::from(breaks(buf) != breaks(ours));
        }
        for line in buf {
            *self.rules.entry(line.rule.clone()).or_default() += 1;
        }
        self.worded += usize::from(ours == buf);
        let places = |lines: &BTreeSet<Line>| -> BTreeSet<Line> {
            let place = |line: &Line| Line {
                message: String::new(),
                ..line.clone()
            };
            lines.iter().map(place).collect()
        };
        let (our_places, buf_places) = (places(ours), places(buf));
        self.findings += our_places.union(&buf_places).count();
        self.shared += our_places.intersection(&buf_places).count();
        if our_places == buf_places {
            self.exact += 1;
            return false;
        }
        let mut text = format!("{name}\n");
        for line in ours.iter().filter(|line| !buf.contains(line)) {
            text.push_str(&format!("  ours {line:?}\n"));
        }
        for line in buf.iter().filter(|line| !ours.contains(line)) {
            text.push_str(&format!("  buf  {line:?}\n"));
        }
        self.differences.push(text);
        true
    }

    /// As Markdown.
    fn table(&self) -> String {
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        let mut text = format!(
            "| {} pairs, {} rules seen | pairs that break | the same verdict | |\n|---|---:|---:|---:|\n",
            self.pairs,
            self.rules.len()
        );
        for (category, (breaking, other)) in &self.verdicts {
            let same = self.pairs - other;
            let share = percent(same, self.pairs);
            text.push_str(&format!(
                "| {category} | {breaking} | {same} | {share:.2} % |\n"
            ));
        }
        let mut row = |what: &str, whole: usize, part: usize| {
            let share = percent(part, whole);
            text.push_str(&format!("| {what} | {whole} | {part} | {share:.2} % |\n"));
        };
        row(
            "findings: rule, file, lines and columns",
            self.findings,
            self.shared,
        );
        row("pairs with the same findings", self.pairs, self.exact);
        row("pairs with the same words too", self.pairs, self.worded);
        text
    }

    fn shown(&self) -> String {
        self.differences
            .iter()
            .take(12)
            .map(String::as_str)
            .collect()
    }
}
