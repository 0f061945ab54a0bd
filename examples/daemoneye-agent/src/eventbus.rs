//! `daemoneye.eventbus.v1.EventBus`: the bus for callers.
//!
//! **Invariant**: who publishes and who subscribes is what the kernel says of the caller, never what the
//! caller says.

use std::{
    pin::{Pin, pin},
    sync::Arc,
};

use daemoneye_ipc::{CallContext, Inbound, Peer, Status, Stream};
use daemoneye_ipc_generated::eventbus::v1::{
    self as schema, BusLimits, EventBus, GetBusStatsRequest, GetBusStatsResponse, Publication,
    PublishRequest, PublishResponse, PublishStreamRequest, PublishStreamResponse, Publisher,
    SubscribeRequest, SubscribeResponse, Subscribed, SubscriberStats, TopicStats,
    UnsubscribeRequest, UnsubscribeResponse, subscribe_response::Item,
};
use futures_util::{StreamExt, stream};

use crate::{
    announce,
    bus::{
        self, Bus, Delivery, Event, GapReason, Party, Refused, Start, SubscriberReport,
        Subscription,
    },
};

/// The handler.
#[derive(Debug)]
pub(crate) struct EventBusService {
    pub(crate) bus: Arc<Bus>,
}

impl EventBus for EventBusService {
    async fn publish(
        &self,
        ctx: &CallContext,
        request: PublishRequest,
    ) -> Result<PublishResponse, Status> {
        Ok(PublishResponse {
            sequence: self.take(ctx.peer(), request.publication)?,
            epoch: self.bus.epoch().to_owned(),
        })
    }

    async fn publish_stream(
        &self,
        ctx: &CallContext,
        mut requests: Inbound<PublishStreamRequest>,
    ) -> Result<PublishStreamResponse, Status> {
        let mut total = PublishStreamResponse {
            epoch: self.bus.epoch().to_owned(),
            ..PublishStreamResponse::default()
        };
        let mut draining = pin!(ctx.draining());
        loop {
            let taken = tokio::select! {
                biased;
                () = &mut draining => Err(Status::unavailable("the agent shuts down")),
                request = requests.message() => request,
            };
            let taken = taken.and_then(|request| {
                let Some(request) = request else {
                    return Ok(None);
                };
                self.take(ctx.peer(), request.publication).map(Some)
            });
            match taken {
                Ok(Some(sequence)) => {
                    total.published += 1;
                    total.last_sequence = sequence;
                    if total.first_sequence == 0 {
                        total.first_sequence = sequence;
                    }
                }
                Ok(None) => return Ok(total),
                Err(status) => return Err(after(total.published, &status)),
            }
        }
    }

    async fn subscribe(
        &self,
        ctx: &CallContext,
        request: SubscribeRequest,
    ) -> Result<impl Stream<Item = Result<SubscribeResponse, Status>> + Send, Status> {
        let start = match request.after_sequence {
            None => Start::Now,
            Some(sequence) => Start::After {
                sequence,
                epoch: Some(request.epoch).filter(|epoch| !epoch.is_empty()),
            },
        };
        let queue_events = usize::try_from(request.queue_events).unwrap_or(usize::MAX);
        let owner = Party::from(ctx.peer());
        let subscription = self
            .bus
            .subscribe(&request.filters, start, queue_events, owner)?;
        let subscribed = Subscribed {
            subscription_id: subscription.id(),
            epoch: self.bus.epoch().to_owned(),
            queue_events: u32::try_from(subscription.queue_events()).unwrap_or(u32::MAX),
        };
        // It would never end by itself, and would hold the drain up.
        let reader = Reader {
            subscription,
            draining: Some(Box::pin(ctx.draining())),
        };
        let steps = stream::unfold(Some(reader), async |reader| reader?.next().await);
        Ok(steps.map(move |step| step.map(|step| response(step, &subscribed))))
    }

    async fn unsubscribe(
        &self,
        ctx: &CallContext,
        request: UnsubscribeRequest,
    ) -> Result<UnsubscribeResponse, Status> {
        let caller = Party::from(ctx.peer());
        let ended = self.bus.unsubscribe(request.subscription_id, caller)?;
        Ok(UnsubscribeResponse { ended })
    }

