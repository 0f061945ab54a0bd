//! `alerts`: the alerts that the agent keeps, and, with `--follow`, those to come.
//!
//! **Invariant**: what is followed resumes after the last alert that was shown, and what was missed is said.

use std::{io, path::Path, time::Duration};

use daemoneye_ipc::{IpcConfig, Streaming, shutdown_signal};
use daemoneye_ipc_generated::{
    agent::v1::{AgentClient, Alert, ListAlertsRequest, ListAlertsResponse},
    procmond::v1::ProcessRecord,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    args::Alerts,
    connect,
    failure::Failure,
    format,
    output::{BAD, FAINT, ODD, Output},
    records,
};

/// The least time between two attempts to resume; the channel's own backoff comes on top.
const PACE: Duration = Duration::from_millis(100);

/// Runs the command until all is shown, Ctrl-C, or until enough alerts came; all are success.
pub(crate) async fn run(file: Option<&Path>, args: Alerts) -> Result<u8, Failure> {
    let interrupted = shutdown_signal();
    let config = connect::configuration(file, &args.agent.target())?;
    let channel = connect::channel(&config).await?;
    let mut reader = Reader {
        out: Output::stdout(args.json),
        config: &config,
        client: AgentClient::new(channel),
        follow: args.follow,
        after: args.after.unwrap_or(0),
        epoch: args.epoch.unwrap_or_default(),
        left: args.count,
    };
    tokio::select! {
        ended = reader.read() => ended?,
        () = interrupted => {}
    }
    Ok(0)
}

struct Reader<'a> {
    out: Output,
    config: &'a IpcConfig,
    client: AgentClient,
    follow: bool,
    /// The last alert that was shown, and the run of the agent that it is from.
    after: u64,
    epoch: String,
    /// Alerts to show before the end.
    left: Option<u64>,
}

/// Why a stream came to its end.
enum Ended {
    Enough,
    Lost,
    Failure(Failure),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Failure(error.into())
    }
}

impl Reader<'_> {
    /// Shows alerts. An agent that goes away is waited for if it is followed, however long it takes.
    async fn read(&mut self) -> Result<(), Failure> {
        let mut lost = false;
        loop {
            let ended = match self.open().await {
                Ok(mut stream) => {
                    lost = false;
                    self.show(&mut stream).await
                }
                Err(ended) => ended,
            };
            match ended {
                Ended::Enough => return Ok(()),
                Ended::Failure(failure) => return Err(failure),
                Ended::Lost if lost => sleep(PACE).await,
                Ended::Lost => {
                    lost = true;
                    if self.out.is_json() {
                        self.out.json_line(&json!({ "event": "lost" }))?;
                    }
                    self.out.line(format_args!(
                        "{FAINT}connection lost; it resumes when the agent is back{FAINT:#}"
                    ))?;
                }
            }
        }
    }

    async fn open(&self) -> Result<Streaming<ListAlertsResponse>, Ended> {
        let request = ListAlertsRequest {
            after_sequence: self.after,
            follow: self.follow,
            epoch: self.epoch.clone(),
        };
        let call = self.client.list_alerts(request).wait_for_ready(self.follow);
        call.await.map_err(|error| self.ended(&error))
    }

    async fn show(&mut self, stream: &mut Streaming<ListAlertsResponse>) -> Ended {
        while self.left != Some(0) {
            match stream.message().await {
                Ok(Some(response)) => {
                    let alert = response.alert.unwrap_or_default();
                    if let Err(error) = self.show_one(&alert) {
                        return error.into();
                    }
                    self.after = alert.sequence;
                    self.epoch = alert.epoch;
                    self.left = self.left.map(|left| left - 1);
                }
                // One that is followed ends only because the agent does; it will be back.
                Ok(None) if self.follow => return Ended::Lost,
                Ok(None) => return Ended::Enough,
                Err(error) => return self.ended(&error),
            }
        }
        Ended::Enough
    }

    fn show_one(&mut self, alert: &Alert) -> io::Result<()> {
        if self.out.is_json() {
            return self.out.json_line(&to_json(alert));
        }
        if alert.missed_before > 0 {
            self.out.line(format_args!(
                "{ODD}gap{ODD:#}: {} before the next are no longer kept",
                format::plural(
                    usize::try_from(alert.missed_before).unwrap_or(usize::MAX),
                    "alert",
                    "alerts"
                )
            ))?;
        }
        self.out.line(line(alert))
    }

    fn ended(&self, error: &daemoneye_ipc::CallError) -> Ended {
        if self.follow && error.kind().is_transient() {
            Ended::Lost
        } else {
            Ended::Failure(Failure::call(error, self.config.crc32_variant))
        }
    }
}

fn to_json(alert: &Alert) -> Value {
    json!({
        "event": "alert",
        "sequence": alert.sequence,
        "epoch": alert.epoch,
        "rule": alert.rule,
        "reason": alert.reason,
        "time": alert.time.map(|time| time.to_string()),
        "missed_before": alert.missed_before,
        "process": alert.process.as_ref().map(records::json),
    })
}

fn line(alert: &Alert) -> String {
    let nobody = ProcessRecord::default();
    let process = alert.process.as_ref().unwrap_or(&nobody);
    let time = alert.time.map(|time| time.to_string()).unwrap_or_default();
    format!(
        "{FAINT}{time:<30}{FAINT:#} {BAD}{}{BAD:#} {:>8}  {:<16} {}",
        format::plain(&alert.rule),
        process.pid,
        format::plain(&process.name),
        format::plain(&alert.reason)
    )
}
