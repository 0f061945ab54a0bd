//! What operators have of the agent: the collectors that it knows, rules, alerts.
//!
//! **Invariant**: the rule that the demo uploads is about the demo's own children alone.

use std::{env, time::Instant};

use daemoneye_ipc::Channel;
use daemoneye_ipc_generated::{
    agent::v1::{
        AgentClient, GetStatusRequest, ListAlertsRequest, Rule, RuleSet, UploadMode,
        UploadRulesRequest, upload_rules_request::Part,
    },
    collector::v1::{CollectorLiveness, CollectorStatus},
};
use tokio::time::{Duration, sleep, timeout};

use super::{
    Demo, STEP_LIMIT,
    child::{Daemon, Idler},
};
use crate::{explain::Explanation, failure::Failure, format, report::Check};

/// How often the agent is asked how it is.
const PACE: Duration = Duration::from_millis(5);

const RULE: &str = "child-of-the-demo";

/// Shows procmond's registration, uploads a rule and waits for its alert.
pub(crate) async fn show(demo: &mut Demo<'_>, procmond: &Daemon) -> Result<(), Failure> {
    demo.out
        .section("The agent: a collector, a rule, an alert")?;
    registered(demo, "registered", procmond).await?;
    let client = client(demo).await?;
    upload(demo, &client).await?;
    alert(demo, &client).await
}

/// Waits until that procmond is registered with the agent and its heartbeat comes.
pub(crate) async fn registered(
    demo: &mut Demo<'_>,
    step: &'static str,
    procmond: &Daemon,
) -> Result<(), Failure> {
    let client = client(demo).await?;
    let start = Instant::now();
    let is_there = |collector: &CollectorStatus| {
        collector.pid == Some(procmond.pid())
            && collector.liveness() == CollectorLiveness::Alive
            && collector.beats > 0
    };
    loop {
        let status = client.get_status(GetStatusRequest {}).await;
        let status = status.map_err(|error| demo.call_failed(&error))?;
        if let Some(found) = status.collectors.into_iter().find(is_there) {
            let id = format::plain(&found.collector_id);
            let detail = format!("{id} told the agent of itself, and its heartbeat comes");
            let check = Check::passed(step, detail).took(start.elapsed());
            demo.record(check.fact("pid", found.pid))?;
            return Ok(());
        }
        if start.elapsed() > STEP_LIMIT {
            return Err(in_vain("procmond to register with the agent"));
        }
        sleep(PACE).await;
    }
}

async fn client(demo: &Demo<'_>) -> Result<AgentClient, Failure> {
    let mut config = demo.config.clone();
    config.endpoint_path = demo.agent_endpoint();
    let channel = Channel::connect(config).await;
    Ok(AgentClient::new(
        channel.map_err(|error| demo.connect_failed(&error))?,
    ))
}

async fn upload(demo: &mut Demo<'_>, client: &AgentClient) -> Result<(), Failure> {
    let start = Instant::now();
    let set = RuleSet {
        name: "demo".to_owned(),
        mode: UploadMode::Merge.into(),
        dry_run: false,
    };
    let program = env::current_exe()?.to_string_lossy().into_owned();
    // What means something in a glob stands for any one character.
    let glob = program.replace(['*', '?', '[', ']', '{', '}', '\\'], "?");
    let rule = Rule {
        name: RULE.to_owned(),
        executable_globs: vec![glob],
        ..Rule::default()
    };
    let sent = async {
        let mut upload = client.upload_rules().await?;
        for part in [Part::Set(set), Part::Rule(rule)] {
            upload.send(UploadRulesRequest { part: Some(part) }).await?;
        }
        upload.finish().await
    };
    let told = sent.await.map_err(|error| demo.call_failed(&error))?;
    let detail = format!(
        "{} uploaded, {} in force",
        format::plural(told.added.len(), "rule", "rules"),
        told.in_force
    );
    demo.record(Check::passed("rules", detail).took(start.elapsed()))?;
    Ok(())
}

async fn alert(demo: &mut Demo<'_>, client: &AgentClient) -> Result<(), Failure> {
    let start = Instant::now();
    let idler = Idler::start()?;
    let pid = idler.pid();
    let follow = ListAlertsRequest {
        follow: true,
        ..ListAlertsRequest::default()
    };
    let look = async {
        let mut alerts = client.list_alerts(follow).await?;
        while let Some(response) = alerts.message().await? {
            let alert = response.alert.unwrap_or_default();
            let same = alert.process.is_some_and(|process| process.pid == pid);
            if same && alert.rule == RULE {
                return Ok(Some(alert.reason));
            }
        }
        Ok(None)
    };
    let found = timeout(STEP_LIMIT, look).await.unwrap_or(Ok(None));
    let Some(reason) = found.map_err(|error| demo.call_failed(&error))? else {
        return Err(in_vain("the alert about a child of the demo"));
    };
    let detail = format!("process {pid}: {}", format::plain(&reason));
    demo.record(
        Check::passed("alert", detail)
            .took(start.elapsed())
            .fact("pid", pid),
    )?;
    idler.end().await
}

fn in_vain(what: &str) -> Failure {
    let why = Explanation::new(
        format!("nothing of it came within {} s", STEP_LIMIT.as_secs()),
        "the machine may be overloaded: run the demo again",
    );
    Failure::failed(format!("waited in vain for {what}"), why)
}
