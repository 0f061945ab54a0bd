//! The contenders: one file each, behind one trait.
//!
//! **Invariant**: every contender does the same work for a workload, with its library's defaults; what
//! it cannot do is said, not imitated.

pub(crate) mod connectrpc;
pub(crate) mod ours;
pub(crate) mod raw_blocking;
pub(crate) mod raw_tokio;
pub(crate) mod tarpc;
pub(crate) mod tonic;
pub(crate) mod ttrpc;
pub(crate) mod zbus;

use std::{future::Future, path::Path, time::Instant};

use anyhow::bail;
use bytes::Bytes;

use crate::records::Seen;

/// What a workload asks of a contender beyond `echo` and `pipelined`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// Streams from the server.
    Streams,
    /// Calls beside each other through several handles of one connection.
    Multiplex,
    /// Messages with structure.
    Records,
    /// A stream of these.
    RecordStreams,
}

/// One way to call between processes.
pub(crate) trait Contender: 'static {
    /// As on the command line.
    const NAME: &'static str;
    /// What it can do.
    const FEATURES: &'static [Feature];
    /// The client's end.
    type Client: Client;

    /// Binds the path, calls `ready`, and serves until the process is killed.
    fn serve(path: &Path, ready: fn()) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// A new connection.
    fn connect(path: &Path) -> impl Future<Output = anyhow::Result<Self::Client>> + Send;
}

/// A connection.
pub(crate) trait Client: Sized + Send + 'static {
    /// One call; answers what it was sent.
    fn echo(&mut self, payload: Bytes) -> impl Future<Output = anyhow::Result<Bytes>> + Send;

    /// Keeps `calls` calls in flight until the time; how many were answered.
    fn pipelined(
        self,
        payload: Bytes,
        calls: usize,
        until: Instant,
    ) -> impl Future<Output = anyhow::Result<u64>> + Send;

    /// One call whose handler waits so many milliseconds.
    fn slow(&mut self, millis: u32) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// A stream without end, until `each` has had enough.
    fn stream(
        &mut self,
        _size: u32,
        _each: impl FnMut(&[u8]) -> bool + Send,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { bail!("no streams") }
    }

    /// Another handle of the same connection.
    fn handle(&self) -> Option<Self> {
        None
    }

    /// A list of records.
    fn list(&mut self, _count: u32) -> impl Future<Output = anyhow::Result<Seen>> + Send {
        async { bail!("no records") }
    }

    /// A stream of records.
    fn watch(&mut self, _count: u32) -> impl Future<Output = anyhow::Result<Seen>> + Send {
        async { bail!("no streams of records") }
    }
}

/// `pipelined` for a connection with many handles: a task for each call in flight.
pub(crate) async fn in_tasks<C: Client>(
    client: &C,
    payload: Bytes,
    calls: usize,
    until: Instant,
) -> anyhow::Result<u64> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let Some(mut client) = client.handle() else {
            bail!("one handle only");
        };
        let payload = payload.clone();
        tasks.spawn(async move {
            let mut count = 0;
            while Instant::now() < until {
                client.echo(payload.clone()).await?;
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut total = 0;
    while let Some(count) = tasks.join_next().await {
        total += count??;
    }
    Ok(total)
}

/// Names all contenders, in the order of the tables.
macro_rules! contenders {
    ($($contender:ty),* $(,)?) => {
        /// All of them.
        pub(crate) const NAMES: &[&str] = &[$(<$contender>::NAME),*];

        /// Does something with the contender of a name.
        pub(crate) fn with_contender<T: Task>(name: &str, task: T) -> anyhow::Result<T::Output> {
            $(if name == <$contender>::NAME {
                return task.with::<$contender>();
            })*
            bail!("there is no contender {name:?}; there are {}", NAMES.join(", "))
        }
    };
}

/// What can be done with any contender.
pub(crate) trait Task {
    /// What comes of it.
    type Output;

    /// Does it.
    fn with<C: Contender>(self) -> anyhow::Result<Self::Output>;
}

contenders![
    ours::Ours,
    ours::NoSpin,
    raw_blocking::RawBlocking,
    raw_tokio::RawTokio,
    tonic::Tonic,
    ttrpc::Ttrpc,
    tarpc::Tarpc,
    connectrpc::Connectrpc,
    zbus::Zbus,
];
