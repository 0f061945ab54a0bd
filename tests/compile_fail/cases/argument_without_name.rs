use daemoneye_ipc::ipc_service;

#[ipc_service("schemas/inventory/v1/inventory.proto", service = "inventory.v1.Inventory")]
pub trait Inventory {}

fn main() {}
