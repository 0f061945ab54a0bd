use daemoneye_ipc::{CallContext, Status, ipc_service};
use my_audit_messages::{Event, WatchRequest};

#[ipc_service(
    schema = "schemas/inventory/v1/inventory.proto",
    service = "inventory.v1.Audit",
    includes = ["schemas"]
)]
trait MyAudit: std::fmt::Debug {
    async fn list(&self, ctx: &CallContext, request: WatchRequest) -> Result<Event, Status>;
}

#[derive(Debug)]
struct Handler;

impl MyAudit for Handler {
    async fn list(&self, _: &CallContext, _: WatchRequest) -> Result<Event, Status> {
        Ok(Event::default())
    }
}

fn main() {
    assert_eq!(MY_AUDIT_SERVICE.name, "inventory.v1.Audit");
    let _ = MyAuditServer::new(Handler);
    let _ = MyAuditClient::list;
}
