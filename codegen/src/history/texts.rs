//! The texts of a history: one file for each version of a schema file.
//!
//! **Invariant**: a text is not given out unless it has the hash that was recorded; a schema of any time, and its copy that
//! git gave other ends of lines, have the same hash.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Recorded;
use crate::error::Error;
use crate::load::SourceFile;

/// The folder of the texts, in that of the history.
const TEXTS: &str = "files";

/// Where the text of a file is that came with a release. Its name does not end in `.proto`, so that neither protoc nor
/// buf nor this generator takes it for a schema.
pub(super) fn path(folder: &Path, name: &str, release: u32) -> PathBuf {
    folder.join(TEXTS).join(format!("{name}.{release}"))
}

/// Reads the text of a file.
pub(super) fn read(folder: &Path, name: &str, recorded: Recorded<'_>) -> Result<SourceFile, Error> {
    let path = path(folder, name, recorded.release);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::usage(
                format!(
                    "`{}` is missing: it holds `{name}` as of release {}",
                    path.display(),
                    recorded.release
                ),
                super::index::RESTORE,
            ));
        }
        Err(error) => return Err(Error::io("cannot read", path, error)),
    };
    if hash(&text) != recorded.hash {
        return Err(Error::usage(
            format!(
                "`{}` is not what was recorded: its text has another hash than release {} says",
                path.display(),
                recorded.release
            ),
            super::index::RESTORE,
        ));
    }
    let name = name.to_owned();
    Ok(SourceFile { name, path, text })
}

/// A text with line feeds alone at the ends of its lines, as it is stored and hashed.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The hash of a text: SHA-256 in hexadecimal digits.
pub(crate) fn hash(text: &str) -> String {
    let mut digits = String::with_capacity(64);
    for byte in hmac_sha256::Hash::hash(plain(text).as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
