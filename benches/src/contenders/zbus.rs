//! zbus between two peers, without a bus, over a Unix socket.
//!
//! **Invariant**: the defaults of zbus on tokio; a signal is no stream, since nothing holds its sender back.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_bytes::ByteBuf;
use tokio::net::UnixListener;
use zbus::{Guid, connection::Builder};

use super::{Client, Contender, Feature, in_tasks};
use crate::records::{Plain, Seen, plain};

/// The contender.
pub(crate) struct Zbus;

struct Handler;

const PATH: &str = "/bench";

#[zbus::interface(name = "bench.v1.Bench")]
impl Handler {
    fn echo(&self, payload: ByteBuf) -> ByteBuf {
        payload
    }

    fn list(&self, count: u32) -> Vec<Plain> {
        plain(count).collect()
    }

    async fn slow(&self, millis: u32) {
        tokio::time::sleep(Duration::from_millis(millis.into())).await;
    }
}

#[zbus::proxy(
    interface = "bench.v1.Bench",
    default_service = "bench.v1.Bench",
    default_path = "/bench"
)]
pub(crate) trait Bench {
    fn echo(&self, payload: &serde_bytes::Bytes) -> zbus::Result<ByteBuf>;
    fn list(&self, count: u32) -> zbus::Result<Vec<Plain>>;
    fn slow(&self, millis: u32) -> zbus::Result<()>;
}

impl Contender for Zbus {
    const NAME: &'static str = "zbus-p2p";
    const FEATURES: &'static [Feature] = &[Feature::Multiplex, Feature::Records];
    type Client = BenchProxy<'static>;

    async fn serve(path: &Path, ready: fn()) -> anyhow::Result<()> {
        let listener = UnixListener::bind(path)?;
        let guid = Guid::generate();
        ready();
        loop {
            let (socket, _) = listener.accept().await?;
            let builder = Builder::unix_stream(socket.into_std()?)
                .server(guid.clone())
                .p2p()
                .serve_at(PATH, Handler);
            tokio::spawn(async move {
                let connection = builder.build().await?;
                // Its tasks answer until the other end is gone; without the handle they would end now.
                connection.closed().await;
                anyhow::Ok(())
            });
        }
    }

    async fn connect(path: &Path) -> anyhow::Result<BenchProxy<'static>> {
        let address = format!("unix:path={}", path.display());
        let connection = Builder::address(address.as_str()).p2p().build().await?;
        Ok(BenchProxy::new(&connection).await?)
    }
}

impl Client for BenchProxy<'static> {
    async fn echo(&mut self, payload: Bytes) -> anyhow::Result<Bytes> {
        let reply = BenchProxy::echo(self, serde_bytes::Bytes::new(&payload)).await?;
        Ok(reply.into_vec().into())
    }

    async fn pipelined(self, payload: Bytes, calls: usize, until: Instant) -> anyhow::Result<u64> {
        in_tasks(&self, payload, calls, until).await
    }

    async fn slow(&mut self, millis: u32) -> anyhow::Result<()> {
        Ok(BenchProxy::slow(self, millis).await?)
    }

    fn handle(&self) -> Option<Self> {
        Some(self.clone())
    }

    async fn list(&mut self, count: u32) -> anyhow::Result<Seen> {
        let list = BenchProxy::list(self, count).await?;
        let mut seen = Seen::default();
        list.iter()
            .for_each(|record| seen.add(record.pid, &record.name, &record.hash));
        Ok(seen)
    }
}
