//! Any interleaving of calls of all kinds with whatever ends them, through whole clients and servers: each
//! call ends once, and nothing is left of it.
//!
//! **Invariant**: tasks are counted by the runtime, everything else by the server and the channel.

use std::{env, time::Duration};

use daemoneye_ipc::{
    CallError, Code, IpcConfig, Server, Status,
    testing::{Fault, Faults, TestServer},
};
use daemoneye_ipc_generated::conformance::v1::{
    ChatRequest, CollectRequest, ConformanceClient, ConformanceServer, CountRequest, FailRequest,
};
use ipc_conformance::ConformanceService;
use proptest::prelude::*;
use tokio::{runtime::Handle, task::JoinHandle, time};

use super::{emit, sleep};

/// Longer than anything here may take, on the paused clock.
const LIMIT: Duration = Duration::from_secs(3_600);

/// A call, by what its handler does.
#[derive(Debug, Clone, Copy)]
enum Work {
    Reply,
    Fail,
    /// Takes as many milliseconds.
    Sleep(u32),
    /// So many responses; the caller reads so many of them.
    Emit(u32, u32),
    /// So many requests; then the caller waits for the answer, or goes away.
    Collect(u32, bool),
    /// So many messages there and back.
    Chat(u32),
}

#[derive(Debug, Clone)]
enum Step {
    /// Begins a call, with a deadline in milliseconds.
    Open(Work, u64),
    /// Drops the n-th call.
    Cancel(usize),
    /// Lets milliseconds pass.
    Pass(u64),
    /// Lets other tasks run a little.
    Yield,
}

/// How a call ended: with its answer, an error, or by its caller.
async fn call(client: ConformanceClient, work: Work, limit: Duration) -> Result<(), CallError> {
    match work {
        Work::Reply => {
            let call = client.count(CountRequest { add: 1 }).timeout(limit);
            call.await.map(|_| ())
        }
        Work::Fail => {
            let failed = FailRequest {
                code: Code::NotFound as u32,
                ..FailRequest::default()
            };
            client.fail(failed).timeout(limit).await.map(|_| ())
        }
        Work::Sleep(millis) => client.sleep(sleep(millis)).timeout(limit).await.map(|_| ()),
        Work::Emit(count, read) => {
            let mut request = emit(count);
            (request.size, request.interval_us) = (1_000, 500);
            let mut events = client.emit(request).timeout(limit).await?;
            for _ in 0..read {
                if events.message().await?.is_none() {
                    let again = events.message().await;
                    assert!(matches!(again, Ok(None)), "a second end");
                    break;
                }
            }
            Ok(())
        }
        Work::Collect(count, waits) => {
            let mut upload = client.collect().timeout(limit).await?;
            for _ in 0..count {
                let payload = vec![0; 1_000].into();
                if upload.send(CollectRequest { payload }).await.is_err() {
                    break;
                }
            }
            if waits {
                upload.finish().await.map(|_| ())
            } else {
                Ok(())
            }
        }
        Work::Chat(count) => {
            let mut chat = client.chat().timeout(limit).await?;
            for _ in 0..count {
                let payload = vec![0; 1_000].into();
                let _ = chat.send(ChatRequest { payload }).await;
                if chat.message().await?.is_none() {
                    break;
                }
            }
            chat.half_close().await;
            chat.message().await.map(|_| ())
        }
    }
}

/// A small server, so that limits are met: of calls, of credit.
fn server() -> TestServer {
    let mut config = IpcConfig::default();
    config.limits.max_calls = 4;
    config.limits.stream_credit_bytes = 4_096;
    let service = ConformanceServer::new(ConformanceService::default());
    TestServer::start(Server::builder(config).add_service(service)).unwrap()
}

async fn play(steps: Vec<Step>, bad: Vec<Faults>, grace: Option<u64>) {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let server = server();
    let stats = server.stats().clone();
    let faulty = move |number: u64| {
        let number = usize::try_from(number).ok();
        number.and_then(|n| bad.get(n).cloned()).unwrap_or_default()
    };
    let channel = server.caller().faults(faulty).channel();
    let client = ConformanceClient::new(channel.clone());
    let mut calls: Vec<JoinHandle<Result<(), CallError>>> = Vec::new();
    for step in steps {
        match step {
            Step::Open(work, limit) => {
                let limit = Duration::from_millis(limit);
                calls.push(tokio::spawn(call(client.clone(), work, limit)));
            }
            Step::Cancel(at) => calls.get(at).into_iter().for_each(JoinHandle::abort),
            Step::Pass(millis) => time::advance(Duration::from_millis(millis)).await,
            Step::Yield => tokio::task::yield_now().await,
        }
    }
    let stopping = grace.map(Duration::from_millis);
    let mut server = Some(server);
    if let Some(grace) = stopping {
        let _ = server.take().unwrap().stop(grace).await;
    }
    for call in calls {
        let ended = time::timeout(LIMIT, call)
            .await
            .expect("a call never ended");
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => assert_ne!(error.status().map(Status::code), Some(Code::Ok)),
            Err(gone) => assert!(gone.is_cancelled(), "{gone}"),
        }
    }
    // Cancellations are under way, or stalled with their connection.
    let held = || {
        (
            stats.calls_in_flight(),
            stats.handlers(),
            stats.queued_bytes(),
        )
    };
    let settled = async {
        while held() != (0, 0, 0) || channel.stats().calls_open > 0 {
            time::advance(Duration::from_millis(100)).await;
            tokio::task::yield_now().await;
        }
    };
    let settled = time::timeout(LIMIT, settled).await;
    assert!(settled.is_ok(), "held: {:?}, {:?}", held(), channel.stats());
    drop((client, channel, server));
    let gone = async {
        while tasks() > before {
            time::advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
    };
    let gone = time::timeout(LIMIT, gone).await;
    assert!(gone.is_ok(), "{} tasks are left", tasks() - before);
    assert_eq!(stats.connections(), 0);
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        2 => Just(Work::Reply),
        1 => Just(Work::Fail),
        2 => (0..60_u32).prop_map(Work::Sleep),
        2 => (0..20_u32, 0..25_u32).prop_map(|(count, read)| Work::Emit(count, read)),
        2 => (0..12_u32, any::<bool>()).prop_map(|(count, waits)| Work::Collect(count, waits)),
        2 => (0..12_u32).prop_map(Work::Chat),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (work(), 0..100_u64).prop_map(|(work, limit)| Step::Open(work, limit)),
        3 => (0..16_usize).prop_map(Step::Cancel),
        3 => (0..20_u64).prop_map(Step::Pass),
        4 => Just(Step::Yield),
    ]
}

/// The connection ends after so many bytes in one direction, in order or not; or nothing happens.
fn faults() -> impl Strategy<Value = Faults> {
    let at = 200..20_000_u64;
    let chunk = 1..4_000_usize;
    (at, 0..5_u8, chunk).prop_map(|(at, kind, chunk)| {
        let faults = Faults::new().chunks(chunk);
        match kind {
            0 => faults.to_server(Fault::Truncate { at }),
            1 => faults.to_client(Fault::Truncate { at }),
            2 => faults.to_server(Fault::Reset { at }),
            3 => faults.to_client(Fault::Reset { at }),
            _ => faults,
        }
    })
}

fn cases() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = env::var_os("PROPTEST_CASES").map_or(300, |_| asked.cases);
    ProptestConfig { cases, ..asked }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_call_ends_and_nothing_of_it_is_left(
        steps in prop::collection::vec(step(), 1..40),
        bad in prop::collection::vec(faults(), 3),
        grace in prop::option::of(0..50_u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(steps, bad, grace));
    }
}
