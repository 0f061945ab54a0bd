//! The bus as a whole: against a model in any order of actions, and case by case.
//!
//! **Invariant**: the model knows what was published, and nothing of how the bus works.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::Stream;
use proptest::prelude::*;

use super::{
    event::tests::{SOMEBODY, publication},
    subscriber::{SCAN, SILENCE},
    topic::tests::reference,
    *,
};

/// Whether it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn bus(limits: Limits) -> Arc<Bus> {
    Arc::new(Bus::new("this".to_owned(), limits))
}

fn publish(bus: &Bus, topic: &str) -> u64 {
    bus.publish(publication(topic, 10), SOMEBODY)
}

fn subscribe(bus: &Arc<Bus>, filter: &str, start: Start) -> Subscription {
    bus.subscribe(&[filter.to_owned()], start, 0, SOMEBODY)
        .expect("a subscription")
}

fn after(sequence: u64) -> Start {
    Start::After {
        sequence,
        epoch: None,
    }
}

/// What there is to tell now.
fn step(subscription: &mut Subscription, waker: &Waker) -> Poll<Option<Delivery>> {
    Pin::new(subscription).poll_next(&mut Context::from_waker(waker))
}

/// All that there is to tell now, in short, and whether that was the end.
fn told(subscription: &mut Subscription) -> (Vec<String>, bool) {
    let mut steps = Vec::new();
    loop {
        match step(subscription, Waker::noop()) {
            Poll::Ready(Some(delivery)) => steps.push(short(&delivery)),
            Poll::Ready(None) => return (steps, true),
            Poll::Pending => return (steps, false),
        }
    }
}

fn short(delivery: &Delivery) -> String {
    match delivery {
        Delivery::Subscribed { sequence } => format!("subscribed {sequence}"),
        Delivery::Event(event) => format!("{} {}", event.sequence, event.publication.topic()),
        Delivery::Gap(gap) => format!(
            "{:?} {}-{} {}",
            gap.reason, gap.first_missing, gap.last_missing, gap.missed
        ),
        Delivery::Progress { sequence } => format!("progress {sequence}"),
    }
}

#[test]
fn a_subscriber_gets_what_matches_from_now_on() {
    let bus = bus(Limits::default());
    publish(&bus, "a/b");
    let mut both = bus
        .subscribe(&["a/+".to_owned(), "#".to_owned()], Start::Now, 0, SOMEBODY)
        .expect("a subscription");
    let mut other = subscribe(&bus, "c", Start::Now);
    publish(&bus, "a/b");
    publish(&bus, "c");
    let (steps, ended) = told(&mut both);
    assert_eq!(steps, ["subscribed 1", "2 a/b", "3 c"]);
    assert!(!ended);
    assert_eq!(told(&mut other).0, ["subscribed 1", "3 c"]);
    drop(both);
    publish(&bus, "c");
    assert_eq!(told(&mut other).0, ["4 c"]);
    drop(other);
    assert!(bus.state.lock().routes.is_empty());
    assert!(bus.report().subscribers.is_empty());
}

#[test]
fn older_events_come_first_and_then_new_ones_each_once() {
    let bus = bus(Limits::default());
    for _ in 0..3 {
        publish(&bus, "a");
        publish(&bus, "b");
    }
    let mut resumed = subscribe(&bus, "a", after(1));
    publish(&bus, "a");
    let waker = Waker::noop();
    for _ in 0..2 {
        assert!(step(&mut resumed, waker).is_ready());
    }
    // In the midst of the older ones.
    publish(&bus, "a");
    assert!(bus.report().subscribers[0].replaying);
    assert_eq!(told(&mut resumed).0, ["5 a", "7 a", "8 a"]);
    assert!(!bus.report().subscribers[0].replaying);
    publish(&bus, "a");
    assert_eq!(told(&mut resumed).0, ["9 a"]);
}

#[test]
fn a_long_history_is_read_in_steps_without_a_hole() {
    let bus = bus(Limits::default());
    // One matches just behind what is looked at in one step.
    let every = SCAN as u64 + 1;
    for number in 1..=2 * every {
        publish(&bus, if number % every == 0 { "a" } else { "b" });
    }
    for (after_number, wanted) in [(0, 2), (1, 2), (every, 1), (every + 1, 1), (2 * every, 0)] {
        let mut subscription = subscribe(&bus, "a", after(after_number));
        let steps = told(&mut subscription).0;
        let events = steps.iter().filter(|step| step.ends_with(" a"));
        assert_eq!(events.count(), wanted, "after {after_number}");
    }
}

