//! Traits that `#[ipc_service]` takes, at work: each is served and called over a socket.
//!
//! **Invariant**: what is called here is what the attribute emitted, through the runtime's front door.

use std::time::Duration;

use daemoneye_ipc::{
    CallContext, Channel, Inbound, IpcConfig, Server, Status, Stream, ipc_service,
};
use futures_util::stream;

/// The trait written as the documentation writes it, with the messages that the attribute emits.
mod plain {
    use super::*;
    use inventory_messages::{
        Event, Item, Line, LookupReply, LookupRequest, UploadReply, WatchRequest,
    };

    #[ipc_service(
        schema = "compile_fail/schemas/inventory/v1/inventory.proto",
        service = "inventory.v1.Inventory"
    )]
    pub(crate) trait Inventory {
        async fn lookup(
            &self,
            ctx: &CallContext,
            request: LookupRequest,
        ) -> Result<LookupReply, Status>;
        async fn watch(
            &self,
            ctx: &CallContext,
            request: WatchRequest,
        ) -> Result<impl Stream<Item = Result<Event, Status>>, Status>;
        async fn upload(
            &self,
            ctx: &CallContext,
            items: Inbound<Item>,
        ) -> Result<UploadReply, Status>;
        async fn chat(
            &self,
            ctx: &CallContext,
            lines: Inbound<Line>,
        ) -> Result<impl Stream<Item = Result<Line, Status>>, Status>;
    }

    pub(crate) struct Handler;

    impl Inventory for Handler {
        async fn lookup(
            &self,
            _: &CallContext,
            request: LookupRequest,
        ) -> Result<LookupReply, Status> {
            Ok(LookupReply {
                item: Some(Item { name: request.name }),
            })
        }
        async fn watch(
            &self,
            _: &CallContext,
            _: WatchRequest,
        ) -> Result<impl Stream<Item = Result<Event, Status>>, Status> {
            Ok(stream::iter((0..3).map(|_| Ok(Event::default()))))
        }
        async fn upload(&self, _: &CallContext, _: Inbound<Item>) -> Result<UploadReply, Status> {
            Err(Status::unimplemented("not here"))
        }
        async fn chat(
            &self,
            _: &CallContext,
            _: Inbound<Line>,
        ) -> Result<impl Stream<Item = Result<Line, Status>>, Status> {
            Ok(stream::empty())
        }
    }
}

/// The same service, in which no type goes by its name in the schema, and with the messages of the
/// module above.
mod renamed {
    use super::*;
    use crate::plain::inventory_messages::{
        Event as Happening, Item as Thing, Line as Row, LookupReply, LookupRequest as Question,
        UploadReply, WatchRequest as Watching,
    };

    type Answer<T> = Result<T, Status>;
    type Things = Inbound<Thing>;
    type Caller = CallContext;

    #[ipc_service(
        schema = "compile_fail/schemas/inventory/v1/inventory.proto",
        service = "inventory.v1.Inventory",
        includes = ["compile_fail/schemas"],
        messages = crate::plain::inventory_messages
    )]
    pub(crate) trait Store: std::fmt::Debug {
        async fn lookup(&self, _: &Caller, question: Question) -> Answer<LookupReply>;
        async fn watch(
            &self,
            _: &CallContext,
            _: Watching,
        ) -> Answer<impl Stream<Item = Answer<Happening>>>;
        async fn upload(&self, _: &CallContext, things: Things) -> Answer<UploadReply>;
        async fn chat(
            &self,
            _: &CallContext,
            rows: Inbound<Row>,
        ) -> Answer<impl Stream<Item = Answer<Row>>>;
    }

    #[derive(Debug)]
    pub(crate) struct Handler(pub(crate) &'static str);

    impl Store for Handler {
        async fn lookup(&self, _: &CallContext, question: Question) -> Answer<LookupReply> {
            Ok(LookupReply {
                item: Some(Thing {
                    name: format!("{} {}", self.0, question.name),
                }),
            })
        }
        async fn watch(
            &self,
            _: &CallContext,
            _: Watching,
        ) -> Answer<impl Stream<Item = Answer<Happening>>> {
            let item = || {
                Some(Thing {
                    name: self.0.to_owned(),
                })
            };
            Ok(stream::iter(
                (0..3).map(move |_| Ok(Happening { item: item() })),
            ))
        }
        async fn upload(&self, _: &CallContext, _: Things) -> Answer<UploadReply> {
            Ok(UploadReply::default())
        }
        async fn chat(
            &self,
            _: &CallContext,
            _: Inbound<Row>,
        ) -> Answer<impl Stream<Item = Answer<Row>>> {
            Ok(stream::empty())
        }
    }
}

