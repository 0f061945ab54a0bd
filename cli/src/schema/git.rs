//! Schemas as a commit has them.
//!
//! **Invariant**: reads the repository and writes nothing in it; what it finds is laid out in a temporary folder, with the
//! paths of the repository.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use daemoneye_ipc_codegen::rules::config::{BUF_FILE, OWN_FILE};
use gix::{Commit, Repository, bstr::ByteSlice};
use tempfile::TempDir;

use crate::failure::Failure;

/// A commit, as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// A branch, a tag, an id, or what else git understands.
    pub(crate) name: String,
    /// Whether the commit itself is meant, and not the one where the present branch left it.
    pub(crate) itself: bool,
}

/// The schemas of a commit.
#[derive(Debug)]
pub(crate) struct CheckedOut {
    temporary: TempDir,
    inside: PathBuf,
    /// The commit, in words.
    pub(crate) commit: String,
}

impl Reference {
    /// Lays out the schemas of the commit in the repository that `folder` is in.
    pub(crate) fn check_out(&self, folder: &Path) -> Result<CheckedOut, Failure> {
        let real = folder.canonicalize().map_err(|error| {
            refused(
                format!("{}: {error}", folder.display()),
                "name a folder of schemas",
            )
        })?;
        let repository = gix::discover(&real).map_err(|error| {
            refused(
                format!("{} is in no git repository: {error}", folder.display()),
                "compare with a folder, a descriptor set or a release instead",
            )
        })?;
        let work = repository
            .workdir()
            .and_then(|work| work.canonicalize().ok());
        let inside = work.and_then(|work| Some(real.strip_prefix(work).ok()?.to_path_buf()));
        let inside = inside.ok_or_else(|| {
            refused(
                format!("{} is in no work tree of its repository", folder.display()),
                "name a folder of schemas that is checked out",
            )
        })?;
        let commit = self.commit(&repository)?;
        let temporary = tempfile::tempdir().map_err(|source| {
            Failure::Check(daemoneye_ipc_codegen::Error::Io {
                action: "cannot make a temporary folder in",
                path: std::env::temp_dir(),
                source,
            })
        })?;
        lay_out(&commit, temporary.path()).map_err(|error| {
            refused(
                format!("the files of {} cannot be read: {error}", self.name),
                "see whether `git fsck` finds the repository whole",
            )
        })?;
        let words = match (self.itself, commit.short_id()) {
            (true, Ok(id)) => format!("{} ({id})", self.name),
            (false, Ok(id)) => format!("where this branch left {} ({id})", self.name),
            (_, Err(_)) => self.name.clone(),
        };
        Ok(CheckedOut {
            temporary,
            inside,
            commit: words,
        })
    }

    fn commit<'r>(&self, repository: &'r Repository) -> Result<Commit<'r>, Failure> {
        let hint = || match repository.is_shallow() {
            Ok(true) => {
                "the repository is a shallow clone, as checkouts of build servers are: `git fetch --unshallow`, or \
                 fetch-depth: 0 with actions/checkout, brings the rest"
            }
            _ => "`git fetch` brings what the remote has; `git log REF` shows whether git knows it",
        };
        let tip = repository
            .rev_parse_single(self.name.as_str())
            .map_err(|error| error.to_string())
            .and_then(|id| id.object().map_err(|error| error.to_string()))
            .and_then(|object| object.peel_to_commit().map_err(|error| error.to_string()))
            .map_err(|error| {
                refused(
                    format!("git knows no commit `{}`: {error}", self.name),
                    hint(),
                )
            })?;
        if self.itself {
            return Ok(tip);
        }
        let head = repository
            .head_commit()
            .map_err(|error| refused(format!("there is no commit yet: {error}"), "commit first"))?;
        let base = repository
            .merge_base(head.id, tip.id)
            .map_err(|error| error.to_string())
            .and_then(|id| id.ok_or_else(|| "they have no commit in common".to_owned()))
            .and_then(|id| id.object().map_err(|error| error.to_string()))
            .and_then(|object| object.try_into_commit().map_err(|error| error.to_string()));
        base.map_err(|error| {
            refused(
                format!(
                    "where this branch left `{}` is not known: {error}",
                    self.name
                ),
                hint(),
            )
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl CheckedOut {
    /// The folder of the schemas, gone with this.
    pub(crate) fn folder(&self) -> PathBuf {
        self.temporary.path().join(&self.inside)
    }
}

/// Writes the schemas of a commit, and their configurations, below `folder`.
fn lay_out(commit: &Commit<'_>, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    for entry in commit.tree()?.traverse().breadthfirst.files()? {
        let path = entry.filepath.to_str()?;
        let name = path.rsplit('/').next().unwrap_or(path);
        let wanted = name.ends_with(".proto") || [BUF_FILE, OWN_FILE].contains(&name);
        if !wanted || !entry.mode.is_blob() {
            continue;
        }
        let path = folder.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, &commit.repo.find_blob(entry.oid)?.data)?;
    }
    Ok(())
}

fn refused(message: String, help: &str) -> Failure {
    Failure::Check(daemoneye_ipc_codegen::Error::Usage {
        message,
        help: help.to_owned(),
    })
}
