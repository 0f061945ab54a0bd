//! A service whose messages have every shape that prost allocates for.
//!
//! **Invariant**: what it knows of its messages' memory is what the attribute emitted.

use daemoneye_ipc::{CallContext, Inbound, Status, ipc_service};
pub use inflate_messages::{Everything, Taken, Wide};

/// Takes messages with every shape that prost allocates for.
#[ipc_service(
    schema = "schemas/fault/v1/inflate.proto",
    service = "fault.v1.Inflate",
    includes = ["schemas"]
)]
pub trait Inflate {
    /// Takes one, and gives it back.
    async fn take(&self, ctx: &CallContext, request: Everything) -> Result<Everything, Status>;
    /// Takes many.
    async fn take_many(
        &self,
        ctx: &CallContext,
        requests: Inbound<Everything>,
    ) -> Result<Taken, Status>;
}
