//! A client and a server on threads of their own, over a real socket.
//!
//! **Invariant**: counts are taken where neither side is at work.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use daemoneye_ipc::{CallContext, Channel, IpcConfig, Server, Status, Stream};
use daemoneye_ipc_generated::{
    conformance::v1::ConformanceServer,
    health::v1::{
        CheckRequest, CheckResponse, Health, HealthServer, PingRequest, PingResponse, WatchRequest,
        WatchResponse,
    },
};
use ipc_conformance::ConformanceService;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::yield_now,
};

use super::{
    Cost,
    counting::{Side, traces},
};

/// Calls before anything is counted: rooms have grown to what they need.
const WARM: u64 = 300;

/// Calls that are counted.
pub(crate) const COUNTED: u64 = 1_000;

/// The longest wait for anything; far above what is normal, for machines under load.
const LIMIT: Duration = Duration::from_secs(60);

/// The counters are the process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A connected client, on this thread.
pub(crate) struct Pair {
    runtime: Runtime,
    pub(crate) channel: Channel,
    server: Handle,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Pair {
    /// Serves the conformance service, and [`Waits`] in place of the health service.
    pub(crate) fn connect(spin_us: u64) -> Self {
        let alone = ONE_AT_A_TIME.lock();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = IpcConfig::new(folder.path().join("ipc/app.sock"));
        config.spin_us = spin_us;
        let (told, bound) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let serving = std::thread::spawn({
            let config = config.clone();
            move || serve(config, &told, stopped)
        });
        let server = bound.recv().expect("it serves");
        Side::Client.begin();
        let runtime = on_one_thread();
        let channel = runtime
            .block_on(async { tokio::time::timeout(LIMIT, Channel::connect(config)).await })
            .expect("in time")
            .expect("connected");
        Self {
            runtime,
            channel,
            server,
            stop: Some(stop),
            serving: Some(serving),
            _folder: folder,
            _alone: alone.unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { tokio::time::timeout(LIMIT, work).await })
            .expect("in time")
    }

    /// What was asked for so far. Between two turns, what is left to do on this thread is what was left before.
    fn counts(&self) -> Cost {
        let client = Side::Client.count();
        // The server has one thread: while this task is polled, no other is. What it asks for itself counts for nobody.
        Side::end();
        let (told, server) = mpsc::channel();
        self.server.spawn(async move {
            let count = Side::Server.count();
            Side::end();
            told.send(count).expect("it waits");
            drop(told);
            Side::Server.begin();
        });
        let server = server.recv_timeout(LIMIT).expect("in time");
        Side::Client.begin();
        Cost { client, server }
    }

    /// What `turn`, which is one call or message, asks for in the steady state; of all of [`COUNTED`].
    pub(crate) fn total(&self, mut turn: impl AsyncFnMut()) -> Cost {
        self.block_on(async {
            for _ in 0..WARM {
                turn().await;
            }
        });
        let before = self.counts();
        self.block_on(async {
            for _ in 0..COUNTED {
                turn().await;
            }
        });
        let after = self.counts();
        Cost {
            client: after.client - before.client,
            server: after.server - before.server,
        }
    }

    /// `turn` costs exactly this.
    #[track_caller]
    pub(crate) fn costs(&self, each: Cost, mut turn: impl AsyncFnMut()) {
        let total = self.total(&mut turn);
        let expected = Cost {
            client: each.client * COUNTED,
            server: each.server * COUNTED,
        };
        if total != expected {
            let places = self.places(turn);
            panic!(
                "{COUNTED} calls cost {total:?} where {expected:?} is expected; of 10 more calls:\n{places}"
            );
        }
    }

    /// Where ten turns ask for memory, by how often.
    fn places(&self, mut turn: impl AsyncFnMut()) -> String {
        let traces = traces(|| {
            self.block_on(async {
                for _ in 0..10 {
                    turn().await;
                }
            });
            self.counts();
        });
        let mut places = BTreeMap::new();
        for (side, trace) in traces {
            *places.entry(format!("{side:?}\n{trace}")).or_insert(0) += 1;
        }
        places
            .into_iter()
            .map(|(place, count)| format!("{count} times, {place}\n"))
            .collect()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        Side::end();
        drop(self.stop.take());
        let served = self.serving.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            served.expect("it was started").expect("no panic");
        }
    }
}

fn on_one_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn serve(config: IpcConfig, told: &mpsc::Sender<Handle>, stopped: oneshot::Receiver<()>) {
    Side::Server.begin();
    on_one_thread().block_on(async {
        let server = Server::builder(config)
            .add_service(ConformanceServer::new(ConformanceService::default()))
            .add_service(HealthServer::new(Waits))
            .bind()
            .await
            .expect("the endpoint is free");
        told.send(Handle::current()).expect("it waits");
        let stopped = async {
            let _ = stopped.await;
        };
        server.serve_until(stopped, LIMIT).await.expect("served");
    });
}

/// Answers pings when it is polled for the second time, as a handler that waits for something.
struct Waits;

impl Health for Waits {
    async fn check(&self, _: &CallContext, _: CheckRequest) -> Result<CheckResponse, Status> {
        Err(Status::unimplemented("only pings"))
    }

    async fn watch(
        &self,
        _: &CallContext,
        _: WatchRequest,
    ) -> Result<impl Stream<Item = Result<WatchResponse, Status>> + Send, Status> {
        let nothing: Result<futures_util::stream::Empty<_>, _> =
            Err(Status::unimplemented("only pings"));
        nothing
    }

    async fn ping(&self, _: &CallContext, request: PingRequest) -> Result<PingResponse, Status> {
        yield_now().await;
        Ok(PingResponse {
            payload: request.payload,
        })
    }
}
