//! tonic over a Unix socket, as its examples show it.
//!
//! **Invariant**: the defaults of tonic.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{
    Request, Response, Status,
    codegen::BoxStream,
    transport::{Channel, Endpoint, Server},
};

use super::{Client, Contender, Feature, in_tasks};
use crate::{
    record_from_plain,
    records::{Seen, plain},
};

/// What the generator makes of the schema.
#[expect(unreachable_pub, reason = "generated")]
mod schema {
    include!(concat!(env!("OUT_DIR"), "/tonic/bench.v1.rs"));
}

use schema::{
    ListRequest, Record, Records, SlowRequest, StreamRequest,
    bench_client::BenchClient,
    bench_server::{Bench, BenchServer},
};

/// The contender.
pub(crate) struct Tonic;

struct Handler;

#[tonic::async_trait]
impl Bench for Handler {
    type BytesStream = BoxStream<schema::Bytes>;
    type WatchStream = BoxStream<Record>;

    async fn echo(
        &self,
        request: Request<schema::Bytes>,
    ) -> Result<Response<schema::Bytes>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Records>, Status> {
        let records =
            plain(request.into_inner().count).map(|plain| record_from_plain!(Record, plain));
        Ok(Response::new(Records {
            records: records.collect(),
        }))
    }

    async fn bytes(
        &self,
        request: Request<StreamRequest>,
    ) -> Result<Response<Self::BytesStream>, Status> {
        let request = request.into_inner();
        let payload = Bytes::from(vec![7; request.size as usize]);
        let message = move |_| {
            Ok(schema::Bytes {
                payload: payload.clone(),
            })
        };
        Ok(Response::new(Box::pin(tokio_stream::iter(
            (0..request.count).map(message),
        ))))
    }

    async fn watch(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let records =
            plain(request.into_inner().count).map(|plain| Ok(record_from_plain!(Record, plain)));
        Ok(Response::new(Box::pin(tokio_stream::iter(records))))
    }

    async fn slow(&self, request: Request<SlowRequest>) -> Result<Response<schema::Bytes>, Status> {
        tokio::time::sleep(Duration::from_millis(request.into_inner().millis.into())).await;
        Ok(Response::new(schema::Bytes::default()))
    }
}

impl Contender for Tonic {
    const NAME: &'static str = "tonic";
    const FEATURES: &'static [Feature] = &[
        Feature::Streams,
        Feature::Multiplex,
        Feature::Records,
        Feature::RecordStreams,
    ];
    type Client = BenchClient<Channel>;

    async fn serve(path: &Path, ready: fn()) -> anyhow::Result<()> {
        let listener = UnixListenerStream::new(UnixListener::bind(path)?);
        ready();
        Server::builder()
            .add_service(BenchServer::new(Handler))
            .serve_with_incoming(listener)
            .await?;
        Ok(())
    }

    async fn connect(path: &Path) -> anyhow::Result<BenchClient<Channel>> {
        let endpoint = Endpoint::from_shared(format!("unix:{}", path.display()))?;
        Ok(BenchClient::new(endpoint.connect().await?))
    }
}

impl Client for BenchClient<Channel> {
    async fn echo(&mut self, payload: Bytes) -> anyhow::Result<Bytes> {
        let reply = BenchClient::echo(self, schema::Bytes { payload }).await?;
        Ok(reply.into_inner().payload)
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
        let request = StreamRequest {
            count: u64::MAX,
            size,
        };
        let mut stream = self.bytes(request).await?.into_inner();
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
        let list = BenchClient::list(self, ListRequest { count })
            .await?
            .into_inner();
        let mut seen = Seen::default();
        list.records
            .iter()
            .for_each(|record| seen.add(record.pid, &record.name, &record.hash));
        Ok(seen)
    }

    async fn watch(&mut self, count: u32) -> anyhow::Result<Seen> {
        let mut stream = BenchClient::watch(self, ListRequest { count })
            .await?
            .into_inner();
        let mut seen = Seen::default();
        while let Some(record) = stream.message().await? {
            seen.add(record.pid, &record.name, &record.hash);
        }
        Ok(seen)
    }
}
