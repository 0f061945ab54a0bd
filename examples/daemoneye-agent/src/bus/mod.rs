//! The event bus: events under topics, numbered, for any number of subscribers. It knows neither the
//! wire nor a runtime: a subscription is a stream, and publishing is a function that returns at once.
//!
//! **Invariant**: publishing waits for nobody, and no subscriber holds another up; what a subscriber misses
//! it is told of; everything that is kept has a limit in number and in bytes.

mod event;
mod history;
mod queue;
mod routes;
mod subscriber;
pub(crate) mod topic;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::SystemTime,
};

use futures_util::Stream;
use parking_lot::Mutex;

pub(crate) use self::event::{Event, Limits, Party, Publication};
use self::{
    history::History,
    queue::Queue,
    routes::Routes,
    subscriber::{Next, SILENCE, Subscriber},
    topic::{Filter, TopicError},
};

/// Topics that a report names.
const REPORTED_TOPICS: usize = 100;

/// The bus of one agent.
#[derive(Debug)]
pub(crate) struct Bus {
    /// Names this run, so that its numbers are not taken for those of another.
    epoch: String,
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    history: History,
    routes: Routes,
    subscribers: BTreeMap<u64, Subscriber>,
    /// Those who read older events.
    replaying: BTreeSet<u64>,
    next_id: u64,
    delivered: u64,
    dropped: u64,
}

/// Why something was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("topic {0}")]
    Topic(TopicError),
    #[error("filter {filter:?} {error}")]
    Filter { filter: String, error: TopicError },
    #[error("no filter is given; name at least one, `#` for all topics")]
    NoFilter,
    #[error("{what} has {bytes} bytes; at most {most} are allowed")]
    TooLong {
        what: &'static str,
        bytes: usize,
        most: usize,
    },
    #[error("the payload has {bytes} bytes; at most {most} are allowed")]
    Payload { bytes: usize, most: usize },
    #[error("{filters} filters are given; a subscription has at most {most}")]
    Filters { filters: usize, most: usize },
    #[error(
        "there are {most} subscriptions, as many as the bus allows; end one, or try again later"
    )]
    Subscribers { most: usize },
    #[error(
        "after_sequence is {after}, and this bus has published {last} events since it was started"
    )]
    NotYet { after: u64, last: u64 },
    #[error("subscription {id} is another user's; only who has subscribed may end it")]
    NotYours { id: u64 },
}

/// From where on to subscribe.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// With the next event.
    Now,
    /// After an event, of this run unless another one is named.
    After {
        sequence: u64,
        epoch: Option<String>,
    },
}

/// One step of a subscription.
#[derive(Debug, Clone)]
pub(crate) enum Delivery {
    /// First of all; what comes after this number follows.
    Subscribed { sequence: u64 },
    /// A matching event.
    Event(Arc<Event>),
    /// Events are missing.
    Gap(Gap),
    /// Nothing more matches up to this number.
    Progress { sequence: u64 },
}

/// Events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) reason: GapReason,
    /// Number of the first; 0 if they are of another run.
    pub(crate) first_missing: u64,
    /// Number of the last, of this run.
    pub(crate) last_missing: u64,
    /// How many: of a slow subscriber those that match, else all of this run.
    pub(crate) missed: u64,
}

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GapReason {
    /// The subscriber did not read fast enough.
    SlowSubscriber,
    /// They were not kept any more when it came.
    NotKept,
    /// The number that it has is another run's.
    Restarted,
}

/// The state of the bus.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) first_retained: u64,
    pub(crate) last: u64,
    pub(crate) retained_bytes: usize,
    pub(crate) delivered: u64,
    pub(crate) dropped: u64,
    pub(crate) topic_count: usize,
    /// The topics with the most events, and these.
    pub(crate) topics: Vec<(Arc<str>, u64)>,
    pub(crate) subscribers: Vec<SubscriberReport>,
}

/// The state of a subscriber.
#[derive(Debug)]
pub(crate) struct SubscriberReport {
    pub(crate) id: u64,
    pub(crate) filters: Vec<String>,
    pub(crate) owner: Party,
    pub(crate) replaying: bool,
    pub(crate) queued: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) queue_events: usize,
    pub(crate) delivered: u64,
    pub(crate) dropped: u64,
}

