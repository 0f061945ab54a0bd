//! `daemoneye.procmond.v1.ProcessMonitor`: what callers can ask for.
//!
//! **Invariant**: nothing blocks the asynchronous threads: reading `/proc` and hashing run where blocking
//! is allowed, counted as the call's own.

use std::{io, path::PathBuf, sync::Arc};

use daemoneye_ipc::{
    CallContext, Status, Stream,
    bytes::Bytes,
    health::{ComponentStatus, HealthReporter},
};
use daemoneye_ipc_generated::procmond::v1::{
    CancelTaskRequest, CancelTaskResponse, Capability, CheckProcessHashRequest,
    CheckProcessHashResponse, GetProcessRequest, GetProcessResponse, GetProcessTreeRequest,
    GetProcessTreeResponse, HashAlgorithm, ListProcessesRequest, ListProcessesResponse,
    NegotiateCapabilitiesRequest, NegotiateCapabilitiesResponse, ProcessMonitor, ProcessRecord,
    VerifyExecutableRequest, VerifyExecutableResponse, WatchProcessesRequest,
    WatchProcessesResponse,
};
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::{
    batch,
    feed::{Feed, From, Watcher},
    filter::Filter,
    hashing::{self, HashError, Hashed, Hasher},
    process::Process,
    settings::Settings,
    table::{self, Snapshot, Table},
    tasks::Tasks,
    tree,
};

/// The component under which hashing reports its health.
pub(crate) const HASHING: &str = "hashing";

/// What this monitor can do.
const AVAILABLE: [Capability; 3] = [
    Capability::Processes,
    Capability::ExecutableHashes,
    Capability::Watch,
];

/// The handler.
#[derive(Debug)]
pub(crate) struct Monitor {
    core: Arc<Core>,
    feed: Arc<Feed>,
    tasks: Tasks,
    /// Bytes of records in one response.
    batch_bytes: usize,
}

/// What work on blocking threads needs.
#[derive(Debug)]
struct Core {
    table: Arc<Table>,
    hasher: Hasher,
    health: HealthReporter,
}

impl Monitor {
    pub(crate) fn new(
        table: Arc<Table>,
        feed: Arc<Feed>,
        health: HealthReporter,
        settings: Arc<Settings>,
        max_frame_bytes: usize,
    ) -> Self {
        health.set(HASHING, ComponentStatus::Healthy, "ready");
        let core = Core {
            table,
            hasher: Hasher::new(settings),
            health,
        };
        // Half a frame leaves room for what a hash or the envelope adds.
        let batch_bytes = max_frame_bytes / 2;
        Self {
            core: Arc::new(core),
            feed,
            tasks: Tasks::default(),
            batch_bytes,
        }
    }
}

impl Core {
    fn snapshot(&self) -> Result<Arc<Snapshot>, Status> {
        self.table.snapshot().map_err(unreadable)
    }

    fn process(&self, pid: u32) -> Result<Process, Status> {
        let found = self.table.process(pid).map_err(unreadable)?;
        found.ok_or_else(|| Status::not_found(format!("no process has the id {pid}")))
    }

    /// The hash of what a process runs.
    fn hash(&self, process: &Process, stop: &CancellationToken) -> Result<Hashed, HashError> {
        let hashed = table::open_executable(process)
            .map_err(HashError::from)
            .and_then(|file| self.hasher.hash(file, stop));
        self.note(hashed)
    }

    fn note(&self, hashed: Result<Hashed, HashError>) -> Result<Hashed, HashError> {
        hashed.inspect_err(|error| {
            if error.is_trouble() {
                tracing::warn!(%error, "an executable cannot be read");
                self.health.record_error(HASHING);
            }
        })
    }

    /// The record, with a hash if there is one.
    fn with_hash(
        &self,
        process: &Process,
        stop: &CancellationToken,
    ) -> Result<ProcessRecord, Status> {
        let mut record = process.to_record();
        if process.executable.is_some() {
            match self.hash(process, stop) {
                Ok(hashed) => {
                    record.executable_hash = hashed.hash;
                    record.hash_algorithm = HashAlgorithm::Sha256.into();
                }
                Err(stopped @ HashError::Stopped) => return Err(stopped.status("executables")),
                // It has ended, or may not be read: the record is without a hash.
                Err(_) => {}
            }
        }
        Ok(record)
    }
}

