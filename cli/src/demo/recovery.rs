//! The crash: procmond is killed, the agent goes on serving, and finds the new procmond by itself.
//!
//! **Invariant**: the agent is told nothing; what is shown of it is what its own socket answers.

use std::{process, time::Instant};

use daemoneye_ipc::Channel;
use daemoneye_ipc_generated::{
    agent::v1::{
        AgentClient, GetStatusRequest, GetStatusResponse, LinkState, RunTaskRequest,
        run_task_request::Operation, run_task_response,
    },
    procmond::v1::GetProcessTreeRequest,
};
use tokio::time::{Duration, sleep};

use super::{Demo, STEP_LIMIT, child::Daemon, operator};
use crate::{explain::Explanation, failure::Failure, format, report::Check};

/// How often the agent is asked how it is.
const PACE: Duration = Duration::from_millis(5);

/// Kills procmond, shows the agent without it and with its successor, and returns the successor.
pub(crate) async fn crash(
    demo: &mut Demo<'_>,
    procmond: Daemon,
    agent: &Daemon,
) -> Result<Daemon, Failure> {
    demo.out.section("Crash and recovery")?;
    let mut config = demo.config.clone();
    config.endpoint_path = demo.agent_endpoint();
    let channel = Channel::connect(config)
        .await
        .map_err(|error| demo.connect_failed(&error))?;
    let client = AgentClient::new(channel);
    let before = until(demo, &client, LinkState::Connected).await?;
    run_task(demo, &client, agent, "task before").await?;

    let (pid, start) = (procmond.pid(), Instant::now());
    procmond.kill().await?;
    let detail = format!("procmond, process {pid}, ended by kill -9");
    demo.record(
        Check::passed("killed", detail)
            .took(start.elapsed())
            .fact("pid", pid),
    )?;

    let start = Instant::now();
    let alone = until(demo, &client, LinkState::Reconnecting).await?;
    let detail = format!("it noticed, and still answers: {}", counts(&alone));
    demo.record(Check::passed("agent alone", detail).took(start.elapsed()))?;

    let start = Instant::now();
    let procmond = demo.restart_procmond().await?;
    let ready = Instant::now();
    let after = until(demo, &client, LinkState::Connected).await?;
    let detail = format!(
        "the agent found it by itself, {} after it was ready: {}",
        format::duration(ready.elapsed()),
        counts(&after)
    );
    let check = Check::passed("reconnected", detail).took(start.elapsed());
    demo.record(
        check
            .fact("links_before", before.links_made)
            .fact("links_after", after.links_made),
    )?;
    operator::registered(demo, "registered again", &procmond).await?;
    run_task(demo, &client, agent, "task").await?;
    Ok(procmond)
}

fn counts(status: &GetStatusResponse) -> String {
    format!(
        "{}, {} seen",
        format::plural(status.links_made as usize, "link made", "links made"),
        format::plural(status.events as usize, "event", "events"),
    )
}

/// Asks the agent how it is until its link is in `state`.
async fn until(
    demo: &Demo<'_>,
    client: &AgentClient,
    state: LinkState,
) -> Result<GetStatusResponse, Failure> {
    let start = Instant::now();
    loop {
        let status = client.get_status(GetStatusRequest {}).await;
        let status = status.map_err(|error| demo.call_failed(&error))?;
        if status.link() == state {
            return Ok(status);
        }
        if start.elapsed() > STEP_LIMIT {
            let why = Explanation::new(
                format!("its link to procmond is {}", status.link().as_str_name()),
                "run the demo again; if it happens again, run the agent by itself and read its log",
            );
            let wanted = state.as_str_name();
            return Err(Failure::failed(
                format!("the agent's link did not become {wanted}"),
                why,
            ));
        }
        sleep(PACE).await;
    }
}

/// Has the agent ask procmond for the demo and its children.
async fn run_task(
    demo: &mut Demo<'_>,
    client: &AgentClient,
    agent: &Daemon,
    name: &str,
) -> Result<(), Failure> {
    let start = Instant::now();
    let tree = GetProcessTreeRequest {
        root_pid: process::id(),
        ..GetProcessTreeRequest::default()
    };
    let request = RunTaskRequest {
        operation: Some(Operation::GetProcessTree(tree)),
        ..RunTaskRequest::default()
    };
    let reply = client
        .run_task(request)
        .await
        .map_err(|error| demo.call_failed(&error))?;
    let took = start.elapsed();
    let nodes = match reply.result {
        Some(run_task_response::Result::GetProcessTree(tree)) => tree.nodes,
        _ => Vec::new(),
    };
    let pids: Vec<_> = nodes
        .iter()
        .filter_map(|node| Some(node.process.as_ref()?.pid))
        .collect();
    if !pids.contains(&agent.pid()) {
        let why = Explanation::new(
            format!(
                "procmond's tree of process {} is {pids:?}, without the agent",
                process::id()
            ),
            "run the demo again; if it happens again, run the agent by itself and read its log",
        );
        return Err(Failure::failed(
            "the agent's task did not find the agent",
            why,
        ));
    }
    let detail = format!(
        "the agent asked procmond for this demo and its children: {}",
        format::plural(pids.len(), "process", "processes")
    );
    demo.record(
        Check::passed(name, detail)
            .took(took)
            .fact("task_id", reply.task_id)
            .fact("pids", pids),
    )?;
    Ok(())
}