#[test]
fn what_is_not_kept_is_a_gap() {
    let bus = bus(Limits {
        retained_events: 2,
        ..Limits::default()
    });
    for _ in 0..5 {
        publish(&bus, "a");
    }
    let start = |sequence, epoch: &str| Start::After {
        sequence,
        epoch: Some(epoch.to_owned()),
    };
    for (start, steps) in [
        (
            after(1),
            vec!["subscribed 1", "NotKept 2-3 2", "4 a", "5 a"],
        ),
        (start(3, "this"), vec!["subscribed 3", "4 a", "5 a"]),
        (
            start(900, "another"),
            vec!["subscribed 0", "Restarted 0-3 3", "4 a", "5 a"],
        ),
    ] {
        assert_eq!(told(&mut subscribe(&bus, "a", start)).0, steps);
    }
    let refused = bus.subscribe(&["a".to_owned()], after(6), 0, SOMEBODY);
    let error = refused.expect_err("not yet there").to_string();
    assert!(
        error.contains("after_sequence is 6") && error.contains("5 events"),
        "{error}"
    );
    // While it reads older ones, what is lost is counted exactly.
    let mut slow = subscribe(&bus, "a", after(3));
    for topic in ["b", "a", "b"] {
        publish(&bus, topic);
    }
    assert_eq!(
        told(&mut slow).0,
        ["subscribed 3", "SlowSubscriber 4-5 2", "7 a"]
    );
    assert_eq!(bus.report().dropped, 2);
}

#[test]
fn a_slow_subscriber_gets_a_gap_and_a_fast_one_everything() {
    let bus = bus(Limits::default());
    let mut slow = bus
        .subscribe(&["a".to_owned()], Start::Now, 2, SOMEBODY)
        .expect("a subscription");
    let mut fast = subscribe(&bus, "a", Start::Now);
    told(&mut slow);
    told(&mut fast);
    for number in 1..=5 {
        publish(&bus, "a");
        assert_eq!(told(&mut fast).0, [format!("{number} a")]);
    }
    assert_eq!(told(&mut slow).0, ["SlowSubscriber 1-3 3", "4 a", "5 a"]);
    let report = bus.report();
    assert_eq!((report.delivered, report.dropped), (7, 3));
    let counts = report.subscribers.iter();
    let counts: Vec<_> = counts.map(|one| (one.delivered, one.dropped)).collect();
    assert_eq!(counts, [(2, 3), (5, 0)]);
}

#[test]
fn one_for_whom_nothing_comes_learns_how_far_it_is() {
    let bus = bus(Limits::default());
    let mut idle = subscribe(&bus, "a", Start::Now);
    told(&mut idle);
    for _ in 0..2 * SILENCE {
        publish(&bus, "b");
    }
    assert_eq!(told(&mut idle).0, [format!("progress {}", 2 * SILENCE)]);
    let mut late = subscribe(&bus, "a", after(0));
    let steps = [
        "subscribed 0".to_owned(),
        format!("progress {}", 2 * SILENCE),
    ];
    assert_eq!(told(&mut late).0, steps);
    // An event says as much.
    for _ in 0..SILENCE {
        publish(&bus, "b");
    }
    publish(&bus, "a");
    assert_eq!(told(&mut idle).0, [format!("{} a", 3 * SILENCE + 1)]);
}

#[test]
fn an_ended_subscription_still_tells_what_is_queued() {
    let bus = bus(Limits::default());
    let stranger = Party {
        user_id: SOMEBODY.user_id + 1,
        ..SOMEBODY
    };
    let mut live = subscribe(&bus, "a", Start::Now);
    publish(&bus, "a");
    let mut older = subscribe(&bus, "a", after(0));
    for subscription in [&live, &older] {
        let error = bus
            .unsubscribe(subscription.id(), stranger)
            .expect_err("refused");
        assert!(error.to_string().contains("another user's"), "{error}");
        assert!(
            bus.unsubscribe(subscription.id(), SOMEBODY)
                .expect("allowed")
        );
        assert!(
            !bus.unsubscribe(subscription.id(), SOMEBODY)
                .expect("allowed")
        );
    }
    publish(&bus, "a");
    for subscription in [&mut live, &mut older] {
        let (steps, ended) = told(subscription);
        assert_eq!(steps.last().expect("steps"), "1 a");
        assert!(ended);
    }
    assert!(!bus.unsubscribe(999, SOMEBODY).expect("allowed"));
}

