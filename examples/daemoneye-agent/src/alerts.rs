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
use daemoneye_ipc_generated::{agent::v1::Alert, procmond::v1::ProcessRecord};
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::rules::Rule;

/// Alerts that are kept.
const KEPT: usize = 1024;

/// One run of one process, as records name it.
type Run = (u32, Option<(i64, i32)>);

/// The alerts of one agent.
#[derive(Debug)]
pub(crate) struct Alerts {
    rules: Vec<Rule>,
    /// Names this run, so that its numbers are not taken for those of another.
    epoch: String,
    log: Mutex<Log>,
    tip: watch::Sender<Tip>,
}

#[derive(Debug)]
struct Log {
    next: u64,
    kept: VecDeque<Arc<Alert>>,
    capacity: usize,
    /// The rules, by their place in the list, that have matched each process that still runs.
    raised: HashMap<Run, HashSet<usize>>,
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
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        Self::with_capacity(rules, KEPT)
    }

    fn with_capacity(rules: Vec<Rule>, capacity: usize) -> Self {
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
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let epoch = format!("{:x}-{:x}", now.as_nanos(), std::process::id());
        Self {
            rules,
            epoch,
            log: Mutex::new(log),
            tip,
        }
    }

    /// Names of the rules in force.
    pub(crate) fn rules(&self) -> Vec<String> {
        self.rules.iter().map(|rule| rule.name.clone()).collect()
    }

    /// Whether there are rules about what changes without an event.
    pub(crate) fn need_looks(&self) -> bool {
        self.rules.iter().any(Rule::needs_looks)
    }

    /// Alerts that were raised so far.
    pub(crate) fn raised(&self) -> u64 {
        self.log.lock().last()
    }

    /// Raises an alert for every rule that matches `process` and has not matched it before.
    pub(crate) fn evaluate(&self, process: &ProcessRecord) {
        for (index, rule) in self.rules.iter().enumerate() {
            let Some(reason) = rule.matches(process) else {
                continue;
            };
            let mut log = self.log.lock();
            if !log.raised.entry(run_of(process)).or_default().insert(index) {
                continue;
            }
            tracing::info!(rule = rule.name, pid = process.pid, reason, "alert");
            let sequence = log.next;
            log.push(Alert {
                sequence,
                rule: rule.name.clone(),
                reason,
                time: Some(SystemTime::now().into()),
                process: Some(process.clone()),
                missed_before: 0,
                epoch: self.epoch.clone(),
            });
            // Under the lock, so that the tip never goes back.
            let last = log.last();
            self.tip.send_modify(|tip| tip.last = last);
        }
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
    use crate::rules;

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
        Arc::new(Alerts::with_capacity(
            rules::defaults().expect("rules"),
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
