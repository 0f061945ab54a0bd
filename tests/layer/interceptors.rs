//! Interceptors of both sides: order, what they see, what they may do, and that they see the end of
//! every call.
//!
//! **Invariant**: each test states what a caller and a handler see, too.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use daemoneye_ipc::{
    CallError, Channel, Code, IpcConfig, IpcError, Server, Status,
    client::{ClientInterceptor, ClientNext, OutgoingCall, Reply},
    server::{InterceptedCall, Next, Response, ServerInterceptor},
    testing::TestServer,
};
use daemoneye_ipc_generated::conformance::v1::{
    ChatRequest, ConformanceClient, ConformanceServer, CountRequest, EchoRequest, FailRequest,
};
use ipc_conformance::ConformanceService;

use super::{echo, emit, serve, sleep};

/// What interceptors noted, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Waits for one of `lines`, and clears.
    async fn until(&self, lines: &[&str]) {
        while !self
            .0
            .lock()
            .unwrap()
            .iter()
            .any(|noted| lines.contains(&&**noted))
        {
            tokio::task::yield_now().await;
        }
        self.take();
    }
}

/// Notes the start and the end of every call of a server.
struct Observer {
    name: &'static str,
    log: Log,
}

struct AtEnd<'a>(&'a Observer, &'a InterceptedCall);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        if let Some(why) = self.1.interruption() {
            self.0.log.note(format!("{} stopped: {why:?}", self.0.name));
        }
    }
}

impl ServerInterceptor for Observer {
    async fn intercept(&self, call: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
        let (name, method) = (self.name, call.context().method().name);
        let bytes = call.request().map(|request| request.len());
        self.log.note(format!("{name} > {method} {bytes:?}"));
        let _at_end = AtEnd(self, call);
        let outcome = next.run().await;
        let seen = match &outcome {
            Ok(response) => format!(
                "{} {:?}",
                response.messages(),
                response.payload().map(|p| p.len())
            ),
            Err(status) => status.code().to_string(),
        };
        self.log.note(format!("{name} < {seen}"));
        outcome
    }
}

