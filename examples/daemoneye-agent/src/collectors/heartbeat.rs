//! The stream that a collector keeps open: beats and results come, acknowledgements and commands go.
//!
//! **Invariant**: every beat is acknowledged in order, and a registration's heartbeat ends with its stream.

use std::{pin::Pin, sync::Arc, time::Instant};

use daemoneye_ipc::{CallContext, Inbound, Status, Stream};
use daemoneye_ipc_generated::collector::v1::{
    BeatAck, HeartbeatRequest, HeartbeatResponse, heartbeat_request::Item as Said,
    heartbeat_response::Item as Told,
};
use futures_util::stream;
use tokio::time::timeout;

use super::registry::{Attached, Registry};

/// A heartbeat that is open.
struct Open {
    attached: Attached,
    requests: Inbound<HeartbeatRequest>,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Opens the heartbeat that a collector asks for with its first message.
///
/// # Errors
/// INVALID_ARGUMENT if that is none, DEADLINE_EXCEEDED if it does not come; what [`Registry::attach`] says.
pub(super) async fn open(
    registry: &Arc<Registry>,
    ctx: &CallContext,
    mut requests: Inbound<HeartbeatRequest>,
) -> Result<impl Stream<Item = Result<HeartbeatResponse, Status>> + Send + use<>, Status> {
    let limit = registry.lost_after();
    let Ok(first) = timeout(limit, requests.message()).await else {
        return Err(Status::deadline_exceeded(format!(
            "no HeartbeatStart came within {limit:?}"
        )));
    };
    let Some(Said::Start(start)) = first?.and_then(|first| first.item) else {
        return Err(Status::invalid_argument(
            "the first message of a heartbeat is a HeartbeatStart, which says whose it is",
        ));
    };
    let (id, lease) = (&start.collector_id, &start.lease);
    let open = Open {
        attached: registry.attach(id, lease, ctx.peer(), Instant::now())?,
        requests,
        draining: Box::pin(ctx.draining()),
    };
    Ok(stream::unfold(Some(open), |open| async {
        let mut open = open?;
        match open.next().await {
            Ok(told) => Some((Ok(HeartbeatResponse { item: Some(told?) }), Some(open))),
            Err(status) => Some((Err(status), None)),
        }
    }))
}

impl Open {
    /// What the collector is told next; `None` at the end.
    async fn next(&mut self) -> Result<Option<Told>, Status> {
        loop {
            tokio::select! {
                () = &mut self.draining => return Ok(None),
                command = self.attached.commands.recv() => {
                    return match command {
                        Some(command) => Ok(Some(Told::Command(command))),
                        None => Err(Status::aborted(
                            "this registration is over, or another heartbeat was opened for it",
                        )),
                    };
                }
                request = self.requests.message() => {
                    let Some(request) = request? else {
                        return Ok(None);
                    };
                    if let Some(told) = self.take(request)? {
                        return Ok(Some(told));
                    }
                }
            }
        }
    }

    fn take(&self, request: HeartbeatRequest) -> Result<Option<Told>, Status> {
        let now = Instant::now();
        match request.item {
            Some(Said::Beat(beat)) => {
                self.attached.beat(&beat, now);
                let sequence = beat.sequence;
                Ok(Some(Told::Ack(BeatAck { sequence })))
            }
            Some(Said::Result(result)) => {
                self.attached.result(result, now);
                Ok(None)
            }
            Some(Said::Start(_)) => Err(Status::invalid_argument(
                "a second HeartbeatStart came; a heartbeat has one",
            )),
            // A newer collector's.
            None => Ok(None),
        }
    }
}
