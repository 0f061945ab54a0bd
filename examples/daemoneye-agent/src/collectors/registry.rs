//! The registered collectors: who is there, how each is, and the commands that are under way.
//!
//! **Invariant**: a command is answered once, or its caller learns that it never will be; whatever
//! collectors do, what is kept of them is bounded.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    Status,
    health::{ComponentStatus, HealthReporter},
    transport::Peer,
};
use daemoneye_ipc_generated::collector::v1::{
    Beat, CollectorConfig, CollectorLiveness, CollectorState, CollectorStatus, Command,
    CommandResult, ConfigCommand, DeregisterRequest, RegisterRequest, RegisterResponse,
    command::Action, update_config_request::Change,
};
use parking_lot::Mutex;
use tokio::sync::{
    mpsc::{self, OwnedPermit},
    oneshot,
};

use super::collector::{Collector, ID_BYTES, LOST_AFTER, Line};

/// Collectors that are known at once.
const COLLECTORS: usize = 64;

/// Commands to one collector that are not on their way yet.
const COMMANDS: usize = 16;

/// All collectors.
#[derive(Debug)]
pub(crate) struct Registry {
    interval: Duration,
    health: HealthReporter,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    collectors: BTreeMap<String, Collector>,
    /// Makes leases, streams and commands differ.
    last_number: u64,
}

/// A heartbeat that is open until this is dropped.
#[derive(Debug)]
pub(crate) struct Attached {
    registry: Arc<Registry>,
    id: String,
    number: u64,
    /// Closed when the registration is over or another heartbeat has taken its place.
    pub(crate) commands: mpsc::Receiver<Command>,
}

/// A command that was sent. Its result is not waited for once this is dropped.
#[derive(Debug)]
pub(crate) struct Sent {
    registry: Arc<Registry>,
    collector: String,
    command: u64,
    result: oneshot::Receiver<CommandResult>,
}

/// A change of a collector's settings under way. Unless it is [settled](Self::settle), the collector is told
/// to go back to what was before.
#[derive(Debug)]
pub(crate) struct Reconfiguration {
    registry: Arc<Registry>,
    id: String,
    lease: String,
    /// The revision in force before.
    before: u64,
    /// The revision that this would be.
    pub(crate) revision: u64,
    pub(crate) config: CollectorConfig,
    /// The room that the way back needs, kept from before the way there.
    way_back: Option<OwnedPermit<Command>>,
}

impl Registry {
    /// Nobody is registered; beats are due at each `interval`.
    pub(crate) fn new(interval: Duration, health: HealthReporter) -> Arc<Self> {
        Arc::new(Self {
            interval,
            health,
            inner: Mutex::default(),
        })
    }

    /// Time without a beat after which a collector is lost.
    pub(crate) fn lost_after(&self) -> Duration {
        self.interval * LOST_AFTER
    }

    /// Looks after the collectors for ever.
    pub(crate) async fn watch(&self) {
        loop {
            tokio::time::sleep(self.interval / 2).await;
            self.review(Instant::now());
        }
    }

    /// Tells of every collector that is otherwise than it was.
    fn review(&self, now: Instant) {
        for (id, collector) in &mut self.inner.lock().collectors {
            self.tell(id, collector, now);
        }
    }

    fn tell(&self, id: &str, collector: &mut Collector, now: Instant) {
        let (liveness, reason) = collector.liveness(self.interval, now);
        let component = component(id);
        let (status, message) = match (liveness, collector.state) {
            (CollectorLiveness::Lost, _) => (ComponentStatus::Unhealthy, reason),
            (CollectorLiveness::Degraded, _) => (ComponentStatus::Degraded, reason),
            (_, CollectorState::Paused) => (ComponentStatus::Degraded, "is paused".to_owned()),
            (_, CollectorState::Draining) => (ComponentStatus::Degraded, "shuts down".to_owned()),
            (_, CollectorState::Unspecified) => {
                (ComponentStatus::Healthy, "has registered".to_owned())
            }
            _ => (ComponentStatus::Healthy, "its heartbeat comes".to_owned()),
        };
        if std::mem::replace(&mut collector.told, liveness) != liveness {
            tracing::info!(collector = id, ?liveness, message, "a collector");
            if liveness == CollectorLiveness::Lost {
                self.health.record_error(&component);
            }
        }
        self.health.set(&component, status, message);
    }

