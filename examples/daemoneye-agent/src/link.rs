//! The link to the process monitor: follows its processes, and comes back when it does.
//!
//! **Invariant**: after every loss the watch resumes behind the last event that was seen; what happened in
//! a gap is made up for by looking at all processes.

use std::{sync::Arc, time::Duration};

use daemoneye_ipc::{CallError, IpcConfig, IpcError};
use daemoneye_ipc_generated::procmond::v1::{
    ListProcessesRequest, ProcessEventKind, ProcessMonitorClient, ProcessRecord,
    WatchProcessesRequest, WatchProcessesResponse, watch_processes_response::Item,
};
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval, sleep},
};

use crate::{alerts::Alerts, announce::Announcer, hashes::Hashes, state::State};

/// Time between two looks at all processes for rules about CPU and memory.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Longest time that a list of all processes may take.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// Follows the process monitor.
pub(crate) struct Link {
    client: ProcessMonitorClient,
    endpoint: String,
    state: Arc<State>,
    alerts: Arc<Alerts>,
    announcer: Announcer,
    uploads: watch::Receiver<u64>,
    hashes: Hashes,
    /// All processes have to be looked at, because something may have been missed.
    look: bool,
    pauses: Pauses,
}

/// The pauses before a monitor that is there, and refuses, is asked again.
struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pauses {
    const fn new(config: &IpcConfig) -> Self {
        let first = Duration::from_millis(config.reconnect.initial_backoff_ms);
        let longest = Duration::from_millis(config.reconnect.max_backoff_ms);
        Self {
            first,
            longest,
            next: first,
        }
    }

    fn next(&mut self) -> Duration {
        let next = self.next;
        self.next = (next * 2).min(self.longest);
        next
    }
}

impl Link {
    pub(crate) fn new(
        client: ProcessMonitorClient,
        config: &IpcConfig,
        state: Arc<State>,
        alerts: Arc<Alerts>,
        announcer: Announcer,
    ) -> Self {
        let endpoint = config.endpoint_path.display().to_string();
        let pauses = Pauses::new(config);
        Self {
            hashes: Hashes::new(client.clone()),
            uploads: alerts.uploads(),
            client,
            endpoint,
            state,
            alerts,
            announcer,
            look: true,
            pauses,
        }
    }

    /// Follows for ever.
    pub(crate) async fn run(mut self) {
        loop {
            let ended = self.follow().await;
            let why = match &ended {
                Ok(()) => "procmond ended the watch: it shuts down".to_owned(),
                Err(error) => error.to_string(),
            };
            let was_connected = self.state.lost(&why);
            if was_connected {
                tracing::warn!(why, "the link to procmond is lost");
                self.pauses.next = self.pauses.first;
            } else {
                tracing::debug!(why, "no link to procmond");
            }
            // While nobody is there, the channel paces the attempts.
            let away = ended.as_ref().is_err_and(|error| is_away(error.kind()));
            sleep(if away {
                self.pauses.first
            } else {
                self.pauses.next()
            })
            .await;
        }
    }

    /// Follows until the watch ends.
    async fn follow(&mut self) -> Result<(), CallError> {
        let (after_sequence, epoch) = self.state.position().unzip();
        let request = WatchProcessesRequest {
            after_sequence,
            epoch: epoch.unwrap_or_default(),
            ..WatchProcessesRequest::default()
        };
        let mut steps = self
            .client
            .watch_processes(request)
            .wait_for_ready(true)
            .await?;
        let mut looks = self.looks();
        loop {
            tokio::select! {
                step = steps.message() => match step? {
                    Some(step) => self.take(step).await?,
                    None => return Ok(()),
                },
                () = tick(&mut looks) => self.look_at_all().await?,
                hashed = self.hashes.next() => drop(self.alerts.evaluate(&hashed)),
                // The rules may be about what is there already, and about other things than before.
                () = changed(&mut self.uploads) => {
                    looks = self.looks();
                    self.look = true;
                    self.look_at_all().await?;
                }
            }
        }
    }

    async fn take(&mut self, step: WatchProcessesResponse) -> Result<(), CallError> {
        let WatchProcessesResponse {
            sequence,
            epoch,
            item,
        } = step;
        match item {
            Some(Item::Started(started)) => {
                tracing::info!(processes = started.processes, sequence, "follows procmond");
                self.state.connected(&self.endpoint);
            }
            Some(Item::Gap(gap)) => {
                let (first, last) = (gap.first_missing, gap.last_missing);
                tracing::warn!(first, last, "events are missing; looking at all processes");
                self.state.gap();
                self.announcer.gap(&gap);
                self.look = true;
            }
            Some(Item::Event(event)) => {
                self.state.event();
                self.announcer.process(&event);
                let kind = event.kind();
                if let Some(process) = event.process {
                    self.judge(kind, &process);
                }
            }
            // The second is a newer monitor's.
            Some(Item::Progress(_)) | None => {}
        }
        self.state.reached(sequence, &epoch);
        if self.look {
            self.look_at_all().await?;
        }
        Ok(())
    }

    fn judge(&mut self, kind: ProcessEventKind, process: &ProcessRecord) {
        match kind {
            ProcessEventKind::Exited => self.alerts.forget(process),
            ProcessEventKind::Started
            | ProcessEventKind::Changed
            | ProcessEventKind::Unspecified => self.evaluate(process),
        }
    }

    fn evaluate(&mut self, process: &ProcessRecord) {
        if self.alerts.evaluate(process) {
            self.hashes.want(process.pid);
        }
    }

    /// Evaluates the rules over all processes.
    async fn look_at_all(&mut self) -> Result<(), CallError> {
        let list = self.client.list_processes(ListProcessesRequest::default());
        let mut batches = list.timeout(LOOK_LIMIT).await?;
        let mut processes = Vec::new();
        while let Some(batch) = batches.message().await? {
            processes.extend(batch.processes);
        }
        for process in &processes {
            self.evaluate(process);
        }
        self.alerts.retain(&processes);
        self.look = false;
        Ok(())
    }

    fn looks(&self) -> Option<Interval> {
        self.alerts.need_looks().then(|| {
            let mut looks = interval(LOOK_EVERY);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            looks
        })
    }
}

/// The next tick; never without an interval.
async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

/// The next change; never once there is nobody left to make one.
async fn changed(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether nobody answered, rather than somebody with a refusal.
const fn is_away(kind: &IpcError) -> bool {
    matches!(
        kind,
        IpcError::ServerNotFound { .. }
            | IpcError::ConnectionRefused { .. }
            | IpcError::ConnectionTimeout { .. }
            | IpcError::PeerClosed
            | IpcError::Io(_)
    )
}
