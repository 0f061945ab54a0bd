//! The agent, with procmond and without.
//!
//! **Invariant**: the agent is told nothing of what is done to procmond.

use std::{
    fs,
    path::Path,
    process::id,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    Code, IpcConfig, Streaming,
    schema::health::v1::{CheckRequest, HealthClient, HealthStatus},
};
use daemoneye_ipc_generated::{
    agent::v1::{
        Alert, GetStatusRequest, GetStatusResponse, LinkState, ListAlertsRequest,
        ListAlertsResponse, RunTaskRequest, run_task_request::Operation, run_task_response,
    },
    procmond::v1::{
        CheckProcessHashRequest, GetProcessRequest, GetProcessTreeRequest, ListProcessesRequest,
        ProcessRecord, VerifyExecutableRequest, WatchProcessesRequest,
    },
};

use crate::{
    NOBODY, in_time, sha256,
    support::{AGENT, Place, Subject},
    watch,
};

/// What a machine under load may add to any limit.
const SLACK: Duration = Duration::from_secs(5);

/// Asks the agent how it is until `wanted` holds.
pub(crate) async fn status(
    place: &Place,
    wanted: impl Fn(&GetStatusResponse) -> bool,
) -> GetStatusResponse {
    let client = place.agent_client();
    let look = async {
        loop {
            let status = client
                .get_status(GetStatusRequest {})
                .await
                .expect("the agent answers");
            if wanted(&status) {
                return status;
            }
        }
    };
    in_time("the agent's state", look).await
}

pub(crate) async fn health(place: &Place, component: &str) -> (HealthStatus, String) {
    health_of(place, "agent.sock", component).await
}

/// How a component of the daemon at `endpoint` is.
pub(crate) async fn health_of(
    place: &Place,
    endpoint: &str,
    component: &str,
) -> (HealthStatus, String) {
    let client = HealthClient::new(place.channel(endpoint));
    let request = CheckRequest {
        component: component.to_owned(),
    };
    let report = client.check(request).await.expect("the agent answers");
    let [component] = report.components.as_slice() else {
        panic!("not one: {report:?}")
    };
    (component.status(), component.message.clone())
}

fn look_up(pid: u32, task: &str) -> RunTaskRequest {
    let request = GetProcessRequest {
        pid,
        with_hash: true,
        ..GetProcessRequest::default()
    };
    RunTaskRequest {
        task_id: task.to_owned(),
        operation: Some(Operation::GetProcess(request)),
        ..RunTaskRequest::default()
    }
}

