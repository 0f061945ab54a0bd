//! One registered collector: what it has said, how it is, and the line to it.
//!
//! **Invariant**: how a collector is follows from when it was heard and from its line alone, so that all who
//! ask at one time hear the same.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use daemoneye_ipc::{Status, transport::Peer};
use daemoneye_ipc_generated::collector::v1::{
    CollectorCapability, CollectorCounters, CollectorLiveness, CollectorState, CollectorStatus,
    Command, CommandResult, RegisterRequest, command::Action,
};
use tokio::sync::{mpsc, oneshot};

use super::revisions::Revisions;

/// Longest name of a collector in bytes.
pub(super) const ID_BYTES: usize = 64;

/// Intervals without a beat after which a collector is degraded.
const DEGRADED_AFTER: u32 = 3;

/// Intervals without a beat after which a collector is lost.
pub(super) const LOST_AFTER: u32 = 6;

/// A collector that is registered.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) about: RegisterRequest,
    pub(super) peer: Peer,
    pub(super) lease: String,
    pub(super) heard: Instant,
    pub(super) beats: u64,
    pub(super) state: CollectorState,
    pub(super) counters: CollectorCounters,
    pub(super) revisions: Revisions,
    /// A change of its settings is under way.
    pub(super) changing: bool,
    pub(super) line: Line,
    /// What was last told of it.
    pub(super) told: CollectorLiveness,
}

/// The heartbeat of a collector.
#[derive(Debug)]
pub(super) enum Line {
    /// Not opened yet.
    Awaited,
    Open {
        number: u64,
        commands: mpsc::Sender<Command>,
        /// Who waits for the results of commands.
        waiting: HashMap<u64, oneshot::Sender<CommandResult>>,
    },
    Closed,
}

impl Collector {
    pub(super) fn new(mut about: RegisterRequest, peer: Peer, lease: String, now: Instant) -> Self {
        let config = about.config.take().unwrap_or_default();
        let revisions = Revisions::new(config, about.config_revision);
        Self {
            about,
            peer,
            lease,
            heard: now,
            beats: 0,
            state: CollectorState::Unspecified,
            counters: CollectorCounters::default(),
            revisions,
            changing: false,
            line: Line::Awaited,
            told: CollectorLiveness::Unspecified,
        }
    }

    /// How it is, and why.
    pub(super) fn liveness(&self, interval: Duration, now: Instant) -> (CollectorLiveness, String) {
        if matches!(self.line, Line::Closed) {
            let why = "its heartbeat has ended, and it has not registered again";
            return (CollectorLiveness::Lost, why.to_owned());
        }
        let silent = now.saturating_duration_since(self.heard);
        let for_over = |intervals| format!("no heartbeat for over {:?}", interval * intervals);
        if silent > interval * LOST_AFTER {
            (CollectorLiveness::Lost, for_over(LOST_AFTER))
        } else if silent > interval * DEGRADED_AFTER {
            (CollectorLiveness::Degraded, for_over(DEGRADED_AFTER))
        } else {
            (CollectorLiveness::Alive, String::new())
        }
    }

    pub(super) fn may_be_replaced(
        &self,
        peer: &Peer,
        interval: Duration,
        now: Instant,
    ) -> Result<(), Status> {
        let (liveness, _) = self.liveness(interval, now);
        if liveness == CollectorLiveness::Lost && self.peer.user() == peer.user() {
            return Ok(());
        }
        let id = &self.about.collector_id;
        let pid = self
            .pid()
            .map_or(String::new(), |pid| format!(", process {pid}"));
        Err(Status::already_exists(format!(
            "collector {id:?} is registered by {}{pid}; its user may take its place once it is lost",
            self.peer.user()
        )))
    }

    pub(super) fn is_of(&self, peer: &Peer) -> bool {
        peer.user() == self.peer.user() || peer.is_superuser()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        let by_kernel = self.peer.pid.and_then(|pid| u32::try_from(pid).ok());
        by_kernel.or_else(|| Some(self.about.pid).filter(|pid| *pid != 0))
    }

    /// # Errors
    /// UNIMPLEMENTED if it does not do this.
    pub(super) fn needs(&self, action: &Action) -> Result<(), Status> {
        let (wanted, what) = match action {
            Action::Pause(_) | Action::Resume(_) => (CollectorCapability::Pause, "be paused"),
            Action::UpdateConfig(_) => (
                CollectorCapability::UpdateConfig,
                "change its settings while it runs",
            ),
            Action::Shutdown(_) => (CollectorCapability::Shutdown, "be shut down"),
        };
        if self.about.capabilities().any(|has| has == wanted) {
            return Ok(());
        }
        let id = &self.about.collector_id;
        Err(Status::unimplemented(format!(
            "collector {id:?} cannot {what}"
        )))
    }

    /// Its open heartbeat.
    #[expect(
        clippy::type_complexity,
        reason = "the two halves of a line, borrowed apart"
    )]
    pub(super) fn open(
        &mut self,
        id: &str,
        interval: Duration,
        now: Instant,
    ) -> Result<
        (
            &mpsc::Sender<Command>,
            &mut HashMap<u64, oneshot::Sender<CommandResult>>,
        ),
        Status,
    > {
        let (liveness, reason) = self.liveness(interval, now);
        match &mut self.line {
            Line::Open {
                commands, waiting, ..
            } if liveness != CollectorLiveness::Lost => Ok((commands, waiting)),
            Line::Awaited if liveness != CollectorLiveness::Lost => Err(Status::unavailable(
                format!("collector {id:?} has not opened its heartbeat yet; try again"),
            )),
            Line::Open { .. } | Line::Awaited | Line::Closed => Err(Status::unavailable(format!(
                "collector {id:?} is lost: {reason}"
            ))),
        }
    }

    pub(super) fn report(&self, interval: Duration, now: Instant) -> CollectorStatus {
        let (liveness, reason) = self.liveness(interval, now);
        let silent = now.saturating_duration_since(self.heard);
        CollectorStatus {
            collector_id: self.about.collector_id.clone(),
            kind: self.about.kind,
            version: self.about.version.clone(),
            endpoint: self.about.endpoint.clone(),
            capabilities: self.about.capabilities.clone(),
            pid: self.pid(),
            user_id: self.peer.user().number(),
            liveness: liveness.into(),
            state: self.state.into(),
            since_beat: silent.try_into().ok(),
            beats: self.beats,
            counters: Some(self.counters),
            config: Some(self.revisions.config()),
            config_revision: self.revisions.current(),
            earlier_revisions: self.revisions.earlier(),
            reason,
        }
    }
}

impl Line {
    pub(super) fn is(&self, wanted: u64) -> bool {
        matches!(self, Self::Open { number, .. } if *number == wanted)
    }
}
