//! Endpoints in the file system: what a server creates, what it refuses, and what it leaves behind.
//!
//! **Invariant**: real sockets, and real processes where umask, user, signals or limits matter.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, chown, lchown, symlink},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    IpcError,
    config::MAX_ENDPOINT_BYTES,
    transport::{EndpointOptions, EntryKind, Listener, Severity, connect, inspect},
};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with},
    process::Signal,
};

use super::support::*;

#[tokio::test]
async fn modes_are_exact_whatever_the_umask() {
    for umask in ["000", "022", "077", "777"] {
        let folder = folder();
        let path = folder.path().join("a/b/x.sock");
        let other = Other::listening(&path, &["--umask", umask]);
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
        assert_eq!(mode(&path), 0o600, "umask {umask}");
        assert_eq!(mode(&folder.path().join("a")), 0o700, "umask {umask}");
        assert_eq!(mode(&folder.path().join("a/b")), 0o700, "umask {umask}");
        assert_eq!(
            mode(&folder.path().join("a/b/x.sock.lock")),
            0o600,
            "umask {umask}"
        );
        assert_eq!(
            names(&folder.path().join("a/b")),
            ["x.sock", "x.sock.lock"],
            "umask {umask}"
        );
        connect(&path, LIMIT).await.unwrap();
        other.stop();
        assert_eq!(
            names(&folder.path().join("a/b")),
            ["x.sock.lock"],
            "umask {umask}"
        );
    }
}

#[test]
fn a_stranger_never_gets_in_between() {
    if !is_root("a_stranger_never_gets_in_between") {
        return;
    }
    // Nothing but the socket's own mode keeps them out.
    let folder = folder();
    chmod(folder.path(), 0o755);
    let path = folder.path().join("x.sock");
    let mut stranger = Other::start("knock", &path, &["--uid", "12345"]);
    assert_eq!(stranger.says(), "ready");
    let mut server = Other::start("restart", &path, &["--umask", "000"]);
    assert_eq!(server.says(), "ready");
    let outcome = stranger.asked();
    let times = outcome
        .strip_prefix("kept out ")
        .and_then(|rest| rest.strip_suffix(" times"));
    assert!(
        times.is_some_and(|times| times.parse::<u32>().unwrap() > 0),
        "{outcome}"
    );
    server.stop();
}

#[tokio::test]
async fn other_modes_are_exact_too_if_asked_for() {
    let folder = folder();
    let path = folder.path().join("a/x.sock");
    let options = EndpointOptions {
        mode: 0o666,
        dir_mode: 0o755,
        ..EndpointOptions::default()
    };
    let _listener = Listener::bind(&path, &options).await.unwrap();
    assert_eq!(
        (mode(&path), mode(&folder.path().join("a"))),
        (0o666, 0o755)
    );
}

#[tokio::test]
async fn a_live_servers_name_is_never_taken_even_while_it_is_stopped() {
    let folder = folder();
    let path = folder.path().join("x.sock");
    let other = Other::listening(&path, &[]);
    let before = identity(&path);
    for signal in [None, Some(Signal::STOP), Some(Signal::CONT)] {
        if let Some(signal) = signal {
            other.signal(signal);
        }
        let text = refusal(&path).await;
        assert!(
            text.contains(&format!("a live server (process {})", other.id())),
            "{text}"
        );
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        assert_eq!(identity(&path), before);
    }
    connect(&path, LIMIT).await.unwrap();
    other.stop();
    bind(&path).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_server_left_is_replaced() {
    let folder = folder();
    let path = folder.path().join("x.sock");
    Other::listening(&path, &[]).kill();
    let before = identity(&path);
    assert!(matches!(
        connect(&path, LIMIT).await,
        Err(IpcError::ConnectionRefused { .. })
    ));
    // As a server leaves it that is killed while it prepares its socket.
    fs::create_dir(folder.path().join(".x.sock.new")).unwrap();
    drop(UnixListener::bind(folder.path().join(".x.sock.new/s")).unwrap());
    let listener = bind(&path).await.unwrap();
    assert_ne!(identity(&path), before);
    assert_eq!(names(folder.path()), ["x.sock", "x.sock.lock"]);
    meet(&listener).await;
}

#[tokio::test]
async fn what_is_no_socket_is_refused_and_untouched() {
    let folder = folder();
    let path = folder.path().join("x.sock");
    let target = folder.path().join("target");
    let _listening = UnixListener::bind(&target).unwrap();
    let make: [(&str, &dyn Fn()); 4] = [
        ("file", &|| fs::write(&path, "precious").unwrap()),
        ("directory", &|| fs::create_dir(&path).unwrap()),
        ("link", &|| symlink(&target, &path).unwrap()),
        ("fifo", &|| {
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap()
        }),
    ];
    for (what, make) in make {
        make();
        let before = fs::symlink_metadata(&path).unwrap();
        let text = refusal(&path).await;
        assert!(text.contains("not a socket"), "{what}: {text}");
        let after = fs::symlink_metadata(&path).unwrap();
        let known = |m: &fs::Metadata| (m.ino(), m.mode(), m.len(), m.mtime_nsec(), m.ctime_nsec());
        assert_eq!(known(&after), known(&before), "{what}");
        assert_eq!(
            names(folder.path()),
            ["target", "x.sock", "x.sock.lock"],
            "{what}"
        );
        if what == "directory" {
            fs::remove_dir(&path)
        } else {
            fs::remove_file(&path)
        }
        .unwrap();
    }
    bind(&path).await.unwrap();
}

#[tokio::test]
async fn another_programs_live_socket_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("x.sock");
    let foreign = UnixListener::bind(&path).unwrap();
    let before = identity(&path);
    let text = refusal(&path).await;
    assert!(text.contains("another program listens there"), "{text}");
    assert_eq!(identity(&path), before);
    UnixStream::connect(&path).unwrap();
    drop(foreign);
    meet(&bind(&path).await.unwrap()).await;
}

