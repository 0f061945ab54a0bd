//! `events publish`: an event, or a stream of them.
//!
//! **Invariant**: what is said to be published is: it has a sequence number.

use std::io;

use daemoneye_ipc::{IpcConfig, shutdown_signal};
use daemoneye_ipc_generated::eventbus::v1::{
    EventBusClient, Publication, PublishRequest, PublishStreamRequest, PublishStreamResponse,
};
use serde_json::json;

use super::stdin::Pieces;
use crate::{
    args::EventsPublish,
    connect,
    explain::Explanation,
    failure::Failure,
    format::{self, plain},
    output::Output,
};

/// Runs the command and returns the exit code. Ctrl-C ends a stream of lines in order.
pub(crate) async fn run(config: IpcConfig, args: EventsPublish) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    let client = EventBusClient::new(connect::channel(&config).await?);
    let publisher = Publisher {
        config: &config,
        client,
        args: &args,
    };
    let done = if args.lines {
        publisher.lines().await?
    } else {
        publisher.one().await?
    };
    let is_any = done.published > 0;
    out.json_unless_text(|| {
        json!({
            "command": "events publish",
            "endpoint": config.endpoint_path,
            "topic": args.topic,
            "epoch": done.epoch,
            "published": done.published,
            "first_sequence": is_any.then_some(done.first_sequence),
            "last_sequence": is_any.then_some(done.last_sequence),
        })
    })?;
    let (topic, first, last) = (plain(&args.topic), done.first_sequence, done.last_sequence);
    match done.published {
        0 => out.line("nothing to publish")?,
        1 => out.line(format_args!("published event {first} under {topic}"))?,
        many => out.line(format_args!(
            "published {} events under {topic}, numbers {first} to {last}",
            format::count(many)
        ))?,
    }
    Ok(0)
}

struct Publisher<'a> {
    config: &'a IpcConfig,
    client: EventBusClient,
    args: &'a EventsPublish,
}

impl Publisher<'_> {
    async fn one(&self) -> Result<PublishStreamResponse, Failure> {
        let payload = match self.args.payload.as_deref() {
            None => Vec::new(),
            Some("-") => {
                // One byte more than a frame holds is refused as too large, whatever follows.
                let mut whole = Pieces::whole(self.config.max_frame_bytes.saturating_add(1));
                whole
                    .next()
                    .await
                    .map_err(|error| unreadable(&error))?
                    .unwrap_or_default()
            }
            Some(text) => text.as_bytes().to_vec(),
        };
        let request = PublishRequest {
            publication: Some(self.publication(payload)),
        };
        let done = self.client.publish(request).await;
        let done = done.map_err(|error| self.failure(&error))?;
        Ok(PublishStreamResponse {
            published: 1,
            first_sequence: done.sequence,
            last_sequence: done.sequence,
            epoch: done.epoch,
        })
    }

    async fn lines(&self) -> Result<PublishStreamResponse, Failure> {
        let interrupted = shutdown_signal();
        tokio::pin!(interrupted);
        let mut lines = Pieces::lines(self.config.max_frame_bytes);
        let call = self.client.publish_stream().await;
        let mut call = call.map_err(|error| self.failure(&error))?;
        loop {
            let line = tokio::select! {
                line = lines.next() => line.map_err(|error| unreadable(&error))?,
                // The agent may end the call before the lines end.
                () = call.closed() => None,
                () = &mut interrupted => None,
            };
            let Some(line) = line else { break };
            let request = PublishStreamRequest {
                publication: Some(self.publication(line)),
            };
            if let Err(error) = call.send(request).await {
                if matches!(error.kind(), daemoneye_ipc::IpcError::TooLarge { .. }) {
                    return Err(self.failure(&error));
                }
                // The call is over; how it ended is told at its end.
                break;
            }
        }
        call.finish().await.map_err(|error| self.failure(&error))
    }

    fn publication(&self, payload: Vec<u8>) -> Publication {
        Publication {
            topic: self.args.topic.clone(),
            correlation_id: self.args.correlation_id.clone(),
            payload_type: self.args.payload_type.clone(),
            payload: payload.into(),
        }
    }

    fn failure(&self, error: &daemoneye_ipc::CallError) -> Failure {
        Failure::call(error, self.config.crc32_variant)
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::failed(
        "standard input cannot be read",
        Explanation::new(error.to_string(), "give the payload on the command line"),
    )
}
