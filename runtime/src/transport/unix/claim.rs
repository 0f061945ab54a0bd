//! The right to a name in a directory: taken by a lock, kept for the server's life.
//!
//! **Invariant**: a name that a live server holds is never taken, and nothing is removed but the own
//! socket, known by its inode.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{
        AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, Stat, chmodat, chownat,
        fchmod, flock, fstat, ftruncate, mkdirat, openat, renameat_with, statat, unlinkat,
    },
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, listen},
    process::{geteuid, getpid},
};

use super::{
    EndpointOptions, beside,
    directory::{self, Level, Severity, mode},
    refused, split,
};
use crate::{config::MAX_ENDPOINT_BYTES, error::IpcError};

/// Connections that wait to be accepted: as many as a crowd of clients that come back at once. The
/// system may allow less (`net.core.somaxconn` on Linux).
const BACKLOG: i32 = 1024;

/// A process that was killed lets go of its lock and of its socket at slightly different times.
const LAST_BREATH: Duration = Duration::from_millis(500);
const BREATH: Duration = Duration::from_millis(10);

/// The socket's name while it is prepared.
const STAGED: &str = "s";

/// A held name. Dropping it removes the socket, then gives the lock back.
pub(super) struct Claim {
    name: OsString,
    published: Option<Stat>,
    directory: Level,
    _lock: Lock,
}

/// A locked file, which stays there when it is unlocked.
struct Lock(OwnedFd);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that was just forked and has not called exec yet holds
        // the same lock.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Takes `path` and listens there.
pub(super) async fn claim(
    path: &Path,
    options: &EndpointOptions,
) -> Result<(Claim, OwnedFd), IpcError> {
    let (parent, name) = split(path).map_err(|reason| refused(path, reason, None))?;
    let directory = fit_directory(path, parent, options)?;
    let lock = lock(path, &directory, name)?;
    let stale = stale(path, &directory, name).await?;
    let mut claim = Claim {
        name: name.to_owned(),
        published: None,
        directory,
        _lock: lock,
    };
    let (socket, stat) = claim.publish(path, stale.as_ref(), options)?;
    claim.published = Some(stat);
    Ok((claim, socket))
}

/// The endpoint's directory, judged, and created if it was missing.
fn fit_directory(path: &Path, parent: &Path, options: &EndpointOptions) -> Result<Level, IpcError> {
    let walk = directory::walk(parent, options, true);
    for finding in &walk.findings {
        match finding.severity {
            Severity::Error => return Err(refused(path, finding.to_string(), None)),
            Severity::Warning => tracing::warn!(endpoint = %path.display(), "{finding}"),
        }
    }
    walk.directory
        .ok_or_else(|| refused(path, "its directory cannot be opened", None))
}

/// Locks the name. The lock file lies beside the socket and is never removed: a lock on a file that has
/// been removed protects nothing.
fn lock(path: &Path, directory: &Level, name: &OsStr) -> Result<Lock, IpcError> {
    let lock_name = beside(name, "", ".lock");
    let shown = directory.path.join(&lock_name);
    let fail = |error: Errno| {
        let reason = format!("its lock file {} cannot be used", shown.display());
        refused(path, reason, Some(error.into()))
    };
    // Not blocking, in case a FIFO lies in wait there.
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let private = mode(0o600);
    let file = openat(&directory.fd, &lock_name, flags, private).map_err(fail)?;
    let stat = fstat(&file).map_err(fail)?;
    let (kind, own) = (FileType::from_raw_mode(stat.st_mode), geteuid().as_raw());
    if kind != FileType::RegularFile || stat.st_uid != own || stat.st_nlink > 1 {
        let reason = format!(
            "{} is not a lock file of uid {own} (this process): see what it is, and remove it or choose another endpoint",
            shown.display()
        );
        return Err(refused(path, reason, None));
    }
    fchmod(&file, private).map_err(fail)?;
    let lock = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Lock(file),
        Err(Errno::WOULDBLOCK) => return Err(refused(path, in_use(&file), None)),
        Err(error) => return Err(fail(error)),
    };
    // For people and for the message above; nothing depends on it, so a full disk does not matter.
    let pid = format!("{}\n", getpid().as_raw_nonzero());
    let _ = ftruncate(&lock.0, 0).and_then(|()| rustix::io::pwrite(&lock.0, pid.as_bytes(), 0));
    Ok(lock)
}

