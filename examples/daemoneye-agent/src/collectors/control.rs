//! `daemoneye.collector.v1.CollectorControl`: what collectors and operators can ask for.
//!
//! **Invariant**: a command's caller learns how it went within the time that it gives, and settings whose
//! change is not confirmed are taken back. Who may command is the schema's to say.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use daemoneye_ipc::{CallContext, Inbound, Status, Stream};
use daemoneye_ipc_generated::collector::v1::{
    CollectorControl, CollectorState, CommandOutcome, ConfigCommand, DeregisterRequest,
    DeregisterResponse, HeartbeatRequest, HeartbeatResponse, PauseCommand, PauseRequest,
    PauseResponse, RegisterRequest, RegisterResponse, ResumeCommand, ResumeRequest, ResumeResponse,
    ShutdownCommand, ShutdownRequest, ShutdownResponse, UpdateConfigRequest, UpdateConfigResponse,
    command::Action,
};
use tokio::time::timeout;

use super::{heartbeat, registry::Registry};

/// How long a collector may take over a command whose caller gives no time.
const LIMIT: Duration = Duration::from_secs(30);

/// Of the caller's time, what is kept for the way back of an answer, at most.
const WAY_BACK: Duration = Duration::from_millis(100);

/// Bytes of what a collector says that are passed on.
const MESSAGE_BYTES: usize = 1024;

/// The handler.
#[derive(Debug)]
pub(crate) struct Control {
    registry: Arc<Registry>,
}

/// Why a command was not done.
struct Failed {
    status: Status,
    /// The collector has said that it has changed nothing.
    refused: bool,
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self {
            status,
            refused: false,
        }
    }
}

impl Control {
    pub(crate) const fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// Has a collector do something, and waits until it has.
    async fn command(
        &self,
        ctx: &CallContext,
        id: &str,
        action: Action,
    ) -> Result<CollectorState, Failed> {
        let sent = self.registry.send(id, action, Instant::now())?;
        let time = time_for(ctx);
        let Ok(result) = timeout(time, sent.result()).await else {
            return Err(Failed::from(Status::deadline_exceeded(format!(
                "collector {id:?} did not answer within {time:?}"
            ))));
        };
        let Some(result) = result else {
            return Err(Failed::from(Status::unavailable(format!(
                "collector {id:?} went away before it answered"
            ))));
        };
        let message = cut(&result.message);
        match result.outcome() {
            CommandOutcome::Done => Ok(result.state()),
            CommandOutcome::Refused => Err(Failed {
                status: Status::failed_precondition(format!("collector {id:?} refused: {message}")),
                refused: true,
            }),
            CommandOutcome::Failed | CommandOutcome::Unspecified => Err(Failed::from(
                Status::aborted(format!("collector {id:?} failed: {message}")),
            )),
        }
    }
}

impl CollectorControl for Control {
    async fn register(
        &self,
        ctx: &CallContext,
        request: RegisterRequest,
    ) -> Result<RegisterResponse, Status> {
        self.registry.register(request, ctx.peer(), Instant::now())
    }

    async fn deregister(
        &self,
        ctx: &CallContext,
        request: DeregisterRequest,
    ) -> Result<DeregisterResponse, Status> {
        self.registry
            .deregister(&request, ctx.peer(), Instant::now())?;
        Ok(DeregisterResponse {})
    }

    async fn heartbeat(
        &self,
        ctx: &CallContext,
        requests: Inbound<HeartbeatRequest>,
    ) -> Result<impl Stream<Item = Result<HeartbeatResponse, Status>> + Send, Status> {
        heartbeat::open(&self.registry, ctx, requests).await
    }

    async fn pause(
        &self,
        ctx: &CallContext,
        request: PauseRequest,
    ) -> Result<PauseResponse, Status> {
        let reason = request.reason;
        let action = Action::Pause(PauseCommand { reason });
        let done = self.command(ctx, &request.collector_id, action).await;
        let state = done.map_err(|failed| failed.status)?.into();
        Ok(PauseResponse { state })
    }

    async fn resume(
        &self,
        ctx: &CallContext,
        request: ResumeRequest,
    ) -> Result<ResumeResponse, Status> {
        let action = Action::Resume(ResumeCommand {});
        let done = self.command(ctx, &request.collector_id, action).await;
        let state = done.map_err(|failed| failed.status)?.into();
        Ok(ResumeResponse { state })
    }

    async fn update_config(
        &self,
        ctx: &CallContext,
        request: UpdateConfigRequest,
    ) -> Result<UpdateConfigResponse, Status> {
        let UpdateConfigRequest {
            collector_id: id,
            change,
            validate_only,
            expected_revision,
        } = request;
        let now = Instant::now();
        let change =
            self.registry
                .reconfigure(&id, change, expected_revision, validate_only, now)?;
        let config = change.config;
        let action = Action::UpdateConfig(ConfigCommand {
            config: Some(config),
            revision: change.revision,
            validate_only,
        });
        match self.command(ctx, &id, action).await {
            Ok(_) => {
                let revision = change.settle(!validate_only);
                Ok(UpdateConfigResponse {
                    revision,
                    config: Some(config),
                })
            }
            Err(failed) => {
                if failed.refused {
                    change.settle(false);
                }
                Err(failed.status)
            }
        }
    }

    async fn shutdown(
        &self,
        ctx: &CallContext,
        request: ShutdownRequest,
    ) -> Result<ShutdownResponse, Status> {
        let action = Action::Shutdown(ShutdownCommand {});
        let done = self.command(ctx, &request.collector_id, action).await;
        let state = done.map_err(|failed| failed.status)?.into();
        Ok(ShutdownResponse { state })
    }
}

/// How long a collector may take, so that the caller still hears of it.
fn time_for(ctx: &CallContext) -> Duration {
    let Some(left) = ctx.time_left() else {
        return LIMIT;
    };
    left.saturating_sub(WAY_BACK.min(left / 10))
}

/// The beginning of what a collector says.
fn cut(message: &str) -> &str {
    let end = message.floor_char_boundary(MESSAGE_BYTES);
    &message[..end]
}
