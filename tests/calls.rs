//! The call layer over real sockets, in one process: the four kinds, limits, deadlines, cancellation,
//! drain and reconnection.
//!
//! **Invariant**: every wait is for a condition and has a limit; no outcome depends on a pause.

use std::{
    future::Future,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    __private::{HandlerSlot, ServerCall, Service},
    Channel, ChannelState, Code, DrainReport, Inbound, IpcConfig, IpcError, Server,
    bytes::Bytes,
    descriptor::ServiceDescriptor,
    health::HealthReporter,
    server::ServerStats,
};
use daemoneye_ipc_generated::conformance::v1::{
    CONFORMANCE_SERVICE, ChatRequest, CollectRequest, ConformanceClient, ConformanceServer,
    CountRequest, EchoRequest, EmitRequest, FailRequest, InspectRequest, Leaf, Node, SleepRequest,
};
use ipc_conformance::ConformanceService;
use tokio::{sync::oneshot, task::JoinHandle};

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

fn config(folder: &Path) -> IpcConfig {
    IpcConfig::new(folder.join("ipc/test.sock"))
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

#[tokio::test]
async fn unary_calls_carry_every_shape() {
    let folder = folder();
    let server = Running::start(config(folder.path())).await;
    let client = server.client().await;
    let leaf = Leaf {
        s1: "ü".into(),
        s12: "z".into(),
        ..Leaf::default()
    };
    let tree = (0..20).fold(Node::default(), |child, value| Node {
        child: Some(Box::new(child)),
        value,
    });
    let shapes = [
        EchoRequest::default(),
        echo(vec![7; 900_000]),
        EchoRequest {
            leaves: vec![leaf, Leaf::default()],
            tree: Some(tree),
            ..EchoRequest::default()
        },
    ];
    for request in shapes {
        let reply = client.echo(request.clone()).await.expect("an echo");
        assert_eq!(
            (reply.payload, reply.leaves, reply.tree),
            (request.payload, request.leaves, request.tree)
        );
    }
    assert_eq!(server.stop().await, DrainReport::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_one_connection() {
    let folder = folder();
    let server = Running::start(config(folder.path())).await;
    let client = server.client().await;
    let calls: Vec<_> = (0..64u32)
        .map(|caller| {
            let client = client.clone();
            tokio::spawn(async move {
                for turn in 0..50u32 {
                    let text = format!("{caller}/{turn}");
                    assert_eq!(
                        client
                            .echo(echo(text.clone()))
                            .await
                            .expect("an echo")
                            .payload,
                        text
                    );
                }
            })
        })
        .collect();
    for call in calls {
        within(call).await.expect("no panic");
    }
    let held = client.inspect(InspectRequest {}).await.expect("an answer");
    assert_eq!(
        (held.connections, held.calls_in_flight, held.handlers),
        (1, 1, 1)
    );
    assert_eq!(held.calls_started, 64 * 50 + 1);
}

#[tokio::test]
async fn more_calls_than_the_server_takes_wait_their_turn() {
    let folder = folder();
    let mut config = config(folder.path());
    config.limits.max_calls = 2;
    let server = Running::start(config).await;
    let client = server.client().await;
    let calls = (0..12).map(|_| client.sleep(sleep(5)));
    for done in within(futures_util::future::join_all(calls)).await {
        done.expect("every call is run");
    }
    assert_eq!(server.stats.calls_in_flight(), 0);
}

#[tokio::test]
async fn streams_flow_in_each_direction() {
    let folder = folder();
    let server = Running::start(config(folder.path())).await;
    let client = server.client().await;

    let request = EmitRequest {
        count: 5_000,
        size: 300,
        interval_us: 0,
    };
    let mut events = client.emit(request).await.expect("a stream");
    for index in 0..5_000 {
        let event = within(events.message())
            .await
            .expect("no error")
            .expect("a message");
        assert_eq!((event.index, event.payload.len()), (index, 300));
    }
    assert_eq!(events.message().await.expect("no error"), None);
    assert_eq!(
        events.message().await.expect("no error"),
        None,
        "the end stays the end"
    );

    let mut upload = client.collect().await.expect("a stream");
    for _ in 0..5_000 {
        within(upload.send(CollectRequest {
            payload: vec![1; 300].into(),
        }))
        .await
        .expect("taken");
    }
    let collected = within(upload.finish()).await.expect("an answer");
    assert_eq!((collected.messages, collected.bytes), (5_000, 1_500_000));

    let mut chat = client.chat().await.expect("a stream");
    for line in ["one", "two", "three"] {
        chat.send(ChatRequest {
            payload: line.into(),
        })
        .await
        .expect("taken");
        assert_eq!(
            within(chat.message())
                .await
                .expect("no error")
                .expect("an echo")
                .payload,
            line
        );
    }
    chat.half_close().await;
    assert_eq!(within(chat.message()).await.expect("no error"), None);
    assert_eq!(server.stop().await, DrainReport::default());
}

#[tokio::test]
async fn an_unread_stream_delays_no_other_call() {
    let folder = folder();
    let server = Running::start(config(folder.path())).await;
    let client = server.client().await;
    let request = EmitRequest {
        count: u32::MAX,
        size: 4_096,
        interval_us: 0,
    };
    let unread = client.emit(request).await.expect("a stream");
    for turn in 0..200 {
        within(client.echo(echo(vec![1; turn])))
            .await
            .expect("an echo");
    }
    let queued = server.stats.queued_bytes();
    assert!(queued < 1 << 20, "{queued} bytes are queued for one stream");
    drop(unread);
    until("the stream's handler is gone", || {
        server.stats.handlers() == 0
    })
    .await;
    assert_eq!(server.stats.calls_in_flight(), 0);
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    let folder = folder();
    let server = Running::start(config(folder.path())).await;
    let client = server.client().await;
    let call = client
        .sleep(sleep(60_000))
        .timeout(Duration::from_millis(50));
    let error = within(call).await.expect_err("it is over");
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.was_maybe_run());
    assert!(
        error
            .to_string()
            .contains("/daemoneye.conformance.v1.Conformance/Sleep"),
        "{error}"
    );
    until("the handler is gone", || server.stats.handlers() == 0).await;

    let gone = client.sleep(sleep(1)).timeout(Duration::ZERO);
    assert_eq!(
        within(gone).await.expect_err("no time").code(),
        Code::DeadlineExceeded
    );
}

#[tokio::test]
async fn dropping_a_call_stops_its_handler_and_blocking_work_keeps_its_slot() {
    let folder = folder();
    let server = Running::start(config(folder.path())).await;
    let client = server.client().await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.sleep(sleep(60_000)).await }
    });
    until("the handler runs", || server.stats.handlers() == 1).await;
    call.abort();
    until("the handler is gone", || server.stats.handlers() == 0).await;

    let blocking = SleepRequest {
        millis: 300,
        blocking: true,
    };
    let call = client.sleep(blocking).timeout(Duration::from_millis(20));
    within(call)
        .await
        .expect_err("it is over before the work is");
    assert_eq!(
        server.stats.calls_in_flight(),
        1,
        "the work goes on and keeps the slot"
    );
    until("the work is done", || server.stats.calls_in_flight() == 0).await;
}

