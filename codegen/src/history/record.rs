//! A release: what it would bring, and recording it.
//!
//! **Invariant**: a plan changes nothing; recording one adds texts that nobody knows of yet, and then puts a new index in
//! the place of the old one, so that a release is there or is not.

use std::collections::BTreeMap;
use std::fs;

use prost_reflect::DescriptorPool;

use super::judge::{self, Breaks, Released};
use super::{History, Release, Revision, index, texts};
use crate::error::Error;
use crate::fingerprint;
use crate::image::{self, Image};
use crate::load::Loaded;
use crate::released::INDEX;
use crate::rules::Finding;
use crate::rules::config::Config;
use crate::write::write_if_changed;

/// What the next release would be.
#[derive(Debug)]
pub struct Plan {
    /// The release.
    pub release: Release,
    /// What of the schemas breaks supported releases; a plan with findings cannot be recorded.
    pub findings: Vec<Finding>,
    /// The schemas.
    pub image: Image,
    /// The schemas of the releases so far, oldest first.
    pub releases: Vec<Released>,
    /// The texts of the files in the release.
    texts: BTreeMap<String, String>,
}

impl Plan {
    /// Whether there is anything to release: comments and the like count for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.release.files.is_empty() && self.release.removed.is_empty()
    }
}

impl History {
    /// What the next release of the schemas of `config` would be, and what speaks against it.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of) and [`Config::image`], and for rules that do not exist.
    pub fn plan(&self, config: &Config) -> Result<Plan, Error> {
        let supported = self.supported(config)?;
        let loaded = config.load()?;
        let number = self.last_number() + 1;
        let mut release = Release {
            number,
            ..Release::default()
        };
        let texts = self.changed_files(&loaded, &mut release)?;
        let fingerprints = fingerprints(&loaded);
        let image = Image::of(loaded)?;
        let releases = self.images()?;
        let findings = judge::check(&image, &releases, &supported, config)?;
        let mut breaks = Breaks::default();
        for old in &releases {
            breaks.note(old.number, &judge::broken(&image, &old.image, config)?);
        }
        for (service, fingerprint) in fingerprints {
            let last = self
                .revisions(&service)
                .next()
                .map(|(_, revision)| revision);
            if last.is_none_or(|last| last.fingerprint != fingerprint) {
                release.services.push(Revision {
                    number: last.map_or(1, |last| last.number + 1),
                    fingerprint,
                    compatible: breaks.compatible(self, &service),
                    service,
                });
            }
        }
        Ok(Plan {
            release,
            findings,
            image,
            releases,
            texts,
        })
    }

    /// Notes in `release` which files are new, changed or gone, and gives the texts of the first two.
    fn changed_files(
        &self,
        loaded: &Loaded,
        release: &mut Release,
    ) -> Result<BTreeMap<String, String>, Error> {
        let before = match self.last() {
            Some(last) => self.load(last.number, |_| true)?.pool,
            None => DescriptorPool::new(),
        };
        let mut changed = BTreeMap::new();
        for source in &loaded.sources {
            let new = loaded.pool.get_file_by_name(&source.name);
            let old = before.get_file_by_name(&source.name);
            let same = new.zip(old).is_some_and(|(new, old)| {
                image::mean_the_same(&new.encode_to_vec(), &old.encode_to_vec())
            });
            if !same {
                release
                    .files
                    .insert(source.name.clone(), texts::hash(&source.text));
                changed.insert(source.name.clone(), texts::plain(&source.text).into_owned());
            }
        }
        let is_gone = |name: &&str| loaded.source(name).is_none();
        let names = self.files(self.last_number()).into_keys();
        release.removed = names.filter(is_gone).map(str::to_owned).collect();
        Ok(changed)
    }

    /// Records a release.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when something cannot be written; [`Error::Usage`] for a plan with findings, or when something was
    /// released since it was made.
    pub fn record(&mut self, plan: Plan) -> Result<&Release, Error> {
        if !plan.findings.is_empty() {
            return Err(Error::usage(
                "what breaks supported releases is not released",
                "undo what the findings name, or raise `oldest_supported` in evolution.toml",
            ));
        }
        let stale = || {
            Error::usage(
                format!(
                    "`{}` has changed since the release was planned",
                    self.folder.display()
                ),
                "release again",
            )
        };
        let number = plan.release.number;
        if number != self.last_number() + 1 || index::read(&self.folder)? != self.releases {
            return Err(stale());
        }
        for (name, text) in &plan.texts {
            let path = texts::path(&self.folder, name, number);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)
                    .map_err(|error| Error::io("cannot create", folder, error))?;
            }
            write_if_changed(&path, text)?;
        }
        let mut releases = self.releases.clone();
        releases.push(plan.release);
        fs::create_dir_all(&self.folder)
            .map_err(|error| Error::io("cannot create", &self.folder, error))?;
        write_if_changed(&self.folder.join(INDEX), index::text(&releases)?)?;
        self.releases = releases;
        Ok(&self.releases[self.releases.len() - 1])
    }
}

/// The services of the files that were read, by name, with their fingerprints.
fn fingerprints(loaded: &Loaded) -> BTreeMap<String, u64> {
    let services = loaded.pool.services();
    let own = services.filter(|service| loaded.source(service.parent_file().name()).is_some());
    own.map(|service| {
        let fingerprint = fingerprint::of_service(&service);
        (service.full_name().to_owned(), fingerprint)
    })
    .collect()
}
