//! Pipes as the system makes them.
//!
//! What Wine does not do is marked by [`needs_windows`], and counted by `tests/windows/run`.
//!
//! **Invariant**: each test has a pipe of its own.

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    os::windows::{fs::OpenOptionsExt, io::AsHandle},
    time::Duration,
};

use interprocess::os::windows::security_descriptor::AsSecurityDescriptorExt;
use tokio::net::windows::named_pipe::ClientOptions;
use windows_sys::Win32::Storage::FileSystem::{SECURITY_ANONYMOUS, SECURITY_SQOS_PRESENT};

use super::*;
use crate::transport::check_server;

const SECOND: Duration = Duration::from_secs(1);
const USERS: &str = "S-1-5-32-545";
const STRANGER: &str = "S-1-5-21-9-9-9-1000";

fn name() -> PathBuf {
    format!(r"\\.\pipe\daemoneye\test\{:x}", fastrand::u64(..)).into()
}

async fn listen(path: &Path) -> Result<Listener, IpcError> {
    Listener::bind(path, &EndpointOptions::default()).await
}

/// Whether the rest of a test shows nothing here, because Wine does not enforce what it is about.
fn needs_windows(test: &str) -> bool {
    let wine = std::env::var_os("DAEMONEYE_TESTS_UNDER_WINE").is_some();
    if wine {
        println!("needs Windows: {test}");
    }
    wine
}

/// A pipe with the security `sddl`, made by hand.
fn made(path: &Path, sddl: &str) -> io::Result<tokio::net::windows::named_pipe::NamedPipeServer> {
    system::create(path, &security::descriptor(sddl)?, true)
}

#[tokio::test]
async fn a_pipe_has_the_security_that_it_was_made_with() {
    let own = &identity::own().user;
    for clients in [vec![], vec![USERS.to_owned()]] {
        let path = name();
        let asked = security::sddl(own, &clients).unwrap();
        let listener = Listener::bind(&path, &EndpointOptions { clients })
            .await
            .unwrap();
        // Read back from the pipe, by the server and by a client.
        let (owner, sddl) = system::security(listener.waiting.lock().await.as_handle()).unwrap();
        assert_eq!(&owner, own);
        // Owner and DACL.
        let canonical = security::descriptor(&asked)
            .unwrap()
            .serialize(0x5, |text| text.to_string_lossy());
        assert_eq!(sddl, canonical.unwrap());
        assert!(sddl.contains("D:P(A;;"), "{sddl}");
        let client = system::open(&path).unwrap();
        assert_eq!(system::security(client.as_handle()).unwrap().1, sddl);
    }
}

#[tokio::test]
async fn clients_of_the_policy_may_open_the_pipe() {
    let policy = PeerPolicy::same_user().or_sid(USERS);
    let options = EndpointOptions::default().for_clients(&policy);
    assert!(options.clients.contains(&USERS.to_owned()), "{options:?}");
    Listener::bind(&name(), &options).await.unwrap();
    let wrong = EndpointOptions {
        clients: vec!["Users".to_owned()],
    };
    let error = Listener::bind(&name(), &wrong).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\"Users\" is no security identifier"),
        "{error}"
    );
}

#[tokio::test]
async fn the_name_is_the_real_one_and_free_when_all_are_gone() {
    let path = name();
    assert!(!system::exists(&path));
    let listener = listen(&path).await.unwrap();
    assert!(system::exists(&path));
    // By its name alone, as any program opens it.
    drop(ClientOptions::new().open(&path).unwrap());
    let taken = listen(&path).await.unwrap_err();
    assert!(
        taken.to_string().contains("a live server has it"),
        "{taken}"
    );
    drop(listener);
    listen(&path).await.unwrap();
}

#[tokio::test]
async fn both_ends_know_each_other() {
    let path = name();
    let listener = listen(&path).await.unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), connect(&path, SECOND));
    let me = Peer::current();
    let (accepted, connected) = (accepted.unwrap(), connected.unwrap());
    assert_eq!(accepted.peer(), &me);
    assert_eq!(
        (&connected.peer().sid, connected.peer().pid),
        (&me.sid, me.pid)
    );
    let trusted = PeerPolicy::same_user();
    check_server(&path, connected.peer(), &trusted)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_of_another_user_is_sent_nothing() {
    let path = name();
    let sddl = security::sddl(STRANGER, &[USERS.to_owned()]).unwrap();
    let squatter = match made(&path, &sddl) {
        Ok(squatter) => squatter,
        // Real Windows lets nobody make a pipe in another's name.
        Err(error) => return assert_eq!(error.raw_os_error(), Some(1307), "{error}"),
    };
    let channel = crate::Channel::connect(crate::IpcConfig::new(&path));
    let (error, came) = tokio::join!(channel, squatter.connect());
    let (error, _) = (error.unwrap_err(), came.unwrap());
    assert!(
        matches!(&error, IpcError::PeerNotTrusted { user, .. } if user == STRANGER),
        "{error}"
    );
    squatter.readable().await.unwrap();
    // The end, and no byte before it.
    assert_eq!(squatter.try_read(&mut [0; 64]).unwrap(), 0);
}

