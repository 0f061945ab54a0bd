//! The last events, for those who resume.
//!
//! **Invariant**: sequence numbers rise by one and are never given twice; neither the number of events nor
//! their bytes pass the limits.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{Event, Limits};

/// The events that are kept, by sequence number.
#[derive(Debug)]
pub(crate) struct History {
    kept: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Sequence number of the next event.
    next: u64,
    /// Events that are kept, by topic.
    topics: HashMap<Arc<str>, u64>,
    most_events: usize,
    most_bytes: usize,
}

impl History {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            kept: VecDeque::new(),
            bytes: 0,
            next: 1,
            topics: HashMap::new(),
            most_events: limits.retained_events,
            most_bytes: limits.retained_bytes,
        }
    }

    /// The number that the next event has to have.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Number of the last event; 0 before the first.
    pub(crate) const fn last(&self) -> u64 {
        self.next - 1
    }

    /// Number of the oldest event that is kept; that of the next one if none is.
    pub(crate) fn first(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    /// What the events that are kept take.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Topics of the events that are kept, each with its events.
    pub(crate) const fn topics(&self) -> &HashMap<Arc<str>, u64> {
        &self.topics
    }

    /// Keeps the next event, and returns those that had to make room.
    pub(crate) fn push(&mut self, event: Arc<Event>) -> Vec<Arc<Event>> {
        self.bytes += event.size();
        let topic = Arc::clone(event.publication.topic().text());
        *self.topics.entry(topic).or_default() += 1;
        self.kept.push_back(event);
        self.next += 1;
        let mut gone = Vec::new();
        while self.kept.len() > self.most_events || self.bytes > self.most_bytes {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= oldest.size();
            self.forget_topic(oldest.publication.topic().text());
            gone.push(oldest);
        }
        gone
    }

    /// The events after number `after` that are kept.
    pub(crate) fn after(&self, after: u64) -> impl Iterator<Item = &Arc<Event>> {
        let skip = after.saturating_add(1).saturating_sub(self.first());
        let skip = usize::try_from(skip)
            .unwrap_or(usize::MAX)
            .min(self.kept.len());
        self.kept.range(skip..)
    }

    fn forget_topic(&mut self, topic: &Arc<str>) {
        if let Some(count) = self.topics.get_mut(topic) {
            *count -= 1;
            if *count == 0 {
                self.topics.remove(topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::event::tests::event;

    fn numbers(history: &History, after: u64) -> Vec<u64> {
        history.after(after).map(|event| event.sequence).collect()
    }

    #[test]
    fn the_last_events_are_kept() {
        let limits = Limits {
            retained_events: 3,
            ..Limits::default()
        };
        let mut history = History::new(&limits);
        assert_eq!((history.first(), history.last()), (1, 0));
        assert!(numbers(&history, 0).is_empty());
        for number in 1..=5 {
            let topic = if number == 5 { "b" } else { "a" };
            let gone = history.push(event(number, topic, 10));
            let gone: Vec<_> = gone.iter().map(|event| event.sequence).collect();
            assert_eq!(gone, if number > 3 { vec![number - 3] } else { vec![] });
        }
        assert_eq!((history.first(), history.last()), (3, 5));
        assert_eq!(numbers(&history, 0), [3, 4, 5]);
        assert_eq!(numbers(&history, 4), [5]);
        assert!(numbers(&history, 5).is_empty() && numbers(&history, 6).is_empty());
        assert_eq!((history.topics()["a"], history.topics()["b"]), (2, 1));
        for number in 6..=8 {
            history.push(event(number, "c", 10));
        }
        assert_eq!(history.topics().len(), 1);
    }

    #[test]
    fn bytes_are_limited_as_well() {
        let limits = Limits {
            retained_bytes: 10_000,
            ..Limits::default()
        };
        let mut history = History::new(&limits);
        for number in 1..=100 {
            history.push(event(number, "a", 3_000));
            assert!(history.bytes() <= 10_000);
        }
        assert_eq!(numbers(&history, 0), [98, 99, 100]);
        assert_eq!(history.push(event(101, "a", 8_000)).len(), 3);
        assert_eq!(history.push(event(102, "a", 1)).len(), 0);
    }
}
