//! SHA-256 of executables, remembered for as long as the files do not change.
//!
//! **Invariant**: a remembered hash is given out only for the same content: the key holds the time of
//! the last change of the inode, which nobody can set back.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
};

use daemoneye_ipc::{Status, bytes::Bytes};
use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;

/// Hashes that are remembered: all programs that a machine normally runs.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Bytes that are hashed between two looks at whether anybody still wants the hash.
const CHUNK: usize = 256 << 10;

/// The content of a file, as far as the file system can tell without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Content {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Content {
    /// `None` where the system does not tell enough: then nothing is remembered.
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// `None`: std does not tell which file it is, nor when it was last changed in a way that nobody can set back.
    #[cfg(not(unix))]
    const fn of(_metadata: &Metadata) -> Option<Self> {
        None
    }
}

/// A hash of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hashed {
    /// SHA-256.
    pub(crate) hash: Bytes,
    /// Size of the file in bytes.
    pub(crate) size: u64,
}

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// More than is hashed.
    #[error("{size} bytes, and files of up to {limit} are hashed")]
    TooLarge {
        /// Bytes of the file, as far as they were read.
        size: u64,
        /// Bytes of the largest file that is hashed.
        limit: u64,
    },
    /// A directory, a device, a pipe.
    #[error("not a regular file")]
    NotAFile,
    /// Nobody wants it any more.
    #[error("the call was cancelled")]
    Stopped,
}

impl HashError {
    /// What the caller is told about `what`.
    pub(crate) fn status(&self, what: &str) -> Status {
        match self {
            Self::Stopped => Status::cancelled(format!("hashing {what} was cancelled")),
            Self::NotAFile => Status::failed_precondition(format!("{what} is not a regular file")),
            Self::TooLarge { size, limit } => Status::failed_precondition(format!(
                "{what} has {size} bytes or more; this monitor hashes files of up to {limit}"
            )),
            Self::Io(error) => match error.kind() {
                io::ErrorKind::NotFound => {
                    Status::not_found(format!("{what} cannot be hashed: {error}"))
                }
                io::ErrorKind::PermissionDenied => Status::permission_denied(format!(
                    "{what} cannot be read: {error}; procmond has to run as its owner or as root"
                )),
                _ => Status::internal(format!("{what} cannot be read: {error}")),
            },
        }
    }

    /// Whether it says that something is wrong with this machine, rather than with the question.
    pub(crate) fn is_trouble(&self) -> bool {
        matches!(self, Self::Io(error) if !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
        ))
    }
}

/// Hashes files and remembers the hashes.
#[derive(Debug)]
pub(crate) struct Hasher {
    known: Mutex<LruCache<Content, Bytes>>,
    settings: Arc<Settings>,
}

impl Hasher {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            known: Mutex::new(LruCache::new(REMEMBERED)),
            settings,
        }
    }

    /// The hash of an open file. Blocks, until done or until `stop` is cancelled.
    pub(crate) fn hash(
        &self,
        mut file: File,
        stop: &CancellationToken,
    ) -> Result<Hashed, HashError> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(HashError::NotAFile);
        }
        let (content, expected) = (Content::of(&metadata), metadata.len());
        let limit = match self.settings.now().max_hash_bytes {
            0 => u64::MAX,
            limit => limit,
        };
        if expected > limit {
            let size = expected;
            return Err(HashError::TooLarge { size, limit });
        }
        let known = content.and_then(|content| self.known.lock().get(&content).cloned());
        if let Some(hash) = known {
            return Ok(Hashed {
                hash,
                size: expected,
            });
        }
        let (hash, size) = digest(&mut file, limit, stop)?;
        // A file that changed meanwhile has the hash of neither its old content nor its new.
        if let Some(content) = content
            && Content::of(&file.metadata()?) == Some(content)
        {
            self.known.lock().put(content, hash.clone());
        }
        Ok(Hashed { hash, size })
    }
}

