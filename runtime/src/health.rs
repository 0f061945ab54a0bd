//! `daemoneye.health.v1.Health`: how a daemon and its components are.
//!
//! **Invariant**: reporting never waits for those who watch.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Instant, SystemTime},
};

use futures_core::Stream;
use tokio::sync::watch;

use crate::{
    schema::health::v1::{
        CheckRequest, CheckResponse, ComponentHealth, Health, HealthStatus, PingRequest,
        PingResponse, WatchRequest, WatchResponse,
    },
    server::CallContext,
    status::Status,
};

/// How a component is, worst last.
///
/// ```
/// use daemoneye_ipc::health::ComponentStatus;
/// // The worst component decides how a daemon is.
/// let worst = [ComponentStatus::Healthy, ComponentStatus::Degraded].into_iter().max();
/// assert_eq!(worst, Some(ComponentStatus::Degraded));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentStatus {
    /// Works.
    Healthy,
    /// Works in part.
    Degraded,
    /// Does not work.
    Unhealthy,
}

impl From<ComponentStatus> for HealthStatus {
    fn from(status: ComponentStatus) -> Self {
        match status {
            ComponentStatus::Healthy => Self::Healthy,
            ComponentStatus::Degraded => Self::Degraded,
            ComponentStatus::Unhealthy => Self::Unhealthy,
        }
    }
}

/// Where a daemon's parts report how they are. Clones share what they report.
///
/// ```
/// use daemoneye_ipc::health::{ComponentStatus, HealthReporter};
/// let health = HealthReporter::new();
/// health.set("database", ComponentStatus::Degraded, "replica is behind");
/// ```
#[derive(Debug, Clone)]
pub struct HealthReporter {
    board: Arc<watch::Sender<Board>>,
    started: Instant,
}

type Board = BTreeMap<String, Component>;

#[derive(Debug, Clone)]
struct Component {
    status: ComponentStatus,
    message: String,
    since: Instant,
    last_check: SystemTime,
    errors: u64,
}

impl Default for HealthReporter {
    fn default() -> Self {
        Self::new()
    }
}

impl HealthReporter {
    /// A reporter without components, which reads as healthy.
    #[must_use]
    pub fn new() -> Self {
        Self {
            board: Arc::new(watch::Sender::new(Board::new())),
            started: crate::driver::now(),
        }
    }

    /// Reports how a component is, and why, for people. Those who watch hear of it if it is news.
    pub fn set(&self, component: &str, status: ComponentStatus, message: impl Into<String>) {
        let message = message.into();
        self.update(component, |known| {
            let news = known.status != status || known.message != message;
            known.status = status;
            known.message = message;
            news
        });
    }

    /// Counts an error of a component; its status stays as it is.
    pub fn record_error(&self, component: &str) {
        self.update(component, |known| {
            known.errors += 1;
            true
        });
    }

    /// Forgets a component.
    pub fn remove(&self, component: &str) {
        self.board
            .send_if_modified(|board| board.remove(component).is_some());
    }

    /// Updates a component, new ones too; `update` says whether those who watch hear of it.
    fn update(&self, component: &str, update: impl FnOnce(&mut Component) -> bool) {
        self.board.send_if_modified(|board| {
            let is_new = !board.contains_key(component);
            let known = board
                .entry(component.to_owned())
                .or_insert_with(|| Component {
                    status: ComponentStatus::Healthy,
                    message: String::new(),
                    since: crate::driver::now(),
                    last_check: SystemTime::now(),
                    errors: 0,
                });
            let news = update(known);
            known.last_check = SystemTime::now();
            is_new || news
        });
    }
}

/// The components that `only` names (all if empty), and the worst status among them.
fn report(board: &Board, only: &str) -> Result<(HealthStatus, Vec<ComponentHealth>), Status> {
    let chosen = board
        .iter()
        .filter(|(name, _)| only.is_empty() || name.as_str() == only);
    let chosen: Vec<_> = chosen.collect();
    if chosen.is_empty() && !only.is_empty() {
        return Err(Status::not_found(format!(
            "no component is called {only:?}"
        )));
    }
    let worst = chosen.iter().map(|(_, component)| component.status).max();
    let status = worst.unwrap_or(ComponentStatus::Healthy).into();
    Ok((
        status,
        chosen
            .into_iter()
            .map(|(name, component)| component.to_message(name))
            .collect(),
    ))
}