    /// Makes a collector known.
    ///
    /// # Errors
    /// ALREADY_EXISTS if it is there, RESOURCE_EXHAUSTED if
    /// there are too many.
    pub(crate) fn register(
        &self,
        request: RegisterRequest,
        peer: &Peer,
        now: Instant,
    ) -> Result<RegisterResponse, Status> {
        let id = request.collector_id.clone();
        let mut inner = self.inner.lock();
        if let Some(known) = inner.collectors.get(&id) {
            known.may_be_replaced(peer, self.interval, now)?;
        } else if inner.collectors.len() >= COLLECTORS {
            let gone = inner.make_room(self.interval, now)?;
            self.health.remove(&component(&gone));
        }
        let lease = format!("{:x}-{:x}", std::process::id(), inner.number());
        let mut collector = Collector::new(request, peer.clone(), lease.clone(), now);
        let config_revision = collector.revisions.current();
        tracing::info!(collector = id, user = %peer.user(), pid = ?peer.pid, "registered");
        self.tell(&id, &mut collector, now);
        inner.collectors.insert(id, collector);
        Ok(RegisterResponse {
            lease,
            heartbeat_interval: self.interval.try_into().ok(),
            lost_after: self.lost_after().try_into().ok(),
            config_revision,
        })
    }

    /// Forgets a collector.
    ///
    /// # Errors
    /// NOT_FOUND if it is not known, PERMISSION_DENIED to who may not.
    pub(crate) fn deregister(
        &self,
        request: &DeregisterRequest,
        peer: &Peer,
        now: Instant,
    ) -> Result<(), Status> {
        let mut inner = self.inner.lock();
        let known = inner.find(&request.collector_id)?;
        let lost = known.liveness(self.interval, now).0 == CollectorLiveness::Lost;
        let is_its_own = request.lease == known.lease;
        let is_left_over = request.lease.is_empty() && lost;
        if !(is_its_own || is_left_over) || !known.is_of(peer) {
            return Err(Status::permission_denied(format!(
                "collector {:?} is forgotten with its own lease, or without one once it is lost, by its user or root",
                request.collector_id
            )));
        }
        inner.collectors.remove(&request.collector_id);
        self.health.remove(&component(&request.collector_id));
        tracing::info!(collector = request.collector_id, "deregistered");
        Ok(())
    }

    /// Opens the heartbeat of a registration; one that was open is closed.
    ///
    /// # Errors
    /// NOT_FOUND if there is no such registration, PERMISSION_DENIED if it is another user's.
    pub(crate) fn attach(
        self: &Arc<Self>,
        id: &str,
        lease: &str,
        peer: &Peer,
        now: Instant,
    ) -> Result<Attached, Status> {
        let mut inner = self.inner.lock();
        let number = inner.number();
        let known = inner.find(id)?;
        if known.lease != lease {
            return Err(Status::not_found(format!(
                "this registration of collector {id:?} is over; register again"
            )));
        }
        if known.peer.user() != peer.user() {
            return Err(Status::permission_denied(format!(
                "collector {id:?} was registered by {}, not {}",
                known.peer.user(),
                peer.user()
            )));
        }
        let (sender, commands) = mpsc::channel(COMMANDS);
        known.line = Line::Open {
            number,
            commands: sender,
            waiting: HashMap::new(),
        };
        known.heard = now;
        Ok(Attached {
            registry: Arc::clone(self),
            id: id.to_owned(),
            number,
            commands,
        })
    }