#[tokio::test]
async fn a_pipe_that_another_made_first_is_not_served() {
    let path = name();
    let _squatter = made(
        &path,
        &security::sddl(STRANGER, &[USERS.to_owned()]).unwrap(),
    );
    if system::exists(&path) {
        let error = listen(&path).await.unwrap_err();
        assert!(error.to_string().contains("or another user"), "{error}");
    }
}

#[tokio::test]
async fn waits_for_a_free_instance_are_bounded() {
    let path = name();
    let listener = listen(&path).await.unwrap();
    let _taken = connect(&path, SECOND).await.unwrap();
    // Nobody accepts, so that no other instance is made.
    let error = connect(&path, Duration::from_millis(50)).await.unwrap_err();
    assert!(
        matches!(error, IpcError::ConnectionTimeout { .. }),
        "{error}"
    );
    drop(listener);
    let missing = connect(&name(), SECOND).await.unwrap_err();
    assert!(
        matches!(missing, IpcError::ServerNotFound { .. }),
        "{missing}"
    );
    let wrong = connect(Path::new(r"C:\daemoneye\procmond"), SECOND)
        .await
        .unwrap_err();
    assert!(matches!(wrong, IpcError::Config { .. }), "{wrong}");
}

#[tokio::test]
async fn what_was_written_arrives_before_the_end() {
    let path = name();
    let listener = listen(&path).await.unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), connect(&path, SECOND));
    let (accepted, connected) = (accepted.unwrap(), connected.unwrap());
    assert_eq!(accepted.send_now(b"last words").unwrap(), 10);
    accepted.shutdown();
    let mut came = bytes::BytesMut::with_capacity(64);
    loop {
        std::future::poll_fn(|cx| connected.poll_read_ready(cx))
            .await
            .unwrap();
        match connected.try_read(&mut came) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert_eq!(&came[..], b"last words");
}

#[tokio::test]
async fn a_client_that_never_reads_holds_nothing_for_long() {
    let path = name();
    let listener = listen(&path).await.unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), connect(&path, SECOND));
    let (accepted, connected) = (accepted.unwrap(), connected.unwrap());
    let full = vec![7; 1 << 20];
    let mut sent = 0;
    let writing = async {
        loop {
            std::future::poll_fn(|cx| accepted.poll_write_ready(cx))
                .await
                .unwrap();
            match accepted.try_write_vectored(&[io::IoSlice::new(&full)]) {
                Ok(count) => sent += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    };
    // What the buffers hold, and one write more.
    assert!(tokio::time::timeout(SECOND / 2, writing).await.is_err());
    assert!(
        sent >= system::BUFFER_BYTES as usize && sent < 1 << 20,
        "{sent}"
    );
    accepted.shutdown();
    let end = std::future::poll_fn(|cx| accepted.poll_write_ready(cx)).await;
    end.unwrap();
    let closed = accepted.try_write_vectored(&[io::IoSlice::new(b"x")]);
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::BrokenPipe);
    // The server's end is closed in time, however long the client stays: then nothing is left of the name.
    drop((accepted, listener));
    let gone = async {
        while system::exists(&path) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(socket::LAST_WORDS * 10, gone)
        .await
        .unwrap();
    let mut came = bytes::BytesMut::new();
    let end = async {
        loop {
            std::future::poll_fn(|cx| connected.poll_read_ready(cx))
                .await
                .unwrap();
            came.reserve(64 << 10);
            match connected.try_read(&mut came) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    tokio::time::timeout(SECOND * 5, end).await.unwrap();
    assert!(came.len() <= sent);
}

#[tokio::test]
async fn a_first_instance_is_the_only_first() {
    if needs_windows("FILE_FLAG_FIRST_PIPE_INSTANCE refuses a second first instance") {
        return;
    }
    let (path, sddl) = (name(), security::sddl(&identity::own().user, &[]).unwrap());
    let _first = made(&path, &sddl).unwrap();
    assert_eq!(
        made(&path, &sddl).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
}

#[tokio::test]
async fn the_security_of_a_pipe_is_enforced() {
    if needs_windows("a pipe for the system alone is closed to this user") {
        return;
    }
    let path = name();
    let own = &identity::own().user;
    let _pipe = made(&path, &format!("O:{own}D:P(A;;FA;;;{})", identity::SYSTEM)).unwrap();
    let error = connect(&path, SECOND).await.unwrap_err();
    assert!(
        matches!(error, IpcError::PermissionDenied { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_pipe_is_not_made_in_anothers_name() {
    if needs_windows("nobody makes a pipe that another user owns") {
        return;
    }
    let sddl = security::sddl(STRANGER, &[]).unwrap();
    // ERROR_INVALID_OWNER.
    assert_eq!(made(&name(), &sddl).unwrap_err().raw_os_error(), Some(1307));
}

#[tokio::test]
async fn a_client_that_hides_is_nobody() {
    if needs_windows("a client that opens the pipe anonymously is refused") {
        return;
    }
    let path = name();
    let listener = listen(&path).await.unwrap();
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .security_qos_flags(SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS)
            .open(&path)
    };
    let _hidden = open().unwrap();
    let link = listener.accept().await.unwrap();
    let refused = PeerPolicy::same_user()
        .evaluate(link.peer())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("SECURITY_IDENTIFICATION"),
        "{refused}"
    );
}
