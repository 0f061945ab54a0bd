//! tarpc with bincode over a Unix socket, as its README shows it.
//!
//! **Invariant**: the defaults of tarpc; a task for each request, as in its examples.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::StreamExt;
use tarpc::{
    client, context,
    serde_transport::unix,
    server::{BaseChannel, Channel},
    tokio_serde::formats::Bincode,
};

use super::{Client, Contender, Feature, in_tasks};
use crate::records::{Plain, Seen, plain};

/// The contender.
pub(crate) struct Tarpc;

/// The service, which is what tarpc has for a schema.
mod schema {
    use super::{Bytes, Plain};

    #[tarpc::service]
    pub(crate) trait Bench {
        async fn echo(payload: Bytes) -> Bytes;
        async fn list(count: u32) -> Vec<Plain>;
        async fn slow(millis: u32);
    }
}

use schema::{Bench, BenchClient};

#[derive(Clone)]
struct Handler;

impl Bench for Handler {
    async fn echo(self, _: context::Context, payload: Bytes) -> Bytes {
        payload
    }

    async fn list(self, _: context::Context, count: u32) -> Vec<Plain> {
        plain(count).collect()
    }

    async fn slow(self, _: context::Context, millis: u32) {
        tokio::time::sleep(Duration::from_millis(millis.into())).await;
    }
}

impl Contender for Tarpc {
    const NAME: &'static str = "tarpc";
    const FEATURES: &'static [Feature] = &[Feature::Multiplex, Feature::Records];
    type Client = BenchClient;

    async fn serve(path: &Path, ready: fn()) -> anyhow::Result<()> {
        let mut connections = unix::listen(path, Bincode::default).await?;
        ready();
        while let Some(connection) = connections.next().await {
            let requests = BaseChannel::with_defaults(connection?).execute(Handler.serve());
            tokio::spawn(requests.for_each(async |answer| drop(tokio::spawn(answer))));
        }
        Ok(())
    }

    async fn connect(path: &Path) -> anyhow::Result<BenchClient> {
        let transport = unix::connect(path, Bincode::default).await?;
        Ok(BenchClient::new(client::Config::default(), transport).spawn())
    }
}

impl Client for BenchClient {
    async fn echo(&mut self, payload: Bytes) -> anyhow::Result<Bytes> {
        Ok(BenchClient::echo(self, context::current(), payload).await?)
    }

    async fn pipelined(self, payload: Bytes, calls: usize, until: Instant) -> anyhow::Result<u64> {
        in_tasks(&self, payload, calls, until).await
    }

    async fn slow(&mut self, millis: u32) -> anyhow::Result<()> {
        Ok(BenchClient::slow(self, context::current(), millis).await?)
    }

    fn handle(&self) -> Option<Self> {
        Some(self.clone())
    }

    async fn list(&mut self, count: u32) -> anyhow::Result<Seen> {
        let list = BenchClient::list(self, context::current(), count).await?;
        let mut seen = Seen::default();
        list.iter()
            .for_each(|record| seen.add(record.pid, &record.name, &record.hash));
        Ok(seen)
    }
}
