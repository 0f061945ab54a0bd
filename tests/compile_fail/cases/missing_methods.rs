use daemoneye_ipc::{CallContext, Status, ipc_service};
use inventory_messages::{LookupReply, LookupRequest};

#[ipc_service(schema = "schemas/inventory/v1/inventory.proto", service = "inventory.v1.Inventory")]
pub trait Inventory {
    async fn lookup(&self, ctx: &CallContext, request: LookupRequest) -> Result<LookupReply, Status>;
}

fn main() {}
