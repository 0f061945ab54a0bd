//! Tests of the registry, with time as an argument.
//!
//! **Invariant**: no test waits.

use daemoneye_ipc::{Code, validate::Validate};
use daemoneye_ipc_generated::collector::v1::{
    CollectorCapability, CollectorKind, CommandOutcome, PauseCommand,
};

use super::*;

const INTERVAL: Duration = Duration::from_secs(1);

fn registry() -> (Arc<Registry>, HealthReporter) {
    let health = HealthReporter::new();
    (Registry::new(INTERVAL, health.clone()), health)
}

fn peer(uid: u32) -> Peer {
    Peer {
        uid,
        gid: uid,
        gids: Vec::new(),
        pid: Some(4711),
    }
}

fn about(id: &str) -> RegisterRequest {
    RegisterRequest {
        collector_id: id.to_owned(),
        kind: CollectorKind::Process.into(),
        capabilities: vec![CollectorCapability::Pause.into()],
        pid: 1,
        ..RegisterRequest::default()
    }
}

fn refused<T>(result: Result<T, Status>) -> (Code, String) {
    let status = result.map(drop).expect_err("refused");
    (status.code(), status.message().to_owned())
}

fn liveness(registry: &Registry, now: Instant) -> CollectorLiveness {
    let [collector] = registry.report(now).try_into().expect("one");
    collector.liveness()
}

fn pause() -> Action {
    Action::Pause(PauseCommand::default())
}

#[test]
fn silence_degrades_and_then_loses_and_a_beat_brings_back() {
    let (registry, _) = registry();
    let start = Instant::now();
    let lease = registry.register(about("a"), &peer(7), start).expect("new");
    let line = registry
        .attach("a", &lease.lease, &peer(7), start)
        .expect("its own");
    let at = |intervals: u32| start + INTERVAL * intervals;
    for (intervals, expected) in [
        (3, CollectorLiveness::Alive),
        (4, CollectorLiveness::Degraded),
        (6, CollectorLiveness::Degraded),
        (7, CollectorLiveness::Lost),
    ] {
        assert_eq!(liveness(&registry, at(intervals)), expected, "{intervals}");
    }
    let (code, text) = refused(registry.send("a", pause(), at(7)));
    assert_eq!(code, Code::Unavailable);
    assert!(text.contains("no heartbeat for over 6s"), "{text}");
    line.beat(&Beat::default(), at(8));
    assert_eq!(liveness(&registry, at(8)), CollectorLiveness::Alive);
    let [told] = registry.report(at(8)).try_into().expect("one");
    assert_eq!((told.beats, told.pid, told.user_id), (1, Some(4711), 7));
    // The end of the heartbeat needs no time.
    drop(line);
    assert_eq!(liveness(&registry, at(8)), CollectorLiveness::Lost);
}

#[test]
fn a_name_is_taken_over_only_from_a_lost_one_of_the_same_user() {
    let (registry, _) = registry();
    let now = Instant::now();
    let first = registry.register(about("a"), &peer(7), now).expect("new");
    let line = registry
        .attach("a", &first.lease, &peer(7), now)
        .expect("its own");
    let (code, text) = refused(registry.register(about("a"), &peer(7), now));
    assert_eq!(code, Code::AlreadyExists);
    assert!(text.contains("uid 7, process 4711"), "{text}");
    let later = now + INTERVAL * 7;
    assert_eq!(
        refused(registry.register(about("a"), &peer(8), later)).0,
        Code::AlreadyExists
    );
    let second = registry
        .register(about("a"), &peer(7), later)
        .expect("lost");
    assert_ne!(first.lease, second.lease);
    assert_eq!(
        refused(registry.attach("a", &first.lease, &peer(7), later)).0,
        Code::NotFound
    );
    assert_eq!(
        refused(registry.attach("a", &second.lease, &peer(8), later)).0,
        Code::PermissionDenied
    );
    // The old heartbeat says nothing any more.
    line.beat(&Beat::default(), later);
    drop(line);
    let [told] = registry.report(later).try_into().expect("one");
    assert_eq!((told.beats, told.liveness()), (0, CollectorLiveness::Alive));
}

#[test]
fn only_its_own_may_deregister_a_collector_that_is_there() {
    let (registry, health) = registry();
    let now = Instant::now();
    let lease = registry.register(about("a"), &peer(7), now).expect("new");
    let request = |lease: &str| DeregisterRequest {
        collector_id: "a".to_owned(),
        lease: lease.to_owned(),
    };
    for (lease, uid) in [("x", 7), ("", 7), ("", 0), (lease.lease.as_str(), 8)] {
        let (code, _) = refused(registry.deregister(&request(lease), &peer(uid), now));
        assert_eq!(code, Code::PermissionDenied, "{lease} {uid}");
    }
    let later = now + INTERVAL * 7;
    assert!(registry.deregister(&request(""), &peer(8), later).is_err());
    registry
        .deregister(&request(""), &peer(0), later)
        .expect("it is lost");
    assert!(registry.report(later).is_empty());
    let (code, text) = refused(registry.deregister(&request(""), &peer(0), later));
    assert_eq!(code, Code::NotFound);
    assert!(text.contains("none is registered"), "{text}");
    drop(health);
}