    /// Sends a command.
    ///
    /// # Errors
    /// NOT_FOUND for a collector that is not known, UNAVAILABLE for one that is away, UNIMPLEMENTED for one
    /// that does not do this, RESOURCE_EXHAUSTED for one that has too much to do.
    pub(crate) fn send(
        self: &Arc<Self>,
        id: &str,
        action: Action,
        now: Instant,
    ) -> Result<Sent, Status> {
        let mut inner = self.inner.lock();
        let command = inner.number();
        let known = inner.find(id)?;
        known.needs(&action)?;
        let (commands, waiting) = known.open(id, self.interval, now)?;
        let (told, result) = oneshot::channel();
        let sent = Command {
            id: command,
            action: Some(action),
        };
        commands.try_send(sent).map_err(|_| overloaded(id))?;
        waiting.insert(command, told);
        Ok(Sent {
            registry: Arc::clone(self),
            collector: id.to_owned(),
            command,
            result,
        })
    }

    /// Begins to change the settings of a collector.
    ///
    /// # Errors
    /// As [`send`](Self::send); ABORTED if another change is under way or `expected` is not the revision in
    /// force; what [`Revisions::plan`] says.
    pub(crate) fn reconfigure(
        self: &Arc<Self>,
        id: &str,
        change: Option<Change>,
        expected: Option<u64>,
        validate_only: bool,
        now: Instant,
    ) -> Result<Reconfiguration, Status> {
        let mut inner = self.inner.lock();
        let known = inner.find(id)?;
        let current = known.revisions.current();
        if let Some(expected) = expected.filter(|expected| *expected != current) {
            return Err(Status::aborted(format!(
                "revision {current} of the settings of collector {id:?} is in force, not {expected}; look at them again"
            )));
        }
        let config = known.revisions.plan(change)?;
        if known.changing {
            return Err(Status::aborted(format!(
                "the settings of collector {id:?} are being changed; try again"
            )));
        }
        let (commands, _) = known.open(id, self.interval, now)?;
        let way_back = if validate_only {
            None
        } else {
            let room = commands.clone().try_reserve_owned();
            Some(room.map_err(|_| overloaded(id))?)
        };
        known.changing = true;
        Ok(Reconfiguration {
            registry: Arc::clone(self),
            id: id.to_owned(),
            lease: known.lease.clone(),
            before: current,
            revision: known.revisions.take_number(),
            config,
            way_back,
        })
    }

    /// The collectors by name.
    pub(crate) fn report(&self, now: Instant) -> Vec<CollectorStatus> {
        let inner = self.inner.lock();
        let collectors = inner.collectors.values();
        collectors
            .map(|collector| collector.report(self.interval, now))
            .collect()
    }
}

impl Inner {
    const fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn find(&mut self, id: &str) -> Result<&mut Collector, Status> {
        let names = self.collectors.keys().map(String::as_str);
        let unknown = (!self.collectors.contains_key(id)).then(|| unknown(id, names));
        let known = self.collectors.get_mut(id);
        known.ok_or_else(|| Status::not_found(unknown.unwrap_or_default()))
    }

    /// Takes out the collector that has been lost for longest, and returns its name.
    fn make_room(&mut self, interval: Duration, now: Instant) -> Result<String, Status> {
        let lost = self.collectors.iter().filter(|(_, collector)| {
            collector.liveness(interval, now).0 == CollectorLiveness::Lost
        });
        let oldest = lost.min_by_key(|(_, collector)| collector.heard);
        let Some(id) = oldest.map(|(id, _)| id.clone()) else {
            return Err(Status::resource_exhausted(format!(
                "{COLLECTORS} collectors are registered, none of them lost; end one first"
            )));
        };
        self.collectors.remove(&id);
        Ok(id)
    }
}

impl Attached {
    /// A beat has come.
    pub(crate) fn beat(&self, beat: &Beat, now: Instant) {
        self.heard(now, |known| {
            known.beats += 1;
            known.state = beat.state();
            known.counters = beat.counters.unwrap_or_default();
            if !known.changing {
                known.revisions.observe(beat.config_revision);
            }
        });
    }

