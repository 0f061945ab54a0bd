//! `events subscribe`: events as they are published.
//!
//! **Invariant**: a subscription that is interrupted resumes after the last event that was shown, and what is
//! missing is said.

use std::{io, path::Path, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use daemoneye_ipc::{CallError, Code, IpcConfig, Streaming, shutdown_signal};
use daemoneye_ipc_generated::eventbus::v1::{
    Event, EventBusClient, Gap, GapReason, Publication, SubscribeRequest, SubscribeResponse,
    subscribe_response::Item,
};
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    args::{EventsSubscribe, Schemas},
    connect,
    failure::Failure,
    format,
    output::{FAINT, GOOD, ODD, Output},
    reflection::{self, Source},
};

/// The least time between two attempts to resume; the channel's own backoff comes on top.
const PACE: Duration = Duration::from_millis(100);

/// Runs the command until Ctrl-C, or until enough events came; both are success.
pub(crate) async fn run(file: Option<&Path>, args: EventsSubscribe) -> Result<u8, Failure> {
    let interrupted = shutdown_signal();
    let schemas = Schemas {
        target: args.agent.target(),
        descriptors: args.descriptors.clone(),
    };
    let config = connect::configuration(file, &schemas.target)?;
    let source = Source::open(file, &schemas).await?;
    let channel = match source.channel() {
        Some(channel) => channel.clone(),
        None => connect::channel(&config).await?,
    };
    let mut subscriber = Subscriber {
        out: Output::stdout(args.json),
        types: types(&source).await?,
        config: &config,
        client: EventBusClient::new(channel),
        after: args.from.map(|first| first - 1),
        epoch: args.epoch.clone().unwrap_or_default(),
        left: args.count,
        args: &args,
    };
    tokio::select! {
        ended = subscriber.follow() => ended?,
        () = interrupted => {}
    }
    Ok(0)
}

/// The types of payloads; none if the agent does not describe its services.
async fn types(source: &Source) -> Result<DescriptorPool, Failure> {
    let described = async {
        let services = source.services().await?;
        source.descriptors(&services).await
    };
    match (described.await, source) {
        (Ok(pool), _) => Ok(pool),
        (Err(_), Source::Server(_)) => Ok(DescriptorPool::new()),
        (Err(failure), Source::File(_)) => Err(failure),
    }
}

struct Subscriber<'a> {
    out: Output,
    types: DescriptorPool,
    config: &'a IpcConfig,
    client: EventBusClient,
    args: &'a EventsSubscribe,
    /// The last number that is behind us, once there is one.
    after: Option<u64>,
    /// Which run of the bus that is from; empty for whichever it is.
    epoch: String,
    /// Events to show before the end.
    left: Option<u64>,
}