    async fn get_bus_stats(
        &self,
        _: &CallContext,
        _: GetBusStatsRequest,
    ) -> Result<GetBusStatsResponse, Status> {
        let report = self.bus.report();
        let topics = report.topics.iter().map(|(topic, retained)| TopicStats {
            topic: topic.to_string(),
            retained: *retained,
        });
        Ok(GetBusStatsResponse {
            epoch: self.bus.epoch().to_owned(),
            first_retained: report.first_retained,
            retained: report.last + 1 - report.first_retained,
            retained_bytes: report.retained_bytes as u64,
            published: report.last,
            delivered: report.delivered,
            dropped: report.dropped,
            topic_count: report.topic_count as u64,
            topics: topics.collect(),
            subscribers: report.subscribers.into_iter().map(subscriber).collect(),
            limits: Some(limits(self.bus.limits())),
        })
    }
}

/// One who reads a subscription until it ends or the agent does.
struct Reader<F> {
    subscription: Subscription,
    /// Ready when the agent shuts down; `None` from then on.
    draining: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = ()>> Reader<F> {
    /// The next step, with who reads on.
    async fn next(mut self) -> Option<(Result<Delivery, Status>, Option<Self>)> {
        let step = match &mut self.draining {
            Some(draining) => tokio::select! {
                biased;
                () = draining => {
                    self.draining = None;
                    self.subscription.finish();
                    self.subscription.next().await
                }
                step = self.subscription.next() => step,
            },
            None => self.subscription.next().await,
        };
        match step {
            Some(step) => Some((Ok(step), Some(self))),
            None if self.draining.is_some() => None,
            None => {
                let text = "the agent shuts down; subscribe again when it is back";
                Some((Err(Status::unavailable(text)), None))
            }
        }
    }
}

impl EventBusService {
    /// Publishes for a caller.
    fn take(&self, caller: &Peer, publication: Option<Publication>) -> Result<u64, Status> {
        let said = publication.ok_or_else(|| {
            Status::invalid_argument("publication is not set; say what to publish")
        })?;
        let publication = bus::Publication::new(
            &said.topic,
            &said.correlation_id,
            &said.payload_type,
            &said.payload,
            self.bus.limits(),
        )?;
        if announce::is_reserved(publication.topic()) {
            return Err(Status::permission_denied(format!(
                "only the agent itself publishes under {:?}; choose another first level",
                said.topic
            )));
        }
        Ok(self.bus.publish(publication, Party::from(caller)))
    }
}

/// What a stream of publications failed with, and how far it came.
fn after(published: u64, status: &Status) -> Status {
    let text = format!(
        "{}; events of this stream that are published: {published}",
        status.message()
    );
    Status::new(status.code(), text)
}

fn response(step: Delivery, subscribed: &Subscribed) -> SubscribeResponse {
    let sequence = step.sequence();
    let item = match step {
        Delivery::Subscribed { .. } => Item::Subscribed(subscribed.clone()),
        Delivery::Event(event) => Item::Event(wire(&event)),
        Delivery::Progress { .. } => Item::Progress(schema::Progress {}),
        Delivery::Gap(gap) => Item::Gap(schema::Gap {
            reason: schema::GapReason::from(gap.reason).into(),
            first_missing: gap.first_missing,
            last_missing: gap.last_missing,
            missed: gap.missed,
        }),
    };
    SubscribeResponse {
        sequence,
        item: Some(item),
    }
}

fn wire(event: &Event) -> schema::Event {
    let publication = &event.publication;
    schema::Event {
        publication: Some(Publication {
            topic: publication.topic().to_string(),
            correlation_id: publication.correlation_id().to_owned(),
            payload_type: publication.payload_type().to_owned(),
            payload: publication.payload().clone(),
        }),
        publisher: Some(Publisher {
            user_id: event.publisher.user_id,
            process_id: event.publisher.process_id,
        }),
        publish_time: Some(event.time.into()),
    }
}

fn subscriber(report: SubscriberReport) -> SubscriberStats {
    SubscriberStats {
        subscription_id: report.id,
        filters: report.filters,
        user_id: report.owner.user_id,
        process_id: report.owner.process_id,
        replaying: report.replaying,
        queued: report.queued as u64,
        queued_bytes: report.queued_bytes as u64,
        queue_events: report.queue_events as u64,
        delivered: report.delivered,
        dropped: report.dropped,
    }
}

const fn limits(limits: &bus::Limits) -> BusLimits {
    BusLimits {
        topic_bytes: limits.topic_bytes as u64,
        topic_levels: limits.topic_levels as u64,
        payload_bytes: limits.payload_bytes as u64,
        subscribers: limits.subscribers as u64,
        filters: limits.filters as u64,
        queue_events: limits.queue_events as u64,
        queue_bytes: limits.queue_bytes as u64,
        retained_events: limits.retained_events as u64,
        retained_bytes: limits.retained_bytes as u64,
    }
}

impl From<&Peer> for Party {
    fn from(peer: &Peer) -> Self {
        Self {
            user_id: peer.user().number(),
            process_id: peer.pid.and_then(|pid| u32::try_from(pid).ok()),
        }
    }
}

impl From<GapReason> for schema::GapReason {
    fn from(reason: GapReason) -> Self {
        match reason {
            GapReason::SlowSubscriber => Self::SlowSubscriber,
            GapReason::NotKept => Self::NotKept,
            GapReason::Restarted => Self::Restarted,
        }
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::Topic(_)
            | Refused::Filter { .. }
            | Refused::NoFilter
            | Refused::TooLong { .. } => Self::invalid_argument(text),
            Refused::Payload { .. } | Refused::Filters { .. } | Refused::Subscribers { .. } => {
                Self::resource_exhausted(text)
            }
            Refused::NotYet { .. } => Self::out_of_range(text),
            Refused::NotYours { .. } => Self::permission_denied(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc::{Code, IpcConfig, PeerPolicy, Server, testing::TestServer};
    use daemoneye_ipc_generated::eventbus::v1::{EventBusClient, EventBusServer};

    use super::*;
    use crate::bus::Limits;

    /// A user that is let in and is not this process's own.
    const OTHER: u32 = 12_345;

    #[tokio::test]
    async fn who_the_caller_is_decides_and_is_told() {
        let bus = Arc::new(Bus::new("this".to_owned(), Limits::default()));
        let builder = Server::builder(IpcConfig::default())
            .add_service(EventBusServer::new(EventBusService { bus }))
            .peer_policy(PeerPolicy::same_user().or_uid(OTHER));
        let server = TestServer::start(builder).expect("a server");
        let own = EventBusClient::new(server.channel());
        let other = Peer {
            uid: OTHER,
            pid: Some(4321),
            ..Peer::current()
        };
        let other = EventBusClient::new(server.caller().peer(other).channel());
        let request = SubscribeRequest {
            filters: vec!["#".to_owned()],
            ..SubscribeRequest::default()
        };
        let mut steps = own.subscribe(request).await.expect("a subscription");
        let first = steps.message().await.expect("a step").expect("no end");
        let Some(Item::Subscribed(subscribed)) = first.item else {
            panic!("{first:?}")
        };
        let end = UnsubscribeRequest {
            subscription_id: subscribed.subscription_id,
        };
        let error = other.unsubscribe(end).await.expect_err("refused");
        assert_eq!(error.code(), Code::PermissionDenied);

        let publication = Publication {
            topic: "a".to_owned(),
            ..Publication::default()
        };
        let request = PublishRequest {
            publication: Some(publication),
        };
        other.publish(request).await.expect("published");
        let event = steps.message().await.expect("a step").expect("no end");
        let Some(Item::Event(event)) = event.item else {
            panic!("{event:?}")
        };
        let publisher = event.publisher.expect("a publisher");
        assert_eq!(
            (publisher.user_id, publisher.process_id),
            (OTHER, Some(4321))
        );
        let error = own.publish(PublishRequest::default()).await;
        assert_eq!(
            error.expect_err("nothing said").code(),
            Code::InvalidArgument
        );

        assert!(own.unsubscribe(end).await.expect("an answer").ended);
        assert!(steps.message().await.expect("an end in order").is_none());
    }
}
