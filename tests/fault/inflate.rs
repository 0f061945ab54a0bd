//! A service whose messages have every shape that prost allocates for.
//!
//! **Invariant**: what it knows of its messages' memory is what the attribute emitted.

use daemoneye_ipc::{CallContext, Inbound, Status, ipc_service};
pub(crate) use inflate_messages::{Everything, Taken, Wide};

#[ipc_service(
    schema = "fault/schemas/fault/v1/inflate.proto",
    service = "fault.v1.Inflate",
    includes = ["fault/schemas"]
)]
pub(crate) trait Inflate {
    async fn take(&self, ctx: &CallContext, request: Everything) -> Result<Everything, Status>;
    async fn take_many(
        &self,
        ctx: &CallContext,
        requests: Inbound<Everything>,
    ) -> Result<Taken, Status>;
}

/// Gives back what came; with a number as its text, with so many messages more.
pub(crate) struct Handler;

impl Inflate for Handler {
    async fn take(&self, _: &CallContext, mut request: Everything) -> Result<Everything, Status> {
        if let Ok(more) = request.text.parse() {
            request.wides.resize(more, Wide::default());
        }
        Ok(request)
    }

    async fn take_many(
        &self,
        _: &CallContext,
        mut requests: Inbound<Everything>,
    ) -> Result<Taken, Status> {
        let mut messages = 0;
        while requests.message().await?.is_some() {
            messages += 1;
        }
        Ok(Taken { messages })
    }
}
