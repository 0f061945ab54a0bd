//! Section 6 of the contract, seen from the other side: a server made by hand that loses connections,
//! and a real one that is killed, under the client of the runtime.
//!
//! **Invariant**: what a server saw is counted at the server, never taken from the client.

use std::{
    os::unix::net::UnixListener,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

use daemoneye_ipc::{Channel, IpcConfig};
use daemoneye_ipc_generated::conformance::v1::{ConformanceClient, CountRequest, EchoRequest};

use super::{
    conformance_server::{ConformanceServer, LIMIT},
    peer::{
        CALL, COUNT, ECHO, END, Fields, GOAWAY, HELLO, Hello, Message, Peer, REPLY, UNAVAILABLE,
        envelope, on_call,
    },
};

/// What the server made by hand does with a call, before it closes the connection.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Closes, as a process does that is killed while the handler runs.
    Lost,
    /// Says that no handler saw it.
    Unrun,
    /// Says GOAWAY with a `last_call` below it.
    AboveLastCall,
    Answered,
}

/// Serves one call per connection, each with the next fate; reports the ordinals that came.
fn serve(listener: &UnixListener, fates: &[Fate], came: &Sender<u64>) {
    for fate in fates {
        let (stream, _) = listener.accept().expect("a client");
        let mut peer = Peer::over(stream);
        assert_eq!(peer.receive().kind(), HELLO);
        peer.send(&Hello::default().envelope());
        let call = loop {
            let call = peer.receive();
            if call.kind() == CALL {
                break call;
            }
        };
        came.send(call.number(3)).expect("the test listens");
        let id = call.call();
        let answer = match fate {
            Fate::Lost => continue,
            Fate::Unrun => on_call(END, id).number(7, UNAVAILABLE).number(13, 1),
            Fate::AboveLastCall => envelope(GOAWAY).number(11, id - 1),
            Fate::Answered => on_call(REPLY, id).block(15, &answer_to(&call).0),
        };
        peer.send(&answer);
    }
}

fn answer_to(call: &Fields) -> Message {
    match call.number(3) {
        COUNT => Message::new().number(1, 7),
        _ => Message::new().block(1, b"echo"),
    }
}

struct ByHand {
    folder: tempfile::TempDir,
    came: Receiver<u64>,
}

impl ByHand {
    fn start(fates: &'static [Fate]) -> Self {
        let folder = tempfile::tempdir_in("/tmp").expect("a directory");
        let listener = UnixListener::bind(folder.path().join("x.sock")).expect("a socket");
        let (sender, came) = mpsc::channel();
        thread::spawn(move || serve(&listener, fates, &sender));
        Self { folder, came }
    }

    fn client(&self) -> ConformanceClient {
        client(IpcConfig::new(self.folder.path().join("x.sock")))
    }

    /// The calls that came, once the server is done with all its fates.
    fn all(&self) -> Vec<u64> {
        std::iter::from_fn(|| self.came.recv_timeout(LIMIT).ok()).collect()
    }
}

fn client(mut config: IpcConfig) -> ConformanceClient {
    config.reconnect.max_backoff_ms = 50;
    config.reconnect.max_attempts = 1000;
    ConformanceClient::new(Channel::lazy(config).expect("a channel"))
}

#[tokio::test]
async fn what_may_have_run_is_not_sent_again() {
    let server = ByHand::start(&[Fate::Lost, Fate::Answered]);
    let client = server.client();
    let error = client
        .count(CountRequest { add: 1 })
        .await
        .expect_err("it is lost");
    assert!(error.was_maybe_run(), "{error}");
    assert!(!error.is_retryable(), "{error}");
    let echo = client.echo(EchoRequest::default()).wait_for_ready(true);
    echo.await.expect("answered");
    assert_eq!(server.all(), [COUNT, ECHO]);
}

#[tokio::test]
async fn what_does_no_harm_is_sent_again() {
    let server = ByHand::start(&[Fate::Lost, Fate::Lost, Fate::Answered]);
    let reply = server
        .client()
        .echo(EchoRequest::default())
        .await
        .expect("answered");
    assert_eq!(&reply.payload[..], b"echo");
    assert_eq!(server.all(), [ECHO; 3]);
}

#[tokio::test]
async fn what_provably_did_not_run_is_sent_again() {
    let server = ByHand::start(&[Fate::Unrun, Fate::AboveLastCall, Fate::Answered]);
    let reply = server
        .client()
        .count(CountRequest { add: 1 })
        .await
        .expect("answered");
    assert_eq!(reply.total, 7);
    assert_eq!(server.all(), [COUNT; 3]);
}

/// Between two kills one caller counts, one call after the other: what the server has summed up is
/// exactly what was answered, or a call was run twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_counts_twice_when_the_server_is_killed() {
    let mut server = ConformanceServer::start("");
    let client = client(IpcConfig::new(server.endpoint()));
    for round in 0..10 {
        let mut answered = 0;
        // The first calls after a kill may find the old connection, and fail.
        while answered < 20 + round {
            let call = client.count(CountRequest { add: 1 }).wait_for_ready(true);
            match call.timeout(Duration::from_secs(30)).await {
                Ok(reply) => {
                    answered += 1;
                    assert_eq!(reply.total, answered, "in round {round}");
                }
                Err(error) => assert_eq!(answered, 0, "{error}"),
            }
        }
        let last = tokio::spawn({
            let client = client.clone();
            async move { client.count(CountRequest { add: 1 }).await }
        });
        server.crash_and_restart();
        let last = tokio::time::timeout(LIMIT, last)
            .await
            .expect("in time")
            .expect("no panic");
        let counted = Peer::new(&server.endpoint()).count();
        match last {
            // It was answered by the old server, or was proven unrun and then run by the new one.
            Ok(reply) if reply.total == 1 => assert_eq!(counted, 1),
            Ok(reply) => assert_eq!((reply.total, counted), (answered + 1, 0)),
            Err(error) => assert_eq!(counted, 0, "{error}"),
        }
        if counted == 1 {
            server.crash_and_restart();
        }
    }
}
