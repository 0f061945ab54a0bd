//! What was released of a folder of schemas: the texts of its files, and the revisions of its services.
//!
//! It is kept in a folder `history` beside the schemas. `history.toml` says what each release brought, in the order of
//! the releases, so that a release adds lines at its end; `files/` holds the texts, each under the name of its schema
//! with the number of the release behind it, which no tool takes for a schema. What did not change is not stored again.
//!
//! **Invariant**: what is read is what was recorded: hashes guard the texts, and checksums, each of which covers the one
//! before it, guard the releases.

mod embed;
mod index;
mod judge;
mod record;
mod texts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use self::embed::embed;
pub use self::judge::{Released, check};
pub use self::record::Plan;
use crate::error::Error;
use crate::image::Image;
use crate::load::{Loaded, load_texts};
use crate::released::{FOLDER, INDEX};

/// What was released of a folder of schemas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    folder: PathBuf,
    releases: Vec<Release>,
}

/// What a release brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Its number: 1 for the first.
    pub number: u32,
    /// The files that are new or changed, by their import names, with the SHA-256 of their texts (line feeds alone end
    /// lines) as hexadecimal digits.
    pub files: BTreeMap<String, String>,
    /// The import names of files that are gone.
    pub removed: Vec<String>,
    /// The services that are new or changed on the wire, in the order of their names.
    pub services: Vec<Revision>,
}

/// A revision of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The full name of the service.
    pub service: String,
    /// Its number: 1 for the first of the service.
    pub number: u32,
    /// The [fingerprint](crate::fingerprint) of the service.
    pub fingerprint: u64,
    /// The numbers of the earlier revisions with which it is compatible in both directions, newest first.
    pub compatible: Vec<u32>,
}

/// A file as of a release: with what its text came, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recorded<'a> {
    pub(crate) release: u32,
    pub(crate) hash: &'a str,
}

impl History {
    /// The history of the schemas in a folder, that of a `buf.yaml` or `evolution.toml` if there is one. Without any, it
    /// has no releases.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read; [`Error::Usage`] when it is malformed, or not what was recorded.
    pub fn of(schemas: &Path) -> Result<Self, Error> {
        let folder = schemas.join(FOLDER);
        let releases = index::read(&folder)?;
        Ok(Self { folder, releases })
    }

    /// The folder that it is kept in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The releases, oldest first; their numbers are 1, 2, 3 and so on.
    #[must_use]
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// The last release.
    #[must_use]
    pub fn last(&self) -> Option<&Release> {
        self.releases.last()
    }

    pub(crate) fn last_number(&self) -> u32 {
        self.last().map_or(0, |last| last.number)
    }

    /// The schemas as of a release, with the texts of that time.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of), and [`Error::Usage`] when there is no such release.
    pub fn image(&self, release: u32) -> Result<Image, Error> {
        Image::of(self.load(release, |_| true)?)
    }

    /// The files as of a release that `wanted` names, and what they import, linked.
    pub(crate) fn load(
        &self,
        release: u32,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Loaded, Error> {
        if release == 0 || release > self.last_number() {
            return Err(self.no_release(release));
        }
        let files = self.files(release);
        let mut texts = Vec::with_capacity(files.len());
        for (name, recorded) in &files {
            texts.push(texts::read(&self.folder, name, *recorded)?);
        }
        let roots = files.keys().filter(|name| wanted(name));
        let roots = roots.map(|name| (*name).to_owned()).collect();
        load_texts(texts, roots)
    }

    /// The files as of a release, by import name.
    pub(crate) fn files(&self, release: u32) -> BTreeMap<&str, Recorded<'_>> {
        let mut files = BTreeMap::new();
        for each in self.releases.iter().take(release as usize) {
            for name in &each.removed {
                files.remove(name.as_str());
            }
            for (name, hash) in &each.files {
                let recorded = Recorded {
                    release: each.number,
                    hash,
                };
                files.insert(name.as_str(), recorded);
            }
        }
        files
    }

    /// The revisions of a service, newest first, with the numbers of their releases.
    pub fn revisions<'a>(
        &'a self,
        service: &'a str,
    ) -> impl Iterator<Item = (u32, &'a Revision)> + use<'a> {
        let newest = self.releases.iter().rev();
        newest.filter_map(move |release| {
            let mut services = release.services.iter();
            let found = services.find(|revision| revision.service == service)?;
            Some((release.number, found))
        })
    }

    fn no_release(&self, number: u32) -> Error {
        let folder = self.folder.display();
        let help = match self.last() {
            None => format!("nothing was released yet: `{folder}` has no {}", INDEX),
            Some(last) => format!("the releases in `{folder}` are 1 to {}", last.number),
        };
        Error::usage(format!("there is no release {number}"), help)
    }
}

#[cfg(test)]
mod tests;
