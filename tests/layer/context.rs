//! What a handler's context tells, with and without a connection.
//!
//! **Invariant**: handlers here are the real conformance service, or written for one question.

use std::time::Duration;

use daemoneye_ipc::{
    CallContext, Code, IpcConfig, IpcError, Server, Status, Stream,
    health::HealthReporter,
    schema::health::v1::{HealthClient, WatchRequest},
    server::{InterceptedCall, Next, Response, ServerInterceptor},
    testing::{TestServer, context, inbound},
};
use daemoneye_ipc_generated::conformance::v1::{
    CONFORMANCE_SERVICE, ChatRequest, ChatResponse, CollectRequest, CollectResponse, Conformance,
    ConformanceClient, ConformanceServer, CountRequest, CountResponse, EchoRequest, EchoResponse,
    EmitRequest, EmitResponse, FailRequest, FailResponse, InspectRequest, InspectResponse,
    SleepRequest, SleepResponse,
};
use futures_util::{StreamExt, stream};
use ipc_conformance::ConformanceService;

use super::{client, echo, emit, serve, sleep, stranger};

/// Passes each call on to another server.
struct Proxy(ConformanceClient);

impl Conformance for Proxy {
    async fn echo(&self, ctx: &CallContext, request: EchoRequest) -> Result<EchoResponse, Status> {
        let caller = ctx.extension::<String>();
        assert_eq!(caller.as_deref().map(String::as_str), Some("left by Guard"));
        Ok(self.0.echo(request).inherit(ctx).await?)
    }

    async fn sleep(
        &self,
        ctx: &CallContext,
        request: SleepRequest,
    ) -> Result<SleepResponse, Status> {
        Ok(self
            .0
            .sleep(request)
            .timeout(Duration::from_secs(3_600))
            .inherit(ctx)
            .await?)
    }

    async fn fail(&self, ctx: &CallContext, request: FailRequest) -> Result<FailResponse, Status> {
        Ok(self.0.fail(request).inherit(ctx).await?)
    }

    async fn count(&self, ctx: &CallContext, _: CountRequest) -> Result<CountResponse, Status> {
        let cancellation = ctx.cancellation();
        ctx.spawn_blocking(move || {
            while !cancellation.is_cancelled() {
                std::thread::yield_now();
            }
            Ok(CountResponse::default())
        })
        .await
    }

    async fn emit(
        &self,
        ctx: &CallContext,
        _: EmitRequest,
    ) -> Result<impl Stream<Item = Result<EmitResponse, Status>> + Send, Status> {
        let endless = stream::repeat_with(|| Ok(EmitResponse::default()));
        Ok(endless
            .then(|message| async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                message
            })
            .take_until(ctx.draining()))
    }

    async fn collect(
        &self,
        ctx: &CallContext,
        mut requests: daemoneye_ipc::Inbound<CollectRequest>,
    ) -> Result<CollectResponse, Status> {
        let mut upload = self.0.collect().inherit(ctx).await?;
        while let Some(request) = requests.message().await? {
            upload.send(request).await?;
        }
        Ok(upload.finish().await?)
    }

    async fn chat(
        &self,
        _: &CallContext,
        requests: daemoneye_ipc::Inbound<ChatRequest>,
    ) -> Result<impl Stream<Item = Result<ChatResponse, Status>> + Send, Status> {
        Ok(requests.map(|request| {
            request.map(|request| ChatResponse {
                payload: request.payload,
            })
        }))
    }

    async fn inspect(&self, _: &CallContext, _: InspectRequest) -> Result<InspectResponse, Status> {
        Err(Status::unimplemented("this is a proxy"))
    }
}

struct Guard;

impl ServerInterceptor for Guard {
    async fn intercept(&self, call: &InterceptedCall, next: Next<'_>) -> Result<Response, Status> {
        call.context()
            .insert_extension(String::from("left by Guard"));
        next.run().await
    }
}

