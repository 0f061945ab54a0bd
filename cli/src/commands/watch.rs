//! `watch`: processes as they start, change and end.
//!
//! **Invariant**: a watch that is interrupted resumes after the last event it has shown, and what was
//! missed is said.

use std::{io, time::Duration};

use daemoneye_ipc::{IpcConfig, Streaming, shutdown_signal};
use daemoneye_ipc_generated::procmond::v1::{
    ProcessEvent, ProcessEventKind, ProcessFilter, ProcessMonitorClient, ProcessRecord,
    WatchProcessesRequest, WatchProcessesResponse, watch_processes_response::Item,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    args::Watch,
    connect,
    failure::Failure,
    format,
    output::{BAD, FAINT, GOOD, ODD, Output},
    records,
};

/// The least time between two attempts to resume; the channel's own backoff comes on top.
const PACE: Duration = Duration::from_millis(100);

/// Runs the command until Ctrl-C, or until enough events came; both are success.
pub(crate) async fn run(config: IpcConfig, args: Watch) -> Result<u8, Failure> {
    let interrupted = shutdown_signal();
    let channel = connect::channel(&config).await?;
    let mut watch = Watcher {
        out: Output::stdout(args.json),
        config: &config,
        client: ProcessMonitorClient::new(channel),
        filter: records::filter(&args.filter),
        after: None,
        left: args.count,
    };
    tokio::select! {
        ended = watch.follow() => ended?,
        () = interrupted => {}
    }
    Ok(0)
}

struct Watcher<'a> {
    out: Output,
    config: &'a IpcConfig,
    client: ProcessMonitorClient,
    filter: ProcessFilter,
    /// The last event that was shown, and the run of the monitor that it is from.
    after: Option<(u64, String)>,
    /// Events to show before the end.
    left: Option<u64>,
}

impl Watcher<'_> {
    /// Shows events until enough came. A monitor that goes away is waited for, however long it takes.
    async fn follow(&mut self) -> Result<(), Failure> {
        let mut lost = false;
        loop {
            let ended = match self.open().await {
                Ok(mut stream) => {
                    lost = false;
                    self.show(&mut stream).await
                }
                Err(failure) => Err(failure),
            };
            match ended {
                Ok(()) => return Ok(()),
                Err(Lost::Failure(failure)) => return Err(failure),
                Err(Lost::Connection) if lost => sleep(PACE).await,
                Err(Lost::Connection) => {
                    lost = true;
                    self.say("connection lost; it resumes when procmond is back", "lost")?;
                }
            }
        }
    }

    async fn open(&self) -> Result<Streaming<WatchProcessesResponse>, Lost> {
        let (after_sequence, epoch) = self.after.clone().unzip();
        let request = WatchProcessesRequest {
            filter: Some(self.filter.clone()),
            after_sequence,
            epoch: epoch.unwrap_or_default(),
            ..WatchProcessesRequest::default()
        };
        let call = self.client.watch_processes(request).wait_for_ready(true);
        call.await.map_err(|error| self.lost(&error))
    }

    async fn show(&mut self, stream: &mut Streaming<WatchProcessesResponse>) -> Result<(), Lost> {
        while self.left != Some(0) {
            let Some(step) = stream.message().await.map_err(|error| self.lost(&error))? else {
                // The monitor drains; it will be back.
                return Err(Lost::Connection);
            };
            let Some(item) = &step.item else { continue };
            self.show_item(&step, item)?;
            // A resumed watch begins where the last one ended, whatever the monitor has seen since.
            if !matches!(item, Item::Started(_)) || self.after.is_none() {
                self.after = Some((step.sequence, step.epoch.clone()));
            }
            if let (Item::Event(_), Some(left)) = (item, &mut self.left) {
                *left -= 1;
            }
        }
        Ok(())
    }

    fn show_item(&mut self, step: &WatchProcessesResponse, item: &Item) -> io::Result<()> {
        match item {
            // Only says from where to resume.
            Item::Progress(_) => Ok(()),
            item if self.out.is_json() => self.out.json_line(&json(step, item)),
            item => self.out.line(line(item)),
        }
    }

    fn lost(&self, error: &daemoneye_ipc::CallError) -> Lost {
        if error.kind().is_transient() {
            Lost::Connection
        } else {
            Lost::Failure(Failure::call(error, self.config.crc32_variant))
        }
    }

    fn say(&mut self, text: &str, event: &str) -> io::Result<()> {
        if self.out.is_json() {
            return self.out.json_line(&json!({ "event": event }));
        }
        self.out.line(format_args!("{FAINT}{text}{FAINT:#}"))
    }
}

/// Why a stream came to its end.
enum Lost {
    Connection,
    Failure(Failure),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Failure(error.into())
    }
}

/// The name of an event, for programs and people.
pub(crate) fn event_name(event: &ProcessEvent) -> &'static str {
    match event.kind() {
        ProcessEventKind::Started => "started",
        ProcessEventKind::Changed => "changed",
        ProcessEventKind::Exited => "exited",
        ProcessEventKind::Unspecified => "unknown",
    }
}

fn json(step: &WatchProcessesResponse, item: &Item) -> Value {
    match item {
        Item::Started(started) => json!({
            "event": "watching",
            "sequence": step.sequence,
            "epoch": step.epoch,
            "processes": started.processes,
        }),
        Item::Event(event) => json!({
            "event": event_name(event),
            "sequence": step.sequence,
            "epoch": step.epoch,
            "process": event.process.as_ref().map(records::json),
        }),
        Item::Progress(_) => json!({
            "event": "progress",
            "sequence": step.sequence,
            "epoch": step.epoch,
        }),
        Item::Gap(gap) => json!({
            "event": "gap",
            "sequence": step.sequence,
            "epoch": step.epoch,
            "first_missing": gap.first_missing,
            "last_missing": gap.last_missing,
        }),
    }
}

fn line(item: &Item) -> String {
    match item {
        Item::Started(started) => format!(
            "{FAINT}watching {}; Ctrl-C ends it{FAINT:#}",
            format::plural(started.processes as usize, "process", "processes")
        ),
        Item::Event(event) => {
            let style = match event.kind() {
                ProcessEventKind::Started => GOOD,
                ProcessEventKind::Exited => BAD,
                ProcessEventKind::Changed | ProcessEventKind::Unspecified => ODD,
            };
            let nobody = ProcessRecord::default();
            let process = event.process.as_ref().unwrap_or(&nobody);
            let time = process
                .collection_time
                .map(|time| time.to_string())
                .unwrap_or_default();
            format!(
                "{FAINT}{time:<30}{FAINT:#} {style}{:<8}{style:#} {:>8}  {:<16} {}",
                event_name(event),
                process.pid,
                format::plain(&process.name),
                format::plain(&records::command(process))
            )
        }
        Item::Progress(_) => String::new(),
        Item::Gap(gap) if gap.first_missing == 0 => {
            format!("{ODD}gap{ODD:#}: procmond was restarted; what happened meanwhile is not known")
        }
        Item::Gap(gap) => {
            format!(
                "{ODD}gap{ODD:#}: events {} to {} are missing",
                gap.first_missing, gap.last_missing
            )
        }
    }
}
