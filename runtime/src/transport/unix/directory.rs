//! The way to an endpoint's directory, walked by descriptor and judged on the way.
//!
//! **Invariant**: nothing is created below a directory that was judged unfit, and no symbolic link is
//! followed that somebody other than root could have placed.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fmt, io,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, RawMode, Stat, chmodat, chownat, fstat, mkdirat,
        openat, readlinkat, statat,
    },
    io::Errno,
    process::geteuid,
};

use super::EndpointOptions;
use crate::config::DirectoryPolicy;

/// What to do about a directory that all users share.
const PRIVATE: &str =
    "use a private directory with mode 0700, such as /run/daemoneye or one below $XDG_RUNTIME_DIR";

/// Links that are followed in all, as Linux does (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// A directory is opened to be looked at and to resolve names in it, which takes no right to list it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const WALK: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const WALK: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How grave a [`Finding`] is.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("private/app.sock");
/// use daemoneye_ipc::transport::{EndpointOptions, EntryKind, Listener, inspect};
///
/// let listener = Listener::bind(&path, &EndpointOptions::default()).await?;
/// let report = inspect(&path, &EndpointOptions::default())?;
/// for finding in &report.findings {
///     println!("{:?}: {finding}", finding.severity);
/// }
/// let entry = report.endpoint.expect("the socket");
/// assert_eq!(entry.kind, EntryKind::Socket);
/// # drop(listener);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works, and there is a safer way.
    Warning,
    /// A server does not start there.
    Error,
}

/// Something about a path that a server minds.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("private/app.sock");
/// use daemoneye_ipc::transport::{EndpointOptions, EntryKind, Listener, inspect};
///
/// let listener = Listener::bind(&path, &EndpointOptions::default()).await?;
/// let report = inspect(&path, &EndpointOptions::default())?;
/// for finding in &report.findings {
///     println!("{:?}: {finding}", finding.severity);
/// }
/// let entry = report.endpoint.expect("the socket");
/// assert_eq!(entry.kind, EntryKind::Socket);
/// # drop(listener);
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// Which file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// What to do about it.
    pub advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}; {}",
            self.path.display(),
            self.problem,
            self.advice
        )
    }
}

/// Where a walk ended and what it found.
#[derive(Debug)]
pub(super) struct Walk {
    /// The directory, if the walk came to its end.
    pub(super) directory: Option<Level>,
    pub(super) findings: Vec<Finding>,
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
}

/// Walks to `directory`, which is absolute, and judges it and all above it by `options`. With `create`,
/// what is missing is made.
pub(super) fn walk(directory: &Path, options: &EndpointOptions, create: bool) -> Walk {
    let mut walker = Walker {
        levels: Vec::new(),
        ahead: names(directory).collect(),
        links_left: MAX_LINKS,
        options,
        create,
        findings: Vec::new(),
    };
    let arrived = walker.run();
    let directory = if arrived { walker.levels.pop() } else { None };
    Walk {
        directory,
        findings: walker.findings,
    }
}

/// The names on a path, `..` included, the root and `.` left out.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

struct Walker<'a> {
    levels: Vec<Level>,
    ahead: VecDeque<OsString>,
    links_left: u32,
    options: &'a EndpointOptions,
    create: bool,
    findings: Vec<Finding>,
}

