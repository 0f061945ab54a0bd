//! `kill -9` of the real server under many calls at once: what was answered was run, once, and nothing of
//! a dead server's calls is run by the next.
//!
//! **Invariant**: totals are those of one server's life; what a life may have run is counted by callers
//! before they call.

use std::{
    collections::HashSet,
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use daemoneye_ipc::{Channel, IpcConfig};
use daemoneye_ipc_generated::conformance::v1::{ConformanceClient, CountRequest};
use tokio::task::JoinSet;

use super::{
    conformance_server::{ConformanceServer, LIMIT},
    peer::Peer,
};

/// Callers at once.
const CALLERS: usize = 64;

/// Rounds unless `KILL_ROUNDS` asks for more.
const ROUNDS: u32 = 10;

/// What the callers have seen of one server's life.
#[derive(Debug, Default)]
struct Seen {
    totals: Vec<u64>,
    /// Calls that may or may not have run.
    lost: u64,
    /// Calls that provably were not run.
    unrun: u64,
}

/// Calls until the server is gone.
async fn call(client: ConformanceClient, made: Arc<AtomicU64>, done: Arc<AtomicU64>) -> Seen {
    let mut seen = Seen::default();
    loop {
        made.fetch_add(1, Ordering::SeqCst);
        match client.count(CountRequest { add: 1 }).await {
            Ok(reply) => {
                seen.totals.push(reply.total);
                done.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) if error.was_maybe_run() => {
                seen.lost += 1;
                return seen;
            }
            Err(_) => {
                seen.unrun += 1;
                return seen;
            }
        }
    }
}

/// One life: begun, called by all, killed in the middle, followed by the next. Returns what was answered
/// and what was lost.
async fn live_and_die(server: &mut ConformanceServer, calls: u64) -> (u64, u64) {
    let mut config = IpcConfig::new(server.endpoint());
    // A caller that does not come back must not call the next server.
    config.reconnect.max_attempts = 1;
    let channel = Channel::connect(config).await.expect("it serves");
    let (made, done) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let client = ConformanceClient::new(channel.clone());
        callers.spawn(call(client, Arc::clone(&made), Arc::clone(&done)));
    }
    let start = Instant::now();
    while done.load(Ordering::SeqCst) < calls {
        assert!(start.elapsed() < LIMIT, "the server does not answer");
        tokio::task::yield_now().await;
    }
    server.crash();
    let mut all = Seen::default();
    while let Some(seen) = callers.join_next().await {
        let seen = seen.expect("no panic");
        all.totals.extend(seen.totals);
        all.lost += seen.lost;
        all.unrun += seen.unrun;
    }
    let made = made.load(Ordering::SeqCst);
    let answered = all.totals.len() as u64;
    let highest = all.totals.iter().copied().max().unwrap_or_default();
    let distinct: HashSet<u64> = all.totals.iter().copied().collect();
    assert_eq!(distinct.len() as u64, answered, "two calls, one count");
    assert!(answered <= highest, "an answer that was not counted");
    assert!(highest <= made, "counted {highest} of {made} calls");
    // What was answered, and what the last calls may have added: each caller lost one at most.
    assert!(highest <= answered + all.lost, "{all:?}");
    assert_eq!(made, answered + all.lost + all.unrun);
    server.restart();
    // The channel lives, and comes back by itself if anything of it wants to: nothing may run.
    let _ = tokio::time::timeout(LIMIT, channel.ping()).await;
    assert_eq!(Peer::new(&server.endpoint()).count(), 0, "a call ran again");
    (answered, all.lost)
}

/// `KILL_ROUNDS=100 cargo test -p daemoneye-ipc-tests --test wire_peer killed -- --nocapture` for more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_was_run_once_whenever_the_server_is_killed() {
    let asked = env::var("KILL_ROUNDS").ok();
    let rounds = asked.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let mut server = ConformanceServer::start("");
    let start = Instant::now();
    let (mut answered, mut lost) = (0, 0);
    for round in 0..rounds {
        // Another moment each time: early, and in full flow.
        let calls = u64::from(round * 97 % 1_000);
        let life = live_and_die(&mut server, calls).await;
        answered += life.0;
        lost += life.1;
    }
    assert!(lost > 0, "no kill has met a call in flight");
    let took: Duration = start.elapsed();
    eprintln!("{rounds} kills in {took:.1?}: {answered} calls answered, {lost} lost in flight");
}
