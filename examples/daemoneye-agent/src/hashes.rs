//! Hashes of executables that rules want to know, asked for one at a time beside the watch.
//!
//! **Invariant**: a process waits here at most once, and waiting holds up nothing else.

use std::{
    collections::{HashSet, VecDeque},
    future::{Future, pending},
    pin::Pin,
    time::Duration,
};

use daemoneye_ipc::CallError;
use daemoneye_ipc_generated::procmond::v1::{
    GetProcessRequest, ProcessMonitorClient, ProcessRecord,
};

/// Longest time that a hash may take, the wait for a monitor that is away included.
const LIMIT: Duration = Duration::from_secs(60);

/// Processes that wait, at most: more than a machine runs.
const WAITING: usize = 1 << 16;

type Lookup = Pin<Box<dyn Future<Output = Result<Option<ProcessRecord>, CallError>> + Send>>;

/// The processes whose hashes are wanted.
pub(crate) struct Hashes {
    client: ProcessMonitorClient,
    waiting: VecDeque<u32>,
    known: HashSet<u32>,
    at_work: Option<Lookup>,
}

impl Hashes {
    pub(crate) fn new(client: ProcessMonitorClient) -> Self {
        Self {
            client,
            waiting: VecDeque::new(),
            known: HashSet::new(),
            at_work: None,
        }
    }

    /// Asks for the hash of what process `pid` runs.
    pub(crate) fn want(&mut self, pid: u32) {
        if self.waiting.len() == WAITING {
            tracing::warn!(pid, "too many processes wait to be hashed: not asked for");
        } else if self.known.insert(pid) {
            self.waiting.push_back(pid);
        }
    }

    /// The next process with its hash; those that have ended or cannot be read are left out. May be
    /// dropped and called again.
    pub(crate) async fn next(&mut self) -> ProcessRecord {
        loop {
            let Some(lookup) = &mut self.at_work else {
                let Some(pid) = self.waiting.pop_front() else {
                    return pending().await;
                };
                self.known.remove(&pid);
                self.at_work = Some(Box::pin(look_up(self.client.clone(), pid)));
                continue;
            };
            let found = lookup.await;
            self.at_work = None;
            match found {
                Ok(Some(process)) if !process.executable_hash.is_empty() => return process,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "no hash"),
            }
        }
    }
}

async fn look_up(
    client: ProcessMonitorClient,
    pid: u32,
) -> Result<Option<ProcessRecord>, CallError> {
    let request = GetProcessRequest {
        pid,
        with_hash: true,
        ..GetProcessRequest::default()
    };
    let call = client.get_process(request).timeout(LIMIT);
    Ok(call.wait_for_ready(true).await?.process)
}
