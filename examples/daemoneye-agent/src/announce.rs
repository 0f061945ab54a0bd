//! What the agent itself publishes: its alerts, and what it sees of processes.
//!
//! **Invariant**: nobody else publishes under these topics, and what the agent has missed it publishes as
//! missed.

use std::sync::Arc;

use daemoneye_ipc::{Peer, prost::Message};
use daemoneye_ipc_generated::{
    agent::v1::Alert,
    procmond::v1::{ProcessEvent, ProcessEventKind, WatchGap},
};

use crate::bus::{
    Bus, Party, Publication,
    topic::{self, Topic},
};

/// First level of alerts' topics; the rule's name is the second.
const ALERTS: &str = "alerts";

/// First level of the topics of what happens to processes; what happens is the second.
const PROCESSES: &str = "processes";

/// Whether only the agent itself publishes under a topic.
pub(crate) fn is_reserved(topic: &Topic) -> bool {
    topic
        .levels()
        .next()
        .is_some_and(|first| [ALERTS, PROCESSES].contains(&first))
}

/// Publishes for the agent.
#[derive(Debug, Clone)]
pub(crate) struct Announcer {
    bus: Arc<Bus>,
    agent: Party,
}

impl Announcer {
    pub(crate) fn new(bus: Arc<Bus>) -> Self {
        let agent = Party::from(&Peer::current());
        Self { bus, agent }
    }

    /// An alert was raised: `alerts/RULE`.
    pub(crate) fn alert(&self, alert: &Alert) {
        let rule = topic::level(&alert.rule, self.bus.limits());
        self.publish(ALERTS, &rule, "daemoneye.agent.v1.Alert", alert);
    }

    /// A process was started, has changed or ended: `processes/started`, `processes/changed`,
    /// `processes/exited`.
    pub(crate) fn process(&self, event: &ProcessEvent) {
        let what = match event.kind() {
            ProcessEventKind::Started => "started",
            ProcessEventKind::Changed => "changed",
            ProcessEventKind::Exited => "exited",
            ProcessEventKind::Unspecified => "unknown",
        };
        let payload_type = "daemoneye.procmond.v1.ProcessEvent";
        self.publish(PROCESSES, what, payload_type, event);
    }

    /// The process monitor has reported that events are missing: `processes/gap`.
    pub(crate) fn gap(&self, gap: &WatchGap) {
        self.publish(PROCESSES, "gap", "daemoneye.procmond.v1.WatchGap", gap);
    }

    fn publish(&self, kind: &str, what: &str, payload_type: &str, message: &impl Message) {
        let topic = format!("{kind}/{what}");
        let payload = message.encode_to_vec();
        match Publication::new(&topic, "", payload_type, &payload, self.bus.limits()) {
            Ok(publication) => drop(self.bus.publish(publication, self.agent)),
            Err(error) => tracing::warn!(topic, %error, "an event of the agent is not published"),
        }
    }
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc_generated::procmond::v1::ProcessRecord;
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::bus::{Delivery, Limits, Start};

    #[test]
    fn the_agents_events_have_its_topics_and_its_identity() {
        let bus = Arc::new(Bus::new("this".to_owned(), Limits::default()));
        let all = ["alerts/+".to_owned(), "processes/+".to_owned()];
        let me = Party::from(&Peer::current());
        let mut events = bus
            .subscribe(&all, Start::Now, 0, me)
            .expect("a subscription");
        let announcer = Announcer::new(Arc::clone(&bus));
        // As large as a process monitor makes it: arguments without text, and paths of the longest kind.
        let path = "/\u{fffd}".repeat(4096);
        let process = ProcessRecord {
            executable_path: Some(path.clone()),
            command_line: vec![String::new(); 8 << 10],
            ..ProcessRecord::default()
        };
        announcer.alert(&Alert {
            rule: "odd/rule#1".to_owned(),
            reason: path,
            process: Some(process),
            ..Alert::default()
        });
        let mut event = ProcessEvent::default();
        event.set_kind(ProcessEventKind::Exited);
        announcer.process(&event);
        announcer.gap(&WatchGap::default());
        let mut seen = Vec::new();
        while let Some(Some(step)) = events.next().now_or_never() {
            let Delivery::Event(event) = step else {
                continue;
            };
            assert_eq!(event.publisher, me);
            assert!(is_reserved(event.publication.topic()));
            let payload_type = event.publication.payload_type();
            seen.push((
                event.publication.topic().to_string(),
                payload_type.to_owned(),
            ));
        }
        let wanted = [
            ("alerts/odd_rule_1", "daemoneye.agent.v1.Alert"),
            ("processes/exited", "daemoneye.procmond.v1.ProcessEvent"),
            ("processes/gap", "daemoneye.procmond.v1.WatchGap"),
        ];
        assert_eq!(seen, wanted.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
