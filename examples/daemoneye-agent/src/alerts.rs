//! The alerts: raised once for each rule and process, kept in a bounded history, read by any number of
//! followers at their own pace.
//!
//! **Invariant**: a follower that falls behind what is kept is told how many alerts it has missed.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::SystemTime,
};

use daemoneye_ipc::{Status, Stream};
use daemoneye_ipc_generated::{
    agent::v1::{Alert, RuleStatus, UploadRulesResponse},
    procmond::v1::ProcessRecord,
};
use futures_util::stream;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::{
    announce::Announcer,
    epoch,
    rules::{Rule, Verdict},
    ruleset::{InForce, Ruleset},
    upload::Upload,
};

/// Alerts that are kept.
const KEPT: usize = 1024;

/// One run of one process, as records name it.
type Run = (u32, Option<(i64, i32)>);

/// The alerts of one agent.
#[derive(Debug)]
pub(crate) struct Alerts {
    /// Held, to read, while a process is judged: no rule raises an alert once it is not in force.
    rules: RwLock<Ruleset>,
    /// Rises with each change of the rules.
    uploads: watch::Sender<u64>,
    /// Names this run, so that its numbers are not taken for those of another.
    epoch: String,
    announcer: Announcer,
    log: Mutex<Log>,
    tip: watch::Sender<Tip>,
}

#[derive(Debug)]
struct Log {
    next: u64,
    kept: VecDeque<Arc<Alert>>,
    capacity: usize,
    /// The rules in force that have matched each process that still runs.
    raised: HashMap<Run, HashSet<u64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tip {
    last: u64,
    closed: bool,
}

fn run_of(process: &ProcessRecord) -> Run {
    (
        process.pid,
        process.start_time.map(|time| (time.seconds, time.nanos)),
    )
}

impl Alerts {
    pub(crate) fn new(rules: Vec<Rule>, announcer: Announcer) -> Self {
        Self::with_capacity(rules, announcer, KEPT)
    }

