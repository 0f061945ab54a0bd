//! The agent's event bus, over real sockets.
//!
//! **Invariant**: every event that a subscriber ought to get is looked for, and every one that it gets is
//! accounted for.

use std::process::id;

use daemoneye_ipc::{CallError, Code, Streaming, prost::Message};
use daemoneye_ipc_generated::{
    agent::v1::{Alert, LinkState},
    eventbus::v1::{
        Event, EventBusClient, Gap, GapReason, GetBusStatsRequest, GetBusStatsResponse,
        Publication, PublishRequest, PublishStreamRequest, PublishStreamResponse, SubscribeRequest,
        SubscribeResponse, Subscribed, UnsubscribeRequest, subscribe_response::Item,
    },
    procmond::v1::{ProcessEvent, ProcessEventKind},
};

use crate::{
    agent, in_time,
    support::{Place, Subject},
};

type Steps = Streaming<SubscribeResponse>;

fn bus(place: &Place) -> EventBusClient {
    EventBusClient::new(place.channel("agent.sock"))
}

fn about(topic: &str, payload: impl Into<Vec<u8>>) -> Publication {
    Publication {
        topic: topic.to_owned(),
        payload: payload.into().into(),
        ..Publication::default()
    }
}

async fn publish(bus: &EventBusClient, publication: Publication) -> Result<u64, CallError> {
    let request = PublishRequest {
        publication: Some(publication),
    };
    Ok(bus.publish(request).await?.sequence)
}

/// Publishes over one call.
async fn publish_all(
    bus: &EventBusClient,
    publications: impl IntoIterator<Item = Publication>,
) -> Result<PublishStreamResponse, CallError> {
    let mut call = bus.publish_stream().await?;
    for publication in publications {
        let request = PublishStreamRequest {
            publication: Some(publication),
        };
        if call.send(request).await.is_err() {
            break;
        }
    }
    call.finish().await
}

/// Subscribes, and returns what the bus says of the subscription.
async fn subscribe(bus: &EventBusClient, request: SubscribeRequest) -> (Steps, Subscribed, u64) {
    let mut steps = bus.subscribe(request).await.expect("a subscription");
    let (sequence, item) = next(&mut steps).await;
    let Item::Subscribed(subscribed) = item else {
        panic!("not the first: {item:?}")
    };
    (steps, subscribed, sequence)
}

fn to(filters: &[&str]) -> SubscribeRequest {
    SubscribeRequest {
        filters: filters.iter().map(|&one| one.to_owned()).collect(),
        ..SubscribeRequest::default()
    }
}

fn resume(filter: &str, sequence: u64, epoch: &str) -> SubscribeRequest {
    SubscribeRequest {
        after_sequence: Some(sequence),
        epoch: epoch.to_owned(),
        ..to(&[filter])
    }
}

async fn next(steps: &mut Steps) -> (u64, Item) {
    let step = in_time("a step", steps.message()).await;
    let step = step.expect("a step").expect("no end");
    (step.sequence, step.item.expect("an item"))
}

async fn next_event(steps: &mut Steps) -> (u64, Event) {
    loop {
        match next(steps).await {
            (sequence, Item::Event(event)) => return (sequence, event),
            (_, Item::Progress(_)) => {}
            (_, other) => panic!("no event: {other:?}"),
        }
    }
}

async fn stats(bus: &EventBusClient) -> GetBusStatsResponse {
    let stats = bus.get_bus_stats(GetBusStatsRequest {}).await;
    stats.expect("the agent answers")
}

