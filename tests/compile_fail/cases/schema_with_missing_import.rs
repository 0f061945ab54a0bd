use daemoneye_ipc::ipc_service;

#[ipc_service(schema = "schemas/broken/missing_import.proto", service = "broken.Broken", includes = ["schemas"])]
pub trait Broken {}

fn main() {
    let _ = BrokenClient::new;
}