impl Bus {
    /// A bus without events. `epoch` names this run of it, as no other is named.
    pub(crate) fn new(epoch: String, limits: Limits) -> Self {
        let state = State {
            history: History::new(&limits),
            routes: Routes::default(),
            subscribers: BTreeMap::new(),
            replaying: BTreeSet::new(),
            next_id: 1,
            delivered: 0,
            dropped: 0,
        };
        Self {
            epoch,
            limits,
            state: Mutex::new(state),
        }
    }

    /// Names this run.
    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Publishes an event and returns its sequence number.
    pub(crate) fn publish(&self, publication: Publication, publisher: Party) -> u64 {
        let time = SystemTime::now();
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        let event = Arc::new(Event {
            sequence: state.history.next(),
            publication,
            publisher,
            time,
        });
        state.publish(&event, &mut wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        event.sequence
    }

    /// Subscribes `owner` to what the filters match. A queue is no longer than the limits allow.
    ///
    /// # Errors
    /// If a filter is none, there are too many of them or of subscriptions, or the start is not yet there.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        filters: &[String],
        start: Start,
        queue_events: usize,
        owner: Party,
    ) -> Result<Subscription, Refused> {
        let filters = self.filters(filters)?;
        let most = match queue_events {
            0 => self.limits.queue_events_default,
            asked => asked.min(self.limits.queue_events),
        };
        let queue = Queue::new(most, self.limits.queue_bytes);
        let mut state = self.state.lock();
        if state.subscribers.len() >= self.limits.subscribers {
            return Err(Refused::Subscribers {
                most: self.limits.subscribers,
            });
        }
        let (opening, replay) = self.open(start, &state.history)?;
        let id = state.next_id;
        state.next_id += 1;
        for filter in &filters {
            state.routes.insert(filter, id);
        }
        if replay.is_some() {
            state.replaying.insert(id);
        }
        let subscriber = Subscriber::new(owner, filters, opening, replay, queue);
        state.subscribers.insert(id, subscriber);
        drop(state);
        Ok(Subscription {
            bus: Arc::clone(self),
            id,
            queue_events: most,
        })
    }

    /// Ends a subscription: what is queued still comes. Returns whether there was one.
    ///
    /// # Errors
    /// If another user has subscribed.
    pub(crate) fn unsubscribe(&self, id: u64, caller: Party) -> Result<bool, Refused> {
        let mut state = self.state.lock();
        match state.subscribers.get(&id) {
            Some(subscriber) if subscriber.owner().user_id != caller.user_id => {
                Err(Refused::NotYours { id })
            }
            _ => {
                let (ended, waker) = state.finish(id);
                drop(state);
                waker.into_iter().for_each(Waker::wake);
                Ok(ended)
            }
        }
    }

    /// The state of the bus.
    pub(crate) fn report(&self) -> Report {
        let state = self.state.lock();
        let history = &state.history;
        let topics = history.topics();
        let mut report = Report {
            first_retained: history.first(),
            last: history.last(),
            retained_bytes: history.bytes(),
            delivered: state.delivered,
            dropped: state.dropped,
            topic_count: topics.len(),
            topics: topics
                .iter()
                .map(|(topic, count)| (Arc::clone(topic), *count))
                .collect(),
            subscribers: Vec::with_capacity(state.subscribers.len()),
        };
        let subscribers = state.subscribers.iter();
        report
            .subscribers
            .extend(subscribers.map(|(id, one)| one.report(*id)));
        drop(state);
        report
            .topics
            .sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
        report.topics.truncate(REPORTED_TOPICS);
        report
    }

    fn filters(&self, filters: &[String]) -> Result<Vec<Filter>, Refused> {
        let most = self.limits.filters;
        match filters.len() {
            0 => return Err(Refused::NoFilter),
            filters if filters > most => return Err(Refused::Filters { filters, most }),
            _ => {}
        }
        let parse = |text: &String| {
            Filter::parse(text, &self.limits).map_err(|error| Refused::Filter {
                filter: text.chars().take(self.limits.topic_bytes).collect(),
                error,
            })
        };
        filters.iter().map(parse).collect()
    }

