//! What generated code says of a history: the revisions of its services, and which others they are compatible with.
//!
//! Schemas that are as the last release has them need the history alone. Others are compared with what was released,
//! each time they are loaded: a supported release that they break is an error of theirs.
//!
//! **Invariant**: looks at what is loaded, and at no other schema, unless a service seems to be gone; services of a folder
//! without a history are left as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::judge::{Breaks, broken};
use super::{History, Recorded, Revision, texts};
use crate::error::{Error, Place, Problem, ProblemKind};
use crate::fingerprint;
use crate::image::Image;
use crate::load::{Loaded, SourceFile};
use crate::rules::Finding;
use crate::rules::config::{BUF_FILE, Config, OWN_FILE};
use crate::{model, released};

/// The most compatible revisions that are embedded: as many as a HELLO has (wire contract, section 3).
const MOST: usize = 16;

/// Notes in `loaded` what the histories beside its files say of its services.
///
/// # Errors
///
/// [`Error::Schema`] when the schemas break a supported release; else as [`History::of`] and [`Config::find`].
pub(crate) fn embed(loaded: &mut Loaded) -> Result<(), Error> {
    for (folder, names) in released::folders(&loaded.sources) {
        let history = History::of(&folder)?;
        let files = [BUF_FILE, OWN_FILE].map(|file| folder.join(file));
        let files = files.into_iter().filter(|file| file.is_file());
        loaded.watched.extend(files);
        loaded.watched.push(history.folder().join(released::INDEX));
        if let Some(last) = history.last() {
            let last = last.number;
            Embedding {
                loaded,
                history: &history,
                names: &names,
                last,
            }
            .embed(&folder)?;
        }
    }
    Ok(())
}

/// The files with one history.
struct Embedding<'a> {
    loaded: &'a mut Loaded,
    history: &'a History,
    names: &'a BTreeSet<String>,
    last: u32,
}

