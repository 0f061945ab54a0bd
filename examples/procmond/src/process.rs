//! One process as it was seen at one time, and how it is told to others.
//!
//! **Invariant**: what could not be read is absent here, never guessed.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use daemoneye_ipc_generated::procmond::v1::ProcessRecord;

/// Bytes of a command line that are kept. A process chooses its own arguments, up to megabytes of
/// them; what is kept of every process and in the history has to stay small.
pub(crate) const COMMAND_LINE_BYTES: usize = 8 << 10;

/// One run of one process: process ids are used again, the pair is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) pid: u32,
    /// When it started, in the finest unit that the system has.
    pub(crate) start: u64,
}

/// One file on this machine, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What is at an executable's path now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDisk {
    /// The file that runs.
    #[cfg_attr(
        all(not(target_os = "linux"), not(test)),
        expect(dead_code, reason = "only Linux tells which file runs")
    )]
    Same,
    /// Another file.
    Other,
    /// Nothing.
    Gone,
    /// It cannot be told.
    Unknown,
}

/// The file that a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Executable {
    pub(crate) path: PathBuf,
    /// Absent where the system does not say which file it is.
    pub(crate) file: Option<FileId>,
    pub(crate) on_disk: OnDisk,
}

/// A process as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) key: Key,
    pub(crate) parent: Option<u32>,
    pub(crate) name: String,
    pub(crate) command_line: Vec<String>,
    pub(crate) started: SystemTime,
    /// Time on CPUs since it started.
    pub(crate) cpu_time: Duration,
    /// Share of one CPU since the last look; filled in by the table.
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) user_id: Option<u32>,
    /// All that there is to read could be read.
    pub(crate) accessible: bool,
    pub(crate) executable: Option<Executable>,
    pub(crate) seen: SystemTime,
}

impl Process {
    /// Whether it is, since `before`, about another program, user or file on disk.
    pub(crate) fn differs_from(&self, before: &Self) -> bool {
        self.executable != before.executable
            || self.user_id != before.user_id
            || self.command_line != before.command_line
    }

    /// The record of it, without a hash.
    pub(crate) fn to_record(&self) -> ProcessRecord {
        let on_disk = self
            .executable
            .as_ref()
            .map(|executable| executable.on_disk);
        ProcessRecord {
            pid: self.key.pid,
            parent_pid: self.parent,
            name: self.name.clone(),
            executable_path: self
                .executable
                .as_ref()
                .map(|executable| executable.path.to_string_lossy().into_owned()),
            command_line: self.command_line.clone(),
            start_time: Some(self.started.into()),
            cpu_percent: self.cpu_percent,
            memory_bytes: self.memory_bytes,
            user_id: self.user_id,
            accessible: self.accessible,
            // Where it cannot be told, nothing speaks against it.
            file_exists: on_disk.is_some_and(|on_disk| on_disk != OnDisk::Gone),
            collection_time: Some(self.seen.into()),
            on_disk_mismatch: on_disk == Some(OnDisk::Other),
            ..ProcessRecord::default()
        }
    }
}

/// Splits a command line as the kernel keeps it (every argument ends with a NUL), and says what was
/// left out if it is too long.
#[cfg(target_os = "linux")]
pub(crate) fn split_command_line(raw: &[u8], left_out: usize) -> Vec<String> {
    let raw = raw.strip_suffix(b"\0").unwrap_or(raw);
    if raw.is_empty() {
        return Vec::new();
    }
    let arguments = raw.split(|byte| *byte == 0);
    let mut arguments: Vec<_> = arguments
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    if left_out > 0 {
        arguments.push(format!("… ({left_out} bytes more)"));
    }
    arguments
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A process that does not exist, for tests of what is done with processes.
    pub(crate) fn process(pid: u32, start: u64, path: &str) -> Process {
        Process {
            key: Key { pid, start },
            parent: Some(1),
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            command_line: vec![path.to_owned()],
            started: SystemTime::UNIX_EPOCH + Duration::from_secs(start),
            cpu_time: Duration::ZERO,
            cpu_percent: None,
            memory_bytes: Some(4096),
            user_id: Some(1000),
            accessible: true,
            executable: Some(Executable {
                path: path.into(),
                file: Some(FileId {
                    device: 1,
                    inode: start,
                }),
                on_disk: OnDisk::Same,
            }),
            seen: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_deleted_executable_and_a_replaced_one_read_differently() {
        let with = |on_disk| {
            let mut process = process(7, 1, "/bin/x");
            process.executable.as_mut().expect("one").on_disk = on_disk;
            let record = process.to_record();
            (record.file_exists, record.on_disk_mismatch)
        };
        assert_eq!(with(OnDisk::Same), (true, false));
        assert_eq!(with(OnDisk::Other), (true, true));
        assert_eq!(with(OnDisk::Gone), (false, false));
        assert_eq!(with(OnDisk::Unknown), (true, false));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn command_lines_keep_empty_arguments_and_own_up_to_what_is_left_out() {
        assert_eq!(split_command_line(b"", 0), Vec::<String>::new());
        assert_eq!(split_command_line(b"a\0\0b c\0", 0), ["a", "", "b c"]);
        assert_eq!(
            split_command_line(b"rewritten title", 0),
            ["rewritten title"]
        );
        assert_eq!(
            split_command_line(b"a\0b", 12),
            ["a", "b", "… (12 bytes more)"]
        );
        assert_eq!(split_command_line(b"\xff\0", 0), ["\u{fffd}"]);
    }
}