    /// What a subscriber is told first, and after which event it reads the history.
    fn open(
        &self,
        start: Start,
        history: &History,
    ) -> Result<(VecDeque<Delivery>, Option<u64>), Refused> {
        let (first, last) = (history.first(), history.last());
        let Start::After { sequence, epoch } = start else {
            return Ok((
                VecDeque::from([Delivery::Subscribed { sequence: last }]),
                None,
            ));
        };
        let restarted = epoch.is_some_and(|epoch| epoch != self.epoch);
        let after = if restarted { 0 } else { sequence };
        if after > last {
            return Err(Refused::NotYet { after, last });
        }
        let mut opening = VecDeque::from([Delivery::Subscribed { sequence: after }]);
        let gone = (first - 1).saturating_sub(after);
        if restarted || gone > 0 {
            let (reason, first_missing) = if restarted {
                (GapReason::Restarted, 0)
            } else {
                (GapReason::NotKept, after + 1)
            };
            opening.push_back(Delivery::Gap(Gap {
                reason,
                first_missing,
                last_missing: after + gone,
                missed: gone,
            }));
        }
        Ok((opening, Some(after + gone)))
    }
}

impl State {
    fn publish(&mut self, event: &Arc<Event>, wakers: &mut Vec<Waker>) {
        for gone in self.history.push(Arc::clone(event)) {
            for id in &self.replaying {
                let subscriber = self.subscribers.get_mut(id);
                let wanted = subscriber.is_some_and(|one| one.forgotten(&gone));
                self.dropped += u64::from(wanted);
            }
        }
        for id in self.routes.interested(event.publication.topic()) {
            if let Some(subscriber) = self.subscribers.get_mut(&id) {
                self.dropped += subscriber.push(event);
                wakers.extend(subscriber.take_waker());
            }
        }
        if event.sequence.is_multiple_of(SILENCE) {
            for subscriber in self.subscribers.values_mut() {
                if subscriber.pass(event.sequence) {
                    wakers.extend(subscriber.take_waker());
                }
            }
        }
    }

    fn finish(&mut self, id: u64) -> (bool, Option<Waker>) {
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return (false, None);
        };
        let ended = subscriber.finish(self.history.last());
        if ended {
            for filter in subscriber.filters() {
                self.routes.remove(filter, id);
            }
        }
        (ended, subscriber.take_waker())
    }

    /// What comes next, and a waker to drop without a lock.
    fn poll(&mut self, id: u64, waker: &Waker) -> (Next, Option<Waker>) {
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return (Next::End, None);
        };
        let next = subscriber.next(&self.history);
        if !subscriber.is_replaying() {
            self.replaying.remove(&id);
        }
        self.delivered += u64::from(matches!(next, Next::Item(Delivery::Event(_))));
        let before = match next {
            Next::Nothing => subscriber.wait(waker),
            Next::Item(_) | Next::Again | Next::End => None,
        };
        (next, before)
    }
}

/// A subscription. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    bus: Arc<Bus>,
    id: u64,
    queue_events: usize,
}

impl Subscription {
    /// Its id.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    /// Events that are queued at most.
    pub(crate) const fn queue_events(&self) -> usize {
        self.queue_events
    }

    /// Takes no more events; what is queued still comes.
    pub(crate) fn finish(&self) {
        let (_, waker) = self.bus.state.lock().finish(self.id);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            // The lock is free between two steps, so that publishers come in.
            let (next, before) = self.bus.state.lock().poll(self.id, cx.waker());
            drop(before);
            return match next {
                Next::Item(delivery) => Poll::Ready(Some(delivery)),
                Next::Again => continue,
                Next::Nothing => Poll::Pending,
                Next::End => Poll::Ready(None),
            };
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.bus.state.lock();
        let ended = state.finish(self.id);
        state.replaying.remove(&self.id);
        let subscriber = state.subscribers.remove(&self.id);
        // Freed without the lock.
        drop(state);
        drop((ended, subscriber));
    }
}