impl ProcessMonitor for Monitor {
    async fn negotiate_capabilities(
        &self,
        _: &CallContext,
        request: NegotiateCapabilitiesRequest,
    ) -> Result<NegotiateCapabilitiesResponse, Status> {
        let granted = AVAILABLE
            .into_iter()
            .map(i32::from)
            .filter(|one| request.wanted.contains(one));
        Ok(NegotiateCapabilitiesResponse {
            granted: granted.collect(),
            available: AVAILABLE.into_iter().map(i32::from).collect(),
            hash_algorithms: vec![HashAlgorithm::Sha256.into()],
            watch_interval: self.feed.interval().try_into().ok(),
        })
    }

    async fn list_processes(
        &self,
        ctx: &CallContext,
        request: ListProcessesRequest,
    ) -> Result<impl Stream<Item = Result<ListProcessesResponse, Status>> + Send, Status> {
        let filter = Filter::new(request.filter)?;
        let task = self.tasks.begin(&request.task_id);
        let core = Arc::clone(&self.core);
        let snapshot = task
            .run(ctx.spawn_blocking(move || core.snapshot()))
            .await?;
        let chosen = snapshot
            .processes
            .values()
            .filter(|process| filter.accepts(process))
            .cloned();
        let batches = batch::split(chosen, request.batch_size, self.batch_bytes);
        let stop = task.stop();
        let with_hashes = request.with_hashes;
        let responses = stream::iter(batches).then(move |batch| {
            let (core, stop) = (Arc::clone(&self.core), stop.clone());
            async move {
                let processes = if with_hashes {
                    let hash = move || {
                        batch
                            .iter()
                            .map(|process| core.with_hash(process, &stop))
                            .collect()
                    };
                    ctx.spawn_blocking(hash).await?
                } else {
                    batch.iter().map(|process| process.to_record()).collect()
                };
                Ok(ListProcessesResponse { processes })
            }
        });
        Ok(task.run_stream(responses))
    }

    async fn get_process(
        &self,
        ctx: &CallContext,
        request: GetProcessRequest,
    ) -> Result<GetProcessResponse, Status> {
        let task = self.tasks.begin(&request.task_id);
        let (core, stop) = (Arc::clone(&self.core), task.stop());
        let look = ctx.spawn_blocking(move || {
            let process = core.process(request.pid)?;
            if request.with_hash {
                core.with_hash(&process, &stop)
            } else {
                Ok(process.to_record())
            }
        });
        Ok(GetProcessResponse {
            process: Some(task.run(look).await?),
        })
    }

    async fn check_process_hash(
        &self,
        ctx: &CallContext,
        request: CheckProcessHashRequest,
    ) -> Result<CheckProcessHashResponse, Status> {
        let task = self.tasks.begin(&request.task_id);
        let (core, stop) = (Arc::clone(&self.core), task.stop());
        let look = ctx.spawn_blocking(move || {
            let process = core.process(request.pid)?;
            let what = format!("process {} ({})", request.pid, process.name);
            let Some(executable) = &process.executable else {
                let why = if process.accessible {
                    Status::failed_precondition(format!("{what} runs no executable"))
                } else {
                    Status::permission_denied(format!(
                        "{what} is another user's; procmond has to run as that user or as root"
                    ))
                };
                return Err(why);
            };
            let path = executable.path.to_string_lossy().into_owned();
            let hashed = core.hash(&process, &stop);
            Ok((
                hashed.map_err(|error| error.status(&format!("the executable of {what}")))?,
                path,
            ))
        });
        let (hashed, executable_path) = task.run(look).await?;
        Ok(CheckProcessHashResponse {
            matches: matches(&request.expected_hash, &hashed.hash),
            actual_hash: hashed.hash,
            algorithm: HashAlgorithm::Sha256.into(),
            executable_path,
        })
    }

