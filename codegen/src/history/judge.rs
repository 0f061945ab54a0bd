//! Whether schemas can take the place of what was released.
//!
//! **Invariant**: each thing that is wrong is told once, compared with the newest release that it breaks; whether peers
//! understand each other is for the rules of the wire alone to say, whatever else a project checks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::History;
use crate::error::Error;
use crate::evolution;
use crate::image::Image;
use crate::rules::Finding;
use crate::rules::config::Config;

/// The schemas of a release.
#[derive(Debug)]
pub struct Released {
    /// The number of the release.
    pub number: u32,
    /// Its schemas.
    pub image: Image,
}

impl History {
    /// The releases whose peers have to be understood still, by the configuration; none when there are no releases.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when the configuration names one that is not there, and is not the next.
    pub fn supported(&self, config: &Config) -> Result<RangeInclusive<u32>, Error> {
        let (oldest, last) = (config.oldest_supported, self.last_number());
        if oldest > last + 1 {
            return Err(Error::usage(
                format!(
                    "`oldest_supported` in evolution.toml is {oldest}, and the last release is {last}"
                ),
                format!(
                    "name a release from 1 to {last}; or {}, the next, to support none of them",
                    last + 1
                ),
            ));
        }
        Ok(oldest..=last)
    }

    /// The schemas of all releases, oldest first.
    ///
    /// # Errors
    ///
    /// As [`image`](Self::image).
    pub fn images(&self) -> Result<Vec<Released>, Error> {
        let numbers = self.releases().iter().map(|release| release.number);
        numbers
            .map(|number| {
                let image = self.image(number)?;
                Ok(Released { number, image })
            })
            .collect()
    }
}

/// What of `new` breaks those who rely on any of the releases in `supported`, and what it takes up again that any of `releases` had,
/// which are all, oldest first. Each finding names its release.
///
/// # Errors
///
/// As [`evolution::check`].
pub fn check(
    new: &Image,
    releases: &[Released],
    supported: &RangeInclusive<u32>,
    config: &Config,
) -> Result<Vec<Finding>, Error> {
    let images: Vec<&Image> = releases.iter().map(|release| &release.image).collect();
    let reused = evolution::check_history(new, &images, config)?;
    let mut found = Vec::new();
    for (release, reused) in releases.iter().zip(reused).rev() {
        let mut findings = reused;
        if supported.contains(&release.number) {
            findings.extend(evolution::check(new, &release.image, config)?);
        }
        for finding in &mut findings {
            finding.release = Some(release.number);
        }
        found.extend(findings);
    }
    let mut seen = BTreeSet::new();
    found.retain(|finding: &Finding| {
        seen.insert((
            finding.location.clone(),
            finding.rule,
            finding.message.clone(),
        ))
    });
    found.sort_by(|one, other| one.location.cmp(&other.location));
    Ok(found)
}

/// What of `new` breaks those who rely on `old`, by the rules of the wire.
pub(super) fn broken(new: &Image, old: &Image, config: &Config) -> Result<Vec<Finding>, Error> {
    evolution::check(new, old, &of_the_wire(config))
}

/// The same configuration with the rules of the wire in place of those that a project checks. What it leaves out or
/// ignores is left out still: that is how a project says that nobody minds.
fn of_the_wire(config: &Config) -> Config {
    let mut config = config.clone();
    for module in &mut config.modules {
        module.breaking.used = vec![evolution::IPC.to_owned()];
    }
    config
}

/// For each release that was looked at: the services that it breaks.
#[derive(Debug, Default)]
pub(super) struct Breaks(BTreeMap<u32, BTreeSet<String>>);

impl Breaks {
    /// Notes what was found against a release.
    pub(super) fn note(&mut self, release: u32, findings: &[Finding]) {
        let services = findings.iter().flat_map(|finding| &finding.services);
        self.0.entry(release).or_default().extend(services.cloned());
    }

    /// The revisions of a service, newest first, whose peers understand it and are understood in every release that had
    /// them. A release that was not looked at counts as broken.
    pub(super) fn compatible(&self, history: &History, service: &str) -> Vec<u32> {
        let mut next = history.last_number() + 1;
        let mut numbers = Vec::new();
        for (release, revision) in history.revisions(service) {
            let releases = release..next;
            next = release;
            let unbroken = |release| {
                self.0
                    .get(&release)
                    .is_some_and(|broken| !broken.contains(service))
            };
            if releases.into_iter().all(unbroken) {
                numbers.push(revision.number);
            }
        }
        numbers
    }
}
