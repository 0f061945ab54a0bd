//! Collectors made by hand against the real service, within the process: those that refuse, that never
//! answer, that go away, that are of another user.
//!
//! **Invariant**: every wait has a limit.

use std::{sync::Arc, time::Duration};

use daemoneye_ipc::{
    Channel, Code, IpcConfig, PeerPolicy, Server, client::BidiStream, health::HealthReporter,
    testing::TestServer, transport::Peer,
};
use daemoneye_ipc_generated::collector::v1::{
    Beat, CollectorCapability, CollectorConfig, CollectorControlClient, CollectorControlServer,
    CollectorKind, CollectorStatus, Command, CommandOutcome, CommandResult, ConfigCommand,
    HeartbeatRequest, HeartbeatResponse, HeartbeatStart, PauseRequest, RegisterRequest,
    ShutdownRequest, UpdateConfigRequest, command::Action, heartbeat_request::Item as Said,
    heartbeat_response::Item as Told, update_config_request::Change,
};
use tokio::time::timeout;

use super::{Control, Registry};

const LIMIT: Duration = Duration::from_secs(20);

const STRANGER: u32 = 54_321;

struct Agent {
    registry: Arc<Registry>,
    server: TestServer,
}

impl Agent {
    fn start() -> Self {
        let registry = Registry::new(LIMIT, HealthReporter::new());
        let control = Control::new(Arc::clone(&registry));
        let builder = Server::builder(IpcConfig::default())
            .peer_policy(PeerPolicy::same_user().or_uid(STRANGER))
            .add_service(CollectorControlServer::new(control));
        let server = TestServer::start(builder).expect("it serves");
        Self { registry, server }
    }

    fn operator(&self) -> CollectorControlClient {
        CollectorControlClient::new(self.server.channel())
    }

    fn stranger(&self) -> Channel {
        let peer = Peer {
            uid: STRANGER,
            ..Peer::current()
        };
        self.server.caller().peer(peer).channel()
    }

    async fn collector(&self, id: &str) -> Collector {
        Collector::start(CollectorControlClient::new(self.server.channel()), id).await
    }

    fn status(&self, id: &str) -> CollectorStatus {
        let all = self.registry.report(std::time::Instant::now());
        let mut all = all.into_iter().filter(|known| known.collector_id == id);
        all.next().expect("registered")
    }
}

/// A collector of which the test does the work.
struct Collector(BidiStream<HeartbeatRequest, HeartbeatResponse>);

impl Collector {
    async fn start(client: CollectorControlClient, id: &str) -> Self {
        let request = RegisterRequest {
            collector_id: id.to_owned(),
            kind: CollectorKind::Process.into(),
            capabilities: vec![
                CollectorCapability::Pause.into(),
                CollectorCapability::UpdateConfig.into(),
            ],
            config: Some(hashing(1)),
            ..RegisterRequest::default()
        };
        let lease = client.register(request).await.expect("registered").lease;
        let mut collector = Self(client.heartbeat().await.expect("a stream"));
        let collector_id = id.to_owned();
        let start = HeartbeatStart {
            collector_id,
            lease,
        };
        collector.say(Said::Start(start)).await;
        collector.beat(1, 1).await;
        collector
    }

    async fn say(&mut self, item: Said) {
        let item = Some(item);
        let sent = timeout(LIMIT, self.0.send(HeartbeatRequest { item }));
        sent.await.expect("in time").expect("sent");
    }

    async fn told(&mut self) -> Told {
        let told = timeout(LIMIT, self.0.message()).await.expect("in time");
        told.expect("no error").expect("no end").item.expect("one")
    }

    /// A beat with its acknowledgement, so that the agent has surely seen it.
    async fn beat(&mut self, sequence: u64, config_revision: u64) {
        let beat = Beat {
            sequence,
            config_revision,
            ..Beat::default()
        };
        self.say(Said::Beat(beat)).await;
        let Told::Ack(ack) = self.told().await else {
            panic!("no acknowledgement")
        };
        assert_eq!(ack.sequence, sequence);
    }

