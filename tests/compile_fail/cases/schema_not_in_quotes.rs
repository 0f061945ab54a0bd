use daemoneye_ipc::ipc_service;

#[ipc_service(schema = concat!("schemas", "/inventory.proto"), service = "inventory.v1.Inventory")]
pub trait Inventory {}

fn main() {}