fn in_use(lock: &OwnedFd) -> String {
    let mut text = [0; 16];
    let read = rustix::io::pread(lock, &mut text, 0).unwrap_or(0);
    let pid = std::str::from_utf8(text.get(..read).unwrap_or_default())
        .ok()
        .and_then(|t| t.trim().parse::<u32>().ok());
    let holder = pid
        .map(|pid| format!(" (process {pid})"))
        .unwrap_or_default();
    format!("a live server{holder} has it: stop that one first, or choose another endpoint")
}

/// What lies at the name: nothing, or a dead socket of our own. Anything else is refused.
async fn stale(path: &Path, directory: &Level, name: &OsStr) -> Result<Option<Stat>, IpcError> {
    let stat = match statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(refused(path, "it cannot be looked at", Some(error.into()))),
    };
    let own = geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        let reason = "something is there that is not a socket, and it is left alone: remove it, or choose another endpoint";
        return Err(refused(path, reason, None));
    }
    if stat.st_uid != own {
        let reason = format!(
            "the socket there belongs to uid {} and not to uid {own} (this process): remove it, or choose another endpoint",
            stat.st_uid
        );
        return Err(refused(path, reason, None));
    }
    let give_up = tokio::time::Instant::now() + LAST_BREATH;
    while answers(path)? {
        if tokio::time::Instant::now() >= give_up {
            let reason =
                "another program listens there: stop that one first, or choose another endpoint";
            return Err(refused(path, reason, None));
        }
        tokio::time::sleep(BREATH).await;
    }
    Ok(Some(stat))
}

/// Whether somebody listens at `path`. Only a refused connection proves that nobody does.
fn answers(path: &Path) -> Result<bool, IpcError> {
    let fail = |error: Errno| refused(path, "the socket there cannot be tried", Some(error.into()));
    let address = SocketAddrUnix::new(path).map_err(fail)?;
    let probe = new_socket().map_err(fail)?;
    match connect(&probe, &address) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS | Errno::PROTOTYPE | Errno::INTR) => Ok(true),
        Err(error) => Err(fail(error)),
    }
}

/// A stream socket that does not block and is closed on exec.
pub(super) fn new_socket() -> Result<OwnedFd, Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::net::{SocketFlags, socket_with};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let fd = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&fd, OFlags::NONBLOCK)?;
        Ok(fd)
    }
}