    async fn command(&mut self) -> Command {
        match self.told().await {
            Told::Command(command) => command,
            Told::Ack(ack) => panic!("{ack:?}"),
        }
    }

    async fn config(&mut self) -> (u64, ConfigCommand) {
        let command = self.command().await;
        let Some(Action::UpdateConfig(config)) = command.action else {
            panic!("{command:?}")
        };
        (command.id, config)
    }

    async fn answer(&mut self, command_id: u64, outcome: CommandOutcome, message: &str) {
        let result = CommandResult {
            command_id,
            outcome: outcome.into(),
            message: message.to_owned(),
            ..CommandResult::default()
        };
        self.say(Said::Result(result)).await;
    }
}

fn hashing(max: u64) -> CollectorConfig {
    CollectorConfig {
        max_hash_bytes: Some(max),
        ..CollectorConfig::default()
    }
}

fn update(change: Change) -> UpdateConfigRequest {
    UpdateConfigRequest {
        collector_id: "a".to_owned(),
        change: Some(change),
        ..UpdateConfigRequest::default()
    }
}

fn pause() -> PauseRequest {
    PauseRequest {
        collector_id: "a".to_owned(),
        reason: String::new(),
    }
}

#[tokio::test]
async fn a_change_that_fails_or_is_not_confirmed_is_taken_back() {
    let agent = Agent::start();
    let mut collector = agent.collector("a").await;
    // It fails.
    let call = agent
        .operator()
        .update_config(update(Change::Config(hashing(2))));
    let call = tokio::spawn(call);
    let (id, command) = collector.config().await;
    assert_eq!((command.config, command.revision), (Some(hashing(2)), 2));
    collector
        .answer(id, CommandOutcome::Failed, "no room")
        .await;
    let error = call.await.expect("no panic").expect_err("failed");
    assert_eq!(error.code(), Code::Aborted);
    assert!(error.to_string().contains("no room"), "{error}");
    let (_, back) = collector.config().await;
    assert_eq!((back.config, back.revision), (Some(hashing(1)), 1));

    // It never says.
    let call = agent
        .operator()
        .update_config(update(Change::Config(hashing(3))))
        .timeout(Duration::from_millis(300));
    let error = call.await.expect_err("no answer");
    assert_eq!(error.code(), Code::DeadlineExceeded);
    // The agent's words, unless the caller's own time was over first.
    let words = error.status().map(|status| status.message());
    assert!(
        words.is_none_or(|words| words.contains("\"a\" did not answer")),
        "{error}"
    );
    let (late, command) = collector.config().await;
    assert_eq!(command.revision, 3, "the second number is not used again");
    let (_, back) = collector.config().await;
    assert_eq!((back.config, back.revision), (Some(hashing(1)), 1));
    // An answer that comes too late changes nothing.
    collector.answer(late, CommandOutcome::Done, "").await;
    collector.beat(2, 1).await;
    let status = agent.status("a");
    assert_eq!(
        (status.config_revision, status.config),
        (1, Some(hashing(1)))
    );
    assert!(status.earlier_revisions.is_empty());
}

