//! Where the histories of schemas are, if they have any: what was released of them.
//!
//! **Invariant**: whoever cannot read a history says so; generated code never passes one over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::load::SourceFile;

/// The folder of a history, beside its schemas.
pub(crate) const FOLDER: &str = "history";
/// The file in it that lists the releases.
pub(crate) const INDEX: &str = "history.toml";

/// Files at which a project ends, and nothing above is looked at: the configurations of schemas, the root of a
/// repository or of a workspace.
const ENDS: [&str; 4] = ["buf.yaml", "evolution.toml", ".git", "Cargo.lock"];

/// The folders with histories of schema files, and the import names of these.
pub(crate) fn folders(sources: &[SourceFile]) -> BTreeMap<PathBuf, BTreeSet<String>> {
    let mut known: BTreeMap<&Path, Option<PathBuf>> = BTreeMap::new();
    let mut folders: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let parts = Path::new(&source.name).components().count();
        let Some(root) = source.path.ancestors().nth(parts) else {
            continue;
        };
        if let Some(folder) = known.entry(root).or_insert_with(|| folder(root)) {
            let names = folders.entry(folder.clone()).or_default();
            names.insert(source.name.clone());
        }
    }
    folders
}

/// The folder with the history of the schemas below an import root: itself, or one above it.
fn folder(root: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(if root.as_os_str().is_empty() {
        Path::new(".")
    } else {
        root
    })
    .ok()?;
    for folder in absolute.ancestors() {
        if folder.join(FOLDER).join(INDEX).is_file() {
            let here = folder == absolute;
            return Some(if here { root } else { folder }.to_path_buf());
        }
        if ENDS.iter().any(|name| folder.join(name).exists()) {
            return None;
        }
    }
    None
}

/// Without the feature that reads histories, an error where there is one.
#[cfg(not(feature = "evolution"))]
pub(crate) fn embed(loaded: &mut crate::load::Loaded) -> Result<(), crate::Error> {
    match folders(&loaded.sources).pop_first() {
        None => Ok(()),
        Some((folder, _)) => Err(crate::Error::usage(
            format!(
                "`{}` says what was released of these schemas, and this build cannot read it",
                folder.join(FOLDER).display()
            ),
            "switch on the feature `evolution`: of daemoneye-ipc-codegen in [build-dependencies], and of daemoneye-ipc where \
             #[ipc_service] reads the schema",
        )),
    }
}

#[cfg(feature = "evolution")]
pub(crate) use crate::history::embed;