    fn with_capacity(rules: Vec<Rule>, announcer: Announcer, capacity: usize) -> Self {
        let log = Log {
            next: 1,
            kept: VecDeque::new(),
            capacity,
            raised: HashMap::new(),
        };
        let tip = watch::Sender::new(Tip {
            last: 0,
            closed: false,
        });
        Self {
            rules: RwLock::new(Ruleset::new(rules)),
            uploads: watch::Sender::new(0),
            epoch: epoch::name(),
            announcer,
            log: Mutex::new(log),
            tip,
        }
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Vec<RuleStatus> {
        self.rules.read().report()
    }

    /// Whether there are rules about what changes without an event.
    pub(crate) fn need_looks(&self) -> bool {
        self.rules.read().needs_looks()
    }

    /// Puts an upload in force, all at once; a dry run only tells what it would change.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if there were too many rules, and nothing is changed.
    pub(crate) fn put_in_force(&self, upload: Upload) -> Result<UploadRulesResponse, Status> {
        let (set, is_dry_run) = (upload.name().to_owned(), upload.is_dry_run());
        let mut rules = self.rules.write();
        let (changed, report) = rules.with(upload)?;
        if is_dry_run {
            return Ok(report);
        }
        *rules = changed;
        let ids: HashSet<_> = rules.iter().map(|known| known.id).collect();
        for raised in self.log.lock().raised.values_mut() {
            raised.retain(|id| ids.contains(id));
        }
        drop(rules);
        self.uploads.send_modify(|uploads| *uploads += 1);
        let (added, replaced) = (report.added.len(), report.replaced.len());
        let (removed, in_force) = (report.removed.len(), report.in_force);
        tracing::info!(set, added, replaced, removed, in_force, "rules uploaded");
        Ok(report)
    }

    /// Changes with each change of the rules.
    pub(crate) fn uploads(&self) -> watch::Receiver<u64> {
        self.uploads.subscribe()
    }

    /// Alerts that were raised so far.
    pub(crate) fn raised(&self) -> u64 {
        self.log.lock().last()
    }

    /// Raises an alert for every rule that matches `process` and has not matched it before. Returns
    /// whether more could be said with the hash of its executable.
    pub(crate) fn evaluate(&self, process: &ProcessRecord) -> bool {
        let rules = self.rules.read();
        let mut wants_hash = false;
        for known in rules.iter() {
            match known.rule.judge(process) {
                Verdict::No => {}
                Verdict::NeedsHash => wants_hash |= !self.log.lock().has_raised(process, known.id),
                Verdict::Match(reason) => self.raise(known, process, reason),
            }
        }
        wants_hash
    }

    fn raise(&self, known: &InForce, process: &ProcessRecord, reason: String) {
        let mut log = self.log.lock();
        if !log
            .raised
            .entry(run_of(process))
            .or_default()
            .insert(known.id)
        {
            return;
        }
        let rule = known.rule.name();
        tracing::info!(rule, pid = process.pid, reason, "alert");
        let sequence = log.next;
        let alert = Alert {
            sequence,
            rule: rule.to_owned(),
            reason,
            time: Some(SystemTime::now().into()),
            process: Some(process.clone()),
            missed_before: 0,
            epoch: self.epoch.clone(),
        };
        // Under the lock, so that alerts are published in their order.
        self.announcer.alert(&alert);
        log.push(alert);
        known.count_alert();
        // Under the lock, so that the tip never goes back.
        let last = log.last();
        self.tip.send_modify(|tip| tip.last = last);
    }

    /// A process has ended.
    pub(crate) fn forget(&self, process: &ProcessRecord) {
        self.log.lock().raised.remove(&run_of(process));
    }

    /// Only these processes still run.
    pub(crate) fn retain(&self, processes: &[ProcessRecord]) {
        let running: HashSet<_> = processes.iter().map(run_of).collect();
        self.log
            .lock()
            .raised
            .retain(|run, _| running.contains(run));
    }

    /// The alerts after number `after` of run `epoch`, and with `follow` those to come. After another
    /// run's number, all.
    ///
    /// # Errors
    /// OUT_OF_RANGE for a number that this run has not given yet.
    pub(crate) fn stream(
        self: &Arc<Self>,
        after: u64,
        epoch: &str,
        follow: bool,
    ) -> Result<impl Stream<Item = Alert> + Send + use<>, Status> {
        let last = self.raised();
        let after = if epoch == self.epoch { after } else { 0 };
        if after > last {
            return Err(Status::out_of_range(format!(
                "after_sequence is {after}, and this agent has raised {last} alerts since it was started"
            )));
        }
        let reader = Reader {
            alerts: Arc::clone(self),
            tip: self.tip.subscribe(),
            cursor: after,
        };
        let until = if follow { u64::MAX } else { last };
        Ok(stream::unfold(reader, move |mut reader| async move {
            let alert = reader.next(until).await?;
            Some((alert, reader))
        }))
    }

    /// Ends all followers in order.
    pub(crate) fn close(&self) {
        self.tip.send_modify(|tip| tip.closed = true);
    }
}

impl Log {
    const fn last(&self) -> u64 {
        self.next - 1
    }

    fn has_raised(&self, process: &ProcessRecord, rule: u64) -> bool {
        let raised = self.raised.get(&run_of(process));
        raised.is_some_and(|raised| raised.contains(&rule))
    }

    fn push(&mut self, alert: Alert) {
        if self.kept.len() == self.capacity {
            self.kept.pop_front();
        }
        self.kept.push_back(Arc::new(alert));
        self.next += 1;
    }

