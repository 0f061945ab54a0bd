//! Writing generated files.
//!
//! **Invariant**: a reader sees the old file or the new one, and an unchanged file keeps its time.

use std::path::Path;

use crate::error::Error;

/// Writes `content` to `path` unless it is there already; says whether it wrote.
pub(crate) fn write_if_changed(path: &Path, content: impl AsRef<[u8]>) -> Result<bool, Error> {
    let content = content.as_ref();
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let staged = path.with_file_name(format!(".{name}.{}", std::process::id()));
    std::fs::write(&staged, content).map_err(|error| Error::io("cannot write", &staged, error))?;
    std::fs::rename(&staged, path).map_err(|error| {
        // The staged file is of no use to anyone; that it cannot be removed is not worth a report.
        let _ = std::fs::remove_file(&staged);
        Error::io("cannot write", path, error)
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::write_if_changed;

    #[test]
    fn an_unchanged_file_is_left_alone_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.rs");
        assert!(write_if_changed(&path, "one").expect("written"));
        let time = path
            .metadata()
            .and_then(|meta| meta.modified())
            .expect("a time");
        assert!(!write_if_changed(&path, "one").expect("unchanged"));
        assert_eq!(
            path.metadata()
                .and_then(|meta| meta.modified())
                .expect("a time"),
            time
        );
        assert!(write_if_changed(&path, "two").expect("written"));
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "two");
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1);
        assert!(write_if_changed(&dir.path().join("none/a.rs"), "x").is_err());
    }
}
