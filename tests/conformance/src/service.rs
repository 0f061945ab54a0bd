//! The conformance service: one behaviour per method.
//!
//! **Invariant**: does what `conformance.proto` says and nothing else; it is frozen.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_stream::try_stream;
use daemoneye_ipc::{
    CallContext, Code, Inbound, Status, Stream, bytes::Bytes, server::ServerStats,
};
use daemoneye_ipc_generated::conformance::v1::{
    ChatRequest, ChatResponse, CollectRequest, CollectResponse, Conformance, CountRequest,
    CountResponse, EchoRequest, EchoResponse, EmitRequest, EmitResponse, FailRequest, FailResponse,
    InspectRequest, InspectResponse, SleepRequest, SleepResponse,
};

/// The largest payload that Emit is asked for in one message.
const MAX_EMIT_BYTES: u32 = 256 << 20;

/// The handler.
#[derive(Debug, Default)]
pub struct ConformanceService {
    total: AtomicU64,
    stats: Arc<OnceLock<ServerStats>>,
}

impl ConformanceService {
    /// Where to put the counters of the server that runs this service.
    #[must_use]
    pub fn stats_slot(&self) -> Arc<OnceLock<ServerStats>> {
        Arc::clone(&self.stats)
    }

    /// What Count has summed up.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::SeqCst)
    }
}

impl Conformance for ConformanceService {
    async fn echo(&self, _: &CallContext, request: EchoRequest) -> Result<EchoResponse, Status> {
        let EchoRequest {
            payload,
            leaves,
            tree,
        } = request;
        Ok(EchoResponse {
            payload,
            leaves,
            tree,
        })
    }

    async fn sleep(
        &self,
        ctx: &CallContext,
        request: SleepRequest,
    ) -> Result<SleepResponse, Status> {
        let time = Duration::from_millis(request.millis.into());
        if request.blocking {
            ctx.spawn_blocking(move || {
                burn(time);
                Ok(())
            })
            .await?;
        } else {
            tokio::time::sleep(time).await;
        }
        Ok(SleepResponse {
            slept_millis: request.millis,
        })
    }

    async fn fail(&self, _: &CallContext, request: FailRequest) -> Result<FailResponse, Status> {
        assert!(!request.panic, "{}", request.message);
        match request.code {
            code @ 1..=16 => Err(Status::new(Code::from_number(code), request.message)),
            code => Err(Status::invalid_argument(format!(
                "{code} is not a failing status code"
            ))),
        }
    }

    async fn count(&self, _: &CallContext, request: CountRequest) -> Result<CountResponse, Status> {
        let add = u64::from(request.add);
        let before = self.total.fetch_add(add, Ordering::SeqCst);
        Ok(CountResponse {
            total: before.wrapping_add(add),
        })
    }

    async fn emit(
        &self,
        _: &CallContext,
        request: EmitRequest,
    ) -> Result<impl Stream<Item = Result<EmitResponse, Status>> + Send, Status> {
        if request.size > MAX_EMIT_BYTES {
            return Err(Status::invalid_argument(format!(
                "size is over {MAX_EMIT_BYTES}"
            )));
        }
        let payload = Bytes::from(vec![0x5A; request.size as usize]);
        let interval = Duration::from_micros(request.interval_us.into());
        Ok(try_stream! {
            for index in 0..request.count {
                if index > 0 && !interval.is_zero() {
                    tokio::time::sleep(interval).await;
                }
                yield EmitResponse { index, payload: payload.clone() };
            }
        })
    }

    async fn collect(
        &self,
        _: &CallContext,
        mut requests: Inbound<CollectRequest>,
    ) -> Result<CollectResponse, Status> {
        let mut collected = CollectResponse::default();
        while let Some(request) = requests.message().await? {
            collected.messages += 1;
            collected.bytes += request.payload.len() as u64;
        }
        Ok(collected)
    }

    async fn chat(
        &self,
        _: &CallContext,
        mut requests: Inbound<ChatRequest>,
    ) -> Result<impl Stream<Item = Result<ChatResponse, Status>> + Send, Status> {
        Ok(try_stream! {
            while let Some(request) = requests.message().await? {
                yield ChatResponse { payload: request.payload };
            }
        })
    }

    async fn inspect(&self, _: &CallContext, _: InspectRequest) -> Result<InspectResponse, Status> {
        let stats = self
            .stats
            .get()
            .ok_or_else(|| Status::unavailable("the server is starting"))?;
        Ok(InspectResponse {
            connections: u32::try_from(stats.connections())?,
            calls_in_flight: u32::try_from(stats.calls_in_flight())?,
            handlers: u32::try_from(stats.handlers())?,
            calls_started: stats.calls_started(),
            queued_bytes: stats.queued_bytes() as u64,
        })
    }
}

/// Keeps a thread busy for `time`.
fn burn(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}
