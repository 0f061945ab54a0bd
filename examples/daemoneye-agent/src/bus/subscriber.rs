//! One subscriber: what it is told next.
//!
//! It reads older events from the history, and then, once it has caught up, new ones from its queue. While it
//! reads older ones nothing is queued for it: what is published meanwhile it finds in the history.
//!
//! **Invariant**: each matching event after the start is either told, in order, or counted in a gap that is
//! told where it was.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use super::{Delivery, Event, Gap, History, Party, SubscriberReport, queue::Queue, topic::Filter};

/// Events of the history that are looked at in one step, so that publishers do not wait long.
pub(crate) const SCAN: usize = 256;

/// Events that go by before a subscriber is told how far it has come; far fewer than are kept, so that one
/// who resumes does not find a gap in what it never wanted.
pub(crate) const SILENCE: u64 = 32;

/// One who has subscribed.
#[derive(Debug)]
pub(crate) struct Subscriber {
    owner: Party,
    filters: Vec<Filter>,
    /// What is told first.
    opening: VecDeque<Delivery>,
    /// Number of the last event that was read, while it reads older ones.
    replay: Option<u64>,
    /// Number of the last event that is still told, once the subscription is ended.
    end: Option<u64>,
    queue: Queue,
    /// Nothing that was not told matches up to this number.
    passed: Option<u64>,
    /// Number on the last step that was told.
    told: u64,
    waker: Option<Waker>,
    delivered: u64,
    dropped: u64,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// This.
    Item(Delivery),
    /// It is not known yet; ask again.
    Again,
    /// Nothing for now.
    Nothing,
    /// Nothing any more.
    End,
}

impl Subscriber {
    /// One who is told `opening` and then reads on after number `replay`, or else begins with the next event.
    pub(crate) fn new(
        owner: Party,
        filters: Vec<Filter>,
        opening: VecDeque<Delivery>,
        replay: Option<u64>,
        queue: Queue,
    ) -> Self {
        Self {
            owner,
            filters,
            opening,
            replay,
            end: None,
            queue,
            passed: None,
            told: 0,
            waker: None,
            delivered: 0,
            dropped: 0,
        }
    }

    pub(crate) const fn owner(&self) -> Party {
        self.owner
    }

    pub(crate) fn filters(&self) -> &[Filter] {
        &self.filters
    }

    pub(crate) const fn is_replaying(&self) -> bool {
        self.replay.is_some()
    }

    /// A matching event was published. Returns how many events had to make room.
    pub(crate) fn push(&mut self, event: &Arc<Event>) -> u64 {
        if self.is_replaying() {
            return 0;
        }
        self.passed = None;
        let dropped = self.queue.push(Arc::clone(event));
        self.dropped += dropped;
        dropped
    }

    /// An event is no longer kept. Returns whether this one still wanted to read it.
    pub(crate) fn forgotten(&mut self, event: &Event) -> bool {
        if self.replay.is_none_or(|read| read >= event.sequence) {
            return false;
        }
        self.replay = Some(event.sequence);
        let wanted = self.end.is_none_or(|end| event.sequence <= end) && self.wants(event);
        if wanted {
            self.queue.miss(event.sequence);
            self.dropped += 1;
        }
        wanted
    }

    /// All events up to `sequence` were published. Returns whether there is something to tell of that.
    pub(crate) fn pass(&mut self, sequence: u64) -> bool {
        let idle = self.replay.is_none() && self.end.is_none() && self.queue.is_empty();
        let due = idle && self.opening.is_empty() && sequence >= self.told + SILENCE;
        if due {
            self.passed = Some(sequence);
        }
        due
    }

    /// Ends the subscription with the event `last`. Returns whether it was not ended before.
    pub(crate) fn finish(&mut self, last: u64) -> bool {
        let first = self.end.is_none();
        self.end.get_or_insert(last);
        first
    }

    /// What is told next.
    pub(crate) fn next(&mut self, history: &History) -> Next {
        if let Some(first) = self.opening.pop_front() {
            return self.tell(first);
        }
        if let Some(gap) = self.queue.take_missed() {
            return self.tell(Delivery::Gap(gap));
        }
        if let Some(read) = self.replay {
            return self.read(read, history);
        }
        if let Some(event) = self.queue.pop() {
            return self.tell(Delivery::Event(event));
        }
        if let Some(sequence) = self.passed.take() {
            return self.tell(Delivery::Progress { sequence });
        }
        if self.end.is_some() {
            return Next::End;
        }
        Next::Nothing
    }

    /// Has `waker` woken when there may be more. Returns the one before, to be dropped without a lock: it may
    /// be the last of its task.
    pub(crate) fn wait(&mut self, waker: &Waker) -> Option<Waker> {
        self.waker.replace(waker.clone())
    }

    /// Whom to wake, if somebody waits.
    pub(crate) const fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }

    pub(crate) fn report(&self, id: u64) -> SubscriberReport {
        SubscriberReport {
            id,
            filters: self
                .filters
                .iter()
                .map(|one| one.text().to_owned())
                .collect(),
            owner: self.owner,
            replaying: self.is_replaying(),
            queued: self.queue.len(),
            queued_bytes: self.queue.bytes(),
            queue_events: self.queue.most_events(),
            delivered: self.delivered,
            dropped: self.dropped,
        }
    }

    /// Reads on in the history, after number `read`.
    fn read(&mut self, mut read: u64, history: &History) -> Next {
        let until = self.end.unwrap_or_else(|| history.last());
        for event in history.after(read).take(SCAN) {
            if event.sequence > until {
                break;
            }
            read = event.sequence;
            if self.wants(event) {
                self.replay = Some(read);
                return self.tell(Delivery::Event(Arc::clone(event)));
            }
        }
        self.replay = (read < until).then_some(read);
        if self.replay.is_none() && until >= self.told + SILENCE {
            self.passed = Some(until);
        }
        Next::Again
    }

    fn wants(&self, event: &Event) -> bool {
        let topic = event.publication.topic();
        self.filters.iter().any(|filter| filter.matches(topic))
    }

    fn tell(&mut self, delivery: Delivery) -> Next {
        self.told = delivery.sequence();
        self.delivered += u64::from(matches!(delivery, Delivery::Event(_)));
        Next::Item(delivery)
    }
}

impl Delivery {
    /// The number to resume after.
    pub(crate) fn sequence(&self) -> u64 {
        match self {
            Self::Subscribed { sequence } | Self::Progress { sequence } => *sequence,
            Self::Event(event) => event.sequence,
            Self::Gap(Gap { last_missing, .. }) => *last_missing,
        }
    }
}
