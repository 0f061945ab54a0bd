//! The call layer over real sockets, in one process: the four kinds, limits, deadlines, cancellation,
//! drain and reconnection; each with looks at the socket and without, on each kind of runtime.
//!
//! **Invariant**: every wait is for a condition and has a limit; no outcome depends on a pause.

// Linux counts the processor time of a thread in /proc. Pipes are never looked at.
#[cfg(target_os = "linux")]
mod cost;
#[cfg(unix)]
mod dripping;
mod ends;
mod failures;
mod kinds;
mod looking;

use std::{
    future::Future,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    Channel, DrainReport, IpcConfig, IpcError, Server, bytes::Bytes, health::HealthReporter,
    server::ServerStats,
};
use daemoneye_ipc_generated::conformance::v1::{
    ConformanceClient, ConformanceServer, EchoRequest, SleepRequest,
};
use ipc_conformance::ConformanceService;
use tokio::{sync::oneshot, task::JoinHandle};

/// Runs each test, with what it is given, on each kind of runtime.
macro_rules! on_all_runtimes {
    ($($name:ident: $test:ident($spin_us:expr);)*) => {
        mod threads {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$test($spin_us).await; })*
        }
        mod one_thread {
            $(#[tokio::test]
            async fn $name() { super::$test($spin_us).await; })*
        }
    };
}
pub(crate) use on_all_runtimes;

/// Runs each test with looks at the socket and without, on each kind of runtime.
macro_rules! with_looks_and_without {
    ($($test:ident)*) => {
        mod with_looks {
            use super::*;
            $crate::on_all_runtimes! { $($test: $test(daemoneye_ipc::IpcConfig::default().spin_us);)* }
        }
        mod without_looks {
            use super::*;
            $crate::on_all_runtimes! { $($test: $test(0);)* }
        }
    };
}
pub(crate) use with_looks_and_without;

/// The longest wait for anything; far above what is normal, for machines under load.
const LIMIT: Duration = Duration::from_secs(20);

struct Running {
    config: IpcConfig,
    service: Arc<ConformanceService>,
    stats: ServerStats,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<DrainReport, IpcError>>,
}

impl Running {
    async fn start(config: IpcConfig) -> Self {
        let service = Arc::new(ConformanceService::default());
        let server = Server::builder(config.clone())
            .add_service(ConformanceServer::from_arc(Arc::clone(&service)))
            .health(HealthReporter::new())
            .bind()
            .await
            .expect("the endpoint is free");
        let stats = server.stats();
        service.stats_slot().set(stats.clone()).expect("set once");
        let (stop, stopped) = oneshot::channel();
        let grace = Duration::from_millis(config.limits.drain_timeout_ms);
        let shutdown = async move {
            let _ = stopped.await;
        };
        let served = tokio::spawn(server.serve_until(shutdown, grace));
        Self {
            config,
            service,
            stats,
            stop: Some(stop),
            served,
        }
    }

    async fn channel(&self) -> Channel {
        Channel::connect(self.config.clone())
            .await
            .expect("it serves")
    }

    async fn client(&self) -> ConformanceClient {
        ConformanceClient::new(self.channel().await)
    }

    fn begin_stop(&mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
    }

    async fn stop(mut self) -> DrainReport {
        self.begin_stop();
        within(self.served)
            .await
            .expect("no panic")
            .expect("no error")
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("within the limit")
}

/// Waits until `reached`.
async fn until(what: &str, reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < LIMIT, "never: {what}");
        tokio::task::yield_now().await;
    }
}

fn config(folder: &Path, spin_us: u64) -> IpcConfig {
    IpcConfig {
        spin_us,
        ..IpcConfig::new(daemoneye_ipc::testing::endpoint(folder, "test"))
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn echo(payload: impl Into<Bytes>) -> EchoRequest {
    EchoRequest {
        payload: payload.into(),
        ..EchoRequest::default()
    }
}

fn sleep(millis: u32) -> SleepRequest {
    SleepRequest {
        millis,
        blocking: false,
    }
}
