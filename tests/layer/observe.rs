//! What those who watch see: audit records, metrics, spans, introspection.
//!
//! **Invariant**: nothing that travels in a message is ever seen by them.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use daemoneye_ipc::prost_types;
use daemoneye_ipc::{
    Code, IpcConfig, IpcError, Server,
    observe::{AuditLog, Metrics, Spans},
    schema::introspection::v1::{
        GetStatsRequest, IntrospectionClient, ListCallsRequest, ListConnectionsRequest, Stats,
        WatchStatsRequest,
    },
    server::ServerBuilder,
    testing::TestServer,
    transport::Peer,
};
use daemoneye_ipc_generated::conformance::v1::{ConformanceClient, ConformanceServer, FailRequest};
use ipc_conformance::ConformanceService;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::{echo, emit, let_in, sleep, stranger};

fn builder() -> ServerBuilder {
    Server::builder(IpcConfig::default())
        .add_service(ConformanceServer::new(ConformanceService::default()))
}

/// A success, a failure, a stream, and a call that is cancelled.
async fn make_calls(server: &TestServer, client: &ConformanceClient) {
    client
        .echo(echo("secret"))
        .metadata("password", "secret")
        .await
        .unwrap();
    let failed = FailRequest {
        code: Code::NotFound as u32,
        message: "secret".into(),
        panic: false,
    };
    client.fail(failed).await.unwrap_err();
    let mut events = client.emit(emit(3)).await.unwrap();
    while events.message().await.unwrap().is_some() {}
    let call = client.sleep(sleep(60_000)).timeout(Duration::from_secs(90));
    let _ = tokio::time::timeout(Duration::from_millis(10), call).await;
    while server.stats().handlers() > 0 {
        tokio::task::yield_now().await;
    }
}

const ENDS: [(&str, &str); 4] = [
    ("Echo", "OK"),
    ("Fail", "NOT_FOUND"),
    ("Emit", "OK"),
    ("Sleep", "CANCELLED"),
];

#[tokio::test(start_paused = true)]
async fn the_audit_log_has_every_call_and_no_payload() {
    let records = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&records);
    let audit = AuditLog::new(move |record| sink.lock().unwrap().push(record.clone()));
    let server = TestServer::start(builder().interceptor(audit)).unwrap();
    make_calls(&server, &ConformanceClient::new(server.channel())).await;
    let records = records.lock().unwrap();
    assert_eq!(records.len(), ENDS.len());
    for (record, (method, code)) in records.iter().zip(ENDS) {
        assert!(record.method.ends_with(method), "{record}");
        assert_eq!(
            (record.code, &record.user),
            (code, &Peer::current().user()),
            "{record}"
        );
        let json = serde_json::to_string(record).unwrap();
        assert!(!json.contains("secret") && !record.to_string().contains("secret"));
    }
    assert_eq!(
        (records[2].response_messages, records[0].request_bytes),
        (3, Some(8))
    );
    assert_eq!(
        records[3].duration_us, 10_000,
        "the time that it took, paused"
    );
}

#[tokio::test(start_paused = true)]
async fn metrics_count_every_call_on_both_sides() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _local = metrics::set_default_local_recorder(&recorder);
    let server = TestServer::start(builder().interceptor(Metrics)).unwrap();
    let channel = server.caller().builder().interceptor(Metrics).lazy();
    make_calls(&server, &ConformanceClient::new(channel.unwrap())).await;
    let values = snapshotter.snapshot().into_hashmap();
    for side in ["server", "client"] {
        for (method, code) in ENDS {
            let path = format!("/daemoneye.conformance.v1.Conformance/{method}");
            let find = |name: &str, labels: &[(&str, &str)]| {
                let name = format!("ipc_{side}_{name}");
                let found = values.iter().find(|(key, _)| {
                    let key = key.key();
                    let has =
                        |label: &(&str, &str)| key.labels().any(|l| (l.key(), l.value()) == *label);
                    key.name() == name && labels.iter().all(has)
                });
                found.map(|(_, (_, _, value))| value)
            };
            let total = find("calls_total", &[("method", &path), ("code", code)]);
            assert!(
                matches!(total, Some(DebugValue::Counter(1))),
                "{side} {path}"
            );
            let flying = find("calls_in_flight", &[("method", &path)]);
            assert!(matches!(flying, Some(DebugValue::Gauge(count)) if count.0 == 0.0));
            let seconds = find("call_seconds", &[("method", &path)]);
            assert!(matches!(seconds, Some(DebugValue::Histogram(times)) if times.len() == 1));
        }
    }
}

