//! The registration with an agent: made, kept alive with beats, made again after every loss; and the
//! agent's commands.
//!
//! **Invariant**: the monitor serves the same with an agent and without; a command changes all that it is
//! about or nothing.

use std::{convert::Infallible, future::Future, path::Path, pin::pin, sync::Arc, time::Duration};

use daemoneye_ipc::{
    CallError, Channel, IpcConfig, IpcError,
    health::{ComponentStatus, HealthReporter},
};
use daemoneye_ipc_generated::collector::v1::{
    Beat, CollectorCapability, CollectorControlClient, CollectorKind, CollectorState, Command,
    CommandOutcome, CommandResult, DeregisterRequest, HeartbeatRequest, HeartbeatResponse,
    HeartbeatStart, RegisterRequest, command::Action, heartbeat_request::Item as Said,
    heartbeat_response::Item as Told,
};
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::{feed::Feed, settings::Settings};

/// The component under which the registration reports its health.
pub(crate) const AGENT: &str = "agent";

/// How long taking leave of the agent may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// Time between two beats if the agent does not say.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// What the registration needs of the monitor.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) settings: Arc<Settings>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) health: HealthReporter,
    /// Cancelled when the monitor drains, whoever wants it to.
    pub(crate) draining: CancellationToken,
}

/// Keeps the monitor registered.
#[derive(Debug)]
pub(crate) struct Registration {
    client: CollectorControlClient,
    /// Name of this monitor.
    id: String,
    /// Where the agent is.
    agent: String,
    /// Where this monitor serves.
    endpoint: String,
    /// While it is registered.
    lease: Arc<Mutex<Option<String>>>,
    first_pause: Duration,
    longest_pause: Duration,
    parts: Parts,
}

impl Registration {
    /// Not made yet; `config` is that of the way to the agent.
    ///
    /// # Errors
    /// For a wrong setting.
    pub(crate) fn new(
        config: IpcConfig,
        id: String,
        endpoint: &Path,
        parts: Parts,
    ) -> Result<Self, IpcError> {
        let agent = config.endpoint_path.display().to_string();
        parts.health.set(
            AGENT,
            ComponentStatus::Degraded,
            format!("not registered with {agent} yet"),
        );
        Ok(Self {
            first_pause: Duration::from_millis(config.reconnect.initial_backoff_ms),
            longest_pause: Duration::from_millis(config.reconnect.max_backoff_ms),
            client: CollectorControlClient::new(Channel::lazy(config)?),
            id,
            agent,
            endpoint: endpoint.display().to_string(),
            lease: Arc::default(),
            parts,
        })
    }

    /// Keeps the registration until `work` is done, then takes leave.
    pub(crate) async fn keep_while<T>(self, work: impl Future<Output = T>) -> T {
        let (client, id, lease) = (
            self.client.clone(),
            self.id.clone(),
            Arc::clone(&self.lease),
        );
        let mut keep = pin!(self.keep());
        let done = tokio::select! {
            done = work => done,
            never = &mut keep => match never {},
        };
        // The heartbeat is still open, so that the agent does not take the end for a loss.
        let lease = lease.lock().take();
        if let Some(lease) = lease {
            let request = DeregisterRequest {
                collector_id: id,
                lease,
            };
            if let Err(error) = client.deregister(request).timeout(LEAVE_LIMIT).await {
                tracing::debug!(%error, "took no leave of the agent");
            }
        }
        done
    }

    async fn keep(self) -> Infallible {
        let mut pause = self.first_pause;
        loop {
            let ended = self.attend().await;
            let was_registered = self.lease.lock().take().is_some();
            let why = match &ended {
                Ok(()) => "the agent has ended the heartbeat: it shuts down".to_owned(),
                Err(error) => error.to_string(),
            };
            if was_registered {
                tracing::warn!(why, "the registration with the agent is lost");
                self.parts.health.record_error(AGENT);
                pause = self.first_pause;
            } else {
                tracing::debug!(why, "not registered with the agent");
            }
            let text = format!("not registered with {}: {why}; trying again", self.agent);
            self.parts
                .health
                .set(AGENT, ComponentStatus::Degraded, text);
            sleep(pause).await;
            pause = (pause * 2).min(self.longest_pause);
        }
    }

