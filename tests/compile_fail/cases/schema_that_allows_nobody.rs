use daemoneye_ipc::ipc_service;

#[ipc_service(schema = "schemas/broken/access.proto", service = "broken.Guarded")]
pub trait Guarded {}

fn main() {
    let _ = GuardedClient::new;
}
