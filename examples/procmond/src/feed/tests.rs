//! Tests of the watch with real processes.
//!
//! **Invariant**: they wait for what they expect, up to a limit, and never for a time.

use std::process::{Child, Command, Stdio};

use tokio::time::timeout;

use super::*;

const LIMIT: Duration = Duration::from_secs(30);
const OFTEN: Duration = Duration::from_millis(5);

fn feed() -> (Arc<Feed>, HealthReporter) {
    let health = HealthReporter::new();
    let table = Arc::new(Table::new().expect("a table"));
    let settings = Arc::new(Settings::new(OFTEN));
    (Feed::new(table, health.clone(), settings), health)
}

fn watch(feed: &Arc<Feed>, from: From) -> Watcher {
    Watcher::new(feed, Filter::default())
        .begin(from)
        .expect("readable")
}

fn child() -> Child {
    Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("cat runs")
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().expect("ended");
}

/// Reads until there is an event of that kind of that process; returns its number.
async fn until(watcher: &mut Watcher, wanted: ProcessEventKind, pid: u32) -> u64 {
    let look = async {
        loop {
            let step = watcher.next().await.expect("not closed");
            if let Some(Item::Event(event)) = &step.item {
                let same = event
                    .process
                    .as_ref()
                    .is_some_and(|process| process.pid == pid);
                if same && event.kind() == wanted {
                    return step.sequence;
                }
            }
        }
    };
    timeout(LIMIT, look)
        .await
        .unwrap_or_else(|_| panic!("no {wanted:?} of {pid}"))
}

