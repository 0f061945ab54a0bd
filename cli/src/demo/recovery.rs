//! The crash: procmond is killed, the agent goes on serving, and finds the new procmond by itself.
//!
//! **Invariant**: the agent is told nothing; what is shown of it is what its own socket answers.

use std::time::Instant;

use daemoneye_ipc::Channel;
use daemoneye_ipc_generated::{
    agent::v1::{
        AgentClient, GetStatusRequest, GetStatusResponse, LinkState, RunTaskRequest,
        run_task_request::Operation, run_task_response,
    },
    procmond::v1::GetProcessRequest,
};
use tokio::time::{Duration, sleep};

use super::{Demo, STEP_LIMIT, child::Daemon};
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

/// Has the agent look itself up through procmond.
async fn run_task(
    demo: &mut Demo<'_>,
    client: &AgentClient,
    agent: &Daemon,
    name: &str,
) -> Result<(), Failure> {
    let start = Instant::now();
    let request = GetProcessRequest {
        pid: agent.pid(),
        with_hash: true,
        ..GetProcessRequest::default()
    };
    let request = RunTaskRequest {
        operation: Some(Operation::GetProcess(request)),
        ..RunTaskRequest::default()
    };
    let reply = client
        .run_task(request)
        .await
        .map_err(|error| demo.call_failed(&error))?;
    let took = start.elapsed();
    let found = match reply.result {
        Some(run_task_response::Result::GetProcess(found)) => found.process,
        _ => None,
    };
    let Some(process) = found.filter(|process| process.pid == agent.pid()) else {
        let why = Explanation::new(
            "its answer is of another kind",
            "bring both to the same release",
        );
        return Err(Failure::failed(
            "the agent ran another task than it was given",
            why,
        ));
    };
    let hash: String = process
        .executable_hash
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let detail = format!(
        "agent asked procmond for process {}: {}, SHA-256 {hash}…",
        process.pid, process.name
    );
    demo.record(
        Check::passed(name, detail)
            .took(took)
            .fact("task_id", reply.task_id),
    )?;
    Ok(())
}
