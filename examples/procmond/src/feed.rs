//! The watch: one sampler for all who watch, at work only while somebody does.
//!
//! **Invariant**: nothing queues up for a slow reader. It reads from the bounded history at its own pace,
//! and a reader that falls behind what is kept gets a gap, never silence.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use daemoneye_ipc::health::{ComponentStatus, HealthReporter};
use daemoneye_ipc_generated::{
    collector::v1::CollectorCounters,
    procmond::v1::{
        ProcessEvent, ProcessEventKind, WatchGap, WatchProcessesResponse, WatchProgress,
        WatchStarted, watch_processes_response::Item,
    },
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{
    filter::Filter,
    history::{self, Entry, History, Kind},
    settings::Settings,
    table::{Snapshot, Table},
};

/// The component under which the sampler reports its health.
pub(crate) const SAMPLER: &str = "sampler";

/// Events that are kept for those who resume or fall behind.
const KEPT: usize = 4096;

/// Entries that a reader takes at once.
const BATCH: usize = 64;

/// Events of others that go by before a reader is told how far it has come; far less than are kept, so
/// that one who resumes does not find a gap in what it never wanted.
const SILENCE: u64 = 256;

/// Of its time, the sampler rests at least so many parts for each part that it works.
const REST: u32 = 9;

/// Watches the table for changes.
#[derive(Debug)]
pub(crate) struct Feed {
    table: Arc<Table>,
    health: HealthReporter,
    /// Names this run, so that its numbers are not taken for those of another.
    epoch: String,
    settings: Arc<Settings>,
    state: Mutex<State>,
    tip: watch::Sender<Tip>,
    /// Wakes the sampler when it was paused.
    stirred: Notify,
}

#[derive(Debug)]
struct State {
    history: History,
    last: Option<Arc<Snapshot>>,
    watchers: usize,
    /// A task looks regularly.
    sampling: bool,
    /// None did, at some time since the last look.
    rested: bool,
    /// Somebody wants that nothing is collected, and why.
    paused: Option<String>,
    looks: u64,
    failed_looks: u64,
}

/// What readers wait for a change of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tip {
    last: u64,
    closed: bool,
}

impl Feed {
    pub(crate) fn new(
        table: Arc<Table>,
        health: HealthReporter,
        settings: Arc<Settings>,
    ) -> Arc<Self> {
        health.set(SAMPLER, ComponentStatus::Healthy, "idle: nobody watches");
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let state = State {
            history: History::new(KEPT),
            last: None,
            watchers: 0,
            sampling: false,
            rested: false,
            paused: None,
            looks: 0,
            failed_looks: 0,
        };
        Arc::new(Self {
            table,
            health,
            epoch: format!("{:x}-{:x}", now.as_nanos(), std::process::id()),
            settings,
            state: Mutex::new(state),
            tip: watch::Sender::new(Tip {
                last: 0,
                closed: false,
            }),
            stirred: Notify::new(),
        })
    }

    /// Shortest time between two looks.
    pub(crate) fn interval(&self) -> Duration {
        self.settings.now().interval
    }

    /// What it has counted.
    pub(crate) fn counters(&self) -> CollectorCounters {
        let state = self.state.lock();
        CollectorCounters {
            looks: state.looks,
            failed_looks: state.failed_looks,
            events: state.history.last(),
            watchers: u32::try_from(state.watchers).unwrap_or(u32::MAX),
        }
    }

    /// Whether nothing is collected because somebody wants it so.
    pub(crate) fn is_paused(&self) -> bool {
        self.state.lock().paused.is_some()
    }

    /// Collects nothing from now on: watches stay open and stand still.
    pub(crate) fn pause(&self, reason: &str) {
        let mut state = self.state.lock();
        state.paused = Some(reason.to_owned());
        self.tell(&state);
        self.stirred.notify_one();
    }

    /// Goes on where it was paused; watches hear of what has changed, behind a gap.
    pub(crate) fn resume(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if state.paused.take().is_some() {
            self.begin_sampling(&mut state);
            self.tell(&state);
        }
    }

