//! ttrpc over a Unix socket, with the code of its generator, as its examples show it.
//!
//! **Invariant**: the defaults of ttrpc; payloads as the generator's `Bytes`.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use ttrpc::{
    asynchronous::{Client as Connection, Server, ServerStreamSender, TtrpcContext},
    context::with_timeout,
};

use super::{Client, Contender, Feature, in_tasks};
use crate::{
    record_from_plain,
    records::{Seen, plain},
};

/// What the generator makes of the schema.
#[expect(unreachable_pub, reason = "generated")]
mod schema {
    include!(concat!(env!("OUT_DIR"), "/ttrpc/mod.rs"));
}

use schema::{
    bench::{self, ListRequest, Record, Records, SlowRequest, StreamRequest},
    bench_ttrpc::{Bench, BenchClient, create_bench},
};

/// The contender.
pub(crate) struct Ttrpc;

struct Handler;

#[async_trait]
impl Bench for Handler {
    async fn echo(&self, _: &TtrpcContext, request: bench::Bytes) -> ttrpc::Result<bench::Bytes> {
        Ok(request)
    }

    async fn list(&self, _: &TtrpcContext, request: ListRequest) -> ttrpc::Result<Records> {
        let records = plain(request.count)
            .map(|plain| record_from_plain!(Record, plain, ..Record::default()));
        Ok(Records {
            records: records.collect(),
            ..Records::default()
        })
    }

    async fn bytes(
        &self,
        _: &TtrpcContext,
        request: StreamRequest,
        messages: ServerStreamSender<bench::Bytes>,
    ) -> ttrpc::Result<()> {
        let payload = Bytes::from(vec![7; request.size as usize]);
        let message = bench::Bytes {
            payload,
            ..bench::Bytes::default()
        };
        for _ in 0..request.count {
            messages.send(&message).await?;
        }
        Ok(())
    }

    async fn watch(
        &self,
        _: &TtrpcContext,
        request: ListRequest,
        records: ServerStreamSender<Record>,
    ) -> ttrpc::Result<()> {
        for plain in plain(request.count) {
            records
                .send(&record_from_plain!(Record, plain, ..Record::default()))
                .await?;
        }
        Ok(())
    }

    async fn slow(&self, _: &TtrpcContext, request: SlowRequest) -> ttrpc::Result<bench::Bytes> {
        tokio::time::sleep(Duration::from_millis(request.millis.into())).await;
        Ok(bench::Bytes::default())
    }
}

fn address(path: &Path) -> String {
    format!("unix://{}", path.display())
}

impl Contender for Ttrpc {
    const NAME: &'static str = "ttrpc";
    const FEATURES: &'static [Feature] = &[
        Feature::Streams,
        Feature::Multiplex,
        Feature::Records,
        Feature::RecordStreams,
    ];
    type Client = BenchClient;

    async fn serve(path: &Path, ready: fn()) -> anyhow::Result<()> {
        let service = create_bench(Arc::new(Handler));
        let mut server = Server::new()
            .bind(&address(path))?
            .register_service(service);
        server.start().await?;
        ready();
        std::future::pending().await
    }

    async fn connect(path: &Path) -> anyhow::Result<BenchClient> {
        Ok(BenchClient::new(Connection::connect(&address(path)).await?))
    }
}

impl Client for BenchClient {
    async fn echo(&mut self, payload: Bytes) -> anyhow::Result<Bytes> {
        let request = bench::Bytes {
            payload,
            ..bench::Bytes::default()
        };
        Ok(BenchClient::echo(self, with_timeout(0), &request)
            .await?
            .payload)
    }

    async fn pipelined(self, payload: Bytes, calls: usize, until: Instant) -> anyhow::Result<u64> {
        in_tasks(&self, payload, calls, until).await
    }

    async fn slow(&mut self, millis: u32) -> anyhow::Result<()> {
        let request = SlowRequest {
            millis,
            ..SlowRequest::default()
        };
        BenchClient::slow(self, with_timeout(0), &request).await?;
        Ok(())
    }

    async fn stream(
        &mut self,
        size: u32,
        mut each: impl FnMut(&[u8]) -> bool + Send,
    ) -> anyhow::Result<()> {
        let request = StreamRequest {
            count: u64::MAX,
            size,
            ..StreamRequest::default()
        };
        let mut stream = self.bytes(with_timeout(0), &request).await?;
        while let Some(message) = stream.recv().await? {
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
        let request = ListRequest {
            count,
            ..ListRequest::default()
        };
        let list = BenchClient::list(self, with_timeout(0), &request).await?;
        let mut seen = Seen::default();
        list.records
            .iter()
            .for_each(|record| seen.add(record.pid, &record.name, &record.hash));
        Ok(seen)
    }

    async fn watch(&mut self, count: u32) -> anyhow::Result<Seen> {
        let request = ListRequest {
            count,
            ..ListRequest::default()
        };
        let mut stream = BenchClient::watch(self, with_timeout(0), &request).await?;
        let mut seen = Seen::default();
        while let Some(record) = stream.recv().await? {
            seen.add(record.pid, &record.name, &record.hash);
        }
        Ok(seen)
    }
}
