//! Whole calls: generated code, dispatch, drivers and sessions of both sides, on one thread of one process.
//!
//! **Invariant**: nobody looks at the socket instead of waiting, as that would depend on time.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use daemoneye_ipc::{
    CallContext, Channel, IpcConfig, Server, Status, Stream,
    schema::health::v1::{
        CheckRequest, CheckResponse, Health, HealthClient, HealthServer, PingRequest, PingResponse,
        WatchRequest, WatchResponse,
    },
};
use tokio::runtime::{Builder, Runtime};

use crate::Turn;

/// Calls of one turn.
pub(super) const CALLS: u64 = 10;

/// Tasks that call beside each other.
pub(super) const TASKS: u64 = 64;

/// Messages of one turn, which is one call.
pub(super) const MESSAGES: u64 = 1_000;

/// A client with its server.
pub(super) struct Served {
    client: HealthClient,
    runtime: Runtime,
    /// Whatever has to stay.
    _held: Box<dyn std::any::Any>,
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Without a socket.
pub(super) fn in_memory(handler: Handler) -> Served {
    let runtime = runtime();
    let (server, client) = runtime.block_on(async {
        let server = daemoneye_ipc::testing::serve(HealthServer::new(handler));
        let client = HealthClient::new(server.channel());
        (server, client)
    });
    Served {
        client,
        runtime,
        _held: Box::new(server),
    }
}

/// Over a Unix socket.
pub(super) fn over_a_socket(handler: Handler) -> Served {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let mut config = IpcConfig::new(folder.path().join("ipc/app.sock"));
    config.spin_us = 0;
    let client = runtime.block_on(async {
        let builder = Server::builder(config.clone()).add_service(HealthServer::new(handler));
        let server = builder.bind().await.expect("the endpoint is free");
        tokio::spawn(server.serve_until(std::future::pending(), Duration::ZERO));
        HealthClient::new(Channel::connect(config).await.expect("it serves"))
    });
    Served {
        client,
        runtime,
        _held: Box::new(folder),
    }
}

pub(super) fn unary(served: Served, size: usize) -> Turn {
    let payload = Bytes::from(vec![7; size]);
    Box::new(move || {
        // All of it, or what is only held would end here.
        let served = &served;
        served.runtime.block_on(async {
            for _ in 0..CALLS {
                let payload = payload.clone();
                let reply = served.client.ping(PingRequest { payload }).await;
                assert_eq!(reply.expect("answered").payload.len(), size);
            }
        });
    })
}

/// Calls beside each other: [`TASKS`] tasks make [`CALLS`] each.
pub(super) fn together(served: Served, size: usize) -> Turn {
    let payload = Bytes::from(vec![7; size]);
    Box::new(move || {
        // All of it, or what is only held would end here.
        let served = &served;
        served.runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..TASKS {
                let (client, payload) = (served.client.clone(), payload.clone());
                tasks.spawn(async move {
                    for _ in 0..CALLS {
                        let payload = payload.clone();
                        let reply = client.ping(PingRequest { payload }).await;
                        assert_eq!(reply.expect("answered").payload.len(), size);
                    }
                });
            }
            while let Some(task) = tasks.join_next().await {
                task.expect("no panic");
            }
        });
    })
}

pub(super) fn stream(served: Served) -> Turn {
    Box::new(move || {
        // All of it, or what is only held would end here.
        let served = &served;
        served.runtime.block_on(async {
            let request = WatchRequest::default();
            let mut stream = served.client.watch(request).await.expect("begun");
            let mut count = 0;
            while stream.message().await.expect("no error").is_some() {
                count += 1;
            }
            assert_eq!(count, MESSAGES);
        });
    })
}

/// How the handlers answer.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    AtOnce,
    /// When polled for the second time.
    Later,
}

impl Health for Handler {
    async fn check(&self, _: &CallContext, _: CheckRequest) -> Result<CheckResponse, Status> {
        Ok(CheckResponse::default())
    }

    async fn watch(
        &self,
        _: &CallContext,
        _: WatchRequest,
    ) -> Result<impl Stream<Item = Result<WatchResponse, Status>> + Send, Status> {
        Ok(Many(MESSAGES))
    }

    async fn ping(&self, _: &CallContext, request: PingRequest) -> Result<PingResponse, Status> {
        if matches!(self, Self::Later) {
            tokio::task::yield_now().await;
        }
        Ok(PingResponse {
            payload: request.payload,
        })
    }
}

/// So many messages.
struct Many(u64);

impl Stream for Many {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        let message = WatchResponse {
            status: 1,
            ..WatchResponse::default()
        };
        Poll::Ready(left.map(|_| Ok(message)))
    }
}
