use daemoneye_ipc::ipc_service;

#[ipc_service(schema = "schemas/broken/unknown_type.proto", service = "broken.Broken")]
pub trait Broken {}

fn main() {
    let _ = BrokenClient::new;
}