    /// Reports how the sampler is.
    fn tell(&self, state: &State) {
        let (status, message) = match &state.paused {
            Some(reason) => {
                let because = if reason.is_empty() { "" } else { ": " };
                let text = format!("paused{because}{reason}");
                (ComponentStatus::Degraded, text)
            }
            None if state.sampling => {
                let every = self.interval().as_millis();
                (
                    ComponentStatus::Healthy,
                    format!("looking every {every} ms"),
                )
            }
            None => (ComponentStatus::Healthy, "idle: nobody watches".to_owned()),
        };
        self.health.set(SAMPLER, status, message);
    }

    /// Looks at the processes and writes down what has changed. Blocks.
    fn look(&self) -> io::Result<Arc<Snapshot>> {
        let snapshot = self.table.snapshot();
        let mut state = self.state.lock();
        state.looks += 1;
        state.failed_looks += u64::from(snapshot.is_err());
        let snapshot = snapshot?;
        // What somebody sees who begins to watch a paused monitor is news to nobody else.
        if state.paused.is_none() || state.last.is_none() {
            state.absorb(&snapshot, self.interval());
        }
        let last = state.history.last();
        // Under the lock, so that the tip never goes back.
        self.tip
            .send_if_modified(|tip| std::mem::replace(&mut tip.last, last) != last);
        Ok(snapshot)
    }

    /// Counts a watcher in, and has somebody look regularly.
    fn enter(self: &Arc<Self>) -> Present {
        let mut state = self.state.lock();
        state.watchers += 1;
        self.begin_sampling(&mut state);
        Present(Arc::clone(self))
    }

    fn begin_sampling(self: &Arc<Self>, state: &mut State) {
        let wanted = state.watchers > 0 && state.paused.is_none();
        if wanted && !std::mem::replace(&mut state.sampling, true) {
            self.tell(state);
            tokio::spawn(Arc::clone(self).sample());
        }
    }

    async fn sample(self: Arc<Self>) {
        let mut changes = self.settings.changes();
        let mut pause = self.interval();
        let mut failing = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stirred.notified() => {}
                // The feed holds the settings, so that this is a change.
                _ = changes.changed() => {
                    pause = self.interval();
                    continue;
                }
            }
            if self.rest() {
                return;
            }
            let feed = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || feed.look()).await;
            match looked.map_err(io::Error::from).flatten() {
                Ok(snapshot) => {
                    pause = self.interval().max(snapshot.took * REST);
                    failing = false;
                    self.tell(&self.state.lock());
                }
                Err(error) => {
                    tracing::warn!(%error, "the processes cannot be read");
                    self.health.record_error(SAMPLER);
                    if !std::mem::replace(&mut failing, true) {
                        let why = format!("the processes cannot be read: {error}");
                        self.health.set(SAMPLER, ComponentStatus::Unhealthy, why);
                    }
                }
            }
        }
    }

    /// Ends the sampler's work if nobody watches, or nothing is to be collected.
    fn rest(&self) -> bool {
        let mut state = self.state.lock();
        let rests = state.watchers == 0 || self.tip.borrow().closed || state.paused.is_some();
        if rests {
            state.sampling = false;
            state.rested = true;
            self.tell(&state);
        }
        rests
    }

    /// Ends all watches in order, after what has happened until now.
    pub(crate) fn close(&self) {
        self.tip.send_modify(|tip| tip.closed = true);
    }
}

impl State {
    fn absorb(&mut self, snapshot: &Arc<Snapshot>, interval: Duration) {
        let Some(last) = self.last.replace(Arc::clone(snapshot)) else {
            return;
        };
        if last.begun >= snapshot.begun {
            self.last = Some(last);
            return;
        }
        let unseen = snapshot.begun.saturating_duration_since(last.begun);
        if std::mem::take(&mut self.rested) && unseen > blind_after(interval) {
            self.history.push(Entry::Blind);
        }
        for entry in history::changes(&last, snapshot) {
            self.history.push(entry);
        }
    }
}

/// A pause that is not longer than two looks apart hides no more than looking does.
fn blind_after(interval: Duration) -> Duration {
    interval * 2
}

/// Somebody watches.
#[derive(Debug)]
struct Present(Arc<Feed>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.state.lock().watchers -= 1;
    }
}