impl Claim {
    /// Makes the socket where nobody else can reach it, and moves it into place complete.
    fn publish(
        &self,
        path: &Path,
        stale: Option<&Stat>,
        options: &EndpointOptions,
    ) -> Result<(OwnedFd, Stat), IpcError> {
        let fail = |what: &'static str| move |error: Errno| refused(path, what, Some(error.into()));
        let staging = Staging::new(&self.directory, &self.name)
            .map_err(fail("no staging directory can be made beside it"))?;
        let socket = staging
            .bind()
            .map_err(fail("no socket can be bound beside it"))?;
        let exact = mode(options.mode);
        if let Some(gid) = options.group {
            let gid = Some(Gid::from_raw(gid));
            chownat(&staging.fd, STAGED, None, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(fail(
                "its group cannot be set: run as root or as a member of that group",
            ))?;
        }
        chmodat(&staging.fd, STAGED, exact, AtFlags::empty())
            .map_err(fail("its mode cannot be set"))?;
        listen(&socket, BACKLOG).map_err(fail("it cannot be listened on"))?;
        let stat = statat(&staging.fd, STAGED, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(fail("the socket was lost while it was prepared"))?;
        let made = FileType::from_raw_mode(stat.st_mode) == FileType::Socket
            && options.group.is_none_or(|gid| stat.st_gid == gid);
        if !made || Mode::from_raw_mode(stat.st_mode) != exact {
            return Err(refused(
                path,
                "the socket was changed while it was prepared",
                None,
            ));
        }
        self.move_into_place(&staging, stale)
            .map_err(fail("the socket cannot be moved into place"))?;
        Ok((socket, stat))
    }

    /// Renames the staged socket to its name. What is there by now and was not before stays.
    fn move_into_place(&self, staging: &Staging<'_>, stale: Option<&Stat>) -> Result<(), Errno> {
        let rename =
            |flags| renameat_with(&staging.fd, STAGED, &self.directory.fd, &self.name, flags);
        let Some(stale) = stale else {
            return rename(RenameFlags::NOREPLACE);
        };
        rename(RenameFlags::EXCHANGE)?;
        let taken = statat(&staging.fd, STAGED, AtFlags::SYMLINK_NOFOLLOW)?;
        if same_file(&taken, stale) {
            // The staging directory takes the dead socket with it.
            return Ok(());
        }
        rename(RenameFlags::EXCHANGE)?;
        Err(Errno::EXIST)
    }

    /// Removes the socket, if it is still the one that was put there.
    fn remove(&self) {
        let Some(published) = &self.published else {
            return;
        };
        let found = statat(&self.directory.fd, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        // Nobody who respects the lock changes the name between the look and the removal. The listening
        // socket is still open, so its inode's number cannot have been given to another file.
        if found.is_ok_and(|found| same_file(&found, published)) {
            let _ = unlinkat(&self.directory.fd, &self.name, AtFlags::empty());
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.remove();
    }
}

fn same_file(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// A private directory in which the socket is made. Removed with what is in it when dropped.
struct Staging<'a> {
    parent: &'a Level,
    name: PathBuf,
    fd: OwnedFd,
}

impl<'a> Staging<'a> {
    /// The name is the same each time, for whoever holds the lock is alone: what a server left that was
    /// killed here is cleared away by the next.
    fn new(parent: &'a Level, socket: &OsStr) -> Result<Self, Errno> {
        let (name, private) = (beside(socket, ".", ".new"), mode(0o700));
        match mkdirat(&parent.fd, &name, private) {
            Err(Errno::EXIST) => {
                drop(Self::open(parent, name.clone())?);
                mkdirat(&parent.fd, &name, private)?;
            }
            other => other?,
        }
        chmodat(&parent.fd, &name, private, AtFlags::empty())?;
        Self::open(parent, name)
    }

    fn open(parent: &'a Level, name: PathBuf) -> Result<Self, Errno> {
        let fd = openat(&parent.fd, &name, directory::WALK, Mode::empty())?;
        // Somebody else's, in a directory that all users share.
        if fstat(&fd)?.st_uid != geteuid().as_raw() {
            return Err(Errno::PERM);
        }
        Ok(Self { parent, name, fd })
    }

    fn bind(&self) -> Result<OwnedFd, Errno> {
        let socket = new_socket()?;
        bind(&socket, &SocketAddrUnix::new(self.address())?)?;
        Ok(socket)
    }

    /// A path to the socket that fits into an address.
    fn address(&self) -> PathBuf {
        let path = self.parent.path.join(&self.name).join(STAGED);
        if path.as_os_str().len() <= MAX_ENDPOINT_BYTES
            || !cfg!(any(target_os = "linux", target_os = "android"))
        {
            return path;
        }
        let number = std::os::fd::AsRawFd::as_raw_fd(&self.fd.as_fd());
        PathBuf::from(format!("/proc/self/fd/{number}/{STAGED}"))
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        let _ = unlinkat(&self.fd, STAGED, AtFlags::empty());
        if let Err(error) = unlinkat(&self.parent.fd, &self.name, AtFlags::REMOVEDIR) {
            let path = self.parent.path.join(&self.name);
            tracing::warn!(path = %path.display(), error = %io::Error::from(error), "a staging directory stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;

    /// A claim on `x.sock` in a private folder, with nothing published yet.
    fn claimed() -> (tempfile::TempDir, PathBuf, Claim) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let options = EndpointOptions::default();
        let directory = fit_directory(&path, folder.path(), &options).unwrap();
        let lock = lock(&path, &directory, OsStr::new("x.sock")).unwrap();
        let claim = Claim {
            name: "x.sock".into(),
            published: None,
            directory,
            _lock: lock,
        };
        (folder, path, claim)
    }

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_appears_at_the_name_after_the_look_is_not_replaced() {
        let (folder, path, claim) = claimed();
        fs::write(&path, "precious").unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let other = statat(&claim.directory.fd, "x.sock.lock", AtFlags::empty()).unwrap();
        for stale in [None, Some(&other)] {
            claim
                .publish(&path, stale, &EndpointOptions::default())
                .unwrap_err();
            assert_eq!(
                fs::metadata(&path).unwrap().ino(),
                inode,
                "{}",
                stale.is_some()
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
            assert_eq!(names(folder.path()), ["x.sock", "x.sock.lock"]);
        }
    }

    #[test]
    fn a_lock_ends_with_its_owner_even_if_a_child_still_holds_the_file() {
        let (_folder, path, claim) = claimed();
        // As a child process does between fork and exec.
        let _childs = rustix::io::dup(&claim._lock.0).unwrap();
        let directory = directory::walk(path.parent().unwrap(), &EndpointOptions::default(), false)
            .directory
            .unwrap();
        let again = || lock(&path, &directory, OsStr::new("x.sock"));
        assert!(again().is_err());
        drop(claim);
        again().unwrap();
    }
}
