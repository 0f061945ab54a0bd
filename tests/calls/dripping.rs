//! A peer that sends byte after byte, each just in time for whoever looks at the socket: looks end, and nobody else waits for it.
//!
//! **Invariant**: the peer is real, behind a relay that passes large pieces on byte by byte, for as long as nobody has gone on.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use daemoneye_ipc::{Channel, IpcConfig, IpcError};
use daemoneye_ipc_generated::conformance::v1::{ConformanceClient, EmitRequest};

use super::{Running, config, echo, folder, until, within};

/// Looks that no pause between two bytes ends, of the side that is dripped on; the other does not look, as one thread of a process
/// does at a time.
const SPIN_US: u64 = 10_000;

/// Pieces up to this size pass as they are.
const SMALL: usize = 1_000;

/// Bytes of the call that drips: a second and more of them.
const LARGE: u32 = 900_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Server,
    Client,
}

/// What the relay and the test tell each other.
#[derive(Default)]
struct State {
    began: AtomicBool,
    /// The test has what it waited for.
    enough: AtomicBool,
    /// It dripped for as long as it does.
    over: AtomicBool,
}

/// Passes on what comes, small pieces at once.
fn pass(mut from: UnixStream, mut to: UnixStream, drips: Option<&State>) {
    let (mut buffer, mut passed) = (vec![0; 1 << 16], 0);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut rest = &buffer[..count];
        if let Some(state) = drips.filter(|_| count > SMALL) {
            state.began.store(true, Ordering::SeqCst);
            while rest.len() > 1 && !state.enough.load(Ordering::SeqCst) {
                let _ = to.write_all(&rest[..1]);
                rest = &rest[1..];
            }
            passed += count;
            let over = passed > LARGE as usize && !state.enough.load(Ordering::SeqCst);
            state.over.fetch_or(over, Ordering::SeqCst);
        }
        if to.write_all(rest).is_err() {
            return;
        }
    }
}

/// A relay before the server at `server`; returns where it listens.
fn relay(folder: &Path, server: PathBuf, towards: Towards, state: &Arc<State>) -> IpcConfig {
    let path = daemoneye_ipc::testing::endpoint(folder, "relay");
    let listener = UnixListener::bind(&path).expect("a free name");
    let state = Arc::clone(state);
    thread::spawn(move || {
        let client = listener.accept().expect("a client").0;
        let server = UnixStream::connect(server).expect("a server");
        let (up, down) = (
            client.try_clone().expect("a descriptor"),
            server.try_clone(),
        );
        let drips = |direction| (direction == towards).then_some(&*state);
        thread::scope(|scope| {
            scope.spawn(|| pass(up, server, drips(Towards::Server)));
            pass(down.expect("a descriptor"), client, drips(Towards::Client));
        });
    });
    IpcConfig {
        spin_us: if towards == Towards::Client {
            SPIN_US
        } else {
            0
        },
        ..IpcConfig::new(path)
    }
}

/// Small calls, as of those who look.
async fn warm_up(config: IpcConfig) -> ConformanceClient {
    let channel = within(Channel::connect(config)).await.expect("it serves");
    let client = ConformanceClient::new(channel);
    for _ in 0..100 {
        within(client.echo(echo(vec![7; 40])))
            .await
            .expect("answered");
    }
    client
}

#[tokio::test]
async fn a_client_that_drips_holds_up_no_other() {
    let (folder, state) = (folder(), Arc::default());
    let server = Running::start(config(folder.path(), SPIN_US)).await;
    let path = server.config.endpoint_path.clone();
    let relay = relay(folder.path(), path, Towards::Server, &state);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dripping = runtime.spawn(async {
        let client = warm_up(relay).await;
        client.echo(echo(vec![7; LARGE as usize])).await
    });
    until("it drips", || state.began.load(Ordering::SeqCst)).await;
    let client = server.client().await;
    within(client.echo(echo(vec![7; 40])))
        .await
        .expect("answered beside it");
    state.enough.store(true, Ordering::SeqCst);
    assert!(
        !state.over.load(Ordering::SeqCst),
        "the other was not answered before"
    );
    within(dripping).await.expect("no panic").expect("answered");
    runtime.shutdown_background();
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_drips_does_not_outlast_a_deadline() {
    let (folder, state) = (folder(), Arc::default());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = config(folder.path(), 0);
    let running = runtime.spawn(Running::start(server.clone())).await;
    let relay = relay(folder.path(), server.endpoint_path, Towards::Client, &state);
    let client = warm_up(relay).await;
    let request = EmitRequest {
        count: 1,
        size: LARGE,
        ..EmitRequest::default()
    };
    let stream = client
        .emit(request)
        .timeout(Duration::from_millis(100))
        .await;
    let message = stream.expect("begun").message().await;
    state.enough.store(true, Ordering::SeqCst);
    let error = message.map(drop).expect_err("it drips on");
    assert!(matches!(error.kind(), IpcError::Timeout), "{error}");
    assert!(
        !state.over.load(Ordering::SeqCst),
        "it came after all bytes"
    );
    drop(running);
    runtime.shutdown_background();
}
