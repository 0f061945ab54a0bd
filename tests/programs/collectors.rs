//! procmond as a collector of the agent: registered, watched over, commanded.
//!
//! **Invariant**: the two daemons are told of each other's sockets and of nothing else.

use std::{os::unix::process::CommandExt, process::Command};

use daemoneye_ipc::schema::health::v1::HealthStatus;
use daemoneye_ipc_generated::{
    collector::v1::{CollectorLiveness, CollectorState, CollectorStatus},
    procmond::v1::{ProcessEventKind, WatchProcessesRequest, watch_processes_response::Item},
};
use rustix::process::Signal;

use crate::{
    agent::{health, health_of, status},
    in_time, next,
    support::{CLI, Daemon, Place, Run, Subject},
    until, watch,
};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// An agent that does not wait long for beats, and long enough for a machine under load.
fn agent(place: &Place) -> Daemon {
    place.agent_with(&["--heartbeat-interval", "200"])
}

/// Asks the agent until it says that of procmond.
async fn collector(
    place: &Place,
    wanted: impl Fn(&CollectorStatus) -> bool + Copy,
) -> CollectorStatus {
    let seen = status(place, |status| status.collectors.iter().any(wanted)).await;
    let mut collectors = seen.collectors.into_iter();
    collectors.next().expect("one")
}

fn is(liveness: CollectorLiveness) -> impl Fn(&CollectorStatus) -> bool + Copy {
    move |collector| collector.liveness() == liveness
}

