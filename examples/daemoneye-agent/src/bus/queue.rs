//! Events that wait for a subscriber.
//!
//! **Invariant**: holds no more events and bytes than it may; what had to make room is counted, and told
//! before anything that came later.

use std::{collections::VecDeque, sync::Arc};

use super::{Event, Gap, GapReason};

/// A subscriber's queue. The oldest makes room: what is new matters more to one who is late.
#[derive(Debug)]
pub(crate) struct Queue {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    most_events: usize,
    most_bytes: usize,
    /// What is missing before the first event.
    missed: Option<Gap>,
}

impl Queue {
    pub(crate) const fn new(most_events: usize, most_bytes: usize) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            most_events,
            most_bytes,
            missed: None,
        }
    }

    /// Events in it.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// What they take.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Events that it holds at most.
    pub(crate) const fn most_events(&self) -> usize {
        self.most_events
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.missed.is_none()
    }

    /// Adds the newest event, and returns how many had to make room.
    pub(crate) fn push(&mut self, event: Arc<Event>) -> u64 {
        self.bytes += event.size();
        self.events.push_back(event);
        let mut dropped = 0;
        while self.events.len() > self.most_events || self.bytes > self.most_bytes {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.size();
            self.miss(oldest.sequence);
            dropped += 1;
        }
        dropped
    }

    /// An event before all that are in the queue is missing.
    pub(crate) fn miss(&mut self, sequence: u64) {
        let gap = self.missed.get_or_insert(Gap {
            reason: GapReason::SlowSubscriber,
            first_missing: sequence,
            last_missing: sequence,
            missed: 0,
        });
        gap.last_missing = sequence;
        gap.missed += 1;
    }

    /// What is missing before the next event, told once.
    pub(crate) const fn take_missed(&mut self) -> Option<Gap> {
        self.missed.take()
    }

    /// The next event.
    pub(crate) fn pop(&mut self) -> Option<Arc<Event>> {
        let event = self.events.pop_front()?;
        self.bytes -= event.size();
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::event::tests::event;

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        let mut queue = Queue::new(2, 1 << 20);
        let mut dropped = 0;
        for sequence in [3, 5, 8, 9, 20] {
            dropped += queue.push(event(sequence, "a", 1));
        }
        assert_eq!((dropped, queue.len()), (3, 2));
        let gap = queue.take_missed().expect("a gap");
        assert_eq!((gap.first_missing, gap.last_missing, gap.missed), (3, 8, 3));
        assert!(queue.take_missed().is_none() && !queue.is_empty());
        assert_eq!(queue.pop().expect("an event").sequence, 9);
        for sequence in [21, 22] {
            queue.push(event(sequence, "a", 1));
        }
        let gap = queue.take_missed().expect("another gap");
        assert_eq!(
            (gap.first_missing, gap.last_missing, gap.missed),
            (20, 20, 1)
        );
        assert_eq!(queue.pop().expect("an event").sequence, 21);
        assert_eq!(queue.pop().expect("an event").sequence, 22);
        assert!(queue.pop().is_none() && queue.is_empty() && queue.bytes() == 0);
    }

    #[test]
    fn bytes_are_limited_as_well() {
        let mut queue = Queue::new(1_000, 10_000);
        for sequence in 1..=100 {
            queue.push(event(sequence, "a", 3_000));
            assert!(queue.bytes() <= 10_000);
        }
        assert_eq!(queue.len(), 3);
        assert_eq!(queue.take_missed().expect("a gap").missed, 97);
    }
}