    async fn verify_executable(
        &self,
        ctx: &CallContext,
        request: VerifyExecutableRequest,
    ) -> Result<VerifyExecutableResponse, Status> {
        let path = PathBuf::from(&request.path);
        let task = self.tasks.begin(&request.task_id);
        let (core, stop) = (Arc::clone(&self.core), task.stop());
        let look = ctx.spawn_blocking(move || verify(&core, &path, &stop));
        let verified = task.run(look).await?;
        Ok(VerifyExecutableResponse {
            matches: matches(&request.expected_hash, &verified.actual_hash),
            algorithm: HashAlgorithm::Sha256.into(),
            ..verified
        })
    }

    async fn get_process_tree(
        &self,
        ctx: &CallContext,
        request: GetProcessTreeRequest,
    ) -> Result<GetProcessTreeResponse, Status> {
        let task = self.tasks.begin(&request.task_id);
        let core = Arc::clone(&self.core);
        let snapshot = task
            .run(ctx.spawn_blocking(move || core.snapshot()))
            .await?;
        let nodes = tree::descend(&snapshot, request.root_pid, request.max_depth);
        let missing = || Status::not_found(format!("no process has the id {}", request.root_pid));
        Ok(GetProcessTreeResponse {
            nodes: nodes.ok_or_else(missing)?,
        })
    }

    async fn watch_processes(
        &self,
        ctx: &CallContext,
        request: WatchProcessesRequest,
    ) -> Result<impl Stream<Item = Result<WatchProcessesResponse, Status>> + Send, Status> {
        let filter = Filter::new(request.filter)?;
        let task = self.tasks.begin(&request.task_id);
        let from = match request.after_sequence {
            Some(sequence) => From::After {
                sequence,
                epoch: request.epoch,
            },
            None => From::Now,
        };
        let watcher = Watcher::new(&self.feed, filter);
        let begin = ctx.spawn_blocking(move || watcher.begin(from).map_err(unreadable));
        let watcher = task.run(begin).await?;
        let steps = stream::unfold(watcher, |mut watcher| async {
            Some((Ok(watcher.next().await?), watcher))
        });
        Ok(task.run_stream(steps))
    }

    async fn cancel_task(
        &self,
        _: &CallContext,
        request: CancelTaskRequest,
    ) -> Result<CancelTaskResponse, Status> {
        Ok(CancelTaskResponse {
            cancelled_calls: self.tasks.cancel(&request.task_id),
        })
    }
}

/// Hashes the file at `path` and finds the processes that have to do with it.
fn verify(
    core: &Core,
    path: &std::path::Path,
    stop: &CancellationToken,
) -> Result<VerifyExecutableResponse, Status> {
    let what = path.display().to_string();
    let file = hashing::open(path).map_err(|error| error.status(&what))?;
    let id = file
        .metadata()
        .ok()
        .and_then(|metadata| table::file_id(&metadata));
    let hashed = core
        .note(core.hasher.hash(file, stop))
        .map_err(|error| error.status(&what))?;
    let snapshot = core.snapshot()?;
    let mut verified = VerifyExecutableResponse {
        actual_hash: hashed.hash,
        size_bytes: hashed.size,
        ..VerifyExecutableResponse::default()
    };
    for (pid, process) in &snapshot.processes {
        let Some(executable) = &process.executable else {
            continue;
        };
        match (id, executable.file) {
            (Some(asked), Some(runs)) if asked == runs => verified.running_pids.push(*pid),
            (Some(_), Some(_)) if executable.path == path => verified.mismatched_pids.push(*pid),
            // Where files cannot be told apart, the path has to do.
            (None, _) | (_, None) if executable.path == path => verified.running_pids.push(*pid),
            _ => {}
        }
    }
    Ok(verified)
}

fn matches(expected: &Bytes, actual: &Bytes) -> Option<bool> {
    (!expected.is_empty()).then(|| expected == actual)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn unreadable(error: io::Error) -> Status {
    Status::unavailable(format!(
        "the processes of this machine cannot be read: {error}"
    ))
}