/// What may stand on a trait and its methods besides: `cfg`, `deprecated`, comments, any visibility.
/// None of it is worth a warning.
#[deny(warnings, missing_docs, clippy::pedantic)]
#[warn(clippy::missing_errors_doc)]
pub mod reduced {
    use super::{CallContext, Inbound, Status, Stream, ipc_service};
    use crate::plain::inventory_messages as messages;
    use futures_util::stream;

    type Lines = Inbound<messages::Line>;

    /// Of all methods, those that this build has.
    #[ipc_service(
        schema = "compile_fail/schemas/inventory/v1/inventory.proto",
        service = "inventory.v1.Inventory",
        messages = crate::plain::inventory_messages
    )]
    #[deprecated(note = "for a test")]
    pub(in crate::reduced) trait Reduced: super::Named {
        #[cfg(false)]
        async fn lookup(&self, ctx: &CallContext, request: Absent) -> Result<Absent, Status>;
        /// Watches.
        #[cfg(true)]
        #[cfg_attr(all(), doc = "As long as it lasts.")]
        async fn watch(
            &self,
            ctx: &CallContext,
            request: messages::WatchRequest,
        ) -> Result<impl Stream<Item = Result<messages::Event, Status>>, Status>;
        /// Is on its way out.
        #[deprecated]
        async fn upload(
            &self,
            ctx: &CallContext,
            items: Inbound<messages::Item>,
        ) -> Result<messages::UploadReply, Status>;
        /// Goes by another name of its type, and is off.
        #[cfg(false)]
        async fn chat(
            &self,
            ctx: &CallContext,
            lines: Lines,
        ) -> Result<impl Stream<Item = Result<messages::Line, Status>>, Status>;
    }

    struct Handler;

    impl super::Named for Handler {
        fn name(&self) -> &'static str {
            "reduced"
        }
    }

    #[allow(deprecated)]
    impl Reduced for Handler {
        async fn watch(
            &self,
            _: &CallContext,
            _: messages::WatchRequest,
        ) -> Result<impl Stream<Item = Result<messages::Event, Status>>, Status> {
            let name = super::Named::name(self).to_owned();
            let item = Some(messages::Item { name });
            Ok(stream::iter([Ok(messages::Event { item })]))
        }
        async fn upload(
            &self,
            _: &CallContext,
            _: Inbound<messages::Item>,
        ) -> Result<messages::UploadReply, Status> {
            Ok(messages::UploadReply::default())
        }
    }

    pub(crate) fn serve(builder: daemoneye_ipc::ServerBuilder) -> daemoneye_ipc::ServerBuilder {
        builder.add_service(ReducedServer::new(Handler))
    }

    pub(crate) async fn call(channel: daemoneye_ipc::Channel) {
        let client = ReducedClient::new(channel);
        let request = messages::LookupRequest::default();
        let refused = client.lookup(request).await.expect_err("it is off");
        assert_eq!(refused.code(), daemoneye_ipc::Code::Unimplemented);
        let mut events = client
            .watch(messages::WatchRequest {})
            .await
            .expect("a stream");
        let event = events.message().await.expect("no error");
        let item = event.expect("an event").item.expect("an item");
        assert_eq!(item.name, "reduced");
        let _: &dyn Fn(Lines) = &drop;
    }
}

/// A trait that a handler has besides.
pub trait Named {
    /// Its name.
    fn name(&self) -> &'static str;
}

/// A trait that nobody else sees, with nothing of it on.
mod private {
    use super::{CallContext, Inbound, Status, Stream, ipc_service};
    use inventory_messages::{Event, Item, Line, LookupReply, LookupRequest, UploadReply};

    #[ipc_service(
        schema = "compile_fail/schemas/inventory/v1/inventory.proto",
        service = "inventory.v1.Inventory",
        crate = ::daemoneye_ipc
    )]
    trait Inventory {
        #[cfg(true)]
        async fn lookup(
            &self,
            ctx: &CallContext,
            request: LookupRequest,
        ) -> Result<LookupReply, Status>;
        #[cfg(true)]
        async fn watch(
            &self,
            ctx: &CallContext,
            request: inventory_messages::WatchRequest,
        ) -> Result<impl Stream<Item = Result<Event, Status>>, Status>;
        #[cfg(true)]
        async fn upload(
            &self,
            ctx: &CallContext,
            items: Inbound<Item>,
        ) -> Result<UploadReply, Status>;
        #[cfg(true)]
        async fn chat(
            &self,
            ctx: &CallContext,
            lines: Inbound<Line>,
        ) -> Result<impl Stream<Item = Result<Line, Status>>, Status>;
    }

    #[test]
    fn its_items_are_as_private_as_it_is() {
        assert_eq!(INVENTORY_SERVICE, super::plain::INVENTORY_SERVICE);
    }
}

