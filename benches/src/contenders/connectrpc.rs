//! connectrpc over a Unix socket: the Connect protocol on HTTP/2.
//!
//! **Invariant**: the defaults of connectrpc; its own server takes TCP only, so its service is run by the
//! HTTP server that it uses itself, set as it sets it.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use connectrpc::{
    ConnectRpcService, Encodable, RequestContext, Response, Router, ServiceRequest, ServiceResult,
    ServiceStream,
    client::{ClientConfig, Http2Connection, SharedHttp2Connection},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::net::UnixListener;

use super::{Client, Contender, Feature, in_tasks};
use crate::{
    record_from_plain,
    records::{Seen, plain},
};

/// What the generator makes of the schema.
#[expect(unreachable_pub, reason = "generated")]
mod schema {
    include!(concat!(env!("OUT_DIR"), "/connect/mod.rs"));
}

use schema::bench::v1::{
    self as messages, Bench, BenchClient, ListRequest, Record, Records, SlowRequest, StreamRequest,
};

/// The contender.
pub(crate) struct Connectrpc;

struct Handler;

impl Bench for Handler {
    async fn echo<'a>(
        &'a self,
        _: RequestContext,
        request: ServiceRequest<'_, messages::Bytes>,
    ) -> ServiceResult<impl Encodable<messages::Bytes> + Send + use<'a>> {
        Response::ok(request.to_owned_message())
    }

    async fn list<'a>(
        &'a self,
        _: RequestContext,
        request: ServiceRequest<'_, ListRequest>,
    ) -> ServiceResult<impl Encodable<Records> + Send + use<'a>> {
        let records = plain(request.count)
            .map(|plain| record_from_plain!(Record, plain, ..Record::default()));
        Response::ok(Records {
            records: records.collect(),
            ..Records::default()
        })
    }

    async fn bytes(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, StreamRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<messages::Bytes> + Send + use<>>> {
        let message = messages::Bytes {
            payload: Bytes::from(vec![7; request.size as usize]),
            ..messages::Bytes::default()
        };
        let messages = (0..request.count).map(move |_| Ok(message.clone()));
        Response::stream_ok(tokio_stream::iter(messages))
    }

    async fn watch(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, ListRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<Record> + Send + use<>>> {
        let records = plain(request.count)
            .map(|plain| Ok(record_from_plain!(Record, plain, ..Record::default())));
        Response::stream_ok(tokio_stream::iter(records))
    }

    async fn slow<'a>(
        &'a self,
        _: RequestContext,
        request: ServiceRequest<'_, SlowRequest>,
    ) -> ServiceResult<impl Encodable<messages::Bytes> + Send + use<'a>> {
        tokio::time::sleep(Duration::from_millis(request.millis.into())).await;
        Response::ok(messages::Bytes::default())
    }
}

impl Contender for Connectrpc {
    const NAME: &'static str = "connectrpc";
    const FEATURES: &'static [Feature] = &[
        Feature::Streams,
        Feature::Multiplex,
        Feature::Records,
        Feature::RecordStreams,
    ];
    type Client = BenchClient<SharedHttp2Connection>;

    async fn serve(path: &Path, ready: fn()) -> anyhow::Result<()> {
        let router = Router::new().add_service(Arc::new(Handler));
        let service = ConnectRpcService::new(router);
        let listener = UnixListener::bind(path)?;
        ready();
        loop {
            let (socket, _) = listener.accept().await?;
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let mut server = Builder::new(TokioExecutor::new());
                server.http2().adaptive_window(true);
                // An error here is a client that went away.
                let _ = server.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    }

    async fn connect(path: &Path) -> anyhow::Result<Self::Client> {
        let authority = http::Uri::from_static("http://localhost");
        let connection = Http2Connection::connect_unix(path, authority.clone()).await?;
        // The number that its documentation gives.
        Ok(BenchClient::new(
            connection.shared(1024),
            ClientConfig::new(authority),
        ))
    }
}

impl Client for BenchClient<SharedHttp2Connection> {
    async fn echo(&mut self, payload: Bytes) -> anyhow::Result<Bytes> {
        let request = messages::Bytes {
            payload,
            ..messages::Bytes::default()
        };
        let reply = BenchClient::echo(self, request).await?;
        Ok(reply.into_owned().payload)
    }

    async fn pipelined(self, payload: Bytes, calls: usize, until: Instant) -> anyhow::Result<u64> {
        in_tasks(&self, payload, calls, until).await
    }

    async fn slow(&mut self, millis: u32) -> anyhow::Result<()> {
        let request = SlowRequest {
            millis,
            ..SlowRequest::default()
        };
        BenchClient::slow(self, request).await?;
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
        let mut stream = self.bytes(request).await?;
        while let Some(message) = stream.message().await? {
            if !each(message.view().payload) {
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
        let list = BenchClient::list(self, request).await?;
        let mut seen = Seen::default();
        for record in &list.view().records {
            seen.add(record.pid, record.name, record.hash);
        }
        Ok(seen)
    }

    async fn watch(&mut self, count: u32) -> anyhow::Result<Seen> {
        let request = ListRequest {
            count,
            ..ListRequest::default()
        };
        let mut stream = BenchClient::watch(self, request).await?;
        let mut seen = Seen::default();
        while let Some(record) = stream.message().await? {
            let record = record.view();
            seen.add(record.pid, record.name, record.hash);
        }
        Ok(seen)
    }
}
