//! Five hundred clients that lose their server at once do not all come back at once.
//!
//! **Invariant**: in memory and paused time, so that the only spread is that of the pauses.

use std::time::Duration;

use daemoneye_ipc::{
    IpcConfig, Server,
    health::HealthReporter,
    testing::{Fault, Faults, TestServer},
};
use tokio::time::Instant;

const CLIENTS: usize = 500;

#[tokio::test(start_paused = true)]
async fn five_hundred_clients_come_back_one_after_the_other() {
    let mut config = IpcConfig {
        max_connections: CLIENTS,
        ..IpcConfig::default()
    };
    config.limits.max_handshakes = CLIENTS;
    let builder = Server::builder(config).health(HealthReporter::new());
    let server = TestServer::start(builder).unwrap();
    // The first connection of each is reset by its PING; each pauses before it comes back.
    let broken = |number| match number {
        0 => Faults::new().to_client(Fault::Truncate { at: 300 }),
        _ => Faults::new(),
    };
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let channel = server.caller().faults(broken).channel();
        channel.ping().await.unwrap();
        clients.push(channel);
    }
    // Long enough to count as sound.
    tokio::time::advance(Duration::from_secs(5)).await;
    // PONGs until the byte is reached at which all of them break, in the same millisecond.
    let lost = Instant::now();
    let returns = clients.into_iter().map(|channel| async move {
        while channel.ping().await.is_err() || channel.stats().connects < 2 {}
        lost.elapsed()
    });
    let returns = futures_util::future::join_all(returns).await;
    let mut per_millisecond = vec![0; 100];
    for time in returns {
        assert!(time < Duration::from_millis(100), "{time:?}");
        per_millisecond[time.as_millis() as usize] += 1;
    }
    let busiest = per_millisecond.iter().max().unwrap();
    println!("clients that came back, per millisecond: {per_millisecond:?}");
    assert!(
        *busiest < CLIENTS / 8,
        "{busiest} in one millisecond: {per_millisecond:?}"
    );
}
