//! The command line of the agent's event bus: `events`.
//!
//! **Invariant**: nothing is done here; parsing has no effects but messages about wrong usage.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use super::AgentTarget;

const SUBSCRIBE_HELP: &str = "\
Topics are levels with / between them. In a filter, + stands for any one level, and # for all that follow:
  daemoneye-cli events subscribe 'alerts/#'           all alerts
  daemoneye-cli events subscribe processes/started    processes as they start
  daemoneye-cli events subscribe '#' --from 1         all that the bus still keeps, and what comes

A gap says which events are missing, and how many: this reader was too slow, or came too late.";

const PUBLISH_HELP: &str = "\
Examples:
  daemoneye-cli events publish jobs/backup/done
  daemoneye-cli events publish jobs/backup/log 'it took 3 s'
  journalctl -f | daemoneye-cli events publish journal --lines";

/// What can be done with the event bus.
#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// Follow the events whose topics match, until Ctrl-C
    #[command(after_help = SUBSCRIBE_HELP)]
    Subscribe(EventsSubscribe),
    /// Publish an event, or each line of standard input as one
    #[command(after_help = PUBLISH_HELP)]
    Publish(EventsPublish),
    /// Show topics, subscribers and counts
    Stats(EventsStats),
}

/// Arguments of `events subscribe`.
#[derive(Debug, Args)]
pub(crate) struct EventsSubscribe {
    /// Topics to follow, with + and # as wildcards
    #[arg(required = true, value_name = "FILTER", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) filters: Vec<String>,
    #[command(flatten)]
    pub(crate) agent: AgentTarget,
    /// Take the types of payloads from this file, a serialized FileDescriptorSet, and not from the agent
    #[arg(long, value_name = "FILE")]
    pub(crate) descriptors: Option<PathBuf>,
    /// Begin with the event of this number [default: with the next one]
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from: Option<u64>,
    /// Run of the agent that the number is from, as --json tells it [default: this run]
    #[arg(long, value_name = "EPOCH", requires = "from")]
    pub(crate) epoch: Option<String>,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Events that the agent queues while this reader is slow [default: as the agent chooses]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) queue: Option<u32>,
    /// Print one JSON object per line instead
    ///
    /// Each has event (subscribed, event, gap, lost, ended) and, but for the last two, sequence and epoch. event has topic,
    /// time, correlation_id, publisher (user_id, process_id), payload_type and payload: the message in JSON
    /// with its type as @type, or text, or null and payload_base64. gap has reason (slow_subscriber,
    /// not_kept, restarted), first_missing, last_missing and missed.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `events publish`.
#[derive(Debug, Args)]
pub(crate) struct EventsPublish {
    /// Topic of the event
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// What it says, or - to read that from standard input [default: nothing]
    #[arg(value_name = "PAYLOAD|-", allow_hyphen_values = true)]
    pub(crate) payload: Option<String>,
    #[command(flatten)]
    pub(crate) agent: AgentTarget,
    /// Publish each line of standard input as an event
    #[arg(long, conflicts_with = "payload")]
    pub(crate) lines: bool,
    /// Tie the event to others
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(crate) correlation_id: String,
    /// Full name of the message that the payload holds, encoded
    #[arg(
        long = "type",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) payload_type: String,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint, topic, epoch, published, first_sequence and last_sequence, which are null if
    /// nothing was published.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `events stats`.
#[derive(Debug, Args)]
pub(crate) struct EventsStats {
    #[command(flatten)]
    pub(crate) agent: AgentTarget,
    /// Print one JSON object instead
    ///
    /// Keys: command, endpoint, epoch, published, delivered, dropped, first_retained, retained,
    /// retained_bytes, topic_count, topics (topic, retained), subscribers and limits, with the field names of
    /// the schema (daemoneye.eventbus.v1).
    #[arg(long)]
    pub(crate) json: bool,
}