#[test]
fn unknown_names_are_answered_with_near_ones() {
    let (registry, _) = registry();
    let now = Instant::now();
    for id in ["procmond", "netmond", "fsmond"] {
        registry.register(about(id), &peer(7), now).expect("new");
    }
    let (code, text) = refused(registry.send("procmon", pause(), now));
    assert_eq!(code, Code::NotFound);
    assert!(text.ends_with("did you mean \"procmond\"?"), "{text}");
    let (_, text) = refused(registry.send("x", pause(), now));
    assert!(text.contains("there are \"fsmond\""), "{text}");
    let (code, _) = refused(registry.send("procmond", pause(), now));
    assert_eq!(code, Code::Unavailable, "no heartbeat yet");
    let end = Action::Shutdown(daemoneye_ipc_generated::collector::v1::ShutdownCommand {});
    assert_eq!(
        refused(registry.send("procmond", end, now)).0,
        Code::Unimplemented
    );
}

#[test]
fn what_is_kept_is_bounded() {
    let (registry, _) = registry();
    let now = Instant::now();
    for number in 0..COLLECTORS {
        let seen = now + Duration::from_millis(number as u64);
        registry
            .register(about(&number.to_string()), &peer(7), seen)
            .expect("room");
    }
    let (code, _) = refused(registry.register(about("more"), &peer(7), now));
    assert_eq!(code, Code::ResourceExhausted);
    let later = now + INTERVAL * 7;
    registry
        .register(about("more"), &peer(7), later)
        .expect("the oldest gives way");
    let names = registry.report(later);
    assert_eq!(names.len(), COLLECTORS);
    assert!(names.iter().all(|collector| collector.collector_id != "0"));

    let (registry, _) = self::registry();
    let lease = registry.register(about("a"), &peer(7), now).expect("new");
    let line = registry
        .attach("a", &lease.lease, &peer(7), now)
        .expect("its own");
    let sent: Vec<_> = (0..COMMANDS)
        .map(|_| registry.send("a", pause(), now).expect("room"))
        .collect();
    let (code, _) = refused(registry.send("a", pause(), now));
    assert_eq!(code, Code::ResourceExhausted);
    // Nobody waits any more, so that nothing is kept for the results.
    drop(sent);
    let inner = registry.inner.lock();
    let Line::Open { waiting, .. } = &inner.collectors["a"].line else {
        panic!("it is open")
    };
    assert!(waiting.is_empty());
    drop(inner);
    drop(line);
}

#[test]
fn what_a_collector_says_of_itself_is_judged_by_the_schema() {
    about("a").validate().expect("nothing wrong");
    let wrong = [
        about(""),
        about("a b"),
        about(&"x".repeat(65)),
        RegisterRequest {
            kind: 0,
            ..about("a")
        },
        RegisterRequest {
            version: "x".repeat(65),
            ..about("a")
        },
        RegisterRequest {
            endpoint: "x".repeat(257),
            ..about("a")
        },
        RegisterRequest {
            capabilities: vec![1; 17],
            ..about("a")
        },
    ];
    for request in wrong {
        let violations = request.validate().expect_err("a rule is broken");
        assert_eq!(violations.violations.len(), 1, "{request:?}: {violations}");
    }
}

#[tokio::test]
async fn results_reach_those_who_wait() {
    let (registry, _) = registry();
    let now = Instant::now();
    let lease = registry.register(about("a"), &peer(7), now).expect("new");
    let mut line = registry
        .attach("a", &lease.lease, &peer(7), now)
        .expect("its own");
    let (one, two) = (
        registry.send("a", pause(), now).expect("sent"),
        registry.send("a", pause(), now).expect("sent"),
    );
    line.commands.recv().await.expect("the first");
    let second = line.commands.recv().await.expect("the second");
    let result = CommandResult {
        command_id: second.id,
        outcome: CommandOutcome::Done.into(),
        state: CollectorState::Paused.into(),
        ..CommandResult::default()
    };
    line.result(result.clone(), now);
    line.result(result.clone(), now);
    assert_eq!(two.result().await, Some(result));
    let [told] = registry.report(now).try_into().expect("one");
    assert_eq!(told.state(), CollectorState::Paused);
    // The heartbeat ends, and with it the wait.
    drop(line);
    assert_eq!(one.result().await, None);
}
