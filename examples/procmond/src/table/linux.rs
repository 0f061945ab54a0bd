//! Reading processes from Linux's `/proc`.
//!
//! **Invariant**: everything about one process is read through one handle to its directory, so that
//! two processes that had the same id one after the other are never mixed.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use procfs::{
    ProcError,
    process::{Process as Entry, Stat},
};
use rustix::fs::OFlags;

use super::Which;
use crate::process::{
    COMMAND_LINE_BYTES, Executable, FileId, Key, OnDisk, Process, split_command_line,
};

/// What the kernel adds to the path of a file that has lost its name.
const DELETED: &[u8] = b" (deleted)";

/// The kernel's flag of its own threads, which run no file (`PF_KTHREAD`).
const KERNEL_THREAD: u32 = 0x0020_0000;

/// Reads processes.
#[derive(Debug)]
pub(super) struct Reader {
    ticks_per_second: u64,
    page_bytes: u64,
    booted: SystemTime,
}

impl Reader {
    pub(super) fn new() -> io::Result<Self> {
        // Read once: a clock that is set later must not make every process look like another one.
        let booted = procfs::boot_time_secs().map_err(to_io)?;
        Ok(Self {
            ticks_per_second: procfs::ticks_per_second().max(1),
            page_bytes: procfs::page_size(),
            booted: SystemTime::UNIX_EPOCH + Duration::from_secs(booted),
        })
    }

    pub(super) fn read(&mut self, which: Which) -> io::Result<Vec<Process>> {
        match which {
            Which::All => {
                let entries = procfs::process::all_processes().map_err(to_io)?;
                // One that cannot be opened has ended since the directory was read.
                Ok(entries
                    .filter_map(|entry| self.process(&entry.ok()?))
                    .collect())
            }
            Which::One(pid) => {
                let Ok(pid) = i32::try_from(pid) else {
                    return Ok(Vec::new());
                };
                Ok(Entry::new(pid)
                    .ok()
                    .and_then(|entry| self.process(&entry))
                    .into_iter()
                    .collect())
            }
        }
    }

    /// `None` if it has ended, or is a thread of another process.
    fn process(&self, entry: &Entry) -> Option<Process> {
        let stat = entry.stat().ok().filter(is_running)?;
        let status = entry.status().ok();
        if status
            .as_ref()
            .is_some_and(|status| status.tgid != entry.pid)
        {
            return None;
        }
        let executable = executable(entry);
        let command_line = command_line(entry);
        let of_kernel = stat.flags & KERNEL_THREAD != 0;
        if !of_kernel && matches!(executable, Ok(None)) {
            // It has no program any more: most likely it has just ended.
            entry.stat().ok().filter(is_running)?;
        }
        let unknown = |executable: &Option<Executable>| {
            executable
                .as_ref()
                .is_some_and(|executable| executable.on_disk == OnDisk::Unknown)
        };
        let accessible = status.is_some()
            && command_line.is_ok()
            && executable
                .as_ref()
                .is_ok_and(|executable| !unknown(executable));
        Some(Process {
            key: Key {
                pid: u32::try_from(entry.pid).ok()?,
                start: stat.starttime,
            },
            parent: u32::try_from(stat.ppid).ok().filter(|parent| *parent != 0),
            command_line: command_line.unwrap_or_default(),
            started: self.booted + self.ticks(stat.starttime),
            cpu_time: self.ticks(stat.utime.saturating_add(stat.stime)),
            cpu_percent: None,
            memory_bytes: Some(stat.rss.saturating_mul(self.page_bytes)),
            user_id: status
                .map(|status| status.euid)
                .or_else(|| entry.uid().ok()),
            accessible,
            executable: executable.unwrap_or_default(),
            seen: SystemTime::now(),
            name: stat.comm,
        })
    }

    fn ticks(&self, ticks: u64) -> Duration {
        let (whole, rest) = (ticks / self.ticks_per_second, ticks % self.ticks_per_second);
        Duration::from_secs(whole) + Duration::from_secs(rest) / self.divisor()
    }