#[tokio::test]
async fn statuses_come_through_and_a_panic_is_one_failed_call() {
    let folder = folder();
    let server = Running::start(config(folder.path())).await;
    let client = server.client().await;
    for code in 1..=16 {
        let request = FailRequest {
            code,
            message: format!("as asked: {code}"),
            panic: false,
        };
        let error = client.fail(request).await.expect_err("it fails");
        let status = error.status().expect("a status");
        assert_eq!(
            (status.code() as u32, status.message()),
            (code, &*format!("as asked: {code}"))
        );
    }
    let request = FailRequest {
        panic: true,
        ..FailRequest::default()
    };
    let error = client.fail(request).await.expect_err("it fails");
    assert_eq!(error.code(), Code::Internal);
    assert!(
        !error.to_string().contains("panic"),
        "nothing of the server leaks: {error}"
    );
    client
        .echo(echo("still here"))
        .await
        .expect("the connection lives");
}

#[tokio::test]
async fn what_is_too_large_fails_its_own_call() {
    let folder = folder();
    let mut config = config(folder.path());
    config.max_frame_bytes = 4_096;
    let server = Running::start(config).await;
    let client = server.client().await;
    let error = client
        .echo(echo(vec![0; 5_000]))
        .await
        .expect_err("too large");
    assert!(
        matches!(
            error.kind(),
            IpcError::TooLarge {
                max_size: 4_096,
                ..
            }
        ),
        "{error}"
    );
    assert!(!error.was_maybe_run());
    let request = EmitRequest {
        count: 1,
        size: 5_000,
        interval_us: 0,
    };
    let mut events = client.emit(request).await.expect("a stream");
    let error = within(events.message())
        .await
        .expect_err("the reply is too large");
    assert_eq!(error.code(), Code::ResourceExhausted);
    client
        .echo(echo("still here"))
        .await
        .expect("the connection lives");
}

