use daemoneye_ipc::{CallContext, Status, ipc_service};
use judge_messages::{LookRequest, LookResponse};

#[ipc_service(schema = "schemas/cel.proto", service = "cel.v1.Judge")]
pub trait Judge {
    async fn look(&self, ctx: &CallContext, request: LookRequest) -> Result<LookResponse, Status>;
}

fn main() {}
