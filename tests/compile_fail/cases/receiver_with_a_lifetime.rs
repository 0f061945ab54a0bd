use daemoneye_ipc::{CallContext, Inbound, Status, Stream, ipc_service};
use inventory_messages::{Event, Item, Line, LookupReply, LookupRequest, UploadReply, WatchRequest};

#[ipc_service(schema = "schemas/inventory/v1/inventory.proto", service = "inventory.v1.Inventory")]
pub trait Inventory {
    async fn lookup(&'static self, ctx: &CallContext, request: LookupRequest) -> Result<LookupReply, Status>;
    async fn watch(
        &self,
        ctx: &CallContext,
        request: WatchRequest,
    ) -> Result<impl Stream<Item = Result<Event, Status>>, Status>;
    async fn upload(&self, ctx: &CallContext, items: Inbound<Item>) -> Result<UploadReply, Status>;
    async fn chat(
        &self,
        ctx: &CallContext,
        lines: Inbound<Line>,
    ) -> Result<impl Stream<Item = Result<Line, Status>>, Status>;
}

fn main() {}
