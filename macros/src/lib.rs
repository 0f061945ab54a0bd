//! The attribute `#[ipc_service]`, which users meet through `daemoneye_ipc`.
//!
//! **Invariant**: only dispatches; every stage has a file of its own under `attribute`.

mod attribute;

use std::path::PathBuf;

use daemoneye_ipc_codegen::registered;
use proc_macro::TokenStream;

use self::attribute::Surroundings;

/// Checks a handler trait against a service of a `.proto` file, at compile time, and emits the
/// service's server adapter, client and descriptor beside it.
///
/// ```text
/// #[ipc_service(
///     schema = "schemas/inventory/v1/inventory.proto",   // relative to the crate
///     service = "inventory.v1.Inventory",
///     messages = crate::inventory,                       // where the package's messages are
/// )]
/// pub trait Inventory {
///     async fn lookup(&self, ctx: &CallContext, request: LookupRequest) -> Result<LookupReply, Status>;
///     async fn watch(&self, ctx: &CallContext, request: WatchRequest)
///         -> Result<impl Stream<Item = Result<Event, Status>>, Status>;
/// }
/// ```
///
/// # Arguments
///
/// - `schema`: the path of the schema file, relative to the crate's `Cargo.toml`, inside the workspace.
///   It may be left out where the crate's build.rs compiles the schema: see below.
/// - `service`: the full name of the service.
/// - `includes = ["…"]`: the folders that imports are relative to; by default the one above the
///   folders of the schema's package, else the schema's own.
/// - `messages`: the module that holds the messages of the service's package (`self` for the trait's
///   own module). By default the attribute emits them, in a module named after the trait:
///   `inventory_messages` for `Inventory`.
/// - `crate = ::name`: the path of `daemoneye_ipc`, for a crate that depends on it under another name
///   or by a re-export.
///
/// # Schemas that build.rs compiled
///
/// A build.rs that calls `daemoneye_ipc_codegen::Generator::compile` registers the schemas for the
/// attribute, which then takes them as they were parsed there, with the generator's extern paths and
/// runtime path:
///
/// ```text
/// mod inventory {
///     daemoneye_ipc::include_schema!("inventory.v1");
/// }
///
/// #[ipc_service(service = "inventory.v1.Inventory", messages = crate::inventory)]
/// pub trait Stock { … }
/// ```
///
/// `messages` is required here, because only the crate knows which of its modules includes what
/// build.rs wrote; a service whose messages are all from elsewhere (well-known types, extern paths)
/// does without. Of several calls of `compile`, the first that has the service counts. A generator
/// that is `quiet` registers nothing.
///
/// # What it emits
///
/// For a trait `Inventory`: the trait with its `async fn` written out as futures that are `Send`,
/// `InventoryServer<H>`, `InventoryClient` and `INVENTORY_SERVICE`.
///
/// # Errors
///
/// Everything in which the trait differs from the schema is a compile error on the token at fault,
/// all at once.
#[proc_macro_attribute]
pub fn ipc_service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    // What cargo tells the compiler. Without cargo, paths are relative to the working directory.
    let surroundings = Surroundings {
        dir: std::env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .unwrap_or_default(),
        out_dir: std::env::var_os("OUT_DIR").map(PathBuf::from),
        registered: std::env::var(registered::VARIABLE).ok(),
    };
    attribute::ipc_service(arguments.into(), item.into(), &surroundings).into()
}
