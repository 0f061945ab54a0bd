//! Socket activation: a parent listens, a server takes the socket over, is killed, and is replaced.
//!
//! **Invariant**: parent, server and client are real processes and sockets; every wait has a limit.

use std::{
    io::{BufRead, BufReader, Read},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use daemoneye_ipc::{Channel, IpcConfig};
use daemoneye_ipc_generated::conformance::v1::{ConformanceClient, EchoRequest};

const LIMIT: Duration = Duration::from_secs(20);

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Passes `listener` to a server for `endpoint` as descriptor 3; `$$` is the server's process id, since
/// exec keeps it.
fn command(listener: &UnixListener, endpoint: &Path, environment: &str) -> Command {
    let passed: OwnedFd = listener.try_clone().expect("a descriptor").into();
    let script = format!("export {environment}; exec \"$0\" \"$@\" 3<&0 0</dev/null");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_tests-conformance")])
        .args(["serve", "--endpoint"])
        .arg(endpoint)
        .env("RUST_LOG", "warn")
        .stdin(passed)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn start(listener: &UnixListener, endpoint: &Path) -> Server {
    let child = command(listener, endpoint, "LISTEN_FDS=1 LISTEN_PID=$$").spawn();
    Server(child.expect("sh runs"))
}

fn wait_ready(server: &mut Server) {
    let mut line = String::new();
    let stdout = server.0.stdout.take().expect("piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("readable");
    assert!(line.starts_with("ready "), "{line:?}");
}

fn run(listener: &UnixListener, endpoint: &Path, environment: &str) -> Output {
    let child = command(listener, endpoint, environment).spawn();
    child
        .expect("sh runs")
        .wait_with_output()
        .expect("it ends by itself")
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a directory");
    let endpoint = folder.path().join("x.sock");
    (folder, endpoint)
}

async fn echo(client: &ConformanceClient) {
    let request = EchoRequest {
        payload: "hello".into(),
        ..EchoRequest::default()
    };
    let reply = tokio::time::timeout(LIMIT, client.echo(request).wait_for_ready(true)).await;
    assert_eq!(reply.expect("in time").expect("an answer").payload, "hello");
}

#[tokio::test]
async fn clients_wait_for_the_server_and_for_its_successor() {
    let (_folder, endpoint) = folder();
    let listener = UnixListener::bind(&endpoint).expect("bound");
    let mut config = IpcConfig::new(endpoint.clone());
    // Nobody accepts yet, so the handshake waits in the backlog.
    config.limits.handshake_timeout_ms = 20_000;
    let client = ConformanceClient::new(Channel::lazy(config).expect("settings"));
    let early = tokio::spawn({
        let client = client.clone();
        async move { echo(&client).await }
    });
    let mut server = start(&listener, &endpoint);
    early.await.expect("answered");
    wait_ready(&mut server);

    server.0.kill().expect("alive");
    server.0.wait().expect("a child");
    assert!(endpoint.exists(), "the socket is not the server's");
    let between = tokio::spawn({
        let client = client.clone();
        async move { echo(&client).await }
    });
    let mut successor = start(&listener, &endpoint);
    between.await.expect("answered");

    let pid = i32::try_from(successor.0.id()).expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("alive");
    assert!(successor.0.wait().expect("a child").success());
    assert!(endpoint.exists(), "an orderly end leaves it, too");
    let mut errors = String::new();
    let stderr = successor.0.stderr.as_mut().expect("piped");
    stderr.read_to_string(&mut errors).expect("readable");
    assert!(
        errors.contains("the peer policy alone decides"),
        "the mode of the umask is warned of: {errors}"
    );
}

#[test]
fn a_socket_that_is_not_the_endpoints_is_refused() {
    let (_folder, endpoint) = folder();
    let listener = UnixListener::bind(endpoint.with_extension("other")).expect("bound");
    let output = run(&listener, &endpoint, "LISTEN_FDS=1 LISTEN_PID=$$");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        errors.contains("passes 1 sockets (LISTEN_FDS) and none of them listens here"),
        "{errors}"
    );
    assert!(!endpoint.exists());
}

#[test]
fn what_was_meant_for_another_process_is_left_alone() {
    let (_folder, endpoint) = folder();
    let listener = UnixListener::bind(&endpoint).expect("bound");
    let output = run(&listener, &endpoint, "LISTEN_FDS=1 LISTEN_PID=1");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        errors.contains("another program listens there"),
        "it binds, and finds the parent's socket: {errors}"
    );
}