    /// Registers, and beats until the agent goes away.
    async fn attend(&self) -> Result<(), CallError> {
        let values = self.parts.settings.now();
        let request = RegisterRequest {
            collector_id: self.id.clone(),
            kind: CollectorKind::Process.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            endpoint: self.endpoint.clone(),
            capabilities: vec![
                CollectorCapability::Pause.into(),
                CollectorCapability::UpdateConfig.into(),
                CollectorCapability::Shutdown.into(),
            ],
            pid: std::process::id(),
            config: Some(values.to_config()),
            config_revision: values.revision,
        };
        let registered = self.client.register(request).wait_for_ready(true).await?;
        let revision = registered.config_revision;
        self.parts.settings.number(revision);
        *self.lease.lock() = Some(registered.lease.clone());
        let mut line = self.client.heartbeat().await?;
        let start = HeartbeatStart {
            collector_id: self.id.clone(),
            lease: registered.lease,
        };
        line.send(said(Said::Start(start))).await?;
        tracing::info!(agent = self.agent, id = self.id, "registered");
        let text = format!("registered with {} as {}", self.agent, self.id);
        self.parts.health.set(AGENT, ComponentStatus::Healthy, text);

        let asked = registered.heartbeat_interval;
        let every = asked.and_then(|asked| Duration::try_from(asked).ok());
        let every = every.filter(|every| !every.is_zero());
        let mut beats = interval(every.unwrap_or(DEFAULT_INTERVAL));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sequence = 0;
        let mut drain_told = false;
        loop {
            let answer = tokio::select! {
                _ = beats.tick() => Said::Beat(self.beat(&mut sequence)),
                () = self.parts.draining.cancelled(), if !drain_told => {
                    drain_told = true;
                    Said::Beat(self.beat(&mut sequence))
                }
                told = line.message() => match told? {
                    None => return Ok(()),
                    Some(HeartbeatResponse { item: Some(Told::Command(command)) }) => {
                        Said::Result(self.obey(command))
                    }
                    // An acknowledgement, or a newer agent's.
                    Some(_) => continue,
                },
            };
            line.send(said(answer)).await?;
        }
    }

    fn beat(&self, sequence: &mut u64) -> Beat {
        *sequence += 1;
        Beat {
            sequence: *sequence,
            state: self.state().into(),
            counters: Some(self.parts.feed.counters()),
            config_revision: self.parts.settings.now().revision,
        }
    }

    fn state(&self) -> CollectorState {
        if self.parts.draining.is_cancelled() {
            CollectorState::Draining
        } else if self.parts.feed.is_paused() {
            CollectorState::Paused
        } else {
            CollectorState::Running
        }
    }

    fn obey(&self, command: Command) -> CommandResult {
        let refusal = self.act(command.action).err();
        let outcome = match refusal {
            None => CommandOutcome::Done,
            Some(_) => CommandOutcome::Refused,
        };
        CommandResult {
            command_id: command.id,
            outcome: outcome.into(),
            message: refusal.unwrap_or_default(),
            state: self.state().into(),
        }
    }

    /// # Errors
    /// Why it is not done.
    fn act(&self, action: Option<Action>) -> Result<(), String> {
        let Parts {
            settings,
            feed,
            draining,
            ..
        } = &self.parts;
        match action {
            Some(Action::Pause(pause)) => feed.pause(&pause.reason),
            Some(Action::Resume(_)) => feed.resume(),
            Some(Action::UpdateConfig(change)) => {
                let config = change.config.unwrap_or_default();
                let values = settings.now().with(&config, change.revision)?;
                if !change.validate_only {
                    tracing::info!(?values, "the agent changes settings");
                    settings.apply(values);
                }
            }
            Some(Action::Shutdown(_)) => {
                tracing::info!("the agent asks for the end");
                draining.cancel();
            }
            None => return Err("this command is not known here".to_owned()),
        }
        Ok(())
    }
}

const fn said(item: Said) -> HeartbeatRequest {
    HeartbeatRequest { item: Some(item) }
}
