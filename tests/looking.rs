//! Callers that look at the socket themselves: nothing that arrives is lost on anybody else.
//!
//! **Invariant**: every wait is for a condition and has a limit; whether a look finds something is left to the machine.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use daemoneye_ipc::{
    Channel, ChannelState, IpcConfig, Server,
    health::HealthReporter,
    schema::health::v1::{HealthClient, PingRequest},
};
use daemoneye_ipc_generated::conformance::v1::{
    ConformanceClient, ConformanceServer, EchoRequest, SleepRequest,
};
use ipc_conformance::ConformanceService;
use tokio::{sync::oneshot, task::JoinHandle};

/// The longest wait for anything; far above what is normal, for machines under load.
const LIMIT: Duration = Duration::from_secs(20);

/// More calls in a row than looks in vain are followed by waits without one.
const CALLS: u8 = 250;

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("in time")
}

struct Running {
    channel: Channel,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Running {
    async fn start(spin_us: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = IpcConfig::new(folder.path().join("ipc/app.sock"));
        config.spin_us = spin_us;
        let server = Server::builder(config.clone())
            .add_service(ConformanceServer::new(ConformanceService::default()))
            .health(HealthReporter::new())
            .bind()
            .await
            .expect("the endpoint is free");
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let served = tokio::spawn(async move {
            let report = server.serve_until(shutdown, LIMIT).await;
            report.expect("served");
        });
        Self {
            channel: within(Channel::connect(config)).await.expect("connected"),
            stop,
            served,
            _folder: folder,
        }
    }

    /// Calls one after the other, as those do who look.
    async fn warm_up(&self) {
        let client = ConformanceClient::new(self.channel.clone());
        for number in 0..CALLS {
            let request = EchoRequest {
                payload: vec![number; 40].into(),
                ..EchoRequest::default()
            };
            let reply = within(client.echo(request)).await.expect("answered");
            assert_eq!(reply.payload, vec![number; 40]);
        }
    }

    /// The server leaves, which the client learns although it waits for nothing.
    async fn end(self) {
        self.stop.send(()).expect("it runs");
        within(self.channel.state_changed(ChannelState::Ready)).await;
        within(self.served).await.expect("no panic");
    }
}

async fn a_shutdown_between_calls_is_seen(spin_us: u64) {
    for _ in 0..20 {
        let running = Running::start(spin_us).await;
        running.warm_up().await;
        running.end().await;
    }
}

async fn a_call_that_nobody_polls_holds_up_nothing(spin_us: u64) {
    let running = Running::start(spin_us).await;
    for _ in 0..20 {
        running.warm_up().await;
        let client = ConformanceClient::new(running.channel.clone());
        let mut held = pin!(client.sleep(SleepRequest {
            millis: 5,
            ..SleepRequest::default()
        }));
        let first = std::future::poll_fn(|cx| Poll::Ready(held.as_mut().poll(cx))).await;
        assert!(first.is_pending(), "{first:?}");
        within(running.channel.ping()).await.expect("a PONG");
        let health = HealthClient::new(running.channel.clone());
        let ping = health.ping(PingRequest::default());
        within(ping).await.expect("answered beside it");
        within(held).await.expect("answered in the end");
    }
    running.end().await;
}

/// Both with and without looks, on each kind of runtime.
macro_rules! on_all_runtimes {
    ($($name:ident: $test:ident, $spin:literal;)*) => {
        mod threads {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$test($spin).await; })*
        }
        mod one_thread {
            $(#[tokio::test]
            async fn $name() { super::$test($spin).await; })*
        }
    };
}

on_all_runtimes! {
    a_shutdown_between_calls_is_seen: a_shutdown_between_calls_is_seen, 20;
    a_shutdown_is_seen_without_looks: a_shutdown_between_calls_is_seen, 0;
    a_shutdown_is_seen_with_long_looks: a_shutdown_between_calls_is_seen, 1000;
    a_held_call_holds_up_nothing: a_call_that_nobody_polls_holds_up_nothing, 20;
    a_held_call_holds_up_nothing_without_looks: a_call_that_nobody_polls_holds_up_nothing, 0;
    a_held_call_holds_up_nothing_with_long_looks: a_call_that_nobody_polls_holds_up_nothing, 1000;
}