/// One who watches.
#[derive(Debug)]
pub(crate) struct Watcher {
    feed: Arc<Feed>,
    filter: Filter,
    /// Number of the last entry that was read.
    cursor: u64,
    /// Number on the last step that was told.
    told: u64,
    ready: VecDeque<WatchProcessesResponse>,
    tip: watch::Receiver<Tip>,
    _present: Present,
}

/// Where a watch begins.
#[derive(Debug)]
pub(crate) enum From {
    /// With what happens from now on.
    Now,
    /// After an event of a run.
    After { sequence: u64, epoch: String },
}

impl Watcher {
    /// Somebody who is going to watch, before the first look.
    pub(crate) fn new(feed: &Arc<Feed>, filter: Filter) -> Self {
        let present = feed.enter();
        let tip = feed.tip.subscribe();
        let ready = VecDeque::new();
        Self {
            feed: Arc::clone(feed),
            filter,
            cursor: 0,
            told: 0,
            ready,
            tip,
            _present: present,
        }
    }

    /// Takes the first look, from which on nothing is missed. Blocks.
    ///
    /// # Errors
    /// If the processes cannot be read.
    pub(crate) fn begin(mut self, from: From) -> io::Result<Self> {
        let snapshot = self.feed.look()?;
        let last = self.feed.state.lock().history.last();
        let (cursor, other_run) = match from {
            From::Now => (last, false),
            From::After { sequence, epoch } if epoch == self.feed.epoch && sequence <= last => {
                (sequence, false)
            }
            From::After { .. } => (last, true),
        };
        self.cursor = cursor;
        let accepted = snapshot
            .processes
            .values()
            .filter(|process| self.filter.accepts(process));
        let processes = u32::try_from(accepted.count()).unwrap_or(u32::MAX);
        self.tell(cursor, Item::Started(WatchStarted { processes }));
        if other_run {
            self.tell(
                cursor,
                Item::Gap(WatchGap {
                    first_missing: 0,
                    last_missing: cursor,
                }),
            );
        }
        Ok(self)
    }

    /// The next step; `None` when the monitor shuts down.
    pub(crate) async fn next(&mut self) -> Option<WatchProcessesResponse> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(step);
            }
            let closed = self.tip.borrow_and_update().closed;
            if !self.read() {
                if closed {
                    return None;
                }
                self.tip.changed().await.ok()?;
            }
        }
    }

    /// Reads on in the history; `false` at its end.
    fn read(&mut self) -> bool {
        let read = self.feed.state.lock().history.read(self.cursor, BATCH);
        if let Some((first, last)) = read.missed {
            self.gap(first, last);
        }
        for (number, entry) in &read.entries {
            self.cursor = *number;
            match entry {
                Entry::Blind => self.gap(*number, *number),
                Entry::Event {
                    kind,
                    process,
                    before,
                } => {
                    let before = before
                        .as_ref()
                        .is_some_and(|before| self.filter.accepts(before));
                    if before || self.filter.accepts(process) {
                        let event = ProcessEvent {
                            kind: ProcessEventKind::from(*kind).into(),
                            process: Some(process.to_record()),
                        };
                        self.tell(*number, Item::Event(event));
                    }
                }
            }
        }
        if self.cursor - self.told >= SILENCE {
            self.tell(self.cursor, Item::Progress(WatchProgress {}));
        }
        read.missed.is_some() || !read.entries.is_empty()
    }

    fn gap(&mut self, first_missing: u64, last_missing: u64) {
        self.cursor = last_missing;
        self.tell(
            last_missing,
            Item::Gap(WatchGap {
                first_missing,
                last_missing,
            }),
        );
    }

    fn tell(&mut self, sequence: u64, item: Item) {
        self.told = sequence;
        let epoch = self.feed.epoch.clone();
        self.ready.push_back(WatchProcessesResponse {
            sequence,
            epoch,
            item: Some(item),
        });
    }
}

impl std::convert::From<Kind> for ProcessEventKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Started => Self::Started,
            Kind::Changed => Self::Changed,
            Kind::Exited => Self::Exited,
        }
    }
}

#[cfg(test)]
mod tests;