#[tokio::test(flavor = "multi_thread")]
async fn procmond_registers_and_finds_the_successor_of_an_agent_that_was_killed() {
    let place = Place::new();
    // It is started first, and serves alone.
    let daemon = place.collector();
    let (alone, _) = health_of(&place, "procmond.sock", "agent").await;
    assert_eq!(alone, HealthStatus::Degraded);
    let first = agent(&place);
    let known = collector(&place, |known| known.beats > 3).await;
    assert_eq!(known.collector_id, "procmond");
    assert_eq!(known.pid, Some(daemon.pid()));
    assert_eq!(known.state(), CollectorState::Running);
    assert_eq!(
        known.endpoint,
        place.path("procmond.sock").to_str().expect("UTF-8")
    );
    assert_eq!(
        health(&place, "collector procmond").await.0,
        HealthStatus::Healthy
    );
    assert_eq!(
        health_of(&place, "procmond.sock", "agent").await.0,
        HealthStatus::Healthy
    );

    first.kill();
    let _second = agent(&place);
    let known = collector(&place, |known| known.beats > 3).await;
    assert_eq!(known.pid, Some(daemon.pid()));
    let listed = place.cli(&["collectors", "list", "--json"]).json();
    assert_eq!(listed["collectors"][0]["liveness"], "alive");
    assert_eq!(listed["collectors"][0]["config"]["scan_interval_ms"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_procmond_is_degraded_then_lost_then_back() {
    let place = Place::new();
    let _agent = agent(&place);
    let daemon = place.collector();
    collector(&place, |known| known.beats > 0).await;
    daemon.signal(Signal::STOP);
    collector(&place, is(CollectorLiveness::Degraded)).await;
    let lost = collector(&place, is(CollectorLiveness::Lost)).await;
    assert!(lost.reason.contains("no heartbeat"), "{}", lost.reason);
    in_time("the agent's health", async {
        while health(&place, "collector procmond").await.0 != HealthStatus::Unhealthy {}
    })
    .await;
    let refused = place.cli(&["collectors", "pause", "procmond"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("is lost"), "{refused:?}");
    daemon.signal(Signal::CONT);
    let back = collector(&place, is(CollectorLiveness::Alive)).await;
    assert_eq!(back.pid, Some(daemon.pid()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_takes_the_place_of_a_lost_collector_and_of_no_other() {
    let place = Place::new();
    let _agent = agent(&place);
    let first = place.collector();
    collector(&place, |known| known.beats > 0).await;
    let second = place.collector_at("second.sock");
    in_time("the refusal", async {
        while !health_of(&place, "second.sock", "agent")
            .await
            .1
            .contains("is registered by uid")
        {}
    })
    .await;
    let known = collector(&place, |_| true).await;
    assert_eq!(known.pid, Some(first.pid()));
    first.kill();
    let known = collector(&place, |known| {
        known.endpoint.ends_with("second.sock") && known.beats > 0
    })
    .await;
    assert_eq!(known.pid, Some(second.pid()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_procmond_tells_no_events_until_it_is_resumed() {
    let place = Place::new();
    let _agent = agent(&place);
    let _daemon = place.collector();
    collector(&place, |known| known.beats > 0).await;
    let mut steps = watch(&place.monitor(), WatchProcessesRequest::default()).await;
    let before = Subject::start(&place.program("before"));
    until(&mut steps, ProcessEventKind::Started, before.pid()).await;

    let pause = ["collectors", "pause", "procmond", "--reason", "maintenance"];
    let run = place.cli(&pause);
    assert_eq!((run.code, run.stdout.trim()), (Some(0), "procmond: paused"));
    let (sampler, why) = health_of(&place, "procmond.sock", "sampler").await;
    assert_eq!(
        (sampler, why.as_str()),
        (HealthStatus::Degraded, "paused: maintenance")
    );
    let paused = collector(&place, |known| known.state() == CollectorState::Paused).await;
    // A look that was under way is over, and told, by then.
    let beats = paused.beats;
    let paused = collector(&place, move |known| known.beats > beats + 2).await;
    let missed = Subject::start(&place.program("missed"));
    // Beats go on, and count no look and no event.
    let beats = paused.beats;
    let later = collector(&place, move |known| known.beats > beats + 3).await;
    assert_eq!(later.counters, paused.counters);

    let resume = place
        .cli(&["collectors", "resume", "procmond", "--json"])
        .json();
    assert_eq!(resume["state"], "running");
    // What was before the pause may still be on its way.
    in_time("the gap", async {
        while !matches!(next(&mut steps).await.item, Some(Item::Gap(_))) {}
    })
    .await;
    until(&mut steps, ProcessEventKind::Started, missed.pid()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_judged_applied_refused_and_rolled_back() {
    let place = Place::new();
    let _agent = agent(&place);
    let _daemon = place.collector();
    collector(&place, |known| known.beats > 0).await;
    let config = |args: &[&str]| {
        let mut line = vec!["collectors", "config", "procmond", "--json"];
        line.extend(args);
        place.cli(&line)
    };
    let asked = config(&["--scan-interval", "35", "--validate-only"]).json();
    assert_eq!(
        (&asked["scan_interval_ms"], &asked["revision"]),
        (&35.into(), &1.into())
    );
    let known = collector(&place, |_| true).await;
    assert_eq!(
        (known.config_revision, known.earlier_revisions.len()),
        (1, 0)
    );

    let done = config(&["--scan-interval", "35", "--max-hash-bytes", "10"]).json();
    let revision = done["revision"].as_u64().expect("a number");
    let known = collector(&place, move |known| known.config_revision == revision).await;
    assert_eq!(known.earlier_revisions, [1]);
    // It is in force: nothing is hashed that is larger.
    let verify = daemoneye_ipc_generated::procmond::v1::VerifyExecutableRequest {
        path: CLI.to_owned(),
        ..Default::default()
    };
    let error = place.monitor().verify_executable(verify.clone()).await;
    let error = error.expect_err("too large");
    assert_eq!(error.code(), daemoneye_ipc::Code::FailedPrecondition);

    let refused = config(&["--scan-interval", "1", "--max-hash-bytes", "0"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("10 to 3600000 ms"), "{refused:?}");
    let error = place.monitor().verify_executable(verify.clone()).await;
    error.expect_err("neither is changed");
    let stale = config(&["--max-hash-bytes", "1", "--expected-revision", "1"]);
    assert_eq!(stale.code, Some(3), "{stale:?}");

    let back = config(&["--rollback-to", "1"]).json();
    assert_eq!(
        (&back["scan_interval_ms"], &back["max_hash_bytes"]),
        (&20.into(), &0.into())
    );
    let hashed = place.monitor().verify_executable(verify).await;
    assert_eq!(hashed.expect("no limit").actual_hash.len(), 32);
    let unknown = place.cli(&["collectors", "resume", "procmon"]);
    assert_eq!(unknown.code, Some(3), "{unknown:?}");
    assert!(
        unknown.stderr.contains("did you mean \"procmond\"?"),
        "{unknown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_drains_procmond_and_it_takes_its_leave() {
    let place = Place::new();
    let _agent = agent(&place);
    let daemon = place.collector();
    collector(&place, |known| known.beats > 0).await;
    let mut steps = watch(&place.monitor(), WatchProcessesRequest::default()).await;
    let told = place
        .cli(&["collectors", "shutdown", "procmond", "--json"])
        .json();
    assert_eq!(told["state"], "draining");
    in_time("the end of the watch, in order", async {
        while steps.message().await.expect("no error").is_some() {}
    })
    .await;
    let ended = tokio::task::spawn_blocking(|| daemon.wait())
        .await
        .expect("no panic");
    assert!(ended.success(), "{ended}");
    status(&place, |status| status.collectors.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_reaches_nothing() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let _agent = agent(&place);
    let _daemon = place.collector();
    collector(&place, |known| known.beats > 0).await;
    let folder = place.path("");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&folder, open).expect("chmod");
    let copy = place.path("cli");
    std::fs::copy(CLI, &copy).expect("copied");
    let mut command = Command::new(&copy);
    command
        .args(["collectors", "shutdown", "procmond", "--endpoint"])
        .arg(place.path("agent.sock"))
        .uid(NOBODY)
        .gid(NOBODY);
    let run = Run::of(&mut command);
    assert_eq!(run.code, Some(4), "{run:?}");
    let known = collector(&place, |_| true).await;
    assert_eq!(known.state(), CollectorState::Running);
}
