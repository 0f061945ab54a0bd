//! `daemoneye.agent.v1.Agent`: what the operator's tools can ask for.
//!
//! **Invariant**: only RunTask depends on the process monitor; everything else is answered while it is
//! away.

use std::{sync::Arc, time::Instant};

use daemoneye_ipc::{CallContext, Inbound, Status, Stream};
use daemoneye_ipc_generated::{
    agent::v1::{
        Agent, GetStatusRequest, GetStatusResponse, ListAlertsRequest, ListAlertsResponse,
        RunTaskRequest, RunTaskResponse, UploadRulesRequest, UploadRulesResponse,
    },
    procmond::v1::ProcessMonitorClient,
};
use futures_util::StreamExt;
use tokio::sync::Semaphore;

use crate::{
    alerts::Alerts,
    collectors::Registry,
    state::State,
    tasks::{self, Running},
    upload::{UPLOADS, Upload},
};

/// The handler.
#[derive(Debug)]
pub(crate) struct AgentService {
    pub(crate) client: ProcessMonitorClient,
    pub(crate) state: Arc<State>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) running: Running,
    /// Who may upload rules now.
    pub(crate) uploads: Semaphore,
}

impl Agent for AgentService {
    async fn run_task(
        &self,
        _: &CallContext,
        request: RunTaskRequest,
    ) -> Result<RunTaskResponse, Status> {
        let Some(operation) = request.operation else {
            return Err(Status::invalid_argument(
                "operation is not set; say what the task is to do",
            ));
        };
        let time = tasks::time_to_live(request.time_to_live);
        let task = self.running.begin(request.task_id)?;
        self.state.task();
        let start = Instant::now();
        let result = tasks::run(&self.client, operation, task.id(), time).await?;
        let took = start.elapsed().try_into().ok();
        Ok(RunTaskResponse {
            task_id: task.id().to_owned(),
            took,
            result: Some(result),
        })
    }

    async fn get_status(
        &self,
        _: &CallContext,
        _: GetStatusRequest,
    ) -> Result<GetStatusResponse, Status> {
        Ok(GetStatusResponse {
            alerts: self.alerts.raised(),
            rules: self.alerts.rules(),
            collectors: self.registry.report(Instant::now()),
            ..self.state.report()
        })
    }

    async fn list_alerts(
        &self,
        _: &CallContext,
        request: ListAlertsRequest,
    ) -> Result<impl Stream<Item = Result<ListAlertsResponse, Status>> + Send, Status> {
        let alerts = self
            .alerts
            .stream(request.after_sequence, &request.epoch, request.follow)?;
        Ok(alerts.map(|alert| Ok(ListAlertsResponse { alert: Some(alert) })))
    }

    async fn upload_rules(
        &self,
        _: &CallContext,
        requests: Inbound<UploadRulesRequest>,
    ) -> Result<UploadRulesResponse, Status> {
        let Ok(_turn) = self.uploads.try_acquire() else {
            return Err(Status::resource_exhausted(format!(
                "{UPLOADS} uploads are under way; try again when one has ended"
            )));
        };
        let upload = Upload::receive(requests).await?;
        self.alerts.put_in_force(upload)
    }
}
