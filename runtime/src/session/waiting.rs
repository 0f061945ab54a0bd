//! Callers that wait for a place on the connection, first come first served.
//!
//! **Invariant**: a wake-up is never lost: whoever was woken and leaves without using it passes it on.

use std::{
    collections::VecDeque,
    task::{Context, Waker},
};

/// A place in the queue, kept by the one who waits.
pub type Ticket = Option<u64>;

#[derive(Debug, Default)]
pub(crate) struct WaitList {
    queue: VecDeque<(u64, Waker)>,
    issued: u64,
}

impl WaitList {
    /// Waits, with the place that `ticket` already holds: one who was woken in vain goes first.
    pub(crate) fn wait(&mut self, ticket: &mut Ticket, cx: &Context<'_>) {
        let Some(number) = *ticket else {
            self.issued += 1;
            *ticket = Some(self.issued);
            return self.queue.push_back((self.issued, cx.waker().clone()));
        };
        match self.queue.iter_mut().find(|(queued, _)| *queued == number) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => self.queue.push_front((number, cx.waker().clone())),
        }
    }

    /// The holder of `ticket` got what it waited for.
    pub(crate) fn served(&mut self, ticket: &mut Ticket) {
        if let Some(number) = ticket.take() {
            self.queue.retain(|(queued, _)| *queued != number);
        }
    }

    /// The holder of `ticket` gives up; returns who is to be woken in its place.
    pub(crate) fn leave(&mut self, ticket: u64) -> Option<Waker> {
        let before = self.queue.len();
        self.queue.retain(|(queued, _)| *queued != ticket);
        if self.queue.len() == before {
            self.wake_one()
        } else {
            None
        }
    }

    pub(crate) fn wake_one(&mut self) -> Option<Waker> {
        self.queue.pop_front().map(|(_, waker)| waker)
    }

    pub(crate) fn wake_all(&mut self) -> impl Iterator<Item = Waker> {
        std::mem::take(&mut self.queue)
            .into_iter()
            .map(|(_, waker)| waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_was_woken_and_leaves_passes_it_on() {
        let (mut list, cx) = (WaitList::default(), Context::from_waker(Waker::noop()));
        let (mut first, mut second) = (None, None);
        list.wait(&mut first, &cx);
        list.wait(&mut second, &cx);
        assert!(list.wake_one().is_some());
        assert!(
            list.leave(first.unwrap()).is_some(),
            "the second is woken instead"
        );
        assert!(list.wake_one().is_none());
    }

    #[test]
    fn one_who_was_woken_in_vain_keeps_its_place() {
        let (mut list, cx) = (WaitList::default(), Context::from_waker(Waker::noop()));
        let (mut first, mut second) = (None, None);
        list.wait(&mut first, &cx);
        list.wait(&mut second, &cx);
        let _ = list.wake_one();
        list.wait(&mut first, &cx);
        assert_eq!(list.queue.front().map(|(number, _)| *number), first);
        list.served(&mut first);
        assert_eq!((list.queue.len(), first), (1, None));
    }
}
