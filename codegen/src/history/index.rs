//! `history.toml`: what each release brought.
//!
//! **Invariant**: an index that was edited, cut, or joined from two is refused; how it is laid out does not matter.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Release, Revision, texts};
use crate::error::Error;
use crate::released::INDEX;

/// What to do about a history that is not what was recorded.
pub(super) const RESTORE: &str = "what was released cannot be changed: restore the folder from version control; after a merge, \
     keep the history of the branch that others release from, and release again what the other branch released";

/// The version of this format.
const FORMAT: u32 = 1;

const HEADER: &str = "# What was released of the schemas beside this folder, written by `daemoneye-cli schema release`. A checksum\n\
     # guards each release: do not edit. docs/schema-evolution.md explains it.\n";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    format: u32,
    #[serde(default, rename = "release")]
    releases: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    number: u32,
    /// Over this release and the checksum of the one before it.
    checksum: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, String>,
    #[serde(default, rename = "service", skip_serializing_if = "Vec::is_empty")]
    services: Vec<Service>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    name: String,
    revision: u32,
    fingerprint: String,
    compatible: Vec<u32>,
}

/// Reads the releases of a history; none when there is no history.
pub(super) fn read(folder: &Path) -> Result<Vec<Release>, Error> {
    let file = folder.join(INDEX);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match folder.join("files").is_dir() {
                true => Err(Error::usage(
                    format!(
                        "`{}` is missing, and the texts of releases are there",
                        file.display()
                    ),
                    RESTORE,
                )),
                false => Ok(Vec::new()),
            };
        }
        Err(error) => return Err(Error::io("cannot read", file, error)),
    };
    let refused = |what: String| Error::usage(format!("`{}`: {what}", file.display()), RESTORE);
    let index: Index =
        toml::from_str(&text).map_err(|error| refused(error.to_string().trim_end().to_owned()))?;
    if index.format != FORMAT {
        return Err(Error::usage(
            format!("`{}` has format {}", file.display(), index.format),
            format!(
                "this version of the tool reads format {FORMAT}: use the one that wrote it, or a newer one"
            ),
        ));
    }
    let mut releases: Vec<Release> = Vec::with_capacity(index.releases.len());
    let mut before = String::new();
    for (entry, number) in index.releases.into_iter().zip(1..) {
        if entry.number != number {
            return Err(refused(format!(
                "where release {number} should be, release {} is",
                entry.number
            )));
        }
        let written = entry.checksum.clone();
        let release =
            release(entry).map_err(|what| refused(format!("release {number}: {what}")))?;
        before = checksum(&release, &before);
        if before != written {
            return Err(refused(format!(
                "release {number} is not what was recorded: its checksum differs"
            )));
        }
        releases.push(release);
    }
    Ok(releases)
}

fn release(entry: Entry) -> Result<Release, String> {
    let mut services = Vec::with_capacity(entry.services.len());
    for service in entry.services {
        let digits = service.fingerprint.strip_prefix("0x");
        let fingerprint = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        services.push(Revision {
            fingerprint: fingerprint
                .ok_or_else(|| format!("`{}` is no fingerprint", service.fingerprint))?,
            service: service.name,
            number: service.revision,
            compatible: service.compatible,
        });
    }
    Ok(Release {
        number: entry.number,
        files: entry.files,
        removed: entry.removed,
        services,
    })
}

/// The text of the file for these releases.
pub(super) fn text(releases: &[Release]) -> Result<String, Error> {
    let mut before = String::new();
    let entry = |release: &Release| {
        before = checksum(release, &before);
        Entry {
            number: release.number,
            checksum: before.clone(),
            removed: release.removed.clone(),
            files: release.files.clone(),
            services: release.services.iter().map(service).collect(),
        }
    };
    let index = Index {
        format: FORMAT,
        releases: releases.iter().map(entry).collect(),
    };
    let text = toml::to_string(&index).map_err(|error| {
        Error::usage(format!("the history cannot be written: {error}"), RESTORE)
    })?;
    Ok(format!("{HEADER}{text}"))
}

fn service(revision: &Revision) -> Service {
    Service {
        name: revision.service.clone(),
        revision: revision.number,
        fingerprint: format!("{:#018x}", revision.fingerprint),
        compatible: revision.compatible.clone(),
    }
}

/// The checksum of a release that comes after the one with the checksum `before`.
fn checksum(release: &Release, before: &str) -> String {
    let mut text = format!("release {} after {before}\n", release.number);
    // Writing to a String cannot fail.
    for name in &release.removed {
        let _ = writeln!(text, "removed {name}");
    }
    for (name, hash) in &release.files {
        let _ = writeln!(text, "file {name} {hash}");
    }
    for Revision {
        service,
        number,
        fingerprint,
        compatible,
    } in &release.services
    {
        let _ = writeln!(
            text,
            "service {service} {number} {fingerprint:016x} {compatible:?}"
        );
    }
    texts::hash(&text)
}
