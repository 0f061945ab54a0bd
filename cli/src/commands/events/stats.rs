//! `events stats`: what the bus holds, and what it has counted.
//!
//! **Invariant**: shows what the agent says and computes nothing but units.

use daemoneye_ipc::IpcConfig;
use daemoneye_ipc_generated::eventbus::v1::{
    BusLimits, EventBusClient, GetBusStatsRequest, GetBusStatsResponse, SubscriberStats,
};
use serde_json::{Value, json};

use crate::{
    args::EventsStats,
    connect,
    failure::Failure,
    format::{bytes, count, plural},
    output::Output,
    table::{Align, Table},
};

/// Runs the command and returns the exit code.
pub(crate) async fn run(config: IpcConfig, args: EventsStats) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    let client = EventBusClient::new(connect::channel(&config).await?);
    let stats = client.get_bus_stats(GetBusStatsRequest {}).await;
    let stats = stats.map_err(|error| Failure::call(&error, config.crc32_variant))?;
    if out.is_json() {
        out.json(&json(&config, &stats))?;
        return Ok(0);
    }
    let limits = stats.limits.unwrap_or_default();
    out.line(format_args!(
        "{} published, {} delivered, {} dropped",
        count(stats.published),
        count(stats.delivered),
        count(stats.dropped)
    ))?;
    out.line(format_args!(
        "{} of {} events kept, from number {}; {} of {}",
        count(stats.retained),
        count(limits.retained_events),
        stats.first_retained,
        bytes(stats.retained_bytes),
        bytes(limits.retained_bytes)
    ))?;
    out.section(&format!(
        "{} of {} subscribers",
        stats.subscribers.len(),
        limits.subscribers
    ))?;
    if !stats.subscribers.is_empty() {
        out.table(&subscribers(&stats.subscribers), 2, None)?;
    }
    let topic_count = usize::try_from(stats.topic_count).unwrap_or(usize::MAX);
    out.section(&plural(topic_count, "topic", "topics"))?;
    if !stats.topics.is_empty() {
        out.table(&topics(&stats), 2, None)?;
    }
    Ok(0)
}

fn subscribers(subscribers: &[SubscriberStats]) -> Table {
    let mut table = Table::new(&[
        ("ID", Align::Right),
        ("USER", Align::Right),
        ("PROCESS", Align::Right),
        ("QUEUED", Align::Right),
        ("OF", Align::Right),
        ("DELIVERED", Align::Right),
        ("DROPPED", Align::Right),
        ("FILTERS", Align::Left),
    ]);
    for one in subscribers {
        let process = one.process_id.map(|pid| pid.to_string());
        let queued = if one.replaying {
            "replays".to_owned()
        } else {
            count(one.queued)
        };
        table.row([
            one.subscription_id.to_string(),
            one.user_id.to_string(),
            process.unwrap_or_else(|| "-".to_owned()),
            queued,
            count(one.queue_events),
            count(one.delivered),
            count(one.dropped),
            one.filters.join(" "),
        ]);
    }
    table
}

fn topics(stats: &GetBusStatsResponse) -> Table {
    let mut table = Table::new(&[("KEPT", Align::Right), ("TOPIC", Align::Left)]);
    for topic in &stats.topics {
        table.row([count(topic.retained), topic.topic.clone()]);
    }
    table
}

fn json(config: &IpcConfig, stats: &GetBusStatsResponse) -> Value {
    let topics = stats.topics.iter();
    let topics = topics.map(|one| json!({ "topic": one.topic, "retained": one.retained }));
    let subscribers = stats.subscribers.iter().map(|one| {
        json!({
            "subscription_id": one.subscription_id,
            "filters": one.filters,
            "user_id": one.user_id,
            "process_id": one.process_id,
            "replaying": one.replaying,
            "queued": one.queued,
            "queued_bytes": one.queued_bytes,
            "queue_events": one.queue_events,
            "delivered": one.delivered,
            "dropped": one.dropped,
        })
    });
    json!({
        "command": "events stats",
        "endpoint": config.endpoint_path,
        "epoch": stats.epoch,
        "published": stats.published,
        "delivered": stats.delivered,
        "dropped": stats.dropped,
        "first_retained": stats.first_retained,
        "retained": stats.retained,
        "retained_bytes": stats.retained_bytes,
        "topic_count": stats.topic_count,
        "topics": topics.collect::<Vec<_>>(),
        "subscribers": subscribers.collect::<Vec<_>>(),
        "limits": stats.limits.as_ref().map(limits),
    })
}

fn limits(limits: &BusLimits) -> Value {
    json!({
        "topic_bytes": limits.topic_bytes,
        "topic_levels": limits.topic_levels,
        "payload_bytes": limits.payload_bytes,
        "subscribers": limits.subscribers,
        "filters": limits.filters,
        "queue_events": limits.queue_events,
        "queue_bytes": limits.queue_bytes,
        "retained_events": limits.retained_events,
        "retained_bytes": limits.retained_bytes,
    })
}