#[tokio::test]
async fn a_socket_of_another_user_is_refused() {
    if !is_root("a_socket_of_another_user_is_refused") {
        return;
    }
    let folder = folder();
    let path = folder.path().join("x.sock");
    drop(UnixListener::bind(&path).unwrap());
    chown(&path, Some(12_345), None).unwrap();
    let before = identity(&path);
    let text = refusal(&path).await;
    assert!(text.contains("belongs to uid 12345"), "{text}");
    assert_eq!(identity(&path), before);
}

#[tokio::test]
async fn a_squatted_lock_file_is_refused_and_untouched() {
    let folder = folder();
    let (path, lock) = (
        folder.path().join("x.sock"),
        folder.path().join("x.sock.lock"),
    );
    let precious = folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let make: [(&str, &dyn Fn()); 4] = [
        ("link", &|| symlink(&precious, &lock).unwrap()),
        ("hard link", &|| fs::hard_link(&precious, &lock).unwrap()),
        ("fifo", &|| {
            mknodat(CWD, &lock, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap()
        }),
        ("directory", &|| fs::create_dir(&lock).unwrap()),
    ];
    for (what, make) in make {
        make();
        let text = refusal(&path).await;
        assert!(text.contains("x.sock.lock"), "{what}: {text}");
        assert!(!path.exists(), "{what}");
        if what == "directory" {
            fs::remove_dir(&lock)
        } else {
            fs::remove_file(&lock)
        }
        .unwrap();
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn of_fifty_servers_that_start_at_once_one_wins() {
    let folder = folder();
    let path = folder.path().join("a/b/x.sock");
    let mut others: Vec<_> = (0..50)
        .map(|_| Other::start("listen", &path, &[]))
        .collect();
    let answers: Vec<_> = others.iter_mut().map(Other::says).collect();
    let winners = answers.iter().filter(|answer| *answer == "ready").count();
    assert_eq!(winners, 1, "{answers:?}");
    let losers = answers
        .iter()
        .filter(|answer| answer.contains("a live server"));
    assert_eq!(losers.count(), 49, "{answers:?}");
    assert_eq!(names(&folder.path().join("a/b")), ["x.sock", "x.sock.lock"]);
    UnixStream::connect(&path).unwrap();
}

#[tokio::test]
async fn the_longest_path_works_and_one_byte_more_is_a_clear_error() {
    let folder = folder();
    let path = path_of(folder.path(), MAX_ENDPOINT_BYTES);
    for _ in 0..2 {
        meet(&bind(&path).await.unwrap()).await;
        assert!(!path.exists());
    }
    let path = path_of(folder.path(), MAX_ENDPOINT_BYTES + 1);
    let limits = format!(
        "has {} bytes, and a socket's path has at most {MAX_ENDPOINT_BYTES}",
        MAX_ENDPOINT_BYTES + 1
    );
    let text = refusal(&path).await;
    assert!(text.contains(&limits), "{text}");
    let text = connect(&path, LIMIT).await.unwrap_err().to_string();
    assert!(text.contains(&limits), "{text}");
    let deep = folder
        .path()
        .join("e".repeat(MAX_ENDPOINT_BYTES - folder.path().as_os_str().len() - 3))
        .join("s");
    meet(&bind(&deep).await.unwrap()).await;
}

#[tokio::test]
async fn a_closing_server_removes_its_own_socket_and_nothing_else() {
    let folder = folder();
    let path = folder.path().join("x.sock");
    drop(bind(&path).await.unwrap());
    assert!(!path.exists());

    let listener = bind(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    drop(listener);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();

    let listener = bind(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let successor = UnixListener::bind(&path).unwrap();
    let before = identity(&path);
    drop(listener);
    assert_eq!(identity(&path), before);
    drop(successor);

    // A directory that is moved away takes the endpoint along; what takes its place is left alone.
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let listener = bind(&old.join("x.sock")).await.unwrap();
    fs::rename(&old, &new).unwrap();
    fs::create_dir(&old).unwrap();
    fs::write(old.join("x.sock"), "precious").unwrap();
    drop(listener);
    assert!(old.join("x.sock").exists() && !new.join("x.sock").exists());
}

#[tokio::test]
async fn directories_that_others_can_change_are_refused() {
    let root = folder();
    for mode in [0o777, 0o770, 0o702, 0o1770] {
        // Where a directory is sticky and root's own, others cannot replace what they do not own.
        if mode == 0o1770 && rustix::process::geteuid().is_root() {
            continue;
        }
        let dir = root.path().join(format!("{mode:o}"));
        fs::create_dir(&dir).unwrap();
        chmod(&dir, mode);
        let text = refusal(&dir.join("x.sock")).await;
        assert!(
            text.contains("writable by others") && text.contains("chmod 700"),
            "{text}"
        );
        assert!(text.contains(dir.to_str().unwrap()), "{text}");
        assert_eq!(names(&dir), [""; 0]);
    }
}

#[tokio::test]
async fn directories_above_that_others_can_change_are_refused_and_nothing_is_created_there() {
    let root = folder();
    let open = root.path().join("open");
    fs::create_dir(&open).unwrap();
    chmod(&open, 0o777);
    let text = refusal(&open.join("private/x.sock")).await;
    assert!(text.contains("writable by everybody"), "{text}");
    assert_eq!(names(&open), [""; 0]);
    chmod(&open, 0o1777);
    bind(&open.join("private/x.sock")).await.unwrap();
}

#[tokio::test]
async fn directories_of_other_users_are_refused() {
    if !is_root("directories_of_other_users_are_refused") {
        return;
    }
    let root = folder();
    let theirs = root.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    chmod(&theirs, 0o755);
    chown(&theirs, Some(12_345), Some(12_345)).unwrap();
    for path in [theirs.join("x.sock"), theirs.join("private/x.sock")] {
        let text = refusal(&path).await;
        assert!(text.contains("belongs to uid 12345"), "{text}");
    }
    assert_eq!(names(&theirs), [""; 0]);
    // Their own process may use it, and may use what is root's.
    chmod(root.path(), 0o755);
    Other::listening(&theirs.join("x.sock"), &["--uid", "12345"]).stop();
    assert_eq!(
        fs::symlink_metadata(theirs.join("x.sock.lock"))
            .unwrap()
            .uid(),
        12_345
    );
}

#[tokio::test]
async fn links_of_root_are_followed_and_those_of_others_are_not() {
    if !is_root("links_of_root_are_followed_and_those_of_others_are_not") {
        return;
    }
    let root = folder();
    fs::create_dir_all(root.path().join("real/deep")).unwrap();
    symlink(root.path().join("real"), root.path().join("absolute")).unwrap();
    symlink("../real/./deep", root.path().join("real/relative")).unwrap();
    symlink("loop", root.path().join("loop")).unwrap();
    for way in ["absolute", "absolute/relative", "real/relative"] {
        let path = root.path().join(way).join("x.sock");
        meet(&bind(&path).await.unwrap()).await;
    }
    let text = refusal(&root.path().join("loop/x.sock")).await;
    assert!(text.contains("loop"), "{text}");
    lchown(root.path().join("absolute"), Some(12_345), None).unwrap();
    let text = refusal(&root.path().join("absolute/x.sock")).await;
    assert!(text.contains("symbolic link of uid 12345"), "{text}");
}

#[tokio::test]
async fn a_directory_shared_by_all_works_with_a_warning() {
    if mode(Path::new("/tmp")) & 0o1777 != 0o1777 {
        panic!(
            "/tmp is not what it should be: mode {:o}",
            mode(Path::new("/tmp"))
        );
    }
    let path = Path::new("/tmp").join(format!("daemoneye-ipc-test-{}.sock", std::process::id()));
    let listener = bind(&path).await.unwrap();
    meet(&listener).await;
    let report = inspect(&path, &EndpointOptions::default()).unwrap();
    assert!(report.is_fit(), "{report:?}");
    let warning = report
        .findings
        .iter()
        .find(|finding| finding.path == Path::new("/tmp"))
        .unwrap();
    assert_eq!(warning.severity, Severity::Warning);
    assert!(warning.problem.contains("shared by all users"), "{warning}");
    assert!(warning.advice.contains("/run/daemoneye"), "{warning}");
    drop(listener);
    fs::remove_file(path.with_extension("sock.lock")).unwrap();
}

#[tokio::test]
async fn looking_sees_what_a_server_would_mind_and_changes_nothing() {
    let root = folder();
    let path = root.path().join("a/x.sock");
    let report = inspect(&path, &EndpointOptions::default()).unwrap();
    assert!(
        report.endpoint.is_none() && report.directory.is_none() && !report.is_fit(),
        "{report:?}"
    );
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.problem.contains("does not exist")),
        "{report:?}"
    );
    assert_eq!(names(root.path()), [""; 0]);

    let listener = bind(&path).await.unwrap();
    let report = inspect(&path, &EndpointOptions::default()).unwrap();
    let (entry, directory) = (report.endpoint.unwrap(), report.directory.unwrap());
    assert_eq!((entry.kind, entry.mode), (EntryKind::Socket, 0o600));
    assert_eq!(
        (directory.kind, directory.mode),
        (EntryKind::Directory, 0o700)
    );
    assert!(report.is_fit(), "{:?}", report.findings);
    chmod(&path, 0o660);
    chmod(path.parent().unwrap(), 0o720);
    let report = inspect(&path, &EndpointOptions::default()).unwrap();
    let worst: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.severity, f.path.clone()))
        .collect();
    assert!(
        worst.contains(&(Severity::Warning, path.clone())),
        "{worst:?}"
    );
    assert!(
        worst.contains(&(Severity::Error, path.parent().unwrap().to_owned())),
        "{worst:?}"
    );
    drop(listener);
    fs::write(&path, "").unwrap();
    let report = inspect(&path, &EndpointOptions::default()).unwrap();
    assert_eq!(report.endpoint.unwrap().kind, EntryKind::File);
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.problem == "is not a socket"),
        "{report:?}"
    );
    assert!(inspect(Path::new("x.sock"), &EndpointOptions::default()).is_err());
}