#[tokio::test]
async fn the_connection_limit_is_told_to_the_client() {
    let folder = folder();
    let mut config = config(folder.path());
    config.max_connections = 2;
    let server = Running::start(config).await;
    let held = (server.client().await, server.client().await);
    let error = Channel::connect(server.config.clone())
        .await
        .expect_err("full");
    assert!(matches!(error, IpcError::Busy { .. }), "{error}");
    drop(held.0);
    until("a place is free", || server.stats.connections() < 2).await;
    server
        .client()
        .await
        .echo(echo("in"))
        .await
        .expect("an echo");
}

#[tokio::test]
async fn nobody_there_is_said_at_once_and_waiting_is_a_choice() {
    let folder = folder();
    let mut config = config(folder.path());
    config.reconnect.max_backoff_ms = 50;
    let error = Channel::connect(config.clone()).await.expect_err("nobody");
    assert!(matches!(error, IpcError::ServerNotFound { .. }), "{error}");

    let channel = Channel::lazy(config.clone()).expect("valid");
    let client = ConformanceClient::new(channel.clone());
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.echo(echo("late")).wait_for_ready(true).await }
    });
    until("an attempt failed", || channel.stats().failed_attempts > 0).await;
    let server = Running::start(config).await;
    within(waiting).await.expect("no panic").expect("an echo");
    assert_eq!(channel.state(), ChannelState::Ready);
    server.stop().await;
}

#[tokio::test]
async fn drain_answers_what_is_in_flight_and_the_channel_comes_back() {
    let folder = folder();
    let mut server = Running::start(config(folder.path())).await;
    let channel = server.channel().await;
    let client = ConformanceClient::new(channel.clone());
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.sleep(sleep(200)).await }
    });
    until("the handler runs", || server.stats.handlers() == 1).await;
    server.begin_stop();
    within(call)
        .await
        .expect("no panic")
        .expect("the call in flight is answered");
    let report = within(server.served)
        .await
        .expect("no panic")
        .expect("no error");
    assert_eq!(
        report,
        DrainReport {
            finished: 1,
            aborted: 0
        }
    );
    assert!(!server.config.endpoint_path.exists(), "the socket is gone");

    let server = Running::start(server.config).await;
    within(client.echo(echo("again")).wait_for_ready(true))
        .await
        .expect("an echo");
    assert_eq!(channel.stats().connects, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_drain_ends_when_work_that_outlived_its_call_does() {
    let folder = folder();
    let mut config = config(folder.path());
    config.limits.drain_timeout_ms = 600_000;
    let server = Running::start(config).await;
    let client = server.client().await;
    let blocking = SleepRequest {
        millis: 300,
        blocking: true,
    };
    let call = client.sleep(blocking).timeout(Duration::from_millis(20));
    within(call)
        .await
        .expect_err("it is over before the work is");
    assert_eq!(server.stop().await, DrainReport::default());
}

#[tokio::test]
async fn a_stuck_handler_does_not_hold_up_shutdown() {
    let folder = folder();
    let mut config = config(folder.path());
    config.limits.drain_timeout_ms = 100;
    let server = Running::start(config).await;
    let client = server.client().await;
    let call = tokio::spawn(async move { client.sleep(sleep(600_000)).await });
    let stats = server.stats.clone();
    until("the handler runs", || stats.handlers() == 1).await;
    assert_eq!(
        server.stop().await,
        DrainReport {
            finished: 0,
            aborted: 1
        }
    );
    let error = within(call).await.expect("no panic").expect_err("aborted");
    assert!(matches!(error.kind(), IpcError::PeerClosed), "{error}");
    assert!(error.was_maybe_run());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_lost_with_their_server_are_never_run_twice() {
    let folder = folder();
    let mut config = config(folder.path());
    config.limits.drain_timeout_ms = 1;
    let server = Running::start(config.clone()).await;
    let client = server.client().await;
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let (mut sure, mut unsure) = (0u64, 0u64);
                for _ in 0..100 {
                    match client.count(CountRequest { add: 1 }).await {
                        Ok(_) => sure += 1,
                        Err(error) => unsure += u64::from(error.was_maybe_run()),
                    }
                }
                (sure, unsure)
            })
        })
        .collect();
    let (stats, service) = (server.stats.clone(), Arc::clone(&server.service));
    until("calls are run", || stats.calls_started() > 200).await;
    server.stop().await;
    let (mut sure, mut unsure) = (0, 0);
    for call in calls {
        let counted = within(call).await.expect("no panic");
        sure += counted.0;
        unsure += counted.1;
    }
    let total = service.total();
    assert!(
        (sure..=sure + unsure).contains(&total),
        "{sure} answered, {unsure} unknown, {total} run"
    );
}

