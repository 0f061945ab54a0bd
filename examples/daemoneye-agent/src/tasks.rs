//! Tasks: single operations of the process monitor that the agent runs for its callers.
//!
//! **Invariant**: a task ends with its time to live, whatever the monitor does; when its caller goes, what
//! it has begun at the monitor is cancelled.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use daemoneye_ipc::{CallError, Status, prost_types};
use daemoneye_ipc_generated::{
    agent::v1::{run_task_request::Operation, run_task_response::Result as Outcome},
    procmond::v1::{ListProcessesResponse, ProcessMonitorClient},
};
use parking_lot::Mutex;

/// How long a task may take unless its caller says otherwise.
const DEFAULT_TIME: Duration = Duration::from_secs(30);

/// The time that a task has. The schema bounds it, so that it always fits.
pub(crate) fn time_to_live(asked: Option<prost_types::Duration>) -> Duration {
    let asked = asked.and_then(|asked| asked.try_into().ok());
    asked.unwrap_or(DEFAULT_TIME)
}

/// The tasks that run now, by name.
#[derive(Debug, Default)]
pub(crate) struct Running {
    names: Arc<Mutex<HashSet<String>>>,
    made_up: AtomicU64,
}

/// A task that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Task {
    names: Arc<Mutex<HashSet<String>>>,
    id: String,
}

impl Running {
    /// Begins a task under the name that its caller has chosen, or else one that is made up.
    ///
    /// # Errors
    /// ALREADY_EXISTS if one of that name runs.
    pub(crate) fn begin(&self, asked: String) -> Result<Task, Status> {
        let id = if asked.is_empty() {
            let number = self.made_up.fetch_add(1, Ordering::Relaxed) + 1;
            format!("agent-{}-{number}", std::process::id())
        } else {
            asked
        };
        if !self.names.lock().insert(id.clone()) {
            return Err(Status::already_exists(format!(
                "task {id:?} is running; choose another task_id, or none"
            )));
        }
        Ok(Task {
            names: Arc::clone(&self.names),
            id,
        })
    }
}

impl Task {
    /// Its name.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.names.lock().remove(&self.id);
    }
}

/// Runs one operation. While the monitor is away, it waits for it.
pub(crate) async fn run(
    client: &ProcessMonitorClient,
    operation: Operation,
    id: &str,
    time: Duration,
) -> Result<Outcome, Status> {
    let outcome = match operation {
        Operation::ListProcesses(mut request) => {
            id.clone_into(&mut request.task_id);
            let call = client
                .list_processes(request)
                .timeout(time)
                .wait_for_ready(true);
            list(call).await.map(Outcome::ListProcesses)
        }
        Operation::GetProcess(mut request) => {
            id.clone_into(&mut request.task_id);
            let call = client
                .get_process(request)
                .timeout(time)
                .wait_for_ready(true);
            call.await.map(Outcome::GetProcess)
        }
        Operation::CheckProcessHash(mut request) => {
            id.clone_into(&mut request.task_id);
            let call = client
                .check_process_hash(request)
                .timeout(time)
                .wait_for_ready(true);
            call.await.map(Outcome::CheckProcessHash)
        }
        Operation::VerifyExecutable(mut request) => {
            id.clone_into(&mut request.task_id);
            let call = client
                .verify_executable(request)
                .timeout(time)
                .wait_for_ready(true);
            call.await.map(Outcome::VerifyExecutable)
        }
        Operation::GetProcessTree(mut request) => {
            id.clone_into(&mut request.task_id);
            let call = client
                .get_process_tree(request)
                .timeout(time)
                .wait_for_ready(true);
            call.await.map(Outcome::GetProcessTree)
        }
    };
    outcome.map_err(|error| explain(id, error))
}

/// All batches in one list.
async fn list(
    call: impl Future<Output = Result<daemoneye_ipc::Streaming<ListProcessesResponse>, CallError>>,
) -> Result<ListProcessesResponse, CallError> {
    let mut batches = call.await?;
    let mut all = ListProcessesResponse::default();
    while let Some(batch) = batches.message().await? {
        all.processes.extend(batch.processes);
    }
    Ok(all)
}

/// The monitor's own answer as it is; of a failure on the way there, that it was on the way.
fn explain(id: &str, error: CallError) -> Status {
    if error.status().is_some() {
        return error.into();
    }
    Status::new(
        error.code(),
        format!("task {id} did not reach its end at procmond: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc::Code;

    use super::*;

    #[test]
    fn a_task_has_some_time() {
        let of = |seconds, nanos| time_to_live(Some(prost_types::Duration { seconds, nanos }));
        assert_eq!(time_to_live(None), DEFAULT_TIME);
        assert_eq!(of(1, 500_000_000), Duration::from_millis(1500));
    }

    #[test]
    fn a_task_has_a_name_of_its_own_while_it_runs() {
        let running = Running::default();
        let begin = |name: &str| running.begin(name.to_owned());
        let (one, two) = (begin("").expect("a task"), begin("").expect("a task"));
        assert_ne!(one.id(), two.id());
        let mine = begin("mine").expect("a task");
        assert_eq!(mine.id(), "mine");
        assert_eq!(
            begin("mine").expect_err("it runs").code(),
            Code::AlreadyExists
        );
        drop(mine);
        begin("mine").expect("it ran");
    }
}