    fn divisor(&self) -> u32 {
        u32::try_from(self.ticks_per_second).unwrap_or(u32::MAX)
    }
}

/// Opens the file that a process runs, under whatever name it has now.
pub(super) fn open_executable(process: &Process) -> io::Result<File> {
    let gone = || io::Error::new(io::ErrorKind::NotFound, "the process has ended");
    let pid = i32::try_from(process.key.pid).map_err(|_| gone())?;
    let entry = Entry::new(pid).map_err(to_io)?;
    if entry.stat().map_err(to_io)?.starttime != process.key.start {
        return Err(gone());
    }
    entry.open_relative("exe").map_err(to_io)
}

/// Which file that is.
pub(super) fn file_id(metadata: &Metadata) -> Option<FileId> {
    Some(FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    })
}

/// A process that has ended waits for its parent as a zombie; one whose first thread alone has ended
/// looks like one too, and runs on.
fn is_running(stat: &Stat) -> bool {
    !matches!(stat.state, 'Z' | 'X' | 'x') || stat.num_threads > 1
}

fn command_line(entry: &Entry) -> io::Result<Vec<String>> {
    let mut file = entry.open_relative("cmdline").map_err(to_io)?;
    let mut raw = Vec::new();
    file.by_ref()
        .take(COMMAND_LINE_BYTES as u64)
        .read_to_end(&mut raw)?;
    let left_out = if raw.len() == COMMAND_LINE_BYTES {
        io::copy(&mut file, &mut io::sink())?
    } else {
        0
    };
    Ok(split_command_line(
        &raw,
        usize::try_from(left_out).unwrap_or(usize::MAX),
    ))
}

/// `Ok(None)` for a process without one, as the kernel's own threads are.
fn executable(entry: &Entry) -> io::Result<Option<Executable>> {
    let link = match entry.exe() {
        Ok(link) => link,
        Err(ProcError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(to_io(error)),
    };
    let running = entry.open_relative_flags("exe", OFlags::PATH | OFlags::CLOEXEC);
    let running = file_id(&running.map_err(to_io)?.metadata()?);
    let (path, on_disk) = place(entry.pid, link, running);
    Ok(Some(Executable {
        path,
        file: running,
        on_disk,
    }))
}

/// The path that the executable was started from, and what is there now.
fn place(pid: i32, link: PathBuf, running: Option<FileId>) -> (PathBuf, OnDisk) {
    let as_linked = compare(&link, running);
    if as_linked == OnDisk::Same {
        return (link, OnDisk::Same);
    }
    let (path, here) = match link.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(path) => {
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
            let here = compare(&path, running);
            (path, here)
        }
        None => (link, as_linked),
    };
    if here == OnDisk::Same || !other_mounts(pid) {
        return (path, here);
    }
    // A container's paths mean something inside of it.
    let inside = Path::new("/proc").join(pid.to_string()).join("root");
    let there = compare(
        &inside.join(path.strip_prefix("/").unwrap_or(&path)),
        running,
    );
    (path, there)
}

fn compare(path: &Path, running: Option<FileId>) -> OnDisk {
    match fs::metadata(path) {
        Ok(metadata) if file_id(&metadata) == running => OnDisk::Same,
        Ok(_) => OnDisk::Other,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OnDisk::Gone,
            _ => OnDisk::Unknown,
        },
    }
}

/// Whether a process sees other file systems than this one does.
fn other_mounts(pid: i32) -> bool {
    let of = |pid: &str| fs::read_link(Path::new("/proc").join(pid).join("ns/mnt")).ok();
    of(&pid.to_string()) != of("self")
}

fn to_io(error: ProcError) -> io::Error {
    match error {
        ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
        ProcError::NotFound(_) => io::ErrorKind::NotFound.into(),
        ProcError::Io(error, _) => error,
        other => io::Error::other(other.to_string()),
    }
}