/// Where a subscriber writes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn spans_have_method_peer_and_code() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = TestServer::start(builder().interceptor(Spans)).unwrap();
    let channel = server.caller().builder().interceptor(Spans).lazy();
    make_calls(&server, &ConformanceClient::new(channel.unwrap())).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for (method, code) in ENDS {
        for side in ["ipc.server", "ipc.client"] {
            let has = |line: &&str| {
                let parts = [side, &format!("Conformance/{method}\""), code, "close"];
                parts.iter().all(|part| line.contains(part))
            };
            assert_eq!(
                text.lines().filter(has).count(),
                1,
                "{side} {method} in\n{text}"
            );
        }
    }
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn introspection_shows_connections_calls_and_counters() {
    let server = TestServer::start(builder().introspection()).unwrap();
    let client = ConformanceClient::new(server.channel());
    make_calls(&server, &client).await;
    let flying = tokio::spawn(client.sleep(sleep(60_000)).timeout(Duration::from_secs(90)));
    while server.stats().handlers() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(3)).await;
    let inside = IntrospectionClient::new(server.channel());
    let listed = inside
        .list_connections(ListConnectionsRequest {})
        .await
        .unwrap();
    let [first, second] = &listed.connections[..] else {
        panic!("{listed:?}")
    };
    assert_eq!((first.id, second.id), (1, 2));
    assert!(first.agent.starts_with("daemoneye-ipc/"), "{first:?}");
    assert_eq!((first.calls_open, second.calls_open), (1, 1));
    assert!(first.bytes_read > 100 && first.bytes_written > 100);
    assert_eq!(
        first.peer.as_ref().unwrap().uid,
        Peer::current().user().number()
    );

    let only = ListCallsRequest {
        connection: Some(1),
    };
    let calls = inside.list_calls(only).await.unwrap().calls;
    assert_eq!(calls.len(), 1);
    assert!(calls[0].method.ends_with("/Sleep"));
    assert_eq!(calls[0].age.as_ref().unwrap().seconds, 3);
    assert_eq!(calls[0].time_left.as_ref().unwrap().seconds, 87);
    let all = inside
        .list_calls(ListCallsRequest::default())
        .await
        .unwrap()
        .calls;
    assert_eq!(all.len(), 2, "with the one that asks");
    let unknown = ListCallsRequest {
        connection: Some(77),
    };
    assert_eq!(
        inside.list_calls(unknown).await.unwrap_err().code(),
        Code::NotFound
    );

    let stats = inside
        .get_stats(GetStatsRequest {})
        .await
        .unwrap()
        .stats
        .unwrap();
    assert_eq!((stats.connections, stats.connections_accepted), (2, 2));
    assert_eq!((stats.calls_in_flight, stats.handlers), (2, 2));
    assert_eq!(stats.calls_abandoned, 1, "the cancelled one");
    assert_eq!(ended(&stats, Code::NotFound), 2);
    let before = stats.bytes_read;
    flying.abort();
    drop(client);
    while server.stats().connections() > 1 {
        tokio::task::yield_now().await;
    }
    let stats = inside
        .get_stats(GetStatsRequest {})
        .await
        .unwrap()
        .stats
        .unwrap();
    assert_eq!((stats.connections, stats.calls_abandoned), (1, 2));
    assert!(stats.bytes_read > before, "what has gone is counted still");
}

fn ended(stats: &Stats, code: Code) -> u64 {
    let count = stats
        .calls_ended
        .iter()
        .find(|count| count.code == code as u32);
    count.map_or(0, |count| count.count)
}

#[tokio::test(start_paused = true)]
async fn stats_are_watched_until_the_drain() {
    let server = TestServer::start(builder().introspection()).unwrap();
    let inside = IntrospectionClient::new(server.channel());
    let watch = |millis: i32| WatchStatsRequest {
        interval: Some(prost_types::Duration {
            seconds: 0,
            nanos: millis * 1_000_000,
        }),
    };
    let mut refused = inside.watch_stats(watch(1)).await.unwrap();
    assert_eq!(
        refused.message().await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let mut stats = inside.watch_stats(watch(100)).await.unwrap();
    let started = tokio::time::Instant::now();
    for _ in 0..4 {
        assert!(stats.message().await.unwrap().is_some());
    }
    assert_eq!(started.elapsed().as_millis() / 10, 30);
    let stopping = tokio::spawn(server.stop(Duration::from_secs(60)));
    assert!(stats.message().await.unwrap().is_none());
    assert_eq!(stopping.await.unwrap().aborted, 0);
}

#[tokio::test(start_paused = true)]
async fn strangers_do_not_look_inside_unless_they_may() {
    let stranger = stranger();
    for may in [false, true] {
        let policy = let_in(&stranger);
        let mut builder = builder().introspection().peer_policy(policy.clone());
        if may {
            builder = builder.diagnostics_policy(policy);
        }
        let server = TestServer::start(builder).unwrap();
        let channel = server.caller().peer(stranger.clone()).channel();
        let client = ConformanceClient::new(channel.clone());
        client.echo(echo("x")).await.unwrap();
        let inside = IntrospectionClient::new(channel);
        let seen = inside.get_stats(GetStatsRequest {}).await;
        assert_eq!(seen.is_ok(), may);
        if let Err(error) = seen {
            assert!(
                matches!(error.kind(), IpcError::Status(status) if status.code() == Code::PermissionDenied)
            );
        }
    }
}