    /// The result of a command has come; one that nobody waits for any more is passed over.
    pub(crate) fn result(&self, result: CommandResult, now: Instant) {
        self.heard(now, |known| {
            if result.state() != CollectorState::Unspecified {
                known.state = result.state();
            }
            if let Line::Open { waiting, .. } = &mut known.line
                && let Some(told) = waiting.remove(&result.command_id)
            {
                // Who has waited may have gone in this moment.
                let _ = told.send(result);
            }
        });
    }

    fn heard(&self, now: Instant, update: impl FnOnce(&mut Collector)) {
        let mut inner = self.registry.inner.lock();
        if let Some(known) = inner.collectors.get_mut(&self.id)
            && known.line.is(self.number)
        {
            known.heard = now;
            update(known);
            self.registry.tell(&self.id, known, now);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut inner = self.registry.inner.lock();
        if let Some(known) = inner.collectors.get_mut(&self.id)
            && known.line.is(self.number)
        {
            known.line = Line::Closed;
            self.registry.tell(&self.id, known, Instant::now());
        }
    }
}

impl Sent {
    /// The result; `None` if the collector went away.
    pub(crate) async fn result(mut self) -> Option<CommandResult> {
        (&mut self.result).await.ok()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let mut inner = self.registry.inner.lock();
        if let Some(known) = inner.collectors.get_mut(&self.collector)
            && let Line::Open { waiting, .. } = &mut known.line
        {
            waiting.remove(&self.command);
        }
    }
}

impl Reconfiguration {
    /// The collector has said how it went: the new settings are in force, or the old ones still are.
    /// Returns the revision in force.
    pub(crate) fn settle(mut self, applied: bool) -> u64 {
        self.way_back = None;
        if !applied {
            return self.before;
        }
        let (revision, config) = (self.revision, self.config);
        self.with(|known| known.revisions.put_in_force(revision, config));
        revision
    }

    fn with<T>(&self, act: impl FnOnce(&mut Collector) -> T) -> Option<T> {
        let mut inner = self.registry.inner.lock();
        let known = inner.collectors.get_mut(&self.id)?;
        (known.lease == self.lease).then(|| act(known))
    }
}

impl Drop for Reconfiguration {
    fn drop(&mut self) {
        let before = self.with(|known| {
            known.changing = false;
            (known.revisions.config(), known.revisions.current())
        });
        let (Some(way_back), Some((config, revision))) = (self.way_back.take(), before) else {
            return;
        };
        tracing::warn!(
            collector = self.id,
            revision,
            "a change of settings was not confirmed: going back"
        );
        let back = ConfigCommand {
            config: Some(config),
            revision,
            validate_only: false,
        };
        way_back.send(Command {
            id: self.registry.inner.lock().number(),
            action: Some(Action::UpdateConfig(back)),
        });
    }
}

fn component(id: &str) -> String {
    format!("collector {id}")
}

fn overloaded(id: &str) -> Status {
    Status::resource_exhausted(format!(
        "collector {id:?} has not taken {COMMANDS} commands yet; try again"
    ))
}

fn unknown<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> String {
    let shown: String = id.chars().take(ID_BYTES).collect();
    let mut near: Vec<_> = known
        .map(|name| (strsim::damerau_levenshtein(&shown, name), name))
        .collect();
    near.sort_unstable();
    near.truncate(3);
    let names: Vec<_> = near.iter().map(|(_, name)| format!("{name:?}")).collect();
    let advice = match near.first() {
        None => "none is registered".to_owned(),
        Some((distance, name)) if *distance <= 1 + name.len() / 3 => {
            format!("did you mean {name:?}?")
        }
        Some(_) => format!("there are {}", names.join(", ")),
    };
    format!("no collector is called {shown:?}; {advice}")
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
