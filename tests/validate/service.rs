//! Rules at work: a handler never sees a request that breaks them.
//!
//! **Invariant**: every call here goes through a whole server and a whole client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use daemoneye_ipc::testing::TestServer;
use daemoneye_ipc::validate::Violations;
use daemoneye_ipc::{
    CallContext, Channel, Code, Inbound, IpcConfig, IpcError, Server, ServerBuilder, Status, Stream,
};
use futures_util::stream;

use crate::rules::golden::rules::v1::{
    Checker, CheckerClient, CheckerServer, Colour, Everything, Numbers, Plain, Texts,
};

/// Answers with what is in the request, and counts what it is given.
#[derive(Default)]
struct Handler {
    seen: Arc<AtomicUsize>,
}

impl Checker for Handler {
    async fn check(&self, _: &CallContext, request: Everything) -> Result<Numbers, Status> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        // A response that breaks a rule, where the request has no numbers.
        Ok(request.numbers.unwrap_or_default())
    }

    async fn ignore(&self, _: &CallContext, request: Plain) -> Result<Plain, Status> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        Ok(request)
    }

    async fn stream(
        &self,
        _: &CallContext,
        mut requests: Inbound<Numbers>,
    ) -> Result<impl Stream<Item = Result<Texts, Status>>, Status> {
        while requests.message().await?.is_some() {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
        Ok(stream::iter([Ok(texts()), Ok(Texts::default())]))
    }
}

struct Scene {
    server: TestServer,
    seen: Arc<AtomicUsize>,
}

impl Scene {
    fn new(configure: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let handler = Handler::default();
        let seen = Arc::clone(&handler.seen);
        let builder =
            Server::builder(IpcConfig::default()).add_service(CheckerServer::new(handler));
        let server = TestServer::start(configure(builder)).expect("a server");
        Self { server, seen }
    }

    fn client(&self) -> CheckerClient {
        CheckerClient::new(self.server.channel())
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }
}

/// Numbers that keep to the rules.
fn numbers() -> Numbers {
    Numbers {
        pid: 1,
        outside: 11,
        one_of: 1,
        constant: -7,
        greater: 1,
        between: 1,
        outside_too: 2.0,
        yes: true,
        only_green: Colour::Green.into(),
        ..Numbers::default()
    }
}

/// Texts that keep to the rules.
fn texts() -> Texts {
    Texts {
        name: "name".into(),
        exact: "abc".into(),
        bytes_long: "ab".into(),
        exact_bytes: "abcd".into(),
        pattern: "a-b".into(),
        prefix: "abyz".into(),
        contains: "x".into(),
        one_of: "a".into(),
        none_of: "b".into(),
        constant: "c".into(),
        hash: "abcd".into(),
        some: "a".into(),
        magic: "\u{7f}ELE".into(),
        either: "a".into(),
        constant_bytes: "\0".into(),
        ..Texts::default()
    }
}

fn good() -> Everything {
    Everything {
        numbers: Some(numbers()),
        ..Everything::default()
    }
}

fn bad() -> Everything {
    Everything {
        numbers: Some(Numbers {
            pid: 0,
            share: 2.0,
            ..numbers()
        }),
        ..Everything::default()
    }
}

fn status(error: &daemoneye_ipc::CallError) -> &Status {
    match error.kind() {
        IpcError::Status(status) => status,
        other => panic!("{other:?} is no status"),
    }
}