impl Component {
    fn to_message(&self, name: &str) -> ComponentHealth {
        let uptime = crate::driver::now().saturating_duration_since(self.since);
        ComponentHealth {
            component: name.to_owned(),
            status: HealthStatus::from(self.status).into(),
            message: self.message.clone(),
            last_check: Some(self.last_check.into()),
            uptime: prost_types::Duration::try_from(uptime).ok(),
            error_count: self.errors,
        }
    }
}

/// The handler behind [`ServerBuilder::health`](crate::ServerBuilder::health).
#[derive(Debug)]
pub(crate) struct HealthService {
    reporter: HealthReporter,
}

impl HealthService {
    pub(crate) const fn new(reporter: HealthReporter) -> Self {
        Self { reporter }
    }
}

impl Health for HealthService {
    async fn check(&self, _: &CallContext, request: CheckRequest) -> Result<CheckResponse, Status> {
        let (status, components) = report(&self.reporter.board.borrow(), &request.component)?;
        let uptime = crate::driver::now().saturating_duration_since(self.reporter.started);
        let uptime = prost_types::Duration::try_from(uptime).ok();
        Ok(CheckResponse {
            status: status.into(),
            components,
            uptime,
        })
    }

    async fn watch(
        &self,
        ctx: &CallContext,
        request: WatchRequest,
    ) -> Result<impl Stream<Item = Result<WatchResponse, Status>> + Send, Status> {
        report(&self.reporter.board.borrow(), &request.component)?;
        Ok(Changes {
            draining: Box::pin(ctx.draining()),
            wait: wait(self.reporter.board.subscribe(), true),
            only: request.component,
        })
    }

    async fn ping(&self, _: &CallContext, request: PingRequest) -> Result<PingResponse, Status> {
        Ok(PingResponse {
            payload: request.payload,
        })
    }
}

type Wait = Pin<Box<dyn Future<Output = Option<watch::Receiver<Board>>> + Send>>;

/// Resolves at once, or after the next change; to `None` when nobody can report any more.
fn wait(mut board: watch::Receiver<Board>, at_once: bool) -> Wait {
    Box::pin(async move {
        if !at_once {
            board.changed().await.ok()?;
        }
        Some(board)
    })
}

/// The state at once, and again after each change. Changes that come faster than they are taken
/// are seen as one. Ends when the server drains.
struct Changes {
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    wait: Wait,
    only: String,
}

impl Stream for Changes {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.draining.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let Some(mut board) = ready!(self.wait.as_mut().poll(cx)) else {
            return Poll::Ready(None);
        };
        let report = report(&board.borrow_and_update(), &self.only);
        self.wait = wait(board, false);
        Poll::Ready(Some(report.map(|(status, components)| WatchResponse {
            status: status.into(),
            components,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_wakes_those_who_watch() {
        let reporter = HealthReporter::new();
        let mut seen = reporter.board.subscribe();
        let mut is_news = || {
            let changed = seen.has_changed().unwrap();
            seen.borrow_and_update();
            changed
        };
        reporter.set("disk", ComponentStatus::Healthy, "");
        assert!(is_news(), "a new component");
        reporter.set("disk", ComponentStatus::Healthy, "");
        assert!(!is_news(), "the same again");
        reporter.set("disk", ComponentStatus::Degraded, "slow");
        assert!(is_news());
        reporter.record_error("disk");
        assert!(is_news());
    }

    #[test]
    fn the_worst_component_decides() {
        let reporter = HealthReporter::new();
        let status = || report(&reporter.board.borrow(), "").unwrap().0;
        assert_eq!(status(), HealthStatus::Healthy);
        reporter.set("a", ComponentStatus::Degraded, "");
        reporter.set("b", ComponentStatus::Healthy, "");
        assert_eq!(status(), HealthStatus::Degraded);
        assert!(report(&reporter.board.borrow(), "c").is_err());
    }
}