fn digest(
    file: &mut File,
    limit: u64,
    stop: &CancellationToken,
) -> Result<(Bytes, u64), HashError> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        if stop.is_cancelled() {
            return Err(HashError::Stopped);
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok((Bytes::copy_from_slice(&digest.finalize()), size)),
            Ok(read) => {
                digest.update(&buffer[..read]);
                size += read as u64;
                // It may grow while it is read.
                if size > limit {
                    return Err(HashError::TooLarge { size, limit });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens a file that somebody else named, without the side effects that opening a device or a pipe
/// can have. Blocks.
pub(crate) fn open(path: &Path) -> Result<File, HashError> {
    if !is_on_disk(path) || !path.metadata()?.is_file() {
        return Err(HashError::NotAFile);
    }
    open_file(path)
}

/// Whether the path leads to this machine's disks: on Windows others lead to devices, to pipes, and over the
/// network to who may be anybody.
fn is_on_disk(path: &Path) -> bool {
    use std::path::{Component, Prefix};
    !cfg!(windows)
        || matches!(
            path.components().next(),
            Some(Component::Prefix(prefix))
                if matches!(prefix.kind(), Prefix::Disk(_) | Prefix::VerbatimDisk(_))
        )
}

#[cfg(not(unix))]
fn open_file(path: &Path) -> Result<File, HashError> {
    Ok(File::open(path)?)
}

#[cfg(unix)]
fn open_file(path: &Path) -> Result<File, HashError> {
    use rustix::fs::{Mode, OFlags};
    // It may be another file by now; not waiting for a pipe's other end is then enough.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?;
    Ok(File::from(file))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, time::Duration};

    use super::*;

    fn hasher() -> Hasher {
        Hasher::new(Arc::new(Settings::new(Duration::from_secs(1))))
    }

    fn hash(hasher: &Hasher, path: &Path) -> Result<Hashed, HashError> {
        hasher.hash(open(path)?, &CancellationToken::new())
    }

    #[test]
    fn the_hash_is_sha_256() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("abc");
        fs::write(&path, "abc").expect("written");
        let hashed = hash(&hasher(), &path).expect("a hash");
        // FIPS 180-4's own example.
        let hex: String = hashed
            .hash
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(hashed.size, 3);
    }

    #[cfg(unix)]
    #[test]
    fn a_changed_file_is_hashed_again_even_if_its_times_are_set_back() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("program");
        fs::write(&path, "good").expect("written");
        let modified = fs::metadata(&path)
            .expect("there")
            .modified()
            .expect("a time");
        let hasher = hasher();
        let before = hash(&hasher, &path).expect("a hash");
        assert_eq!(hash(&hasher, &path).expect("remembered"), before);
        assert_eq!(hasher.known.lock().len(), 1);

        let mut file = File::options().write(true).open(&path).expect("open");
        file.write_all(b"evil").expect("written");
        file.set_modified(modified).expect("set back");
        let after = hash(&hasher, &path).expect("a hash");
        assert_ne!(after.hash, before.hash);
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_opened_and_a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a directory");
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
        for path in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            let refused = hash(&hasher(), path).expect_err("no file");
            assert!(matches!(refused, HashError::NotAFile), "{refused}");
        }
        let missing = hash(&hasher(), &folder.path().join("none")).expect_err("nothing there");
        assert_eq!(missing.status("x").code(), daemoneye_ipc::Code::NotFound);
        assert!(!missing.is_trouble());
    }

    #[test]
    fn files_over_the_limit_are_not_hashed() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("abc");
        fs::write(&path, "abc").expect("written");
        let hasher = hasher();
        hash(&hasher, &path).expect("no limit");
        let mut values = hasher.settings.now();
        for (limit, hashed) in [(2, false), (3, true), (0, true)] {
            values.max_hash_bytes = limit;
            hasher.settings.apply(values);
            match hash(&hasher, &path) {
                Ok(_) => assert!(hashed, "{limit}"),
                Err(error) => {
                    assert!(!hashed && !error.is_trouble(), "{limit}: {error}");
                    let status = error.status("x");
                    assert_eq!(status.code(), daemoneye_ipc::Code::FailedPrecondition);
                    assert!(status.message().contains("3 bytes"), "{status}");
                }
            }
        }
    }

    #[test]
    fn hashing_stops_when_nobody_wants_it() {
        let stop = CancellationToken::new();
        stop.cancel();
        let own = std::env::current_exe().expect("a path");
        let stopped = hasher()
            .hash(open(&own).expect("open"), &stop)
            .expect_err("stopped");
        assert!(matches!(stopped, HashError::Stopped), "{stopped}");
    }
}