impl Walker<'_> {
    /// `true` if the walk came to its end.
    fn run(&mut self) -> bool {
        match open(CWD, OsStr::new("/"), Path::new("/")) {
            Ok(root) => self.levels.push(root),
            Err(error) => return self.fail(Path::new("/"), error),
        }
        while let Some(name) = self.ahead.pop_front() {
            if name == ".." {
                self.levels
                    .truncate(self.levels.len().saturating_sub(1).max(1));
            } else if !self.judge_ancestor() || !self.enter(&name) {
                return false;
            }
        }
        self.judge_last();
        true
    }

    /// Goes down to `name`, or to where it leads.
    fn enter(&mut self, name: &OsStr) -> bool {
        let Some(parent) = self.levels.last() else {
            return false;
        };
        let path = parent.path.join(name);
        let mut found = statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        if let (Err(Errno::NOENT), true) = (found, self.create) {
            match make(parent, name, self.options) {
                Ok(()) => found = statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW),
                Err(error) => return self.fail(&path, error),
            }
        }
        match found.map(|stat| (FileType::from_raw_mode(stat.st_mode), stat)) {
            Ok((FileType::Directory, _)) => match open(&parent.fd, name, &path) {
                Ok(level) => self.levels.push(level),
                Err(error) => return self.fail(&path, error),
            },
            Ok((FileType::Symlink, stat)) => return self.follow(name, &path, &stat),
            Ok(_) => {
                self.error(
                    &path,
                    "is not a directory",
                    "choose another path for the endpoint",
                );
                return false;
            }
            Err(error) => return self.fail(&path, error),
        }
        true
    }

    fn follow(&mut self, name: &OsStr, path: &Path, stat: &Stat) -> bool {
        if stat.st_uid != 0 {
            let problem = format!("is a symbolic link of uid {}, not of root", stat.st_uid);
            self.error(
                path,
                problem,
                "name the directory that it leads to, or replace it by a directory",
            );
            return false;
        }
        let Some(left) = self.links_left.checked_sub(1) else {
            return self.fail(path, Errno::LOOP);
        };
        self.links_left = left;
        let Some(parent) = self.levels.last() else {
            return false;
        };
        match readlinkat(&parent.fd, name, Vec::new()) {
            Ok(target) => {
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                    self.ahead.push_front(name);
                }
                if target.is_absolute() {
                    self.levels.truncate(1);
                }
                true
            }
            Err(error) => self.fail(path, error),
        }
    }

    /// Judges the innermost directory as one on the way. `false` if the walk must not go on.
    fn judge_ancestor(&mut self) -> bool {
        let Some(level) = self.levels.last() else {
            return false;
        };
        let (path, mode, gid) = (
            level.path.clone(),
            Mode::from_raw_mode(level.stat.st_mode),
            level.stat.st_gid,
        );
        let mut fit = self.judge_owner();
        if !mode.contains(Mode::SVTX) && mode.contains(Mode::WOTH) {
            let problem = format!("is writable by everybody (mode {})", octal(mode));
            self.error(&path, problem, format!("run: chmod o-w {}", path.display()));
            fit = false;
        } else if !mode.contains(Mode::SVTX) && mode.contains(Mode::WGRP) && gid != 0 {
            let problem = format!("is writable by the group {gid} (mode {})", octal(mode));
            self.warn(&path, problem, "its members can replace the endpoint's directory: take their right away if they need not");
        }
        // Looking goes on, creating does not.
        fit || !self.create
    }

    /// Judges the innermost directory as the one that holds the endpoint.
    fn judge_last(&mut self) {
        let Some(level) = self.levels.last() else {
            return;
        };
        let (path, stat) = (level.path.clone(), level.stat);
        let mode = Mode::from_raw_mode(stat.st_mode);
        self.judge_owner();
        if !mode.intersects(Mode::WGRP | Mode::WOTH) {
            return;
        }
        let (policy, group) = (self.options.directory, self.options.group);
        let sticky = mode.contains(Mode::SVTX) && stat.st_uid == 0;
        let own_group = !mode.contains(Mode::WOTH) && Some(stat.st_gid) == group;
        let shown = octal(mode);
        if sticky && policy != DirectoryPolicy::Private {
            let problem = format!(
                "is shared by all users (mode {shown}): anybody can take the endpoint's name first"
            );
            self.warn(&path, problem, PRIVATE);
        } else if sticky {
            let problem = format!(
                "is shared by all users (mode {shown}), which `directory_policy: private` excludes"
            );
            self.error(&path, problem, PRIVATE);
        } else if own_group && policy == DirectoryPolicy::Group {
            let problem = format!("is writable by the group {} (mode {shown})", stat.st_gid);
            self.warn(&path, problem, "its members can take the endpoint's name away: make sure that all of them are trusted");
        } else {
            let problem = format!("is writable by others than its owner (mode {shown})");
            self.error(&path, problem, format!("run: chmod 700 {}", path.display()));
        }
    }

    fn judge_owner(&mut self) -> bool {
        let Some(Level { path, stat, .. }) = self.levels.last() else {
            return false;
        };
        let (path, uid, own) = (path.clone(), stat.st_uid, geteuid().as_raw());
        let fit = uid == 0 || uid == own;
        if !fit {
            let problem = format!("belongs to uid {uid}, who could replace the endpoint");
            self.error(
                &path,
                problem,
                format!("use a directory of uid {own} (this process) or of root"),
            );
        }
        fit
    }

    fn fail(&mut self, path: &Path, error: Errno) -> bool {
        let (problem, advice) = match error {
            Errno::NOENT => (
                "does not exist",
                "create it, or start the server, which does",
            ),
            Errno::ACCESS | Errno::PERM => (
                "is closed to this user",
                "run as a user who may go there, or choose another path",
            ),
            Errno::NOTDIR | Errno::LOOP => {
                ("is not a directory", "choose another path for the endpoint")
            }
            other => {
                let problem = format!("cannot be used: {}", io::Error::from(other));
                self.error(path, problem, "choose another path for the endpoint");
                return false;
            }
        };
        self.error(path, problem, advice);
        false
    }

    fn error(&mut self, path: &Path, problem: impl Into<String>, advice: impl Into<String>) {
        self.find(Severity::Error, path, problem.into(), advice.into());
    }

    fn warn(&mut self, path: &Path, problem: impl Into<String>, advice: impl Into<String>) {
        self.find(Severity::Warning, path, problem.into(), advice.into());
    }

    fn find(&mut self, severity: Severity, path: &Path, problem: String, advice: String) {
        self.findings.push(Finding {
            severity,
            path: path.to_path_buf(),
            problem,
            advice,
        });
    }
}

fn open(parent: impl std::os::fd::AsFd, name: &OsStr, path: &Path) -> Result<Level, Errno> {
    let fd = openat(parent, name, WALK, Mode::empty())?;
    let stat = fstat(&fd)?;
    Ok(Level {
        fd,
        path: path.to_path_buf(),
        stat,
    })
}

/// Creates a directory with exactly the mode of `options`, whatever the umask. One that somebody else has
/// created meanwhile is judged like any other.
fn make(parent: &Level, name: &OsStr, options: &EndpointOptions) -> Result<(), Errno> {
    let exact = mode(options.dir_mode);
    match mkdirat(&parent.fd, name, mode(0o700)) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(error) => return Err(error),
    }
    // The parent was judged fit, so nobody else can have replaced what was just made.
    if exact.intersects(Mode::RWXG)
        && let Some(gid) = options.group
    {
        let gid = Some(Gid::from_raw(gid));
        chownat(&parent.fd, name, None, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    chmodat(&parent.fd, name, exact, AtFlags::empty())
}

/// Permissions as the system has them.
pub(super) fn mode(bits: u32) -> Mode {
    // 12 bits fit into the narrowest type that a system has for them.
    Mode::from_bits_truncate((bits & 0o7777) as RawMode)
}

/// Permissions as people write them.
pub(super) fn octal(mode: Mode) -> String {
    format!("{:04o}", mode.bits() & 0o7777)
}
