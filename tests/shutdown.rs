//! Shutdown in the face of handlers that never end, over a real socket and in real time.
//!
//! **Invariant**: what never ends here never ends by itself: only the shutdown can.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    __private::{HandlerSlot, ServerCall, Service},
    Channel, DrainReport, IpcConfig, IpcError, Server,
    descriptor::ServiceDescriptor,
};
use daemoneye_ipc_generated::conformance::v1::{
    CONFORMANCE_SERVICE, ChatRequest, CollectRequest, ConformanceClient, EmitRequest, SleepRequest,
};
use tokio::sync::oneshot;

/// The grace of the shutdown.
const GRACE: Duration = Duration::from_millis(300);

/// What the shutdown may take beyond it.
const SLACK: Duration = Duration::from_millis(100);

/// The longest wait for anything else.
const LIMIT: Duration = Duration::from_secs(20);

const CONNECTIONS: usize = 4;

/// Calls that never end, on each connection: one of each kind, and one with blocking work.
const CALLS: usize = 5;

/// Blocking work waits here for the end of the test.
type Gate = Arc<(Mutex<bool>, Condvar)>;

/// Never answers: a handler of Sleep that is asked to block blocks a thread, all others stay pending.
struct Stuck(Gate);

impl Service for Stuck {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        CONFORMANCE_SERVICE
    }

    fn dispatch(&self, _: usize, call: ServerCall, slot: &mut HandlerSlot) {
        let gate = Arc::clone(&self.0);
        slot.run(async move {
            let blocks = call.request::<SleepRequest>().is_some_and(|r| r.blocking);
            if blocks {
                let work = call.context().spawn_blocking(move || {
                    let (open, opened) = &*gate;
                    let closed = open.lock().expect("no panic");
                    let _open = opened.wait_while(closed, |open| !*open).expect("no panic");
                    Ok(())
                });
                let _ = work.await;
            }
            std::future::pending::<()>().await;
        });
    }
}

/// Makes the calls on one connection, and returns how each of them ended.
async fn call(config: IpcConfig) -> Vec<IpcError> {
    let channel = Channel::connect(config).await.expect("it serves");
    let client = ConformanceClient::new(channel);
    let sleep = |blocking| SleepRequest {
        millis: 0,
        blocking,
    };
    let emit = async {
        let mut events = client.emit(EmitRequest::default()).await?;
        events.message().await.map(|_| ())
    };
    let collect = async {
        let mut upload = client.collect().await?;
        upload.send(CollectRequest::default()).await?;
        upload.finish().await.map(|_| ())
    };
    let chat = async {
        let mut chat = client.chat().await?;
        chat.send(ChatRequest::default()).await?;
        chat.message().await.map(|_| ())
    };
    let (pending, blocking, emit, collect, chat) = tokio::join!(
        client.sleep(sleep(false)).timeout(LIMIT),
        client.sleep(sleep(true)).timeout(LIMIT),
        emit,
        collect,
        chat,
    );
    let unary = [pending.map(|_| ()), blocking.map(|_| ())];
    let ends = unary.into_iter().chain([emit, collect, chat]);
    ends.map(|end| {
        let error = end.expect_err("it never ends");
        assert!(error.was_maybe_run(), "{error}");
        error.into_kind()
    })
    .collect()
}

/// Work that blocks its thread is nothing that a server can stop; the process may end all the same.
#[test]
fn handlers_that_never_end_do_not_hold_the_shutdown_up() {
    let gate = Gate::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(shut_down(&gate));
    *gate.0.lock().expect("no panic") = true;
    gate.1.notify_all();
}

async fn shut_down(gate: &Gate) {
    let folder = tempfile::tempdir().expect("a directory");
    let config = IpcConfig::new(daemoneye_ipc::testing::endpoint(folder.path(), "test"));
    let server = Server::builder(config.clone())
        .add_service(Stuck(Arc::clone(gate)))
        .bind()
        .await
        .expect("the endpoint is free");
    let stats = server.stats();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let served = tokio::spawn(server.serve_until(shutdown, GRACE));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(call(config.clone())))
        .collect();
    let start = Instant::now();
    // Blocking work counts as a handler of its own.
    while stats.handlers() < CONNECTIONS * (CALLS + 1) {
        assert!(start.elapsed() < LIMIT, "{} handlers", stats.handlers());
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    stop.send(()).expect("it serves");
    let report = tokio::time::timeout(LIMIT, served).await.expect("it ends");
    let took = began.elapsed();
    let expected = DrainReport {
        finished: 0,
        aborted: CONNECTIONS * CALLS,
    };
    assert_eq!(report.expect("no panic").expect("no error"), expected);
    assert!(took >= GRACE, "the calls had {took:?}");
    assert!(took <= GRACE + SLACK, "{took:?}");
    assert!(!config.endpoint_path.exists(), "the socket is gone");
    for client in clients {
        let ends = tokio::time::timeout(LIMIT, client).await.expect("told");
        for end in ends.expect("no panic") {
            assert!(matches!(end, IpcError::PeerClosed), "{end}");
        }
    }
}