#[tokio::test]
async fn settings_go_forward_and_back_by_number_one_change_at_a_time() {
    let agent = Agent::start();
    let mut collector = agent.collector("a").await;
    let operator = agent.operator();
    let call = tokio::spawn(operator.update_config(update(Change::Config(hashing(2)))));
    let (id, _) = collector.config().await;
    let error = operator
        .update_config(update(Change::Config(hashing(9))))
        .await
        .expect_err("one is under way");
    assert_eq!(error.code(), Code::Aborted);
    collector.answer(id, CommandOutcome::Done, "").await;
    let done = call.await.expect("no panic").expect("done");
    assert_eq!((done.revision, done.config), (2, Some(hashing(2))));

    let stale = UpdateConfigRequest {
        expected_revision: Some(1),
        ..update(Change::RollbackTo(1))
    };
    let error = operator.update_config(stale).await.expect_err("it is 2");
    assert_eq!(error.code(), Code::Aborted);
    let call = tokio::spawn(operator.update_config(update(Change::RollbackTo(1))));
    let (id, command) = collector.config().await;
    assert_eq!((command.config, command.revision), (Some(hashing(1)), 3));
    collector.answer(id, CommandOutcome::Done, "").await;
    assert_eq!(call.await.expect("no panic").expect("done").revision, 3);
    let status = agent.status("a");
    assert_eq!(status.earlier_revisions, [1, 2]);

    // Only asked.
    let ask = UpdateConfigRequest {
        validate_only: true,
        ..update(Change::Config(hashing(7)))
    };
    let call = tokio::spawn(operator.update_config(ask));
    let (id, command) = collector.config().await;
    assert!(command.validate_only);
    collector
        .answer(id, CommandOutcome::Refused, "too large")
        .await;
    let error = call.await.expect("no panic").expect_err("refused");
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(error.to_string().contains("too large"), "{error}");
    collector.beat(2, 3).await;
    assert_eq!(agent.status("a").config, Some(hashing(1)));
}

#[tokio::test]
async fn a_collector_that_goes_away_fails_what_waits_for_it() {
    let agent = Agent::start();
    let mut collector = agent.collector("a").await;
    let call = tokio::spawn(agent.operator().pause(pause()));
    collector.command().await;
    drop(collector);
    let error = call.await.expect("no panic").expect_err("gone");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.to_string().contains("went away"), "{error}");
    let error = agent.operator().pause(pause()).await.expect_err("gone");
    assert_eq!(error.code(), Code::Unavailable);
    let end = ShutdownRequest {
        collector_id: "a".to_owned(),
    };
    let error = agent.operator().shutdown(end).await.expect_err("cannot");
    assert_eq!(error.code(), Code::Unimplemented);
}

#[tokio::test]
async fn another_user_takes_no_place_and_gives_no_commands() {
    let agent = Agent::start();
    let _collector = agent.collector("a").await;
    let theirs = CollectorControlClient::new(agent.stranger());
    let error = theirs.pause(pause()).await.expect_err("no command");
    assert_eq!(error.code(), Code::PermissionDenied);
    let request = RegisterRequest {
        collector_id: "a".to_owned(),
        kind: CollectorKind::Process.into(),
        ..RegisterRequest::default()
    };
    let error = theirs.register(request).await.expect_err("it is taken");
    assert_eq!(error.code(), Code::AlreadyExists);
    // A collector of their own may register, and is theirs.
    let _own = Collector::start(theirs.clone(), "b").await;
    assert_eq!(agent.status("b").user_id, STRANGER);
}

#[tokio::test]
async fn a_heartbeat_says_whose_it_is_and_ends_when_the_agent_drains() {
    let agent = Agent::start();
    let client = agent.operator();
    let first = [
        Some(Said::Beat(Beat::default())),
        Some(Said::Start(HeartbeatStart::default())),
        None,
    ];
    for item in first {
        let shown = format!("{item:?}");
        let mut line = client.heartbeat().await.expect("a stream");
        line.send(HeartbeatRequest { item }).await.expect("sent");
        let error = timeout(LIMIT, line.message()).await.expect("in time");
        let code = error.expect_err(&shown).code();
        assert!(
            matches!(code, Code::InvalidArgument | Code::NotFound),
            "{shown}: {code:?}"
        );
    }
    let mut collector = agent.collector("a").await;
    let report = agent.server.stop(LIMIT).await;
    assert_eq!(report.aborted, 0);
    let end = timeout(LIMIT, collector.0.message())
        .await
        .expect("in time");
    assert!(end.expect("in order").is_none());
}
