//! Tests of the table with this machine's real processes.
//!
//! **Invariant**: whatever is started here is ended here.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::*;
use crate::process::OnDisk;

/// A program that waits until its standard input ends, in a file of its own.
struct Waiter {
    child: Child,
}

impl Waiter {
    fn start(path: &Path) -> Self {
        let child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        Self {
            child: child.expect("cat runs"),
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A copy of `cat` at that path.
fn program(path: PathBuf) -> PathBuf {
    let original = ["/usr/bin/cat", "/bin/cat"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    fs::copy(original.expect("cat"), &path).expect("copied");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

/// The process, once it runs its own program rather than this test's.
fn started(table: &Table, pid: u32, path: &Path) -> Process {
    loop {
        let process = table.process(pid).expect("readable").expect("it runs");
        if process
            .executable
            .as_ref()
            .is_some_and(|executable| executable.path == path)
        {
            return process;
        }
    }
}

#[test]
fn this_process_is_seen_as_it_is() {
    let table = Table::new().expect("a table");
    let snapshot = table.snapshot().expect("readable");
    let me = &snapshot.processes[&std::process::id()];
    let own = std::env::current_exe().expect("a path");
    let executable = me.executable.as_ref().expect("an executable");
    assert_eq!(executable.path, own);
    assert_eq!(executable.on_disk, OnDisk::Same);
    assert_eq!(
        executable.file,
        file_id(&fs::metadata(&own).expect("there"))
    );
    assert_eq!(me.user_id, Some(rustix::process::geteuid().as_raw()));
    let arguments: Vec<_> = std::env::args().collect();
    assert_eq!(me.command_line, arguments);
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
    assert_eq!(me.parent, parent);
    assert!(me.accessible && me.memory_bytes > Some(1 << 16));
    assert!(me.started < me.seen);
    assert_eq!(
        me.cpu_percent, None,
        "nothing to compare with at the first look"
    );
}

#[test]
fn threads_are_no_processes() {
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let own = rustix::thread::gettid()
            .as_raw_nonzero()
            .get()
            .cast_unsigned();
        tell.send(own).expect("heard");
        let _ = ended.recv();
    });
    let tid = told.recv().expect("a thread");
    let table = Table::new().expect("a table");
    assert!(
        !table
            .snapshot()
            .expect("readable")
            .processes
            .contains_key(&tid)
    );
    assert!(table.process(tid).expect("readable").is_none());
    drop(end);
    thread.join().expect("ended");
}

#[test]
fn deleted_and_replaced_executables_are_told_apart() {
    let folder = tempfile::tempdir().expect("a directory");
    // A name that looks like what the kernel says of deleted files.
    let path = program(folder.path().join("tool (deleted)"));
    let waiter = Waiter::start(&path);
    let table = Table::new().expect("a table");
    let on_disk = || {
        started(&table, waiter.pid(), &path)
            .executable
            .expect("one")
            .on_disk
    };
    assert_eq!(on_disk(), OnDisk::Same);
    fs::remove_file(&path).expect("removed");
    assert_eq!(on_disk(), OnDisk::Gone);
    program(path.clone());
    assert_eq!(on_disk(), OnDisk::Other);
    // What runs can still be opened, and is not what is at the path.
    let process = started(&table, waiter.pid(), &path);
    let running = open_executable(&process)
        .expect("open")
        .metadata()
        .expect("metadata");
    assert_eq!(file_id(&running), process.executable.expect("one").file);
    assert_ne!(
        file_id(&running),
        file_id(&fs::metadata(&path).expect("there"))
    );
}

#[test]
fn names_that_look_like_the_kernels_own_format_are_read_right() {
    use std::os::unix::ffi::OsStringExt;
    let folder = tempfile::tempdir().expect("a directory");
    let name = std::ffi::OsString::from_vec(b"a) Z 1\n\xff".to_vec());
    let path = program(folder.path().join(name));
    let waiter = Waiter::start(&path);
    let table = Table::new().expect("a table");
    let process = started(&table, waiter.pid(), &path);
    assert_eq!(process.parent, Some(std::process::id()));
    assert!(process.name.starts_with("a) Z 1"), "{:?}", process.name);
    assert!(
        table
            .snapshot()
            .expect("readable")
            .processes
            .contains_key(&waiter.pid())
    );
}

#[test]
fn a_process_that_has_ended_is_gone_though_nobody_waited_for_it() {
    let mut child = Command::new("true").spawn().expect("true runs");
    let table = Table::new().expect("a table");
    let stat = format!("/proc/{}/stat", child.id());
    while !fs::read_to_string(&stat)
        .expect("a zombie")
        .contains(") Z ")
    {
        std::thread::yield_now();
    }
    assert!(table.process(child.id()).expect("readable").is_none());
    assert!(
        !table
            .snapshot()
            .expect("readable")
            .processes
            .contains_key(&child.id())
    );
    child.wait().expect("waited");
}

#[test]
fn a_busy_process_shows_its_share_of_cpu() {
    let now = Instant::now();
    let first = share(None, Duration::from_secs(5), now);
    assert_eq!(first.percent, None);
    let later = now + Duration::from_secs(2);
    let half = share(Some(&first), Duration::from_secs(6), later);
    assert_eq!(half.percent, Some(50.0));
    // Too soon for another figure: the last one stands.
    let again = share(
        Some(&half),
        Duration::from_secs(6),
        later + Duration::from_millis(1),
    );
    assert_eq!(again.percent, Some(50.0));

    let table = Table::new().expect("a table");
    let me = std::process::id();
    assert_eq!(
        table
            .process(me)
            .expect("readable")
            .expect("this")
            .cpu_percent,
        None
    );
    let percent = loop {
        if let Some(percent) = table
            .process(me)
            .expect("readable")
            .expect("this")
            .cpu_percent
        {
            break percent;
        }
    };
    assert!(percent > 1.0, "{percent}");
}

#[test]
fn the_reader_for_other_systems_agrees_on_what_both_can_know() {
    let found = portable::Reader
        .read(Which::One(std::process::id()))
        .expect("readable");
    let me = Table::new()
        .expect("a table")
        .process(std::process::id())
        .expect("readable");
    let (me, found) = (me.expect("this"), found.into_iter().next().expect("this"));
    assert_eq!(
        (found.key.pid, &found.name, found.parent),
        (me.key.pid, &me.name, me.parent)
    );
    assert_eq!(
        (found.user_id, &found.command_line),
        (me.user_id, &me.command_line)
    );
    let path = |process: &Process| process.executable.as_ref().map(|file| file.path.clone());
    assert_eq!(path(&found), path(&me));
}