fn looked_up(result: Option<run_task_response::Result>) -> ProcessRecord {
    let Some(run_task_response::Result::GetProcess(found)) = result else {
        panic!("another result: {result:?}")
    };
    found.process.expect("a record")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_outlives_procmond_and_finds_its_successor() {
    let place = Place::new();
    let daemon = place.procmond();
    let agent = place.agent();
    let before = status(&place, |status| status.link() == LinkState::Connected).await;
    assert_eq!((before.links_made, before.link_error.as_str()), (1, ""));
    assert_eq!(
        health(&place, "procmond link").await.0,
        HealthStatus::Healthy
    );

    daemon.kill();
    let alone = status(&place, |status| status.link() == LinkState::Reconnecting).await;
    assert!(!alone.link_error.is_empty(), "it says why");
    assert_eq!(
        health(&place, "procmond link").await.0,
        HealthStatus::Degraded
    );
    // A task waits for the monitor, and one of the same name is refused.
    let client = place.agent_client();
    let task = tokio::spawn(client.run_task(look_up(agent.pid(), "waits")));
    status(&place, |status| status.tasks == before.tasks + 1).await;
    let twin = client.run_task(look_up(agent.pid(), "waits")).await;
    assert_eq!(twin.expect_err("no monitor").code(), Code::AlreadyExists);

    let daemon = place.procmond();
    let ready = Instant::now();
    let after = status(&place, |status| status.link() == LinkState::Connected).await;
    let cap = Duration::from_millis(IpcConfig::default().reconnect.max_backoff_ms);
    assert!(
        ready.elapsed() < cap + SLACK,
        "back after {:?}",
        ready.elapsed()
    );
    assert_eq!((after.links_made, after.link_error.as_str()), (2, ""));
    let found = in_time("the task", task)
        .await
        .expect("no panic")
        .expect("a result");
    assert_eq!(found.task_id, "waits");
    let found = looked_up(found.result);
    assert_eq!(found.pid, agent.pid());
    assert_eq!(found.executable_hash, sha256(Path::new(AGENT)));

    // It follows the new one: what starts now is counted.
    let seen = status(&place, |status| status.gaps == before.gaps + 1).await;
    let _subject = Subject::start(&place.program("subject"));
    status(&place, |status| status.events > seen.events).await;
    assert_eq!(health(&place, "watch").await.0, HealthStatus::Healthy);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_serves_before_procmond_is_there() {
    let place = Place::new();
    let _agent = place.agent();
    let alone = status(&place, |status| !status.link_error.is_empty()).await;
    assert_eq!((alone.link(), alone.links_made), (LinkState::Connecting, 0));
    assert_eq!(alone.last_sequence, None);
    let error = place
        .agent_client()
        .run_task(RunTaskRequest::default())
        .await
        .expect_err("no operation");
    assert_eq!(error.code(), Code::InvalidArgument);
    let _daemon = place.procmond();
    status(&place, |status| {
        status.link() == LinkState::Connected && status.last_sequence.is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_can_be_a_task() {
    use run_task_response::Result as Outcome;
    let place = Place::new();
    let daemon = place.procmond();
    let agent = place.agent();
    let client = place.agent_client();
    let run = async |operation| {
        let request = RunTaskRequest {
            operation: Some(operation),
            ..RunTaskRequest::default()
        };
        let response = in_time("a task", client.run_task(request))
            .await
            .expect("a result");
        assert!(!response.task_id.is_empty() && response.took.is_some());
        response.result.expect("a result")
    };
    let pid = agent.pid();
    let all = run(Operation::ListProcesses(ListProcessesRequest::default())).await;
    let Outcome::ListProcesses(all) = all else {
        panic!("{all:?}")
    };
    assert!(
        [id(), pid, daemon.pid()]
            .iter()
            .all(|pid| all.processes.iter().any(|p| p.pid == *pid))
    );
    let hash = sha256(Path::new(AGENT));
    let check = CheckProcessHashRequest {
        pid,
        expected_hash: hash.clone().into(),
        ..CheckProcessHashRequest::default()
    };
    let checked = run(Operation::CheckProcessHash(check)).await;
    let Outcome::CheckProcessHash(checked) = checked else {
        panic!("{checked:?}")
    };
    assert_eq!(checked.matches, Some(true));
    let path = checked.executable_path;
    let verify = VerifyExecutableRequest {
        path,
        ..VerifyExecutableRequest::default()
    };
    let verified = run(Operation::VerifyExecutable(verify)).await;
    let Outcome::VerifyExecutable(verified) = verified else {
        panic!("{verified:?}")
    };
    assert!(verified.actual_hash == hash && verified.running_pids.contains(&pid));
    let tree = GetProcessTreeRequest {
        root_pid: pid,
        ..GetProcessTreeRequest::default()
    };
    let tree = run(Operation::GetProcessTree(tree)).await;
    let Outcome::GetProcessTree(tree) = tree else {
        panic!("{tree:?}")
    };
    assert_eq!(tree.nodes.len(), 1);
    // What the monitor answers, the agent passes on.
    let error = client
        .run_task(look_up(NOBODY, ""))
        .await
        .expect_err("no such process");
    assert_eq!(error.code(), Code::NotFound);
}

/// Alerts about that process, by rule, until one of `rule` comes.
pub(crate) async fn alerts_until(
    alerts: &mut Streaming<ListAlertsResponse>,
    pid: u32,
    rule: &str,
) -> Vec<Alert> {
    let mut found = Vec::new();
    let look = async {
        loop {
            let alert = alerts
                .message()
                .await
                .expect("an alert")
                .expect("no end")
                .alert;
            let alert = alert.expect("an alert");
            let about = alert
                .process
                .as_ref()
                .is_some_and(|process| process.pid == pid);
            let last = about && alert.rule == rule;
            found.extend(about.then_some(alert));
            if last {
                break;
            }
        }
    };
    in_time(&format!("{rule} about {pid}"), look).await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_raised_once_across_restarts_and_followed() {
    let place = Place::new();
    let daemon = place.procmond();
    let _agent = place.agent();
    status(&place, |status| status.link() == LinkState::Connected).await;
    let client = place.agent_client();
    let follow = ListAlertsRequest {
        follow: true,
        ..ListAlertsRequest::default()
    };
    let mut followed = client.list_alerts(follow).await.expect("alerts");

    // The place is below /tmp.
    let program = place.program("subject");
    let subject = Subject::start(&program);
    let pid = subject.pid();
    let mut raised = alerts_until(&mut followed, pid, "executable-in-temporary-directory").await;
    fs::remove_file(&program).expect("removed");
    raised.extend(alerts_until(&mut followed, pid, "executable-deleted").await);

    // After the restart all processes are looked at again; a new one shows that it has been done.
    daemon.kill();
    status(&place, |status| status.link() == LinkState::Reconnecting).await;
    let late = Subject::start(&place.program("late"));
    let _daemon = place.procmond();
    alerts_until(
        &mut followed,
        late.pid(),
        "executable-in-temporary-directory",
    )
    .await;
    let mut kept = client
        .list_alerts(ListAlertsRequest::default())
        .await
        .expect("alerts");
    let mut about = Vec::new();
    while let Some(alert) = in_time("the kept alerts", kept.message())
        .await
        .expect("an alert")
    {
        let alert = alert.alert.expect("an alert");
        about.extend(
            alert
                .process
                .as_ref()
                .is_some_and(|p| p.pid == pid)
                .then_some(alert),
        );
    }
    // What starts in this test may be seen before it has become its own program.
    let rules = |alerts: &[Alert]| {
        alerts
            .iter()
            .map(|alert| alert.rule.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(rules(&about), rules(&raised));
    let after = ListAlertsRequest {
        after_sequence: about.last().expect("one").sequence,
        epoch: about[0].epoch.clone(),
        follow: true,
    };
    let mut rest = client.list_alerts(after).await.expect("alerts");
    let rest = alerts_until(&mut rest, late.pid(), "executable-in-temporary-directory").await;
    assert_eq!(rest.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_streams_in_order_and_leaves_no_socket() {
    let place = Place::new();
    let daemon = place.procmond();
    let agent = place.agent();
    let mut steps = watch(&place.monitor(), WatchProcessesRequest::default()).await;
    let client = place.agent_client();
    let follow = ListAlertsRequest {
        follow: true,
        ..ListAlertsRequest::default()
    };
    let mut alerts = client.list_alerts(follow).await.expect("alerts");
    status(&place, |status| status.link() == LinkState::Connected).await;

    let start = Instant::now();
    for (name, daemon) in [("agent.sock", agent), ("procmond.sock", daemon)] {
        let ended = tokio::task::spawn_blocking(|| daemon.terminate())
            .await
            .expect("no panic");
        assert!(ended.success(), "{name}: {ended}");
        assert!(!place.path(name).exists(), "{name} is still there");
    }
    let grace = Duration::from_millis(IpcConfig::default().limits.drain_timeout_ms);
    assert!(start.elapsed() < grace, "streams held the drain up");
    in_time("the end", async {
        while steps.message().await.expect("no error").is_some() {}
    })
    .await;
    in_time("the end", async {
        while alerts.message().await.expect("no error").is_some() {}
    })
    .await;
}
