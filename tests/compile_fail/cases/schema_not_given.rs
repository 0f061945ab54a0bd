use daemoneye_ipc::ipc_service;

#[ipc_service(service = "inventory.v1.Inventory")]
pub trait Inventory {}

fn main() {
    let _ = InventoryClient::new;
}