use plain::inventory_messages::{LookupRequest, WatchRequest};

/// Serves what `add` adds, runs `call`, and drains.
async fn serving<F: Future<Output = ()>>(
    add: impl FnOnce(daemoneye_ipc::ServerBuilder) -> daemoneye_ipc::ServerBuilder,
    call: impl FnOnce(Channel) -> F,
) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = IpcConfig::new(dir.path().join("inventory.sock"));
    let server = add(Server::builder(config.clone()))
        .bind()
        .await
        .expect("a server");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let until = async move {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(server.serve_until(until, Duration::from_secs(5)));
    call(Channel::connect(config).await.expect("a channel")).await;
    drop(stop);
    serving.await.expect("no panic").expect("drained");
}

#[tokio::test]
async fn a_plain_trait_is_served_and_called() {
    let add = |builder: daemoneye_ipc::ServerBuilder| {
        builder.add_service(plain::InventoryServer::new(plain::Handler))
    };
    serving(add, |channel| async {
        let client = plain::InventoryClient::new(channel);
        let request = LookupRequest {
            name: "bolt".to_owned(),
        };
        let reply = client.lookup(request).await.expect("a reply");
        assert_eq!(reply.item.expect("an item").name, "bolt");
        let mut events = client.watch(WatchRequest {}).await.expect("a stream");
        let mut seen = 0;
        while events.message().await.expect("no error").is_some() {
            seen += 1;
        }
        assert_eq!(seen, 3);
    })
    .await;
}

#[tokio::test]
async fn a_trait_of_aliases_is_served_and_called_just_so() {
    let add = |builder: daemoneye_ipc::ServerBuilder| {
        builder.add_service(renamed::StoreServer::new(renamed::Handler("old")))
    };
    serving(add, |channel| async {
        let client = renamed::StoreClient::new(channel);
        let request = LookupRequest {
            name: "bolt".to_owned(),
        };
        let reply = client.lookup(request).await.expect("a reply");
        assert_eq!(reply.item.expect("an item").name, "old bolt");
        let mut events = client.watch(WatchRequest {}).await.expect("a stream");
        let mut names = Vec::new();
        while let Some(event) = events.message().await.expect("no error") {
            names.push(event.item.expect("an item").name);
        }
        assert_eq!(names, ["old", "old", "old"]);
    })
    .await;
}

#[tokio::test]
async fn a_method_that_is_off_is_unimplemented() {
    serving(reduced::serve, reduced::call).await;
}

#[tokio::test]
async fn a_trait_in_a_function_has_all_beside_it() {
    use audit_messages::{Event, Item, WatchRequest};

    #[ipc_service(
        schema = "compile_fail/schemas/inventory/v1/inventory.proto",
        service = "inventory.v1.Audit"
    )]
    trait Audit {
        async fn list(&self, ctx: &CallContext, request: WatchRequest) -> Result<Event, Status>;
    }

    struct Handler;

    impl Audit for Handler {
        async fn list(&self, ctx: &CallContext, _: WatchRequest) -> Result<Event, Status> {
            let name = ctx.method().name.to_owned();
            let item = Some(Item { name });
            Ok(Event { item })
        }
    }

    let add =
        |builder: daemoneye_ipc::ServerBuilder| builder.add_service(AuditServer::new(Handler));
    serving(add, |channel| async {
        let call = AuditClient::new(channel).list(WatchRequest {});
        let event = call.await.expect("an event");
        assert_eq!(event.item.expect("an item").name, "List");
    })
    .await;
}

#[test]
fn a_trait_of_another_name_names_its_items_after_itself() {
    assert_eq!(renamed::STORE_SERVICE, plain::INVENTORY_SERVICE);
    assert_eq!(renamed::STORE_SERVICE.methods.len(), 4);
    let server = renamed::StoreServer::new(renamed::Handler("old"));
    assert_eq!(format!("{:?}", server.clone()), "StoreServer { .. }");
}
