//! procmond and the agent as real processes, with this machine's real processes.
//!
//! **Invariant**: tests wait for what they expect, up to a limit, and never for a time.

#![cfg(unix)]

mod programs_support;

use std::{
    fs,
    future::Future,
    path::Path,
    process::{Stdio, id},
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    Code, IpcConfig, Streaming,
    schema::health::v1::{CheckRequest, HealthClient, HealthStatus},
};
use daemoneye_ipc_generated::{
    agent::v1::{
        Alert, GetStatusRequest, GetStatusResponse, LinkState, ListAlertsRequest, RunTaskRequest,
        run_task_request::Operation, run_task_response,
    },
    procmond::v1::{
        CancelTaskRequest, CheckProcessHashRequest, GetProcessRequest, GetProcessTreeRequest,
        ListProcessesRequest, ProcessEventKind, ProcessFilter, ProcessMonitorClient, ProcessRecord,
        VerifyExecutableRequest, WatchProcessesRequest, WatchProcessesResponse,
        watch_processes_response::Item,
    },
};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::programs_support::{LIMIT, PROCMOND, Place, Subject, command};

type Watch = Streaming<WatchProcessesResponse>;

/// What a machine under load may add to any limit.
const SLACK: Duration = Duration::from_secs(5);

async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(LIMIT, wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

async fn list(monitor: &ProcessMonitorClient, request: ListProcessesRequest) -> Vec<ProcessRecord> {
    let mut batches = monitor.list_processes(request).await.expect("a list");
    let mut all = Vec::new();
    while let Some(batch) = in_time("a batch", batches.message())
        .await
        .expect("a batch")
    {
        all.extend(batch.processes);
    }
    all
}

async fn watch(monitor: &ProcessMonitorClient, request: WatchProcessesRequest) -> Watch {
    let mut steps = monitor.watch_processes(request).await.expect("a watch");
    let first = next(&mut steps).await;
    assert!(matches!(first.item, Some(Item::Started(_))), "{first:?}");
    steps
}

async fn next(steps: &mut Watch) -> WatchProcessesResponse {
    in_time("a step", steps.message())
        .await
        .expect("a step")
        .expect("no end")
}

/// Reads until that happens to that process, and returns the step.
async fn until(steps: &mut Watch, wanted: ProcessEventKind, pid: u32) -> WatchProcessesResponse {
    let look = async {
        loop {
            let step = next(steps).await;
            if let Some(Item::Event(event)) = &step.item {
                let same = event
                    .process
                    .as_ref()
                    .is_some_and(|process| process.pid == pid);
                if same && event.kind() == wanted {
                    return step;
                }
            }
        }
    };
    in_time(&format!("{wanted:?} of {pid}"), look).await
}

fn sha256(path: &Path) -> Vec<u8> {
    Sha256::digest(fs::read(path).expect("a file")).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_holds_this_process_as_it_is() {
    let place = Place::new();
    let daemon = place.procmond();
    let monitor = place.monitor();

    let all = list(&monitor, ListProcessesRequest::default()).await;
    let pids: Vec<_> = all.iter().map(|process| process.pid).collect();
    assert!(
        pids.is_sorted() && pids.contains(&id()) && pids.contains(&daemon.pid()),
        "{pids:?}"
    );

    let filter = ProcessFilter {
        pids: vec![id()],
        ..ProcessFilter::default()
    };
    let request = ListProcessesRequest {
        filter: Some(filter),
        with_hashes: true,
        ..Default::default()
    };
    let mine = list(&monitor, request).await;
    let [me] = mine.as_slice() else {
        panic!("not one: {mine:?}")
    };
    let own = std::env::current_exe().expect("a path");
    assert_eq!(me.executable_path.as_deref(), own.to_str());
    assert_eq!(me.user_id, Some(rustix::process::geteuid().as_raw()));
    assert_eq!(me.command_line, std::env::args().collect::<Vec<_>>());
    assert_eq!(me.executable_hash, sha256(&own));
    assert!(
        me.accessible && me.file_exists && !me.on_disk_mismatch,
        "{me:?}"
    );
    assert!(me.memory_bytes > Some(1 << 16) && me.start_time.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_batches_are_kept_to() {
    let place = Place::new();
    let _daemon = place.procmond();
    let monitor = place.monitor();
    let program = place.program("subject");
    let subjects = [
        Subject::start(&program),
        Subject::start(&program),
        Subject::start(&program),
    ];
    let filter = ProcessFilter {
        executable_glob: format!("{}/sub*", program.parent().expect("a directory").display()),
        ..ProcessFilter::default()
    };
    // The last of them may still be this test's own copy on its way to its program.
    let batches = async {
        loop {
            let filter = Some(filter.clone());
            let request = ListProcessesRequest {
                filter,
                batch_size: 2,
                ..Default::default()
            };
            let mut stream = monitor.list_processes(request).await.expect("a list");
            let mut sizes = Vec::new();
            while let Some(batch) = stream.message().await.expect("a batch") {
                sizes.push(batch.processes.len());
            }
            if sizes.iter().sum::<usize>() == subjects.len() {
                return sizes;
            }
        }
    };
    assert_eq!(in_time("all subjects", batches).await, [2, 1]);

    let filter = Some(ProcessFilter {
        executable_glob: "[".to_owned(),
        ..Default::default()
    });
    let request = ListProcessesRequest {
        filter,
        ..ListProcessesRequest::default()
    };
    let mut refused = monitor.list_processes(request).await.expect("begun");
    let error = in_time("a refusal", refused.message())
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_are_those_of_the_files_that_run() {
    let place = Place::new();
    let _daemon = place.procmond();
    let monitor = place.monitor();
    let program = place.program("subject");
    let (subject, hash) = (Subject::start(&program), sha256(&program));
    in_time("the program to run", async {
        loop {
            let request = GetProcessRequest {
                pid: subject.pid(),
                ..GetProcessRequest::default()
            };
            let found = monitor
                .get_process(request)
                .await
                .expect("it runs")
                .process
                .expect("a record");
            if found.executable_path.as_deref() == program.to_str() {
                break;
            }
        }
    })
    .await;
    let verify = |path: &Path| VerifyExecutableRequest {
        path: path.to_str().expect("UTF-8").to_owned(),
        ..VerifyExecutableRequest::default()
    };
    let verified = monitor
        .verify_executable(verify(&program))
        .await
        .expect("verified");
    assert_eq!(verified.actual_hash, hash);
    assert_eq!(
        verified.size_bytes,
        fs::metadata(&program).expect("there").len()
    );
    assert_eq!(
        (verified.running_pids, verified.mismatched_pids),
        (vec![subject.pid()], vec![])
    );

    // The file is replaced: what runs has its old hash, what is there has its own.
    fs::remove_file(&program).expect("removed");
    fs::write(&program, "something else").expect("written");
    let check = |expected: &[u8]| CheckProcessHashRequest {
        pid: subject.pid(),
        expected_hash: expected.to_vec().into(),
        ..CheckProcessHashRequest::default()
    };
    let checked = monitor
        .check_process_hash(check(&hash))
        .await
        .expect("checked");
    assert_eq!(
        (checked.actual_hash.as_ref(), checked.matches),
        (hash.as_slice(), Some(true))
    );
    assert_eq!(checked.executable_path, program.to_str().expect("UTF-8"));
    let checked = monitor
        .check_process_hash(check(&[0; 32]))
        .await
        .expect("checked");
    assert_eq!(checked.matches, Some(false));
    let verified = monitor
        .verify_executable(verify(&program))
        .await
        .expect("verified");
    assert_eq!(verified.actual_hash, sha256(&program));
    assert_eq!(
        (verified.running_pids, verified.mismatched_pids),
        (vec![], vec![subject.pid()])
    );

    let refused = [
        (
            monitor
                .verify_executable(verify(Path::new("relative")))
                .await
                .map(drop),
            Code::InvalidArgument,
        ),
        (
            monitor
                .verify_executable(verify(&place.path("none")))
                .await
                .map(drop),
            Code::NotFound,
        ),
        (
            monitor
                .verify_executable(verify(Path::new("/")))
                .await
                .map(drop),
            Code::FailedPrecondition,
        ),
        (
            monitor.check_process_hash(check(b"short")).await.map(drop),
            Code::InvalidArgument,
        ),
    ];
    for (refused, code) in refused {
        assert_eq!(refused.expect_err("refused").code(), code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_holds_children_below_their_parents() {
    let place = Place::new();
    let daemon = place.procmond();
    let monitor = place.monitor();
    let request = GetProcessTreeRequest {
        root_pid: id(),
        ..GetProcessTreeRequest::default()
    };
    let tree = monitor
        .get_process_tree(request)
        .await
        .expect("a tree")
        .nodes;
    let depth = |pid: u32| {
        let of = |node: &&_| daemoneye_ipc_generated::procmond::v1::ProcessTreeNode::clone(node);
        let nodes = tree
            .iter()
            .filter(|node| node.process.as_ref().is_some_and(|p| p.pid == pid));
        nodes.map(|node| of(&node).depth).next()
    };
    assert_eq!((depth(id()), depth(daemon.pid())), (Some(0), Some(1)));
    let request = GetProcessTreeRequest {
        root_pid: u32::MAX,
        ..GetProcessTreeRequest::default()
    };
    let error = monitor
        .get_process_tree(request)
        .await
        .expect_err("no such process");
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sees_a_process_start_and_end() {
    let place = Place::new();
    let _daemon = place.procmond();
    let mut steps = watch(&place.monitor(), WatchProcessesRequest::default()).await;
    let subject = Subject::start(&place.program("subject"));
    let pid = subject.pid();
    let started = until(&mut steps, ProcessEventKind::Started, pid).await;
    subject.end();
    let exited = until(&mut steps, ProcessEventKind::Exited, pid).await;
    assert!(exited.sequence > started.sequence);
    assert_eq!(exited.epoch, started.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_with_what_was_missed_and_after_a_restart_with_a_gap() {
    let place = Place::new();
    let daemon = place.procmond();
    let program = place.program("subject");
    // One keeps watching, so that the monitor keeps looking while the other is away.
    let mut all = watch(&place.monitor(), WatchProcessesRequest::default()).await;
    let mut away = watch(&place.monitor(), WatchProcessesRequest::default()).await;
    let subject = Subject::start(&program);
    let pid = subject.pid();
    let started = until(&mut away, ProcessEventKind::Started, pid).await;
    drop(away);
    subject.end();
    let exited = until(&mut all, ProcessEventKind::Exited, pid).await;

    let from = WatchProcessesRequest {
        after_sequence: Some(started.sequence),
        epoch: started.epoch,
        ..WatchProcessesRequest::default()
    };
    let mut resumed = watch(&place.monitor(), from.clone()).await;
    for sequence in started.sequence + 1..=exited.sequence {
        let step = next(&mut resumed).await;
        assert!(matches!(step.item, Some(Item::Event(_))), "{step:?}");
        assert_eq!(step.sequence, sequence);
    }

    daemon.kill();
    let _daemon = place.procmond();
    let mut resumed = watch(&place.monitor(), from).await;
    let step = next(&mut resumed).await;
    let Some(Item::Gap(gap)) = step.item else {
        panic!("no gap: {step:?}")
    };
    assert_eq!((gap.first_missing, gap.last_missing), (0, step.sequence));
    assert_ne!(step.epoch, exited.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_cancelled_by_name() {
    let place = Place::new();
    let _daemon = place.procmond();
    let monitor = place.monitor();
    let cancel = |task: &str| {
        let call = monitor.cancel_task(CancelTaskRequest {
            task_id: task.to_owned(),
        });
        async { call.await.expect("an answer").cancelled_calls }
    };
    let named = WatchProcessesRequest {
        task_id: "watch".to_owned(),
        ..Default::default()
    };
    let mut steps = watch(&monitor, named).await;
    assert_eq!(cancel("another").await, 0);
    assert_eq!(cancel("watch").await, 1);
    let ended = async {
        while steps.message().await?.is_some() {}
        Ok::<_, daemoneye_ipc::CallError>(())
    };
    let error = in_time("the end of the watch", ended)
        .await
        .expect_err("cancelled");
    assert_eq!(error.code(), Code::Cancelled);

    // A file that takes long to hash, and takes no room.
    let large = place.path("large");
    fs::File::create(&large)
        .and_then(|file| file.set_len(1 << 40))
        .expect("a sparse file");
    let request = VerifyExecutableRequest {
        path: large.to_str().expect("UTF-8").to_owned(),
        task_id: "hash".to_owned(),
        ..VerifyExecutableRequest::default()
    };
    let hashing = tokio::spawn(monitor.verify_executable(request).timeout(LIMIT));
    in_time("the task to be there", async {
        while cancel("hash").await == 0 {}
    })
    .await;
    let error = in_time("the end of the task", hashing)
        .await
        .expect("no panic")
        .expect_err("cancelled");
    assert_eq!(error.code(), Code::Cancelled);
    assert!(error.to_string().contains("\"hash\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_procmond_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let daemon = place.procmond();
    let endpoint = place.path("procmond.sock");
    let second = command(PROCMOND, &endpoint, &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output();
    let second = second.expect("it ran");
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stdout.is_empty(), "it is not ready");
    let why = String::from_utf8(second.stderr).expect("UTF-8");
    let last = why.lines().last().expect("a reason");
    assert!(last.starts_with("procmond: cannot serve at"), "{why}");
    assert!(last.contains(endpoint.to_str().expect("UTF-8")), "{why}");

    let request = GetProcessRequest {
        pid: daemon.pid(),
        ..GetProcessRequest::default()
    };
    let found = place
        .monitor()
        .get_process(request)
        .await
        .expect("the first answers");
    assert_eq!(found.process.expect("a record").pid, daemon.pid());
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

/// Asks the agent how it is until `wanted` holds.
async fn status(place: &Place, wanted: impl Fn(&GetStatusResponse) -> bool) -> GetStatusResponse {
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

async fn health(place: &Place, component: &str) -> (HealthStatus, String) {
    let client = HealthClient::new(place.channel("agent.sock"));
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
    assert_eq!(
        found.executable_hash,
        sha256(Path::new(programs_support::AGENT))
    );

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
    let hash = sha256(Path::new(programs_support::AGENT));
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
        .run_task(look_up(u32::MAX, ""))
        .await
        .expect_err("no such process");
    assert_eq!(error.code(), Code::NotFound);
}

/// Alerts about that process, by rule, until one of `rule` comes.
async fn alerts_until(
    alerts: &mut Streaming<daemoneye_ipc_generated::agent::v1::ListAlertsResponse>,
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
