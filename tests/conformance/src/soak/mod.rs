//! A soak: all kinds of calls for as long as one likes, while servers die, stop and are replaced, and other clients misbehave.
//!
//! Two servers run as processes of their own. One dies again and again; the other lives from begin to end, is stopped now and
//! then, and is what the figures of memory and descriptors are of. At the end, every call has had its outcome, no call
//! was run twice, and both ends hold what they held at the beginning.
//!
//! **Invariant**: what is not right is counted and told, and the soak goes on.

mod callers;
mod faults;
mod intruder;
mod ledger;
mod process;
mod report;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use daemoneye_ipc::{Channel, IpcConfig};
use daemoneye_ipc_generated::conformance::v1::{ConformanceClient, CountRequest, InspectRequest};
use tokio::{sync::watch, task::JoinSet, time};

pub use self::report::SoakReport;
use self::{
    ledger::Ledger,
    process::{Held, Memory, ServerProcess},
    report::Faults,
};

/// After this the figures at the start are taken: what is allocated once has been.
const WARM_UP: Duration = Duration::from_secs(2);

/// A caller that has no outcome after this is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a soak goes.
#[derive(Debug, Clone)]
pub struct Soak {
    /// The program that serves: `PROGRAM serve --endpoint PATH`, which is this one.
    pub program: PathBuf,
    /// How long.
    pub time: Duration,
    /// Callers at once, of each server.
    pub callers: usize,
}

/// What all tasks of one side know.
struct Side {
    endpoint: PathBuf,
    ledger: Arc<Ledger>,
    over: watch::Receiver<bool>,
}

impl Soak {
    /// Soaks to the end, and calls `progress` once a second with what has happened.
    ///
    /// # Errors
    /// If a server cannot be started, or does not come back.
    pub async fn run(&self, mut progress: impl FnMut(&SoakReport)) -> anyhow::Result<SoakReport> {
        let folder = tempfile::tempdir()?;
        let steady =
            ServerProcess::start(&self.program, &folder.path().join("steady.sock")).await?;
        let mortal =
            ServerProcess::start(&self.program, &folder.path().join("mortal.sock")).await?;
        let (end, over) = watch::channel(false);
        let [lasting, dying] = [&steady, &mortal].map(|server| Side {
            endpoint: server.endpoint().to_owned(),
            ledger: Arc::default(),
            over: over.clone(),
        });
        let counters = Arc::<Faults>::default();
        let mut tasks = JoinSet::new();
        for side in [&lasting, &dying] {
            callers::spawn(side, self.callers, &mut tasks)?;
        }
        time::sleep(WARM_UP).await;
        let start = held(&steady, &lasting.endpoint).await?;
        let stops = faults::stop(steady.pid(), Arc::clone(&counters), over.clone());
        let intrusions = intruder::run(
            lasting.endpoint.clone(),
            Arc::clone(&counters),
            over.clone(),
        );
        let deaths = faults::kill(
            mortal,
            Arc::clone(&dying.ledger),
            Arc::clone(&counters),
            over,
        );
        let chaos = (
            tokio::spawn(stops),
            tokio::spawn(intrusions),
            tokio::spawn(deaths),
        );

        let report = |half: Option<Memory>, end: Option<Held>| {
            let ledgers: [&Ledger; 2] = [&lasting.ledger, &dying.ledger];
            SoakReport::new(ledgers, &counters, start, half, end)
        };
        let half = watch(self.time, &steady, |half| progress(&report(half, None))).await?;
        let _ = end.send(true);
        chaos.0.await??;
        chaos.1.await?;
        chaos.2.await??.terminate().await?;
        end_of_callers(tasks).await;
        let total = settled_total(&lasting.endpoint).await?;
        lasting.ledger.end_of_life(Some(total));
        dying.ledger.end_of_life(None);
        let end = held(&steady, &lasting.endpoint).await?;
        steady.terminate().await?;
        Ok(report(half, Some(end)))
    }
}

/// Waits until the time is over, and calls `progress` once a second; returns what was held half way.
async fn watch(
    all: Duration,
    server: &ServerProcess,
    mut progress: impl FnMut(Option<Memory>),
) -> anyhow::Result<Option<Memory>> {
    let (began, mut half) = (time::Instant::now(), None);
    while began.elapsed() < all {
        time::sleep(Duration::from_secs(1)).await;
        if half.is_none() && began.elapsed() >= all / 2 {
            half = Some(Memory::measure(server.pid())?);
        }
        progress(half);
    }
    Ok(half)
}

/// Waits for the last outcomes, as long as any come.
async fn end_of_callers(mut callers: JoinSet<()>) {
    while let Ok(Some(_)) = time::timeout(PATIENCE, callers.join_next()).await {}
}

/// What the server and this process hold.
async fn held(server: &ServerProcess, endpoint: &Path) -> anyhow::Result<Held> {
    let client = ConformanceClient::new(Channel::connect(IpcConfig::new(endpoint)).await?);
    // The connections of those who went away may be on their way out.
    let mut inside = client.inspect(InspectRequest {}).await?;
    for _ in 0..50 {
        if inside.handlers <= 1 && inside.queued_bytes == 0 {
            break;
        }
        time::sleep(Duration::from_millis(100)).await;
        inside = client.inspect(InspectRequest {}).await?;
    }
    Held::measure(server.pid(), &inside)
}

/// How often the counter of the server has been raised.
async fn settled_total(endpoint: &Path) -> anyhow::Result<u64> {
    let client = ConformanceClient::new(Channel::connect(IpcConfig::new(endpoint)).await?);
    Ok(client.count(CountRequest { add: 0 }).await?.total)
}