impl Embedding<'_> {
    fn embed(self, folder: &Path) -> Result<(), Error> {
        let breaks = match self.is_as_released() {
            true => Breaks::default(),
            false => self.judge(folder)?,
        };
        let services: Vec<_> = self.services().collect();
        for (service, fingerprint) in services {
            let all: Vec<&Revision> = self
                .history
                .revisions(&service)
                .map(|(_, revision)| revision)
                .collect();
            let (number, compatible) = match all
                .iter()
                .find(|revision| revision.fingerprint == fingerprint)
            {
                Some(released) => (released.number, released.compatible.clone()),
                None => (0, breaks.compatible(self.history, &service)),
            };
            let known = |number: u32| all.iter().find(|revision| revision.number == number);
            let compatible =
                compatible
                    .into_iter()
                    .filter_map(known)
                    .map(|revision| model::Revision {
                        number: revision.number,
                        fingerprint: revision.fingerprint,
                    });
            let compatible = compatible.take(MOST).collect();
            self.loaded.revisions.insert(service, (number, compatible));
        }
        Ok(())
    }

    fn sources(&self) -> impl Iterator<Item = &SourceFile> {
        let sources = self.loaded.sources.iter();
        sources.filter(|source| self.names.contains(&source.name))
    }

    fn services(&self) -> impl Iterator<Item = (String, u64)> {
        let services = self.loaded.pool.services();
        let own = services.filter(|service| self.names.contains(service.parent_file().name()));
        own.map(|service| {
            (
                service.full_name().to_owned(),
                fingerprint::of_service(&service),
            )
        })
    }

    /// Whether the texts are those of the last release.
    fn is_as_released(&self) -> bool {
        let files = self.history.files(self.last);
        self.sources().all(|source| {
            let recorded = files.get(source.name.as_str());
            recorded.is_some_and(|recorded| recorded.hash == texts::hash(&source.text))
        })
    }

    /// Compares with the supported releases, and with those that have the newest revisions of unreleased services.
    fn judge(&self, folder: &Path) -> Result<Breaks, Error> {
        let config = Config::find(folder)?;
        let supported = self.history.supported(&config)?;
        let new = Image::of(self.loaded.clone())?;
        let (mut breaks, mut problems) = (Breaks::default(), Vec::new());
        let (mut judged, mut told) = (Vec::<Judged>::new(), BTreeSet::new());
        for release in (self.oldest(*supported.start())..=self.last).rev() {
            let files = self.history.files(release);
            let known = judged
                .iter()
                .position(|judged| judged.is_of(&files, self.names));
            let at = known.unwrap_or(judged.len());
            if known.is_none() {
                judged.push(self.compare(release, &new, &config)?);
            }
            let findings = &judged[at].findings;
            breaks.note(release, findings);
            if supported.contains(&release) {
                let untold = findings
                    .iter()
                    .filter(|found| told.insert((found.rule, found.message.clone())));
                problems.extend(untold.map(|finding| self.problem(finding, release)));
            }
        }
        match problems.is_empty() {
            true => Ok(breaks),
            false => Err(Error::Schema(problems)),
        }
    }

    /// The oldest release that is looked at.
    fn oldest(&self, supported: u32) -> u32 {
        let mut oldest = supported;
        for (service, fingerprint) in self.services() {
            let revisions = || self.history.revisions(&service);
            if revisions().all(|(_, revision)| revision.fingerprint != fingerprint) {
                let newest = revisions().take(MOST).map(|(release, _)| release);
                oldest = newest.fold(oldest, u32::min);
            }
        }
        oldest
    }

    fn compare(&self, release: u32, new: &Image, config: &Config) -> Result<Judged, Error> {
        let files = self.history.files(release);
        let old = self
            .history
            .load(release, |name| self.names.contains(name))?;
        let versions = old.sources.iter().filter_map(|source| {
            let recorded = files.get(source.name.as_str())?;
            Some((source.name.clone(), recorded.release))
        });
        let versions = versions.collect();
        let mut findings = broken(new, &Image::of(old)?, config)?;
        if !findings.is_empty() {
            self.confirm(&mut findings, release, config)?;
        }
        Ok(Judged {
            versions,
            roots: roots(&files, self.names),
            findings,
        })
    }

    /// Leaves out what seems to be gone and is in files that are not loaded, and what concerns their services alone.
    fn confirm(
        &self,
        findings: &mut Vec<Finding>,
        release: u32,
        config: &Config,
    ) -> Result<(), Error> {
        // What is wrong with the rest of the schemas is for those to say who load it.
        let Ok(all) = config.image() else {
            return Ok(());
        };
        let of_all = broken(&all, &self.history.image(release)?, config)?;
        let is_gone = |service: &String| all.service_named(service).is_none();
        let is_loaded = |service: &String| self.loaded.pool.get_service_by_name(service).is_some();
        findings.retain(|finding| {
            let mut confirmed = of_all.iter();
            confirmed.any(|other| other.rule == finding.rule && other.message == finding.message)
                && finding
                    .services
                    .iter()
                    .any(|service| is_loaded(service) || is_gone(service))
        });
        Ok(())
    }

    fn problem(&self, finding: &Finding, release: u32) -> Problem {
        let direction = finding.direction.map(|direction| direction.words());
        let message = finding.message.trim_end_matches('.');
        let place = finding.location.path.as_ref().and_then(|name| {
            let source = self.sources().find(|source| source.name == *name)?;
            let (span, number) = (finding.location.span, |value: u32| {
                usize::try_from(value).unwrap_or(1)
            });
            let source_line = source
                .text
                .lines()
                .nth(number(span.start_line) - 1)?
                .to_owned();
            let end = match span.start_line == span.end_line {
                true => number(span.end_column),
                false => source_line.chars().count() + 1,
            };
            Some(Place {
                file: source.path.clone(),
                line: number(span.start_line),
                column: number(span.start_column),
                width: end.saturating_sub(number(span.start_column)).max(1),
                source_line,
            })
        });
        Problem::new(
            ProblemKind::Evolution,
            format!("{message}: this breaks release {release} [{}]", finding.rule),
        )
        .at(place)
        .help(format!(
            "{}{}\n{}\nif nobody needs release {release} any more, raise `oldest_supported` in evolution.toml",
            finding.why,
            direction.map_or_else(String::new, |words| format!(" ({words})")),
            finding.fix
        ))
    }
}

/// What was found against a release.
struct Judged {
    /// The files that were looked at, and with which releases they came.
    versions: BTreeMap<String, u32>,
    /// How many of the loaded files it has.
    roots: usize,
    findings: Vec<Finding>,
}

impl Judged {
    /// Whether a release with these files has nothing else to look at.
    fn is_of(&self, files: &BTreeMap<&str, Recorded<'_>>, names: &BTreeSet<String>) -> bool {
        let recorded = |name: &String| files.get(name.as_str()).map(|recorded| recorded.release);
        let mut versions = self.versions.iter();
        self.roots == roots(files, names)
            && versions.all(|(name, version)| recorded(name) == Some(*version))
    }
}

fn roots(files: &BTreeMap<&str, Recorded<'_>>, names: &BTreeSet<String>) -> usize {
    names
        .iter()
        .filter(|name| files.contains_key(name.as_str()))
        .count()
}
