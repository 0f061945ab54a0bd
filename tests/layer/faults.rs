//! Bad connections: damage is found, named, and costs one connection.
//!
//! **Invariant**: a call that succeeds has the right answer, whatever the connection did.

use std::{future::IntoFuture, time::Duration};

use daemoneye_ipc::{
    CallError, IpcError,
    testing::{Fault, Faults},
};
use daemoneye_ipc_generated::conformance::v1::{ConformanceClient, CountRequest, SleepRequest};
use proptest::prelude::*;

use super::{echo, emit, serve};

/// Makes one call over a connection that is bad once, and one more.
async fn call_through(faults: Faults) -> Result<(), CallError> {
    let (server, _) = serve();
    let channel = server
        .caller()
        .faults(move |number| match number {
            0 => faults.clone(),
            _ => Faults::new(),
        })
        .channel();
    let client = ConformanceClient::new(channel);
    // Count is no call that the library may send again.
    let first = client.count(CountRequest { add: 1 }).await;
    let second = client.count(CountRequest { add: 10 }).wait_for_ready(true);
    assert!([10, 11].contains(&second.await.unwrap().total));
    first.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn each_fault_has_its_error() {
    // Past the HELLOs, whose length depends on the version's name.
    let at = 400;
    let late = Faults::new().to_server(Fault::Truncate { at });
    assert!(call_through(late).await.is_ok(), "the fault came too early");

    let flipped = Faults::new().to_client(Fault::FlipBit { at: 9, bit: 0 });
    let error = call_through(flipped).await.unwrap_err();
    assert!(
        matches!(error.kind(), IpcError::CrcMismatch { .. }),
        "{error}"
    );

    let cut = Faults::new().to_client(Fault::Truncate { at: 5 });
    let error = call_through(cut).await.unwrap_err();
    assert!(matches!(error.kind(), IpcError::PeerClosed), "{error}");

    let reset = Faults::new().to_server(Fault::Reset { at: 5 });
    let error = call_through(reset).await.unwrap_err();
    assert!(matches!(error.kind(), IpcError::PeerClosed), "{error}");

    let swapped = Faults::new().to_client(Fault::Swap { at: 8, len: 10 });
    let error = call_through(swapped).await.unwrap_err();
    assert!(
        matches!(error.kind(), IpcError::CrcMismatch { .. }),
        "{error}"
    );

    let pause = Duration::MAX;
    let stalled = Faults::new().to_client(Fault::Stall { at: 0, pause });
    let error = call_through(stalled).await.unwrap_err();
    assert!(
        matches!(error.kind(), IpcError::ConnectionTimeout { .. }),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_waited_for_and_pieces_are_put_together() {
    let pause = Duration::from_secs(3);
    let slow = Faults::new()
        .chunks(1)
        .to_client(Fault::Stall { at: 50, pause });
    let (server, _) = serve();
    let client = ConformanceClient::new(server.caller().faults(move |_| slow.clone()).channel());
    let started = tokio::time::Instant::now();
    let payload = "piece by piece".repeat(100);
    assert_eq!(
        client.echo(echo(payload.clone())).await.unwrap().payload,
        payload
    );
    assert!(started.elapsed() >= pause);
}

/// The server says that it leaves, and wherever it falls silent after that, the call in flight ends when its time is over.
#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_and_falls_silent_does_not_outlast_a_deadline() {
    for at in 1..400 {
        let pause = Duration::MAX;
        let silent = Faults::new().to_client(Fault::Stall { at, pause });
        let (server, _) = serve();
        let channel = server.caller().faults(move |_| silent.clone()).channel();
        let client = ConformanceClient::new(channel);
        let request = SleepRequest {
            millis: 60_000,
            blocking: false,
        };
        let call = client.sleep(request).timeout(Duration::from_secs(5));
        let call = tokio::spawn(call.into_future());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let left = tokio::spawn(server.stop(Duration::from_secs(50)));
        let limit = Duration::from_secs(20);
        let ended = tokio::time::timeout(limit, call).await;
        let ended = ended.unwrap_or_else(|_| panic!("silent from byte {at}: it sleeps on"));
        ended.expect("no panic").expect_err("too late");
        left.abort();
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    let at = 0..4_000_u64;
    prop_oneof![
        (at.clone(), 0..8_u8).prop_map(|(at, bit)| Fault::FlipBit { at, bit }),
        (at.clone(), 1..200_usize).prop_map(|(at, len)| Fault::Swap { at, len }),
        (at.clone(), 0..40_u64).prop_map(|(at, pause)| Fault::Stall {
            at,
            pause: Duration::from_secs(pause)
        }),
        at.clone().prop_map(|at| Fault::Truncate { at }),
        at.prop_map(|at| Fault::Reset { at }),
    ]
}

fn faults() -> impl Strategy<Value = Faults> {
    let some = || prop::collection::vec(fault(), 0..3);
    (some(), some(), 1..2_000_usize).prop_map(|(to_server, to_client, chunk)| {
        let faults = Faults::new().chunks(chunk);
        let faults = to_server.into_iter().fold(faults, Faults::to_server);
        to_client.into_iter().fold(faults, Faults::to_client)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any damage to the first two connections: answers are right or errors, Count is never doubled,
    /// and nothing is left on the server.
    #[test]
    fn no_damage_makes_a_wrong_answer(bad in prop::collection::vec(faults(), 2)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (server, service) = serve();
            let channel = server.caller().faults(move |number| {
                usize::try_from(number).ok().and_then(|n| bad.get(n).cloned()).unwrap_or_default()
            }).channel();
            let client = ConformanceClient::new(channel);
            let (mut succeeded, mut made) = (0, 0);
            for round in 0..8_u32 {
                let payload = vec![7; (round * 97) as usize];
                if let Ok(reply) = client.echo(echo(payload.clone())).wait_for_ready(true).await {
                    assert_eq!(reply.payload, payload);
                }
                made += 1;
                match client.count(CountRequest { add: 1 }).wait_for_ready(true).await {
                    Ok(reply) => {
                        succeeded += 1;
                        assert!(reply.total >= succeeded && reply.total <= made);
                    }
                    Err(error) if !error.was_maybe_run() => made -= 1,
                    Err(_) => {}
                }
                if let Ok(mut events) = client.emit(emit(5)).wait_for_ready(true).await {
                    // A swap of whole frames is damage that no checksum sees; no socket does it.
                    let mut missing: Vec<u32> = (0..5).collect();
                    while let Ok(Some(event)) = events.message().await {
                        let before = missing.len();
                        missing.retain(|index| *index != event.index);
                        assert_eq!(missing.len() + 1, before, "{} came twice", event.index);
                    }
                }
            }
            assert!(service.total() >= succeeded && service.total() <= made);
            drop(client);
            while server.stats().connections() > 0 {
                // A connection may be stalled.
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            assert_eq!((server.stats().handlers(), server.stats().calls_in_flight()), (0, 0));
        });
    }
}
