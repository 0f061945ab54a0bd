//! The schema files of a module.
//!
//! **Invariant**: files come in the order of their paths; hidden folders are left out.

use std::path::{Path, PathBuf};

use super::Module;
use crate::error::Error;

/// Adds the schema files (`*.proto`) of `module` to `found`.
pub(super) fn collect(module: &Module, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    walk(module, &module.root, "", found)
}

fn walk(
    module: &Module,
    folder: &Path,
    inside: &str,
    found: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let unreadable = |source| Error::io("cannot read", folder, source);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let inside = match inside {
            "" => name.to_owned(),
            outer => format!("{outer}/{name}"),
        };
        if module
            .excludes
            .iter()
            .any(|excluded| is_in(&inside, excluded))
        {
            continue;
        }
        if path.is_dir() {
            if !name.starts_with('.') {
                walk(module, &path, &inside, found)?;
            }
        } else if name.ends_with(".proto")
            && (module.includes.is_empty()
                || module
                    .includes
                    .iter()
                    .any(|included| is_in(&inside, included)))
        {
            found.push(path);
        }
    }
    Ok(())
}

fn is_in(path: &str, outer: &str) -> bool {
    let rest = path.strip_prefix(outer);
    outer == "." || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
