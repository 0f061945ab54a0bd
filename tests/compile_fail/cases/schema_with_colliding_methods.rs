use daemoneye_ipc::ipc_service;

#[ipc_service(schema = "schemas/broken/one_function.proto", service = "broken.Twins")]
pub trait Broken {}

fn main() {
    let _ = BrokenClient::new;
}