/// Hands the request stream of each call on, and never answers.
struct HandsOn(tokio::sync::mpsc::UnboundedSender<Inbound<CollectRequest>>);

impl Service for HandsOn {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        CONFORMANCE_SERVICE
    }

    fn dispatch(&self, _: usize, call: ServerCall, slot: &mut HandlerSlot) {
        let requests = call.inbound();
        self.0.send(requests).expect("the test waits");
        slot.run(async move {
            let _unanswered = call;
            std::future::pending::<()>().await;
        });
    }
}

#[tokio::test]
async fn a_request_stream_that_was_cut_off_does_not_read_as_complete() {
    let (told, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let server = daemoneye_ipc::testing::serve(HandsOn(told));
    let client = ConformanceClient::new(server.channel());
    let mut cut_off = client.collect().await.expect("begun");
    cut_off
        .send(CollectRequest::default())
        .await
        .expect("taken");
    let mut requests = within(calls.recv()).await.expect("a call");
    within(requests.message()).await.expect("one").expect("one");
    drop(cut_off);
    let error = within(requests.message()).await.expect_err("not the end");
    assert_eq!(error.code(), Code::Cancelled);
    assert_eq!(within(requests.message()).await, Ok(None));

    let complete = client.collect().await.expect("begun");
    let complete = tokio::spawn(complete.finish());
    let mut requests = within(calls.recv()).await.expect("a call");
    assert_eq!(within(requests.message()).await, Ok(None));
    complete.abort();
}

#[tokio::test]
async fn a_client_stream_that_is_over_says_so_before_anything_more_is_sent() {
    let folder = folder();
    let server = Running::start(config(folder.path())).await;
    let client = server.client().await;
    let call = client.collect().timeout(Duration::from_millis(50));
    let mut stream = call.await.expect("a stream");
    stream.send(CollectRequest::default()).await.expect("room");
    within(stream.closed()).await;
    let refused = stream.send(CollectRequest::default()).await;
    assert_eq!(refused.expect_err("over").code(), Code::Cancelled);
    within(stream.closed()).await;
    let error = within(stream.finish()).await.expect_err("too late");
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");

    let mut stream = client.collect().await.expect("a stream");
    tokio::select! {
        biased;
        () = stream.closed() => panic!("it is open"),
        _ = client.echo(echo("anything")) => {}
    }
    stream.send(CollectRequest::default()).await.expect("room");
    assert_eq!(within(stream.finish()).await.expect("counted").messages, 1);
}