    /// The first alert after number `after`, with how many before it are gone.
    fn after(&self, after: u64) -> Option<Alert> {
        let first = self.next - self.kept.len() as u64;
        let wanted = first.max(after + 1);
        let alert = self.kept.get(usize::try_from(wanted - first).ok()?)?;
        Some(Alert {
            missed_before: wanted - after - 1,
            ..Alert::clone(alert)
        })
    }
}

/// One who reads alerts.
struct Reader {
    alerts: Arc<Alerts>,
    tip: watch::Receiver<Tip>,
    cursor: u64,
}

impl Reader {
    /// The next alert up to number `until`; `None` when there is none to come.
    async fn next(&mut self, until: u64) -> Option<Alert> {
        while self.cursor < until {
            let closed = self.tip.borrow_and_update().closed;
            let alert = self.alerts.log.lock().after(self.cursor);
            if let Some(alert) = alert {
                self.cursor = alert.sequence;
                return (alert.sequence <= until).then_some(alert);
            }
            if closed {
                return None;
            }
            self.tip.changed().await.ok()?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::{
        bus::{Bus, Limits},
        rules,
    };

    fn process(pid: u32, seconds: i64) -> ProcessRecord {
        ProcessRecord {
            pid,
            executable_path: Some("/tmp/x".to_owned()),
            file_exists: true,
            start_time: Some(daemoneye_ipc::prost_types::Timestamp { seconds, nanos: 0 }),
            ..ProcessRecord::default()
        }
    }

    fn alerts(capacity: usize) -> Arc<Alerts> {
        let bus = Arc::new(Bus::new(String::new(), Limits::default()));
        Arc::new(Alerts::with_capacity(
            rules::defaults().expect("rules"),
            Announcer::new(bus),
            capacity,
        ))
    }

    async fn kept(alerts: &Arc<Alerts>, after: u64) -> Vec<(u64, u32, u64)> {
        let stream = alerts
            .stream(after, &alerts.epoch, false)
            .expect("in range");
        let told = |alert: Alert| {
            (
                alert.sequence,
                alert.process.expect("a process").pid,
                alert.missed_before,
            )
        };
        stream.map(told).collect().await
    }

    #[tokio::test]
    async fn a_rule_matches_a_process_once() {
        let alerts = alerts(10);
        for _ in 0..3 {
            alerts.evaluate(&process(1, 5));
        }
        assert_eq!(kept(&alerts, 0).await, [(1, 1, 0)]);
        // Another rule, another run of that id, and the same run after an end are news.
        alerts.evaluate(&ProcessRecord {
            file_exists: false,
            ..process(1, 5)
        });
        alerts.evaluate(&process(1, 6));
        assert_eq!(alerts.raised(), 3);
        alerts.forget(&process(1, 5));
        alerts.retain(&[]);
        assert!(alerts.log.lock().raised.is_empty());
        alerts.evaluate(&process(1, 6));
        assert_eq!(alerts.raised(), 4);
        alerts.retain(&[process(1, 6)]);
        alerts.evaluate(&process(1, 6));
        assert_eq!(alerts.raised(), 4);
    }

    #[tokio::test]
    async fn what_is_no_longer_kept_is_counted() {
        let alerts = alerts(2);
        for pid in 1..=5 {
            alerts.evaluate(&process(pid, 1));
        }
        assert_eq!(kept(&alerts, 0).await, [(4, 4, 3), (5, 5, 0)]);
        assert_eq!(kept(&alerts, 2).await, [(4, 4, 1), (5, 5, 0)]);
        assert_eq!(kept(&alerts, 4).await, [(5, 5, 0)]);
        assert_eq!(kept(&alerts, 5).await, []);
        let status = alerts
            .stream(6, &alerts.epoch, true)
            .map(drop)
            .expect_err("not given yet");
        assert_eq!(status.code(), daemoneye_ipc::Code::OutOfRange);
        // Numbers of another run say nothing about this one.
        let all = alerts.stream(6, "another", false).expect("in range");
        let all: Vec<_> = all.collect().await;
        assert_eq!(
            all.iter().map(|alert| alert.sequence).collect::<Vec<_>>(),
            [4, 5]
        );
        assert!(all.iter().all(|alert| alert.epoch == alerts.epoch));
    }

    #[tokio::test]
    async fn followers_get_what_comes_until_the_agent_ends() {
        let alerts = alerts(2);
        alerts.evaluate(&process(1, 1));
        let mut followed = pin!(alerts.stream(0, "", true).expect("in range"));
        assert_eq!(followed.next().await.expect("kept").sequence, 1);
        assert!(followed.next().now_or_never().is_none(), "nothing yet");
        for pid in 2..=5 {
            alerts.evaluate(&process(pid, 1));
        }
        let late = followed.next().await.expect("new");
        assert_eq!((late.sequence, late.missed_before), (4, 2));
        alerts.close();
        assert_eq!(followed.next().await.expect("the last").sequence, 5);
        assert!(followed.next().await.is_none());
    }
}