/// Reads to the end: events, and the sum of the gaps. Everything comes in order.
async fn drain(steps: &mut Steps, mut at: u64) -> (Vec<u64>, Vec<Gap>) {
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    while let Some(step) = in_time("a step", steps.message()).await.expect("a step") {
        assert!(step.sequence > at, "{} after {at}", step.sequence);
        at = step.sequence;
        match step.item.expect("an item") {
            Item::Event(_) => events.push(step.sequence),
            Item::Gap(gap) => gaps.push(gap),
            Item::Progress(_) => {}
            Item::Subscribed(_) => panic!("subscribed twice"),
        }
    }
    (events, gaps)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_reach_those_whose_filters_match_with_the_kernels_word_for_who_published() {
    let place = Place::new();
    let agent = place.agent();
    let bus = bus(&place);
    let (mut done, _, before) = subscribe(&bus, to(&["jobs/+/done"])).await;
    let (mut jobs, _, _) = subscribe(&bus, to(&["jobs/#", "jobs/+/done"])).await;
    let (mut all, subscribed, _) = subscribe(&bus, to(&["#"])).await;
    assert_eq!((before, subscribed.queue_events), (0, 256));

    let topics = [
        "jobs/1/done",
        "jobs",
        "jobs/2/log/done",
        "other",
        "$hidden/1",
    ];
    for (number, topic) in (1_u64..).zip(topics) {
        let publication = Publication {
            correlation_id: format!("c{number}"),
            payload_type: "some.Type".to_owned(),
            ..about(topic, [0xff, 0])
        };
        let sequence = publish(&bus, publication).await.expect("published");
        assert_eq!(sequence, number);
    }
    publish(&bus, about("jobs/3/done", ""))
        .await
        .expect("published");

    for (steps, wanted) in [
        (&mut done, vec![1, 6]),
        (&mut jobs, vec![1, 2, 3, 6]),
        (&mut all, vec![1, 2, 3, 4, 6]),
    ] {
        for number in wanted {
            let (sequence, event) = next_event(steps).await;
            assert_eq!(sequence, number);
            let publisher = event.publisher.expect("a publisher");
            assert_eq!(publisher.user_id, rustix::process::getuid().as_raw());
            assert_eq!(publisher.process_id, Some(id()));
            assert!(event.publish_time.is_some());
            let said = event.publication.expect("a publication");
            if number == 6 {
                assert_eq!(said, about("jobs/3/done", ""));
            } else {
                let index = usize::try_from(number - 1).expect("small");
                assert_eq!(said.topic, topics[index]);
                assert_eq!(said.correlation_id, format!("c{number}"));
                assert_eq!(
                    (said.payload_type.as_str(), &said.payload[..]),
                    ("some.Type", &[0xff, 0][..])
                );
            }
        }
    }
    let stats = stats(&bus).await;
    assert_eq!(
        (stats.published, stats.delivered, stats.dropped),
        (6, 11, 0)
    );
    assert_eq!(
        (stats.first_retained, stats.retained, stats.topic_count),
        (1, 6, 6)
    );
    assert_eq!(stats.subscribers.len(), 3);
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_publishes_what_it_sees() {
    let place = Place::new();
    let _daemon = place.procmond();
    let _agent = place.agent();
    let bus = bus(&place);
    let (mut started, _, _) = subscribe(&bus, to(&["processes/started"])).await;
    let (mut alerts, _, _) = subscribe(&bus, to(&["alerts/+"])).await;
    agent::status(&place, |status| status.link() == LinkState::Connected).await;
    let subject = Subject::start(&place.program("subject"));
    let seen = async {
        loop {
            let (_, event) = next_event(&mut started).await;
            let said = event.publication.expect("a publication");
            assert_eq!(said.payload_type, "daemoneye.procmond.v1.ProcessEvent");
            let event = ProcessEvent::decode(said.payload).expect("a process event");
            assert_eq!(event.kind(), ProcessEventKind::Started);
            if event
                .process
                .is_some_and(|process| process.pid == subject.pid())
            {
                return;
            }
        }
    };
    in_time("the start of the subject", seen).await;
    let raised = async {
        loop {
            let (_, event) = next_event(&mut alerts).await;
            let said = event.publication.expect("a publication");
            let alert = Alert::decode(said.payload).expect("an alert");
            assert_eq!(said.topic, format!("alerts/{}", alert.rule));
            if alert
                .process
                .is_some_and(|process| process.pid == subject.pid())
            {
                return;
            }
        }
    };
    in_time("the alert about the subject", raised).await;
    // Nobody else can raise one.
    let forged = about("alerts/executable-deleted", "");
    let error = publish(&bus, forged).await.expect_err("reserved");
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_is_told_what_it_missed_and_a_fast_one_gets_all() {
    const BATCHES: u64 = 40;
    const BATCH: u64 = 100;
    let place = Place::new();
    let _agent = place.agent();
    // All on one connection: a stream that nobody reads holds no other call up.
    let bus = bus(&place);
    let small = SubscribeRequest {
        queue_events: 10,
        ..to(&["load/even"])
    };
    let (mut slow, subscribed, _) = subscribe(&bus, small).await;
    assert_eq!(subscribed.queue_events, 10);
    let (mut fast, _, _) = subscribe(&bus, to(&["load/#"])).await;
    let mut told = 0;
    for batch in 0..BATCHES {
        let numbers = (1..=BATCH).map(|number| number + batch * BATCH);
        let events = numbers.map(|number| {
            let topic = if number % 2 == 0 {
                "load/even"
            } else {
                "load/odd"
            };
            about(topic, vec![7; 2048])
        });
        let total = publish_all(&bus, events).await.expect("published");
        assert_eq!(
            (total.published, total.last_sequence),
            (BATCH, (batch + 1) * BATCH)
        );
        for _ in 0..BATCH {
            told += 1;
            assert_eq!(next_event(&mut fast).await.0, told);
        }
    }
    let published = BATCHES * BATCH;
    let before = stats(&bus).await;
    let of = |id| {
        let found = before
            .subscribers
            .iter()
            .find(|one| one.subscription_id == id);
        found.expect("it is there").clone()
    };
    let slow_stats = of(subscribed.subscription_id);
    assert_eq!(slow_stats.queued, 10);
    assert!(slow_stats.dropped > 0 && slow_stats.dropped == before.dropped);

    let request = UnsubscribeRequest {
        subscription_id: subscribed.subscription_id,
    };
    assert!(bus.unsubscribe(request).await.expect("an answer").ended);
    let (events, gaps) = drain(&mut slow, 0).await;
    assert!(events.iter().all(|number| number % 2 == 0));
    assert!(
        gaps.iter()
            .all(|gap| gap.reason() == GapReason::SlowSubscriber)
    );
    for gap in &gaps {
        let even = (gap.first_missing..=gap.last_missing).filter(|number| number % 2 == 0);
        assert_eq!(gap.missed, even.count() as u64, "{gap:?}");
    }
    let missed: u64 = gaps.iter().map(|gap| gap.missed).sum();
    assert_eq!(events.len() as u64 + missed, published / 2);
    assert_eq!(missed, slow_stats.dropped);
    assert_eq!(stats(&bus).await.delivered, published + events.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_resumes_with_nothing_lost_and_nothing_twice() {
    const EVENTS: u64 = 2_000;
    let place = Place::new();
    let _agent = place.agent();
    let bus = bus(&place);
    let publisher = tokio::spawn({
        let bus = bus.clone();
        async move {
            for number in 1..=EVENTS {
                let event = about("resumed", number.to_string());
                publish(&bus, event).await.expect("published");
            }
        }
    });
    let (mut told, mut epoch, mut times) = (0, String::new(), 0);
    while told < EVENTS {
        // A connection of its own, which is lost without a word.
        let own = EventBusClient::new(place.channel("agent.sock"));
        let (mut steps, subscribed, sequence) =
            subscribe(&own, resume("resumed", told, &epoch)).await;
        assert_eq!(sequence, told);
        epoch = subscribed.epoch;
        times += 1;
        for _ in 0..100.min(EVENTS - told) {
            let (sequence, event) = next_event(&mut steps).await;
            told += 1;
            assert_eq!(sequence, told);
            let payload = event.publication.expect("a publication").payload;
            assert_eq!(payload, told.to_string());
        }
    }
    publisher.await.expect("no panic");
    assert_eq!(times, 20);
    // Those who went are gone.
    in_time("the ends of the subscriptions", async {
        while !stats(&bus).await.subscribers.is_empty() {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_any_more_and_what_another_run_had_are_gaps() {
    let place = Place::new();
    let agent = place.agent();
    let bus = bus(&place);
    let events = (0..5_000).map(|number| about(if number % 2 == 0 { "a" } else { "b" }, ""));
    publish_all(&bus, events).await.expect("published");
    let kept = stats(&bus).await;
    assert_eq!(
        (kept.published, kept.retained, kept.first_retained),
        (5_000, 4_096, 905)
    );

    let (mut steps, subscribed, sequence) = subscribe(&bus, resume("a", 10, "")).await;
    assert_eq!(sequence, 10);
    let (sequence, item) = next(&mut steps).await;
    let Item::Gap(gap) = item else {
        panic!("{item:?}")
    };
    assert_eq!(gap.reason(), GapReason::NotKept);
    assert_eq!(
        (gap.first_missing, gap.last_missing, gap.missed),
        (11, 904, 894)
    );
    assert_eq!((sequence, next_event(&mut steps).await.0), (904, 905));
    let ahead = bus.subscribe(resume("a", 5_001, &subscribed.epoch)).await;
    let error = match ahead {
        Ok(mut steps) => steps.message().await.expect_err("not yet there"),
        Err(error) => error,
    };
    assert_eq!(error.code(), Code::OutOfRange);

    agent.kill();
    let _agent = place.agent();
    let bus = EventBusClient::new(place.channel("agent.sock"));
    publish(&bus, about("a", "")).await.expect("published");
    let (mut steps, again, _) = subscribe(&bus, resume("a", 905, &subscribed.epoch)).await;
    assert_ne!(again.epoch, subscribed.epoch);
    let (_, item) = next(&mut steps).await;
    let Item::Gap(gap) = item else {
        panic!("{item:?}")
    };
    assert_eq!(gap.reason(), GapReason::Restarted);
    assert_eq!((gap.first_missing, gap.last_missing, gap.missed), (0, 0, 0));
    assert_eq!(next_event(&mut steps).await.0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_ten_thousand_events_is_published_in_order_and_counted() {
    let place = Place::new();
    let _agent = place.agent();
    let bus = bus(&place);
    publish(&bus, about("first", "")).await.expect("published");
    let events = (0..10_000).map(|number| about("many", vec![1; number % 50]));
    let total = publish_all(&bus, events).await.expect("published");
    assert_eq!(
        (total.published, total.first_sequence, total.last_sequence),
        (10_000, 2, 10_001)
    );
    assert_eq!(total.epoch, stats(&bus).await.epoch);
    let none = publish_all(&bus, []).await.expect("nothing to do");
    assert_eq!(
        (none.published, none.first_sequence, none.last_sequence),
        (0, 0, 0)
    );

    // The first that is refused ends it, and those before it are there.
    let events = ["many", "many", "not/#/this", "many"].map(|topic| about(topic, ""));
    let error = publish_all(&bus, events).await.expect_err("refused");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(
        error.to_string().contains("that are published: 2"),
        "{error}"
    );
    assert_eq!(stats(&bus).await.published, 10_003);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_or_too_much_is_refused_with_the_reason() {
    let place = Place::new();
    let _agent = place.agent();
    let bus = bus(&place);
    let refusal = |filters: Vec<String>| {
        let request = SubscribeRequest {
            filters,
            ..SubscribeRequest::default()
        };
        let call = bus.subscribe(request);
        async {
            match call.await {
                Ok(mut steps) => steps.message().await.expect_err("refused"),
                Err(error) => error,
            }
        }
    };
    let long = "x".repeat(300);
    for (filters, code, reason) in [
        (vec![], Code::InvalidArgument, "no filter is given"),
        (
            vec!["a/#/b"],
            Code::InvalidArgument,
            "\"a/#/b\" goes on after `#`",
        ),
        (
            vec!["a", "b+"],
            Code::InvalidArgument,
            "\"b+\" has the level",
        ),
        (
            vec![long.as_str()],
            Code::InvalidArgument,
            "has 300 bytes; at most 256",
        ),
        (vec!["a"; 17], Code::ResourceExhausted, "17 filters"),
    ] {
        let filters = filters.into_iter().map(str::to_owned).collect();
        let error = refusal(filters).await;
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let tab = about("a\tb", "");
    for (publication, code, reason) in [
        (about("", ""), Code::InvalidArgument, "topic is empty"),
        (about("a/+", ""), Code::InvalidArgument, "wildcard '+'"),
        (tab, Code::InvalidArgument, "U+0009 at byte 1"),
        (
            about(&"/".repeat(16), ""),
            Code::InvalidArgument,
            "17 levels",
        ),
        (
            about("processes/started", ""),
            Code::PermissionDenied,
            "only the agent",
        ),
        (
            about("a", vec![0; 70_000]),
            Code::ResourceExhausted,
            "at most 65536",
        ),
    ] {
        let error = publish(&bus, publication).await.expect_err("refused");
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let mut kept = Vec::new();
    for _ in 0..64 {
        kept.push(subscribe(&bus, to(&["#"])).await);
    }
    let error = refusal(vec!["#".to_owned()]).await;
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(error.to_string().contains("64 subscriptions"), "{error}");
    drop(kept);
    in_time("room again", async {
        while !stats(&bus).await.subscribers.is_empty() {}
    })
    .await;
    subscribe(&bus, to(&["#"])).await;
    assert_eq!(stats(&bus).await.published, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_in_order_when_they_are_ended_and_when_the_agent_is() {
    let place = Place::new();
    let agent = place.agent();
    let bus = bus(&place);
    let (mut ended, subscribed, _) = subscribe(&bus, to(&["a"])).await;
    let (mut hangs_on, _, _) = subscribe(&bus, to(&["a"])).await;
    let mut uploads = bus.publish_stream().await.expect("a stream");
    let request = PublishStreamRequest {
        publication: Some(about("a", "")),
    };
    uploads.send(request).await.expect("sent");
    assert_eq!(next_event(&mut hangs_on).await.0, 1);
    let end = || {
        let subscription_id = subscribed.subscription_id;
        let call = bus.unsubscribe(UnsubscribeRequest { subscription_id });
        async { call.await.expect("an answer").ended }
    };
    assert!(end().await, "it was there");
    assert_eq!(
        drain(&mut ended, 0).await,
        (vec![1], vec![]),
        "what was queued still comes"
    );
    assert!(!end().await, "it is gone");

    publish(&bus, about("a", "")).await.expect("published");
    let exit = tokio::task::spawn_blocking(|| agent.terminate());
    // Ended by the bus, which would have been aborted after the grace otherwise.
    assert_eq!(next_event(&mut hangs_on).await.0, 2);
    let error = in_time("the end of the stream", hangs_on.message()).await;
    let error = error.expect_err("the agent shuts down");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.to_string().contains("subscribe again"), "{error}");
    let error = in_time("the end of the uploads", uploads.finish()).await;
    let error = error.expect_err("the agent shuts down");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(
        error.to_string().contains("that are published: 1"),
        "{error}"
    );
    assert!(exit.await.expect("no panic").success());
}