#[tokio::test]
async fn a_connect_that_fails_says_why() {
    let root = folder();
    let path = root.path().join("x.sock");
    let missing = [path.clone(), root.path().join("none/x.sock")];
    for path in missing {
        let error = connect(&path, LIMIT).await.unwrap_err();
        assert!(
            matches!(&error, IpcError::ServerNotFound { endpoint } if *endpoint == path.to_str().unwrap()),
            "{error}"
        );
    }
    drop(UnixListener::bind(&path).unwrap());
    let error = connect(&path, LIMIT).await.unwrap_err();
    assert!(
        matches!(error, IpcError::ConnectionRefused { .. }),
        "{error}"
    );
    if is_root("a_connect_that_fails_says_why, its last part") {
        chmod(root.path(), 0o755);
        let _listener = bind(&root.path().join("y.sock")).await.unwrap();
        let mut other = Other::start("connect", &root.path().join("y.sock"), &["--uid", "12345"]);
        let said = other.says();
        assert!(said.starts_with("failed: permission denied at"), "{said}");
    }
}

/// A listening socket that nobody accepts from, its queue full.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn full(path: &Path) -> (rustix::fd::OwnedFd, Vec<rustix::fd::OwnedFd>) {
    let new = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
    };
    let (address, listening) = (SocketAddrUnix::new(path).unwrap(), new());
    rustix::net::bind(&listening, &address).unwrap();
    rustix::net::listen(&listening, 0).unwrap();
    let mut queued = Vec::new();
    loop {
        let client = new();
        if rustix::net::connect(&client, &address).is_err() {
            return (listening, queued);
        }
        queued.push(client);
    }
}

#[tokio::test]
async fn a_full_queue_is_waited_for_and_then_it_is_a_timeout() {
    let folder = folder();
    let path = folder.path().join("x.sock");
    let (listening, _queued) = full(&path);
    let (start, limit) = (Instant::now(), Duration::from_millis(150));
    let error = connect(&path, limit).await.unwrap_err();
    assert!(
        matches!(&error, IpcError::ConnectionTimeout { endpoint } if *endpoint == path.to_str().unwrap()),
        "{error}"
    );
    assert!(
        start.elapsed() >= limit && start.elapsed() < LIMIT,
        "{:?}",
        start.elapsed()
    );
    // As soon as there is room, who waits gets in.
    let waiting = tokio::spawn({
        let path = path.clone();
        async move { connect(&path, LIMIT).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    rustix::net::accept(&listening).unwrap();
    waiting.await.unwrap().unwrap();
}
