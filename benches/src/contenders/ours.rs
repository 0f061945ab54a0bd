//! This product: its generated client and server, its defaults.
//!
//! **Invariant**: the one setting that is not a default is how many connections a server takes; without
//! spin, that too.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use daemoneye_ipc::{CallContext, Channel, IpcConfig, Server, Status, Stream};

use super::{Client, Contender, Feature, in_tasks};
use crate::{
    record_from_plain,
    records::{Seen, plain},
};

/// What the generator makes of the schema.
mod schema {
    daemoneye_ipc::include_schema!("bench.v1");
}

use schema::{
    Bench, BenchClient, BenchServer, ListRequest, Record, Records, SlowRequest, StreamRequest,
};

/// The contender, whose ends may spin for an answer before they sleep.
pub(crate) struct Product<const SPIN: bool>;

/// The product as it is by default.
pub(crate) type Ours = Product<true>;
/// The product with its spin switched off.
pub(crate) type NoSpin = Product<false>;

struct Handler;

impl Bench for Handler {
    async fn echo(&self, _: &CallContext, request: schema::Bytes) -> Result<schema::Bytes, Status> {
        Ok(request)
    }

    async fn list(&self, _: &CallContext, request: ListRequest) -> Result<Records, Status> {
        let records = plain(request.count).map(|plain| record_from_plain!(Record, plain));
        Ok(Records {
            records: records.collect(),
        })
    }

    async fn bytes(
        &self,
        _: &CallContext,
        request: StreamRequest,
    ) -> Result<impl Stream<Item = Result<schema::Bytes, Status>>, Status> {
        let payload = Bytes::from(vec![7; request.size as usize]);
        let message = move |_| {
            Ok(schema::Bytes {
                payload: payload.clone(),
            })
        };
        Ok(tokio_stream::iter((0..request.count).map(message)))
    }

    async fn watch(
        &self,
        _: &CallContext,
        request: ListRequest,
    ) -> Result<impl Stream<Item = Result<Record, Status>>, Status> {
        let records = plain(request.count).map(|plain| Ok(record_from_plain!(Record, plain)));
        Ok(tokio_stream::iter(records))
    }

    async fn slow(&self, _: &CallContext, request: SlowRequest) -> Result<schema::Bytes, Status> {
        tokio::time::sleep(Duration::from_millis(request.millis.into())).await;
        Ok(schema::Bytes::default())
    }
}

impl<const SPIN: bool> Product<SPIN> {
    fn config(path: &Path) -> IpcConfig {
        let mut config = IpcConfig::new(path);
        config.max_connections = 4096;
        if !SPIN {
            config.spin_us = 0;
        }
        config
    }
}

impl<const SPIN: bool> Contender for Product<SPIN> {
    const NAME: &'static str = if SPIN {
        "daemoneye-ipc"
    } else {
        "daemoneye-ipc-no-spin"
    };
    const FEATURES: &'static [Feature] = &[
        Feature::Streams,
        Feature::Multiplex,
        Feature::Records,
        Feature::RecordStreams,
    ];
    type Client = BenchClient;

    async fn serve(path: &Path, ready: fn()) -> anyhow::Result<()> {
        let server = Server::builder(Self::config(path))
            .add_service(BenchServer::new(Handler))
            .bind()
            .await?;
        ready();
        server
            .serve_until(std::future::pending(), Duration::ZERO)
            .await?;
        Ok(())
    }

    async fn connect(path: &Path) -> anyhow::Result<BenchClient> {
        // The handshake leaves together with the first call.
        Ok(BenchClient::new(Channel::lazy(Self::config(path))?))
    }
}

impl Client for BenchClient {
    async fn echo(&mut self, payload: Bytes) -> anyhow::Result<Bytes> {
        Ok(BenchClient::echo(self, schema::Bytes { payload })
            .await?
            .payload)
    }

    async fn pipelined(self, payload: Bytes, calls: usize, until: Instant) -> anyhow::Result<u64> {
        in_tasks(&self, payload, calls, until).await
    }

    async fn slow(&mut self, millis: u32) -> anyhow::Result<()> {
        BenchClient::slow(self, SlowRequest { millis }).await?;
        Ok(())
    }

    async fn stream(
        &mut self,
        size: u32,
        mut each: impl FnMut(&[u8]) -> bool + Send,
    ) -> anyhow::Result<()> {
        let mut stream = self
            .bytes(StreamRequest {
                count: u64::MAX,
                size,
            })
            .await?;
        while let Some(message) = stream.message().await? {
            if !each(&message.payload) {
                break;
            }
        }
        Ok(())
    }

    fn handle(&self) -> Option<Self> {
        Some(self.clone())
    }

    async fn list(&mut self, count: u32) -> anyhow::Result<Seen> {
        let list = BenchClient::list(self, ListRequest { count }).await?;
        let mut seen = Seen::default();
        list.records
            .iter()
            .for_each(|record| seen.add(record.pid, &record.name, &record.hash));
        Ok(seen)
    }

    async fn watch(&mut self, count: u32) -> anyhow::Result<Seen> {
        let mut stream = BenchClient::watch(self, ListRequest { count }).await?;
        let mut seen = Seen::default();
        while let Some(record) = stream.message().await? {
            seen.add(record.pid, &record.name, &record.hash);
        }
        Ok(seen)
    }
}