impl Subscriber<'_> {
    /// Shows events until enough came, or somebody ended the subscription. An agent that goes away is waited
    /// for, however long it takes.
    async fn follow(&mut self) -> Result<(), Failure> {
        let mut lost = false;
        loop {
            let ended = match self.open().await {
                Ok(mut steps) => self.show(&mut steps, &mut lost).await,
                Err(failure) => Err(failure),
            };
            match ended {
                Ok(()) => return Ok(()),
                Err(Lost::Failure(failure)) => return Err(failure),
                Err(Lost::Connection) if lost => sleep(PACE).await,
                Err(Lost::Connection) => {
                    lost = true;
                    self.say("connection lost; it resumes when the agent is back", "lost")?;
                }
            }
        }
    }

    async fn open(&self) -> Result<Streaming<SubscribeResponse>, Lost> {
        let request = SubscribeRequest {
            filters: self.args.filters.clone(),
            after_sequence: self.after,
            epoch: self.epoch.clone(),
            queue_events: self.args.queue.unwrap_or_default(),
        };
        let call = self.client.subscribe(request).wait_for_ready(true);
        call.await.map_err(|error| self.lost(&error))
    }

    async fn show(
        &mut self,
        steps: &mut Streaming<SubscribeResponse>,
        lost: &mut bool,
    ) -> Result<(), Lost> {
        while self.left != Some(0) {
            let Some(step) = steps.message().await.map_err(|error| self.lost(&error))? else {
                self.say("the subscription was ended by its user", "ended")?;
                return Ok(());
            };
            *lost = false;
            let Some(item) = step.item else { continue };
            if let Item::Subscribed(subscribed) = &item {
                self.epoch.clone_from(&subscribed.epoch);
            }
            self.after = Some(step.sequence);
            self.show_item(step.sequence, &item)?;
            if let (Item::Event(_), Some(left)) = (&item, &mut self.left) {
                *left -= 1;
            }
        }
        Ok(())
    }

    fn show_item(&mut self, sequence: u64, item: &Item) -> io::Result<()> {
        if self.out.is_json() {
            let Some(mut value) = json(item, &self.types) else {
                return Ok(());
            };
            value["sequence"] = json!(sequence);
            value["epoch"] = json!(self.epoch);
            return self.out.json_line(&value);
        }
        match line(sequence, item, &self.types) {
            Some(line) => self.out.line(line),
            None => Ok(()),
        }
    }

    fn lost(&self, error: &CallError) -> Lost {
        // A limit that is reached does not go away while one waits.
        if error.kind().is_transient() && error.code() != Code::ResourceExhausted {
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

/// A step for programs; none where there is nothing to show.
fn json(item: &Item, types: &DescriptorPool) -> Option<Value> {
    Some(match item {
        Item::Subscribed(_) => json!({ "event": "subscribed" }),
        Item::Event(event) => {
            let said = event.publication.clone().unwrap_or_default();
            let (payload, encoded) = match payload(&said, types) {
                Payload::Message(json) => (serde_json::from_str(&json).ok()?, None),
                Payload::Text(text) => (Value::from(text), None),
                Payload::Bytes(bytes) => (Value::Null, Some(BASE64_STANDARD.encode(bytes))),
            };
            let publisher = event.publisher.as_ref();
            let mut value = json!({
                "event": "event",
                "topic": said.topic,
                "time": event.publish_time.map(|time| time.to_string()),
                "correlation_id": said.correlation_id,
                "publisher": publisher.map(|one| json!({
                    "user_id": one.user_id,
                    "process_id": one.process_id,
                })),
                "payload_type": said.payload_type,
                "payload": payload,
            });
            if let Some(encoded) = encoded {
                value["payload_base64"] = encoded.into();
            }
            value
        }
        Item::Gap(gap) => json!({
            "event": "gap",
            "reason": reason(gap),
            "first_missing": gap.first_missing,
            "last_missing": gap.last_missing,
            "missed": gap.missed,
        }),
        // Only says from where to resume.
        Item::Progress(_) => return None,
    })
}

fn reason(gap: &Gap) -> &'static str {
    match gap.reason() {
        GapReason::SlowSubscriber => "slow_subscriber",
        GapReason::NotKept => "not_kept",
        GapReason::Restarted => "restarted",
        GapReason::Unspecified => "unknown",
    }
}

/// A step for people; none where there is nothing to show.
fn line(sequence: u64, item: &Item, types: &DescriptorPool) -> Option<String> {
    Some(match item {
        Item::Subscribed(_) => {
            format!("{FAINT}subscribed after event {sequence}; Ctrl-C ends it{FAINT:#}")
        }
        Item::Event(event) => event_line(sequence, event, types),
        Item::Gap(gap) => format!("{ODD}gap{ODD:#}: {}", gap_text(gap)),
        Item::Progress(_) => return None,
    })
}

fn event_line(sequence: u64, event: &Event, types: &DescriptorPool) -> String {
    let nothing = Publication::default();
    let said = event.publication.as_ref().unwrap_or(&nothing);
    let time = event.publish_time.map(|time| time.to_string());
    let mut line = format!(
        "{FAINT}{:<30}{FAINT:#} {sequence:>8}  {GOOD}{}{GOOD:#}",
        time.unwrap_or_default(),
        format::plain(&said.topic)
    );
    if !said.correlation_id.is_empty() {
        line.push_str(&format!("  [{}]", format::plain(&said.correlation_id)));
    }
    let text = match payload(said, types) {
        Payload::Message(text) | Payload::Text(text) => text,
        Payload::Bytes(bytes) if said.payload_type.is_empty() => {
            format!("({})", format::bytes(bytes.len() as u64))
        }
        Payload::Bytes(bytes) => {
            let size = format::bytes(bytes.len() as u64);
            format!("({size} of {})", said.payload_type)
        }
    };
    if !text.is_empty() {
        line.push_str("  ");
        line.push_str(&format::plain(&text));
    }
    if let Some(publisher) = &event.publisher {
        let process = publisher.process_id.map(|pid| format!(", process {pid}"));
        line.push_str(&format!(
            "  {FAINT}user {}{}{FAINT:#}",
            publisher.user_id,
            process.unwrap_or_default()
        ));
    }
    line
}

fn gap_text(gap: &Gap) -> String {
    let missed = usize::try_from(gap.missed).unwrap_or(usize::MAX);
    let (first, last) = (gap.first_missing, gap.last_missing);
    match gap.reason() {
        GapReason::SlowSubscriber | GapReason::Unspecified => format!(
            "{} between {first} and {last} missing: this reader was too slow",
            format::plural(missed, "event is", "events are")
        ),
        GapReason::NotKept => {
            format!("events {first} to {last} are not kept any more; how many match is not known")
        }
        GapReason::Restarted if last == 0 => {
            "the agent was restarted; what was published meanwhile is not known".to_owned()
        }
        GapReason::Restarted => format!(
            "the agent was restarted; what was published meanwhile is not known, and its events up to {last} are not kept any more"
        ),
    }
}

/// What an event says, in the best form that there is.
enum Payload {
    /// A message in JSON.
    Message(String),
    Text(String),
    Bytes(Vec<u8>),
}

fn payload(said: &Publication, types: &DescriptorPool) -> Payload {
    let is_known = types.get_message_by_name(&said.payload_type).is_some();
    if is_known && let Ok(text) = reflection::show_any(&said.payload_type, &said.payload, types) {
        return Payload::Message(text);
    }
    match String::from_utf8(said.payload.to_vec()) {
        Ok(text) if said.payload_type.is_empty() => Payload::Text(text),
        _ => Payload::Bytes(said.payload.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc_generated::eventbus::v1::Publisher;

    use super::*;

    fn event(payload_type: &str, payload: &'static [u8]) -> Event {
        Event {
            publication: Some(Publication {
                topic: "a/\u{202e}b".to_owned(),
                correlation_id: "c".to_owned(),
                payload_type: payload_type.to_owned(),
                payload: payload.into(),
            }),
            publisher: Some(Publisher {
                user_id: 1000,
                process_id: Some(7),
            }),
            publish_time: None,
        }
    }

    fn shown(item: &Item) -> String {
        let line = line(12, item, &DescriptorPool::new()).expect("a line");
        anstream::adapter::strip_str(&line).to_string()
    }

    #[test]
    fn events_for_people_are_one_line_and_steer_nothing() {
        for (event, wanted) in [
            (
                event("", b"two\nlines"),
                "[c]  two\\nlines  user 1000, process 7",
            ),
            (event("", b"\xff"), "[c]  (1 B)  user 1000, process 7"),
            (
                event("x.Y", b"text"),
                "[c]  (4 B of x.Y)  user 1000, process 7",
            ),
            (event("", b""), "[c]  user 1000, process 7"),
        ] {
            let line = shown(&Item::Event(event));
            assert!(line.ends_with(wanted), "{line}");
            assert!(line.contains("  12  a/\\u{202e}b  [c]"), "{line}");
        }
    }

    #[test]
    fn gaps_for_people_say_what_is_missing_and_why() {
        let gap = |reason: GapReason, first_missing, last_missing, missed| {
            shown(&Item::Gap(Gap {
                reason: reason.into(),
                first_missing,
                last_missing,
                missed,
            }))
        };
        assert_eq!(
            gap(GapReason::SlowSubscriber, 3, 90, 12),
            "gap: 12 events are between 3 and 90 missing: this reader was too slow"
        );
        assert!(gap(GapReason::NotKept, 3, 90, 88).contains("3 to 90 are not kept"));
        assert!(gap(GapReason::Restarted, 0, 0, 0).contains("restarted"));
        assert!(gap(GapReason::Restarted, 0, 9, 9).contains("up to 9 are not kept"));
    }

    #[test]
    fn payloads_for_programs_keep_every_byte() {
        let json = |event| json(&Item::Event(event), &DescriptorPool::new()).expect("JSON");
        assert_eq!(json(event("", b"text"))["payload"], "text");
        for event in [event("", b"\xff\0"), event("no.such.Type", b"\xff\0")] {
            let value = json(event);
            assert!(value["payload"].is_null());
            assert_eq!(value["payload_base64"], "/wA=");
        }
    }
}
