//! Reading processes where there is no Linux `/proc`.
//!
//! **Invariant**: says that files are the same, or differ, only where the system tells which file runs;
//! here it does not.

use std::{
    fs::{self, File, Metadata},
    io,
    time::{Duration, SystemTime},
};

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::Which;
use crate::process::{COMMAND_LINE_BYTES, Executable, FileId, Key, OnDisk, Process};

/// Reads processes.
#[derive(Debug)]
pub(super) struct Reader;

impl Reader {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn read(&mut self, which: Which) -> io::Result<Vec<Process>> {
        // A new one each time: it keeps names and paths of processes that have become others.
        let mut system = System::new().map_err(|error| io::Error::other(format!("{error:?}")))?;
        let kind = ProcessRefreshKind::nothing()
            .with_cpu()
            .with_memory()
            .with_user(UpdateKind::Always)
            .with_cmd(UpdateKind::Always)
            .with_exe(UpdateKind::Always)
            .without_tasks();
        match which {
            Which::All => system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind),
            Which::One(pid) => {
                let pids = [Pid::from_u32(pid)];
                system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind)
            }
        };
        let running = system.processes().values().filter(|process| {
            !matches!(
                process.status(),
                ProcessStatus::Zombie | ProcessStatus::Dead
            )
        });
        Ok(running.map(process).collect())
    }
}

/// Opens the file at the path that a process was started from.
pub(super) fn open_executable(process: &Process) -> io::Result<File> {
    let executable = process.executable.as_ref();
    File::open(&executable.ok_or(io::ErrorKind::NotFound)?.path)
}

/// Which file that is: not known of a running one, so not of any.
pub(super) fn file_id(_: &Metadata) -> Option<FileId> {
    None
}

fn process(found: &sysinfo::Process) -> Process {
    let path = found.exe().filter(|path| path.is_absolute());
    let executable = path.map(|path| Executable {
        path: path.to_path_buf(),
        file: None,
        on_disk: match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => OnDisk::Gone,
            _ => OnDisk::Unknown,
        },
    });
    let user = found.effective_user_id().or_else(|| found.user_id());
    Process {
        key: Key {
            pid: found.pid().as_u32(),
            start: found.start_time(),
        },
        parent: found.parent().map(Pid::as_u32),
        name: found.name().to_string_lossy().into_owned(),
        command_line: command_line(found),
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(found.start_time()),
        cpu_time: Duration::from_millis(found.accumulated_cpu_time()),
        cpu_percent: None,
        memory_bytes: Some(found.memory()),
        user_id: user.and_then(number),
        accessible: executable.is_some() && user.is_some(),
        executable,
        seen: SystemTime::now(),
    }
}

#[cfg(unix)]
fn number(user: &sysinfo::Uid) -> Option<u32> {
    Some(**user)
}

/// Users of Windows have no numbers.
#[cfg(not(unix))]
fn number(_user: &sysinfo::Uid) -> Option<u32> {
    None
}

fn command_line(found: &sysinfo::Process) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut room = COMMAND_LINE_BYTES;
    for argument in found.cmd() {
        let Some(left) = room.checked_sub(argument.len() + 1) else {
            arguments.push("… (more)".to_owned());
            break;
        };
        room = left;
        arguments.push(argument.to_string_lossy().into_owned());
    }
    arguments
}