#[test]
fn limits_are_errors_with_the_number() {
    let bus = bus(Limits {
        subscribers: 2,
        filters: 3,
        queue_events: 5,
        ..Limits::default()
    });
    let ask = |filters: &[&str]| {
        let filters: Vec<_> = filters.iter().map(|&one| one.to_owned()).collect();
        bus.subscribe(&filters, Start::Now, 1_000_000, SOMEBODY)
    };
    for (filters, words) in [
        (vec![], "no filter"),
        (
            vec!["a"; 4],
            "4 filters are given; a subscription has at most 3",
        ),
        (vec!["a", "b#"], "filter \"b#\" has the level \"b#\""),
    ] {
        let error = ask(&filters).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let kept = [ask(&["a"]), ask(&["a"])].map(|one| one.expect("allowed"));
    assert!(kept.iter().all(|one| one.queue_events() == 5));
    let error = ask(&["a"]).expect_err("too many").to_string();
    assert!(error.contains("2 subscriptions"), "{error}");
    drop(kept);
    ask(&["a"]).expect("room again");
}

/// One action on the bus.
#[derive(Debug, Clone)]
enum Action {
    Publish {
        topic: usize,
        bytes: usize,
    },
    Subscribe {
        filters: Vec<usize>,
        back: Option<u64>,
        queue: usize,
    },
    Read {
        who: usize,
        steps: usize,
    },
    End {
        who: usize,
    },
    Drop {
        who: usize,
    },
}

const TOPICS: [&str; 5] = ["a", "a/b", "a/b/c", "b", "$s/a"];
const FILTERS: [&str; 7] = ["a", "a/+", "a/#", "+", "#", "$s/#", "c/#"];

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let who = 0..4_usize;
    let publish =
        (0..TOPICS.len(), 0..600_usize).prop_map(|(topic, bytes)| Action::Publish { topic, bytes });
    let filters = prop::collection::vec(0..FILTERS.len(), 1..3);
    let subscribe =
        (filters, prop::option::of(0..40_u64), 1..6_usize).prop_map(|(filters, back, queue)| {
            Action::Subscribe {
                filters,
                back,
                queue,
            }
        });
    let read = (who.clone(), 1..8_usize).prop_map(|(who, steps)| Action::Read { who, steps });
    let end = who.clone().prop_map(|who| Action::End { who });
    let drop = who.prop_map(|who| Action::Drop { who });
    let action = prop_oneof![12 => publish, 2 => subscribe, 6 => read, 1 => end, 1 => drop];
    prop::collection::vec(action, 1..200)
}

/// A subscription, and what it has to be told.
struct Watched {
    subscription: Subscription,
    filters: Vec<usize>,
    /// All up to this number was told, or missed, or does not match.
    at: u64,
    until: Option<u64>,
    woken: Arc<Woken>,
    waits: bool,
}

struct Model {
    bus: Arc<Bus>,
    /// The topic of each event; the first has number 1.
    published: Vec<usize>,
    watched: Vec<Watched>,
    delivered: u64,
    dropped: u64,
}

impl Model {
    fn new() -> Self {
        let limits = Limits {
            subscribers: 4,
            retained_events: 20,
            retained_bytes: 12_000,
            queue_bytes: 2_500,
            ..Limits::default()
        };
        Self {
            bus: bus(limits),
            published: Vec::new(),
            watched: Vec::new(),
            delivered: 0,
            dropped: 0,
        }
    }

    fn last(&self) -> u64 {
        self.published.len() as u64
    }

