//! procmond and the agent as real processes, with this machine's real processes.
//!
//! **Invariant**: tests wait for what they expect, up to a limit, and never for a time.

#![cfg(unix)]

mod agent;
mod bus;
mod bus_cli;
mod collectors;
mod monitor;
mod rules;
mod support;
mod watch;

use std::{fs, future::Future, path::Path};

use daemoneye_ipc::Streaming;
use daemoneye_ipc_generated::procmond::v1::{
    ListProcessesRequest, ProcessEventKind, ProcessMonitorClient, ProcessRecord,
    WatchProcessesRequest, WatchProcessesResponse, watch_processes_response::Item,
};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::support::LIMIT;

/// A pid that the schema allows and that Linux never gives (`PID_MAX_LIMIT` is 4,194,304).
pub(crate) const NOBODY: u32 = i32::MAX as u32;

pub(crate) type Watch = Streaming<WatchProcessesResponse>;

pub(crate) async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(LIMIT, wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

pub(crate) async fn list(
    monitor: &ProcessMonitorClient,
    request: ListProcessesRequest,
) -> Vec<ProcessRecord> {
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

pub(crate) async fn watch(monitor: &ProcessMonitorClient, request: WatchProcessesRequest) -> Watch {
    let mut steps = monitor.watch_processes(request).await.expect("a watch");
    let first = next(&mut steps).await;
    assert!(matches!(first.item, Some(Item::Started(_))), "{first:?}");
    steps
}

pub(crate) async fn next(steps: &mut Watch) -> WatchProcessesResponse {
    in_time("a step", steps.message())
        .await
        .expect("a step")
        .expect("no end")
}

/// Reads until that happens to that process, and returns the step.
pub(crate) async fn until(
    steps: &mut Watch,
    wanted: ProcessEventKind,
    pid: u32,
) -> WatchProcessesResponse {
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

pub(crate) fn sha256(path: &Path) -> Vec<u8> {
    Sha256::digest(fs::read(path).expect("a file")).to_vec()
}
