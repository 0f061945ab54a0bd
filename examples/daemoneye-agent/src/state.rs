//! How the agent is: its link to the process monitor, and what it has counted.
//!
//! **Invariant**: what the health service says of the link and what GetStatus says of it change together.

use std::time::Instant;

use daemoneye_ipc::health::{ComponentStatus, HealthReporter};
use daemoneye_ipc_generated::agent::v1::{GetStatusResponse, LinkState};
use parking_lot::Mutex;

/// The component for the link to the process monitor.
pub(crate) const LINK: &str = "procmond link";

/// The component for the watch over processes.
pub(crate) const WATCH: &str = "watch";

/// Shared by the link, which writes, and the service, which reads.
#[derive(Debug)]
pub(crate) struct State {
    health: HealthReporter,
    started: Instant,
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    connected: bool,
    links_made: u64,
    /// Last sequence number that was seen, and the run of the monitor that it is from.
    position: Option<(u64, String)>,
    /// Why there is no link.
    error: String,
    events: u64,
    gaps: u64,
    tasks: u64,
}

impl State {
    pub(crate) fn new(health: HealthReporter) -> Self {
        health.set(LINK, ComponentStatus::Degraded, "not connected yet");
        health.set(WATCH, ComponentStatus::Degraded, "waits for the link");
        Self {
            health,
            started: Instant::now(),
            counts: Mutex::default(),
        }
    }

    /// A watch has begun.
    pub(crate) fn connected(&self, endpoint: &str) {
        let mut counts = self.counts.lock();
        counts.connected = true;
        counts.links_made += 1;
        counts.error.clear();
        self.health.set(
            LINK,
            ComponentStatus::Healthy,
            format!("connected to {endpoint}"),
        );
        self.health
            .set(WATCH, ComponentStatus::Healthy, "follows all processes");
    }

    /// The watch has ended; returns whether there was one.
    pub(crate) fn lost(&self, why: &str) -> bool {
        let mut counts = self.counts.lock();
        let was_connected = std::mem::take(&mut counts.connected);
        why.clone_into(&mut counts.error);
        self.health.set(
            LINK,
            ComponentStatus::Degraded,
            format!("{why}; trying again"),
        );
        if was_connected {
            self.health.record_error(LINK);
            let last = counts
                .position
                .as_ref()
                .map_or(0, |(sequence, _)| *sequence);
            let text = format!("waits for the link, to resume after event {last}");
            self.health.set(WATCH, ComponentStatus::Degraded, text);
        }
        was_connected
    }

    /// A step of the watch was seen.
    pub(crate) fn reached(&self, sequence: u64, epoch: &str) {
        let mut counts = self.counts.lock();
        match &mut counts.position {
            Some((last, known)) if known == epoch => *last = sequence,
            position => *position = Some((sequence, epoch.to_owned())),
        }
    }

    /// From where to resume.
    pub(crate) fn position(&self) -> Option<(u64, String)> {
        self.counts.lock().position.clone()
    }

    pub(crate) fn event(&self) {
        self.counts.lock().events += 1;
    }

    pub(crate) fn gap(&self) {
        self.counts.lock().gaps += 1;
    }

    pub(crate) fn task(&self) {
        self.counts.lock().tasks += 1;
    }

    /// What GetStatus says of the link and the counts; the rest is left empty.
    pub(crate) fn report(&self) -> GetStatusResponse {
        let counts = self.counts.lock().clone();
        let link = match counts.links_made {
            _ if counts.connected => LinkState::Connected,
            0 => LinkState::Connecting,
            _ => LinkState::Reconnecting,
        };
        let (last_sequence, epoch) = counts.position.unzip();
        GetStatusResponse {
            link: link.into(),
            links_made: counts.links_made,
            last_sequence,
            epoch: epoch.unwrap_or_default(),
            link_error: counts.error,
            events: counts.events,
            gaps: counts.gaps,
            tasks: counts.tasks,
            uptime: self.started.elapsed().try_into().ok(),
            ..GetStatusResponse::default()
        }
    }
}