    fn matches(&self, filters: &[usize], number: u64) -> bool {
        let topic = TOPICS[self.published[usize::try_from(number - 1).expect("small")]];
        filters
            .iter()
            .any(|filter| reference(FILTERS[*filter], topic))
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Publish { topic, bytes } => self.publish(topic, bytes),
            Action::Subscribe {
                filters,
                back,
                queue,
            } => self.subscribe(filters, back, queue),
            Action::Read { who, steps } if who < self.watched.len() => {
                let waker = Waker::from(Arc::clone(&self.watched[who].woken));
                for _ in 0..steps {
                    if !self.read(who, &waker) {
                        break;
                    }
                }
            }
            Action::End { who } if who < self.watched.len() => {
                let last = self.last();
                let one = &mut self.watched[who];
                let ended = self.bus.unsubscribe(one.subscription.id(), SOMEBODY);
                assert_eq!(ended.expect("allowed"), one.until.is_none());
                assert!(!one.waits || one.until.is_some() || one.woken.0.load(Ordering::SeqCst));
                one.until.get_or_insert(last);
            }
            Action::Drop { who } if who < self.watched.len() => {
                self.watched.swap_remove(who);
            }
            Action::Read { .. } | Action::End { .. } | Action::Drop { .. } => {}
        }
        let report = self.bus.report();
        assert!(report.retained_bytes <= 12_000 && report.last + 1 - report.first_retained <= 20);
        for one in &report.subscribers {
            assert!(one.queued_bytes <= 2_500 && one.queued <= one.queue_events);
        }
        assert_eq!(report.delivered, self.delivered);
        let replaying = report.subscribers.iter().filter(|one| one.replaying);
        assert_eq!(self.bus.state.lock().replaying.len(), replaying.count());
    }

    fn publish(&mut self, topic: usize, bytes: usize) {
        let number = self
            .bus
            .publish(publication(TOPICS[topic], bytes), SOMEBODY);
        self.published.push(topic);
        assert_eq!(number, self.last(), "numbers rise by one");
        for one in &self.watched {
            let waits = one.waits && one.until.is_none() && self.matches(&one.filters, number);
            assert!(
                !waits || one.woken.0.load(Ordering::SeqCst),
                "nobody was woken"
            );
        }
    }

    fn subscribe(&mut self, filters: Vec<usize>, back: Option<u64>, queue: usize) {
        let texts: Vec<_> = filters.iter().map(|one| FILTERS[*one].to_owned()).collect();
        let at = self.last().saturating_sub(back.unwrap_or(0));
        let start = if back.is_some() {
            after(at)
        } else {
            Start::Now
        };
        let subscription = self.bus.subscribe(&texts, start, queue, SOMEBODY);
        if self.watched.len() == 4 {
            subscription.expect_err("too many");
            return;
        }
        let mut subscription = subscription.expect("allowed");
        let first = step(&mut subscription, Waker::noop());
        let Poll::Ready(Some(Delivery::Subscribed { sequence })) = first else {
            panic!("{first:?}")
        };
        assert_eq!(sequence, at);
        self.watched.push(Watched {
            subscription,
            filters,
            at,
            until: None,
            woken: Arc::default(),
            waits: false,
        });
    }

    /// Reads a step; `false` if there is none.
    fn read(&mut self, who: usize, waker: &Waker) -> bool {
        let one = &mut self.watched[who];
        one.woken.0.store(false, Ordering::SeqCst);
        let next = step(&mut one.subscription, waker);
        one.waits = next.is_pending();
        let one = &self.watched[who];
        let until = one.until.unwrap_or(self.last());
        let wanted = |numbers: std::ops::RangeInclusive<u64>| {
            numbers
                .filter(|number| self.matches(&one.filters, *number))
                .count() as u64
        };
        let (at, goes_on) = match next {
            Poll::Pending => {
                assert!(one.until.is_none());
                assert_eq!(wanted(one.at + 1..=until), 0, "told all that matches");
                (one.at, false)
            }
            Poll::Ready(None) => {
                assert!(one.until.is_some());
                assert_eq!(wanted(one.at + 1..=until), 0, "told all that matches");
                (one.at, false)
            }
            Poll::Ready(Some(Delivery::Event(event))) => {
                let number = event.sequence;
                assert!(number > one.at && number <= until, "in order, each once");
                assert_eq!(wanted(one.at + 1..=number - 1), 0, "without a hole");
                assert_eq!(wanted(number..=number), 1);
                self.delivered += 1;
                (number, true)
            }
            Poll::Ready(Some(Delivery::Gap(gap))) => {
                assert!(gap.first_missing > one.at && gap.last_missing >= gap.first_missing);
                assert!(gap.last_missing <= until, "nothing after the end is missed");
                let range = gap.first_missing..=gap.last_missing;
                assert_eq!(
                    wanted(one.at + 1..=gap.first_missing - 1),
                    0,
                    "without a hole"
                );
                if gap.reason == GapReason::NotKept {
                    assert_eq!(gap.missed, range.count() as u64);
                } else {
                    assert_eq!(gap.missed, wanted(range), "exactly as many");
                    self.dropped += gap.missed;
                }
                (gap.last_missing, true)
            }
            Poll::Ready(Some(Delivery::Progress { sequence })) => {
                assert!(sequence > one.at && sequence <= until);
                assert_eq!(wanted(one.at + 1..=sequence), 0, "nothing is passed over");
                (sequence, true)
            }
            Poll::Ready(Some(Delivery::Subscribed { .. })) => panic!("subscribed twice"),
        };
        self.watched[who].at = at;
        goes_on
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn nothing_is_lost_unsaid_nor_told_twice(actions in actions()) {
        let mut model = Model::new();
        for action in actions {
            model.apply(action);
        }
        for who in 0..model.watched.len() {
            while model.read(who, Waker::noop()) {}
        }
        // Gaps of those who went before they were told are only in the bus's own count.
        assert!(model.bus.report().dropped >= model.dropped);
        model.watched.clear();
        assert!(model.bus.state.lock().routes.is_empty());
        assert!(model.bus.state.lock().replaying.is_empty());
    }
}
