//! The service whose messages have every shape that prost allocates for, served.
//!
//! **Invariant**: gives back what came; with a number as its text, with so many messages more.

use daemoneye_ipc::{CallContext, Inbound, Status};
pub(crate) use ipc_fuzz_bodies::inflate::{
    Everything, INFLATE_SERVICE, Inflate, InflateClient, InflateServer, Taken, Wide,
};

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