fn observed(names: &[&'static str]) -> (TestServer, Log) {
    let log = Log::default();
    let builder = Server::builder(IpcConfig::default())
        .add_service(ConformanceServer::new(ConformanceService::default()));
    let builder = names.iter().fold(builder, |builder, name| {
        builder.interceptor(Observer {
            name,
            log: log.clone(),
        })
    });
    (TestServer::start(builder).unwrap(), log)
}

#[tokio::test(start_paused = true)]
async fn the_first_is_the_outermost_and_sees_request_and_response() {
    let (server, log) = observed(&["outer", "inner"]);
    let client = ConformanceClient::new(server.channel());
    client.echo(echo("abc")).await.unwrap();
    let expected = [
        "outer > Echo Some(5)",
        "inner > Echo Some(5)",
        "inner < 1 Some(5)",
        "outer < 1 Some(5)",
    ];
    assert_eq!(log.take(), expected);
}

#[tokio::test(start_paused = true)]
async fn streams_are_seen_to_their_end() {
    let (server, log) = observed(&["it"]);
    let client = ConformanceClient::new(server.channel());
    let mut events = client.emit(emit(3)).await.unwrap();
    while events.message().await.unwrap().is_some() {}
    assert_eq!(log.take()[1..], ["it < 3 None"]);

    let mut chat = client.chat().await.unwrap();
    chat.send(ChatRequest {
        payload: "x".into(),
    })
    .await
    .unwrap();
    assert_eq!(chat.message().await.unwrap().unwrap().payload, "x");
    chat.half_close().await;
    assert_eq!(chat.message().await.unwrap(), None);
    assert_eq!(log.take(), ["it > Chat None", "it < 1 None"]);
}

#[tokio::test(start_paused = true)]
async fn failures_and_panics_are_outcomes() {
    let (server, log) = observed(&["it"]);
    let client = ConformanceClient::new(server.channel());
    let fail = |panic| FailRequest {
        code: Code::NotFound as u32,
        message: "gone".into(),
        panic,
    };
    assert_eq!(
        client.fail(fail(false)).await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(
        client.fail(fail(true)).await.unwrap_err().code(),
        Code::Internal
    );
    let log = log.take();
    assert_eq!((&*log[1], &*log[3]), ("it < NOT_FOUND", "it < INTERNAL"));
    assert_eq!(server.stats().handlers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_stopped_is_seen_to_its_end() {
    let (server, log) = observed(&["it"]);
    let client = ConformanceClient::new(server.channel());
    let late = client
        .sleep(sleep(60_000))
        .timeout(Duration::from_millis(50))
        .await;
    assert!(matches!(late.unwrap_err().kind(), IpcError::Timeout));
    // The server's own timer, or the client's word, whichever is first.
    log.until(&["it stopped: DeadlineExceeded", "it stopped: Cancelled"])
        .await;

    let call = client.sleep(sleep(60_000));
    let _ = tokio::time::timeout(Duration::from_millis(50), call).await;
    log.until(&["it stopped: Cancelled"]).await;

    let channel = server.channel();
    let call = tokio::spawn(
        ConformanceClient::new(channel.clone())
            .sleep(sleep(60_000))
            .timeout(Duration::from_secs(100)),
    );
    while server.stats().handlers() == 0 {
        tokio::task::yield_now().await;
    }
    server.stop(Duration::from_secs(1)).await;
    log.until(&["it stopped: ConnectionLost"]).await;
    assert!(call.await.unwrap().unwrap_err().was_maybe_run());
}

/// Lets nobody call Count.
struct NoCount;

impl ServerInterceptor for NoCount {
    async fn intercept(&self, call: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
        call.context().add_trailer("seen-by", "NoCount");
        call.context().insert_extension(String::from("principal"));
        if call.context().method().name == "Count" {
            let mut metadata = daemoneye_ipc::Metadata::new();
            metadata.insert("reason", "house rules");
            return Err(Status::permission_denied("no counting").with_metadata(metadata));
        }
        let request: EchoRequest = call.decode_request()?;
        assert_eq!(request.payload, "abc");
        next.run().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_interceptor_rejects_and_annotates() {
    let service = Arc::new(ConformanceService::default());
    let builder = Server::builder(IpcConfig::default())
        .add_service(ConformanceServer::from_arc(Arc::clone(&service)))
        .interceptor(NoCount);
    let server = TestServer::start(builder).unwrap();
    let client = ConformanceClient::new(server.channel());
    let refused = client.count(CountRequest { add: 1 }).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let metadata = refused.status().unwrap().metadata();
    assert_eq!(metadata.text("reason"), Some("house rules"));
    assert_eq!(service.total(), 0, "no handler saw it");
    let (reply, trailers) = client.echo(echo("abc")).with_trailers().await.unwrap();
    assert_eq!(reply.payload, "abc");
    assert_eq!(trailers.text("seen-by"), Some("NoCount"));
}

/// Notes what a client calls, tries again what the server says it may, and names the caller.
struct Careful(Log);

impl ClientInterceptor for Careful {
    async fn intercept(
        &self,
        call: &mut OutgoingCall,
        next: ClientNext<'_>,
    ) -> Result<Reply, CallError> {
        call.metadata_mut().insert("caller", "tests");
        for _ in 0..2 {
            let outcome = next.run(call).await;
            let seen = match &outcome {
                Ok(reply) => format!("OK {}", reply.messages()),
                Err(error) => error.code().to_string(),
            };
            self.0.note(format!("{} {seen}", call.method().name));
            match outcome {
                Err(error) if error.code() == Code::Aborted => {}
                outcome => return outcome,
            }
        }
        Err(call.reject(Status::unavailable("twice is enough")))
    }
}

fn careful(server: &TestServer) -> (ConformanceClient, Log, Channel) {
    let log = Log::default();
    let channel = server
        .caller()
        .builder()
        .interceptor(Careful(log.clone()))
        .lazy()
        .unwrap();
    (ConformanceClient::new(channel.clone()), log, channel)
}

#[tokio::test(start_paused = true)]
async fn a_client_interceptor_sees_outcomes_and_tries_again() {
    let (server, _) = serve();
    let (client, log, channel) = careful(&server);
    assert_eq!(client.echo(echo("abc")).await.unwrap().payload, "abc");
    let fail = FailRequest {
        code: Code::Aborted as u32,
        ..FailRequest::default()
    };
    let refused = client.fail(fail).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(
        refused.status().unwrap().message(),
        "twice is enough",
        "{refused}"
    );
    assert_eq!(log.take(), ["Echo OK 1", "Fail ABORTED", "Fail ABORTED"]);
    let stats = channel.stats();
    assert_eq!((stats.calls, stats.retries), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_interceptor_sees_streams_to_their_end() {
    let (server, _) = serve();
    let (client, log, _) = careful(&server);
    let mut events = client.emit(emit(3)).await.unwrap();
    let mut count = 0;
    while events.message().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!((count, log.take()), (3, vec!["Emit OK 3".to_owned()]));

    let mut chat = client.chat().await.unwrap();
    for _ in 0..5 {
        chat.send(ChatRequest {
            payload: "x".into(),
        })
        .await
        .unwrap();
        assert!(chat.message().await.unwrap().is_some());
    }
    chat.half_close().await;
    assert_eq!(chat.message().await.unwrap(), None);
    assert_eq!(log.take(), ["Chat OK 5"]);

    let collect = client.collect().await.unwrap();
    assert_eq!(collect.finish().await.unwrap().messages, 0);
    assert_eq!(log.take(), ["Collect OK 1"]);
}

/// Gives every call a second, whatever its caller says.
struct Impatient;

impl ClientInterceptor for Impatient {
    async fn intercept(
        &self,
        call: &mut OutgoingCall,
        next: ClientNext<'_>,
    ) -> Result<Reply, CallError> {
        match tokio::time::timeout(Duration::from_secs(1), next.run(call)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(call.reject(Status::aborted("too slow"))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_interceptor_may_end_a_call_and_its_stream() {
    let (server, _) = serve();
    let channel = server
        .caller()
        .builder()
        .interceptor(Impatient)
        .lazy()
        .unwrap();
    let client = ConformanceClient::new(channel);
    let refused = client.sleep(sleep(60_000)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    let mut slow = emit(5);
    slow.interval_us = 600_000;
    let mut events = client.emit(slow).await.unwrap();
    assert!(events.message().await.unwrap().is_some());
    assert!(events.message().await.unwrap().is_some());
    assert_eq!(events.message().await.unwrap_err().code(), Code::Aborted);
    assert_eq!(events.message().await.unwrap(), None);
    while server.stats().handlers() > 0 {
        tokio::task::yield_now().await;
    }
}