fn proxy() -> (TestServer, TestServer, ConformanceClient) {
    let (behind, _) = serve();
    let builder = Server::builder(IpcConfig::default())
        .add_service(ConformanceServer::new(Proxy(client(&behind))))
        .interceptor(Guard);
    let front = TestServer::start(builder).unwrap();
    let client = ConformanceClient::new(front.channel());
    (front, behind, client)
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_handler_inherit_its_deadline() {
    let (_front, behind, client) = proxy();
    assert_eq!(client.echo(echo("abc")).await.unwrap().payload, "abc");
    let late = client
        .sleep(sleep(600_000))
        .timeout(Duration::from_secs(2))
        .await
        .unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    while behind.stats().handlers() > 0 {
        tokio::task::yield_now().await;
    }
    let mut upload = client.collect().await.unwrap();
    upload
        .send(CollectRequest {
            payload: "12345".into(),
        })
        .await
        .unwrap();
    assert_eq!(upload.finish().await.unwrap().bytes, 5);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_reaches_through_a_handler() {
    let (_front, behind, client) = proxy();
    let call = client
        .sleep(sleep(600_000))
        .timeout(Duration::from_secs(600));
    let _ = tokio::time::timeout(Duration::from_millis(10), call).await;
    while behind.stats().handlers() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn blocking_work_sees_that_nobody_waits() {
    let (front, _behind, client) = proxy();
    let late = client
        .count(CountRequest::default())
        .timeout(Duration::from_millis(20))
        .await
        .unwrap_err();
    assert!(matches!(late.kind(), IpcError::Timeout));
    while front.stats().handlers() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_stream_that_listens_does_not_hold_the_drain_up() {
    let (front, _behind, client) = proxy();
    let mut events = client.emit(emit(1)).await.unwrap();
    assert!(events.message().await.unwrap().is_some());
    let started = tokio::time::Instant::now();
    let report = tokio::spawn(front.stop(Duration::from_secs(60)));
    while events.message().await.unwrap().is_some() {}
    assert_eq!(report.await.unwrap().finished, 1);
    assert!(started.elapsed() < Duration::from_secs(1), "{started:?}");
}

#[tokio::test(start_paused = true)]
async fn those_who_watch_health_do_not_hold_the_drain_up() {
    let builder = Server::builder(IpcConfig::default()).health(HealthReporter::new());
    let server = TestServer::start(builder).unwrap();
    let health = HealthClient::new(server.channel());
    let mut watch = health.watch(WatchRequest::default()).await.unwrap();
    assert!(watch.message().await.unwrap().is_some());
    let started = tokio::time::Instant::now();
    let report = tokio::spawn(server.stop(Duration::from_secs(60)));
    assert_eq!(watch.message().await.unwrap(), None);
    assert_eq!(report.await.unwrap().aborted, 0);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_ends_is_aborted_within_the_grace_and_a_tenth_of_a_second() {
    let (server, _) = serve();
    let client = client(&server);
    let call = tokio::spawn(client.sleep(sleep(u32::MAX)).timeout(Duration::MAX));
    while server.stats().handlers() == 0 {
        tokio::task::yield_now().await;
    }
    let started = tokio::time::Instant::now();
    let report = server.stop(Duration::from_secs(2)).await;
    assert_eq!((report.finished, report.aborted), (0, 1));
    assert!(started.elapsed() <= Duration::from_millis(2_100));
    assert!(call.await.unwrap().unwrap_err().was_maybe_run());
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_called_without_a_connection() {
    let handler = ConformanceService::default();
    let stranger = stranger();
    let (ctx, control) = context(&CONFORMANCE_SERVICE.methods[5])
        .peer(stranger.clone())
        .timeout(Duration::from_secs(3))
        .metadata("key", "value")
        .build();
    assert_eq!((ctx.peer(), ctx.method().name), (&stranger, "Collect"));
    assert_eq!(ctx.time_left(), Some(Duration::from_secs(3)));
    assert_eq!(ctx.metadata().text("key"), Some("value"));
    let requests = ["a", "bc"].map(|payload| CollectRequest {
        payload: payload.into(),
    });
    let collected = handler.collect(&ctx, inbound(requests)).await.unwrap();
    assert_eq!((collected.messages, collected.bytes), (2, 3));
    assert_eq!(ctx.spawn_blocking(|| Ok(1)).await.unwrap(), 1);

    let mut cancelled = Box::pin(ctx.cancelled());
    let mut draining = Box::pin(ctx.draining());
    assert!(futures_util::poll!(&mut cancelled).is_pending());
    assert!(futures_util::poll!(&mut draining).is_pending());
    control.cancel();
    control.drain();
    cancelled.await;
    draining.await;
    ctx.add_trailer("total", "2");
    assert_eq!(ctx.trailers().text("total"), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn another_user_is_refused_as_over_a_socket() {
    let (server, _) = serve();
    let stranger = stranger();
    let client = ConformanceClient::new(server.caller().peer(stranger).channel());
    let refused = client.echo(echo("x")).await.unwrap_err();
    assert!(
        matches!(refused.kind(), IpcError::PermissionDenied { .. }),
        "{refused}"
    );
}
