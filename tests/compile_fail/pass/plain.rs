use daemoneye_ipc::{CallContext, Inbound, Status, Stream, ipc_service};
use inventory_messages::{Event, Item, Line, LookupReply, LookupRequest, UploadReply, WatchRequest};

#[ipc_service(schema = "schemas/inventory/v1/inventory.proto", service = "inventory.v1.Inventory")]
pub trait Inventory {
    async fn lookup(&self, ctx: &CallContext, request: LookupRequest) -> Result<LookupReply, Status>;
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

struct Handler;

impl Inventory for Handler {
    async fn lookup(&self, _: &CallContext, _: LookupRequest) -> Result<LookupReply, Status> {
        Ok(LookupReply::default())
    }
    async fn watch(
        &self,
        _: &CallContext,
        _: WatchRequest,
    ) -> Result<impl Stream<Item = Result<Event, Status>>, Status> {
        Ok(futures_util::stream::empty())
    }
    async fn upload(&self, _: &CallContext, _: Inbound<Item>) -> Result<UploadReply, Status> {
        Err(Status::unimplemented("not here"))
    }
    async fn chat(
        &self,
        _: &CallContext,
        _: Inbound<Line>,
    ) -> Result<impl Stream<Item = Result<Line, Status>>, Status> {
        Ok(futures_util::stream::empty())
    }
}

fn main() {
    let server = InventoryServer::new(Handler);
    assert_eq!(format!("{:?}", server.clone()), "InventoryServer { .. }");
    assert_eq!(INVENTORY_SERVICE.name, "inventory.v1.Inventory");
    assert_eq!(INVENTORY_SERVICE.methods.len(), 4);
    let _: fn(daemoneye_ipc::Channel) -> InventoryClient = InventoryClient::new;
}