async fn is_idle(feed: &Feed) {
    let idle = async {
        while feed.state.lock().sampling {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, idle).await.expect("the sampler rests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_seen_to_start_and_to_end() {
    let (feed, _) = feed();
    let mut watcher = watch(&feed, From::Now);
    let first = watcher.next().await.expect("the first step");
    assert!(matches!(first.item, Some(Item::Started(WatchStarted { processes })) if processes > 0));
    let child = child();
    let pid = child.id();
    let started = until(&mut watcher, ProcessEventKind::Started, pid).await;
    end(child);
    let exited = until(&mut watcher, ProcessEventKind::Exited, pid).await;
    assert!(exited > started && started > first.sequence);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sampler_works_only_while_somebody_watches() {
    let (feed, _) = feed();
    assert!(!feed.state.lock().sampling);
    let watchers = (watch(&feed, From::Now), watch(&feed, From::Now));
    assert!(feed.state.lock().sampling);
    drop(watchers);
    is_idle(&feed).await;
    let _again = watch(&feed, From::Now);
    assert!(feed.state.lock().sampling);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_resumes_gets_what_it_has_not_seen() {
    let (feed, _) = feed();
    let mut all = watch(&feed, From::Now);
    let child = child();
    let pid = child.id();
    let sequence = until(&mut all, ProcessEventKind::Started, pid).await;
    end(child);
    let exited = until(&mut all, ProcessEventKind::Exited, pid).await;

    let epoch = feed.epoch.clone();
    let mut resumed = watch(&feed, From::After { sequence, epoch });
    let first = resumed.next().await.expect("the first step");
    assert!(matches!(first.item, Some(Item::Started(_))));
    let mut seen = sequence;
    while seen < exited {
        let step = timeout(LIMIT, resumed.next())
            .await
            .expect("in time")
            .expect("not closed");
        assert!(
            matches!(step.item, Some(Item::Event(_))),
            "no gap: {step:?}"
        );
        assert_eq!(step.sequence, seen + 1);
        seen = step.sequence;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_another_run_is_a_gap() {
    let (feed, _) = feed();
    let own = feed.epoch.clone();
    for (sequence, epoch) in [
        (0, String::new()),
        (3, "another".to_owned()),
        (u64::MAX, own),
    ] {
        let mut watcher = watch(&feed, From::After { sequence, epoch });
        assert!(matches!(
            watcher.next().await.expect("one").item,
            Some(Item::Started(_))
        ));
        let gap = watcher.next().await.expect("two");
        let last_missing = gap.sequence;
        assert_eq!(
            gap.item,
            Some(Item::Gap(WatchGap {
                first_missing: 0,
                last_missing
            }))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_when_nobody_looked_is_a_gap_and_what_changed_follows() {
    let (feed, _) = feed();
    let before = watch(&feed, From::Now);
    let (sequence, epoch) = (feed.state.lock().history.last(), feed.epoch.clone());
    drop(before);
    is_idle(&feed).await;
    let child = child();
    let last = feed.state.lock().last.as_ref().expect("a look").begun;
    while last.elapsed() <= blind_after(OFTEN) {
        std::hint::spin_loop();
    }
    let mut resumed = watch(&feed, From::After { sequence, epoch });
    let mut gap = None;
    while gap.is_none() {
        let step = timeout(LIMIT, resumed.next())
            .await
            .expect("in time")
            .expect("not closed");
        if let Some(Item::Gap(found)) = step.item {
            assert_eq!(step.sequence, found.last_missing);
            gap = Some(found);
        }
    }
    assert!(gap.is_some_and(|gap| gap.first_missing > sequence));
    until(&mut resumed, ProcessEventKind::Started, child.id()).await;
    end(child);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_reads_too_slowly_is_told_exactly_what_is_missing() {
    let (feed, _) = feed();
    let mut slow = watch(&feed, From::Now);
    let start = slow.next().await.expect("the first step").sequence;
    let process = Arc::new(crate::process::tests::process(1, 1, "/a"));
    for _ in 0..KEPT + 10 {
        let process = Arc::clone(&process);
        let entry = Entry::Event {
            kind: Kind::Started,
            process,
            before: None,
        };
        feed.state.lock().history.push(entry);
    }
    let gap = timeout(LIMIT, slow.next())
        .await
        .expect("in time")
        .expect("not closed");
    let Some(Item::Gap(WatchGap {
        first_missing,
        last_missing,
    })) = gap.item
    else {
        panic!("no gap: {gap:?}");
    };
    assert_eq!(first_missing, start + 1);
    assert!(last_missing >= start + 10);
    let next = timeout(LIMIT, slow.next())
        .await
        .expect("in time")
        .expect("not closed");
    assert_eq!(next.sequence, last_missing + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_lets_through_its_own_and_what_turns_into_others() {
    let (feed, _) = feed();
    let filter = Filter::new(Some(daemoneye_ipc_generated::procmond::v1::ProcessFilter {
        executable_glob: "/wanted/*".to_owned(),
        ..Default::default()
    }));
    let mut watcher = Watcher::new(&feed, filter.expect("a filter"))
        .begin(From::Now)
        .expect("readable");
    let first = watcher.next().await.expect("the first step");
    assert_eq!(
        first.item,
        Some(Item::Started(WatchStarted { processes: 0 }))
    );
    let process = |path| Arc::new(crate::process::tests::process(1, 1, path));
    let event = |kind, process, before| Entry::Event {
        kind,
        process,
        before,
    };
    {
        let mut state = feed.state.lock();
        state
            .history
            .push(event(Kind::Started, process("/other/a"), None));
        state.history.push(event(
            Kind::Changed,
            process("/other/b"),
            Some(process("/wanted/a")),
        ));
        state
            .history
            .push(event(Kind::Exited, process("/wanted/a"), None));
    }
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let step = timeout(LIMIT, watcher.next())
            .await
            .expect("in time")
            .expect("not closed");
        let Some(Item::Event(event)) = step.item else {
            panic!("no event")
        };
        kinds.push(event.kind());
    }
    assert_eq!(kinds, [ProcessEventKind::Changed, ProcessEventKind::Exited]);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_watches_in_order() {
    let (feed, _) = feed();
    let mut watcher = watch(&feed, From::Now);
    feed.close();
    let ended = async { while watcher.next().await.is_some() {} };
    timeout(LIMIT, ended).await.expect("the watch ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whom_nothing_concerns_is_told_how_far_it_has_come() {
    let (feed, _) = feed();
    let filter = Filter::new(Some(daemoneye_ipc_generated::procmond::v1::ProcessFilter {
        executable_glob: "/wanted/*".to_owned(),
        ..Default::default()
    }));
    let mut watcher = Watcher::new(&feed, filter.expect("a filter"))
        .begin(From::Now)
        .expect("readable");
    let start = watcher.next().await.expect("the first step").sequence;
    let process = Arc::new(crate::process::tests::process(1, 1, "/other"));
    for _ in 0..SILENCE {
        let process = Arc::clone(&process);
        let entry = Entry::Event {
            kind: Kind::Started,
            process,
            before: None,
        };
        feed.state.lock().history.push(entry);
    }
    let step = timeout(LIMIT, watcher.next())
        .await
        .expect("in time")
        .expect("not closed");
    assert_eq!(step.item, Some(Item::Progress(WatchProgress {})));
    assert!(step.sequence >= start + SILENCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_feed_stands_still_and_catches_up() {
    let (feed, health) = feed();
    let mut watcher = watch(&feed, From::Now);
    let before = child();
    until(&mut watcher, ProcessEventKind::Started, before.id()).await;
    feed.pause("for a test");
    assert!(feed.is_paused());
    is_idle(&feed).await;
    let last = feed.counters().events;
    let missed = child();
    let pid = missed.id();
    // One who begins now sees what is there, and tells nobody else.
    let mut late = watch(&feed, From::Now);
    assert!(matches!(
        late.next().await.expect("the first step").item,
        Some(Item::Started(_))
    ));
    assert_eq!(feed.counters().events, last);
    assert!(!feed.state.lock().sampling, "nobody looks");

    // What is not seen for longer than two looks apart is a gap.
    let begun = std::time::Instant::now();
    while begun.elapsed() <= blind_after(OFTEN) {
        tokio::task::yield_now().await;
    }
    feed.resume();
    for watcher in [&mut watcher, &mut late] {
        let gap = async {
            loop {
                let step = watcher.next().await.expect("not closed");
                if let Some(Item::Gap(gap)) = step.item {
                    return gap;
                }
            }
        };
        timeout(LIMIT, gap).await.expect("a gap");
        until(watcher, ProcessEventKind::Started, pid).await;
    }
    drop(health);
    end(before);
    end(missed);
}
