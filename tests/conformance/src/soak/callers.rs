//! Those who call as the contract wants it, and judge the answers.
//!
//! **Invariant**: each call is in the ledger before it is made, and its ending after it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use daemoneye_ipc::{CallError, Channel, Code, IpcConfig};
use daemoneye_ipc_generated::conformance::v1::{
    ChatRequest, CollectRequest, ConformanceClient, CountRequest, EchoRequest, EmitRequest,
    FailRequest, SleepRequest,
};
use tokio::{sync::watch, task::JoinSet, time};

use super::{
    Side,
    ledger::{Ending, Ledger},
};

/// The longest that a call may take; a server may be stopped or away meanwhile.
const DEADLINE: Duration = Duration::from_secs(10);

/// Callers that share a connection.
const PER_CHANNEL: usize = 8;

/// One who makes one call after the other.
pub(super) struct Caller {
    client: ConformanceClient,
    ledger: Arc<Ledger>,
    over: watch::Receiver<bool>,
}

/// Has so many callers begin.
pub(super) fn spawn(side: &Side, callers: usize, tasks: &mut JoinSet<()>) -> anyhow::Result<()> {
    let mut left = callers;
    while left > 0 {
        let mut config = IpcConfig::new(&side.endpoint);
        config.reconnect.max_backoff_ms = 200;
        config.reconnect.max_attempts = 100;
        // Servers die on purpose here.
        config.circuit_breaker.failure_threshold = 0;
        let channel = Channel::lazy(config)?;
        for _ in 0..left.min(PER_CHANNEL) {
            let caller = Caller {
                client: ConformanceClient::new(channel.clone()),
                ledger: Arc::clone(&side.ledger),
                over: side.over.clone(),
            };
            tasks.spawn(caller.run());
        }
        left -= left.min(PER_CHANNEL);
    }
    Ok(())
}

/// Whether an answer is the right one.
fn judge(right: bool) -> Ending {
    if right {
        Ending::Answered
    } else {
        Ending::Wrong
    }
}

impl Caller {
    async fn run(self) {
        while !*self.over.borrow() {
            self.ledger.begin();
            let ending = match fastrand::u8(..16) {
                0..6 => self.count().await,
                6..9 => self.echo().await,
                9 => self.fail().await,
                10 => self.give_up().await,
                11..13 => self.emit().await,
                13 => self.collect().await,
                _ => self.chat().await,
            };
            let ending = ending.unwrap_or(Ending::Failed);
            self.ledger.end(ending);
            if ending == Ending::Failed {
                // A server that is away is not asked without a break.
                time::sleep(Duration::from_millis(fastrand::u64(1..20))).await;
            }
        }
    }

    async fn count(&self) -> Result<Ending, CallError> {
        let life = self.ledger.begin_count();
        let call = self.client.count(CountRequest { add: 1 }).timeout(DEADLINE);
        let answer = call.wait_for_ready(fastrand::bool()).await;
        let unrun = answer.as_ref().is_err_and(|error| !error.was_maybe_run());
        self.ledger
            .end_count(life, answer.as_ref().ok().map(|answer| answer.total), unrun);
        answer.map(|_| Ending::Answered)
    }

    async fn echo(&self) -> Result<Ending, CallError> {
        let len = if fastrand::u8(..8) == 0 {
            fastrand::usize(..400_000)
        } else {
            fastrand::usize(..500)
        };
        let request = EchoRequest {
            payload: Bytes::from(vec![fastrand::u8(..); len]),
            ..EchoRequest::default()
        };
        let payload = request.payload.clone();
        let answer = self
            .client
            .echo(request)
            .timeout(DEADLINE)
            .wait_for_ready(true)
            .await?;
        Ok(judge(answer.payload == payload))
    }

    async fn fail(&self) -> Result<Ending, CallError> {
        let panic = fastrand::u8(..8) == 0;
        let request = FailRequest {
            code: Code::NotFound as u32,
            message: String::new(),
            panic,
        };
        let expected = if panic {
            Code::Internal
        } else {
            Code::NotFound
        };
        match self.client.fail(request).timeout(DEADLINE).await {
            Ok(_) => Ok(Ending::Wrong),
            Err(error) if error.code() == expected => Ok(Ending::Answered),
            Err(error) => Err(error),
        }
    }

    /// A call that is dropped while it runs.
    async fn give_up(&self) -> Result<Ending, CallError> {
        let call = self.client.sleep(SleepRequest {
            millis: 60_000,
            ..SleepRequest::default()
        });
        match time::timeout(Duration::from_micros(fastrand::u64(..5_000)), call).await {
            Ok(Ok(_)) => Ok(Ending::Wrong),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Ending::GivenUp),
        }
    }

    async fn emit(&self) -> Result<Ending, CallError> {
        let count = fastrand::u32(..2_000);
        let request = EmitRequest {
            count,
            size: fastrand::u32(..500),
            interval_us: 0,
        };
        let mut events = self.client.emit(request).timeout(DEADLINE).await?;
        let give_up = (fastrand::u8(..4) == 0).then(|| fastrand::u32(..=count));
        let mut next = 0;
        while let Some(event) = events.message().await? {
            if event.index != next {
                return Ok(Ending::Wrong);
            }
            next += 1;
            if give_up == Some(next) {
                return Ok(Ending::GivenUp);
            }
        }
        Ok(judge(next == count))
    }

    async fn collect(&self) -> Result<Ending, CallError> {
        let mut upload = self.client.collect().timeout(DEADLINE).await?;
        let (count, len) = (fastrand::u64(..200), fastrand::usize(..2_000));
        for _ in 0..count {
            let payload = Bytes::from(vec![1; len]);
            upload.send(CollectRequest { payload }).await?;
        }
        let answer = upload.finish().await?;
        Ok(judge(
            (answer.messages, answer.bytes) == (count, count * len as u64),
        ))
    }

    async fn chat(&self) -> Result<Ending, CallError> {
        let mut chat = self.client.chat().timeout(DEADLINE).await?;
        for _ in 0..fastrand::u32(..50) {
            let payload = Bytes::from(fastrand::u64(..).to_le_bytes().to_vec());
            chat.send(ChatRequest {
                payload: payload.clone(),
            })
            .await?;
            match chat.message().await? {
                Some(answer) if answer.payload == payload => {}
                _ => return Ok(Ending::Wrong),
            }
        }
        Ok(Ending::Answered)
    }
}