const WRONG: &str = "numbers.pid: must be greater than or equal to 1 and less than or equal to 4194304; \
                     numbers.share: must be greater than or equal to 0 and less than 1.5";

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_rules_is_answered_before_the_handler() {
    let scene = Scene::new(|builder| builder);
    let error = scene.client().check(bad()).await.expect_err("refused");
    let status = status(&error);
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, WRONG)
    );
    let violations: Violations = status.detail().expect("the typed detail");
    let ids = violations
        .violations
        .iter()
        .map(|violation| violation.rule_id.as_str());
    assert_eq!(ids.collect::<Vec<_>>(), ["uint32.gte_lte", "float.gte_lt"]);
    assert_eq!(scene.seen(), 0);
    assert!(scene.client().check(good()).await.is_ok());
    assert!(scene.client().ignore(Plain::default()).await.is_ok());
    assert_eq!(scene.seen(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_stream_is_an_error_in_its_place() {
    let scene = Scene::new(|builder| builder);
    let mut call = scene.client().stream().await.expect("begun");
    call.send(numbers()).await.expect("sent");
    call.send(Numbers::default()).await.expect("sent");
    let error = call.message().await.expect_err("refused");
    assert_eq!(status(&error).code(), Code::InvalidArgument);
    assert!(status(&error).detail::<Violations>().is_some());
    assert_eq!(scene.seen(), 1);
}

#[tokio::test(start_paused = true)]
async fn responses_are_checked_where_the_server_is_told_to() {
    let request = Everything::default;
    let scene = Scene::new(|builder| builder);
    assert!(scene.client().check(request()).await.is_ok());
    let scene = Scene::new(ServerBuilder::validate_responses);
    let error = scene.client().check(request()).await.expect_err("refused");
    // What is wrong with it is the server's own affair.
    assert_eq!(status(&error), &Status::internal("internal error"));
    assert!(scene.client().check(good()).await.is_ok());
    let mut call = scene.client().stream().await.expect("begun");
    call.half_close().await;
    // A failure may overtake what went before it.
    let error = loop {
        match call.message().await {
            Ok(message) => assert_eq!(message, Some(texts())),
            Err(error) => break error,
        }
    };
    assert_eq!(status(&error), &Status::internal("internal error"));
}

#[tokio::test(start_paused = true)]
async fn a_client_checks_both_directions_where_it_is_told_to() {
    let scene = Scene::new(|builder| builder);
    let channel = scene
        .server
        .caller()
        .builder()
        .validate()
        .lazy()
        .expect("a channel");
    check_both_directions(&scene, channel).await;
}

async fn check_both_directions(scene: &Scene, channel: Channel) {
    let client = CheckerClient::new(channel);
    let error = client.check(bad()).await.expect_err("not sent");
    assert_eq!(
        (status(&error).message(), error.was_maybe_run()),
        (WRONG, false)
    );
    assert_eq!(scene.seen(), 0);
    let error = client
        .check(Everything::default())
        .await
        .expect_err("refused");
    assert_eq!(status(&error).code(), Code::Internal);
    assert!(
        status(&error)
            .message()
            .contains("the response breaks the rules of its schema: ")
    );
    assert!(error.was_maybe_run());

    let mut call = client.stream().await.expect("begun");
    let error = call.send(Numbers::default()).await.expect_err("not sent");
    assert_eq!(status(&error).code(), Code::InvalidArgument);
    call.send(numbers()).await.expect("the call goes on");
    call.half_close().await;
    assert_eq!(call.message().await.expect("a good one"), Some(texts()));
    let error = call.message().await.expect_err("refused");
    assert_eq!(status(&error).code(), Code::Internal);
}

#[tokio::test(start_paused = true)]
async fn what_a_stranger_sends_is_not_reported_at_any_length() {
    let scene = Scene::new(|builder| builder);
    let mut request = good();
    let tree = request.tree.get_or_insert_default();
    let long = "x".repeat(100);
    tree.children = (0..1000)
        .map(|_| crate::rules::golden::rules::v1::Tree {
            label: long.clone(),
            ..Default::default()
        })
        .collect();
    let error = scene.client().check(request).await.expect_err("refused");
    let violations: Violations = status(&error).detail().expect("the typed detail");
    assert_eq!(violations.violations.len(), 100);
    assert!(!status(&error).message().contains("xx"));
    assert!(status(&error).message().ends_with("; and 90 more"));

    let mut request = good();
    let texts = &mut request.collections.get_or_insert_default().counts;
    texts.extend((0..60).map(|number| (format!("{number}{}", "k".repeat(10_000)), 1)));
    let error = scene.client().check(request).await.expect_err("refused");
    assert!(status(&error).details().len() < 20_000);
}
