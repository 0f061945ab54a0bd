//! What happens to the servers: one is stopped now and then, the other dies.
//!
//! **Invariant**: a server that was stopped goes on, and one that died is followed by another.

use std::{sync::Arc, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{sync::watch, time};

use super::{ledger::Ledger, process::ServerProcess, report::Faults};

/// Waits for some milliseconds out of a range; `false` if the soak is over.
pub(super) async fn pause(over: &mut watch::Receiver<bool>, from: u64, to: u64) -> bool {
    let pause = Duration::from_millis(fastrand::u64(from..to));
    time::timeout(pause, over.wait_for(|over| *over))
        .await
        .is_err()
}

/// Stops the process for moments.
pub(super) async fn stop(
    pid: Option<Pid>,
    faults: Arc<Faults>,
    mut over: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Some(pid) = pid else {
        return Ok(());
    };
    while pause(&mut over, 200, 2_000).await {
        kill_process(pid, Signal::STOP)?;
        Faults::count(&faults.stops);
        time::sleep(Duration::from_millis(fastrand::u64(1..200))).await;
        kill_process(pid, Signal::CONT)?;
    }
    Ok(())
}

/// Kills the server, or has it drain, again and again. Returns the last one.
pub(super) async fn kill(
    mut server: ServerProcess,
    ledger: Arc<Ledger>,
    faults: Arc<Faults>,
    mut over: watch::Receiver<bool>,
) -> anyhow::Result<ServerProcess> {
    while pause(&mut over, 100, 1_500).await {
        if fastrand::bool() {
            server.kill().await?;
            Faults::count(&faults.kills);
        } else {
            server.drain().await?;
            Faults::count(&faults.drains);
        }
        ledger.end_of_life(None);
        // Sometimes it is away for longer than a client's first attempts.
        if fastrand::u8(..4) == 0 {
            time::sleep(Duration::from_millis(fastrand::u64(1..400))).await;
        }
        server.restart().await?;
    }
    Ok(server)
}
