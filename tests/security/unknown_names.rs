//! A name that this system does not know keeps a server from starting, and the error says where it is written.
//!
//! **Invariant**: nothing is served when a name is unknown.

use daemoneye_ipc::{
    IpcConfig, IpcError, Server,
    access::Allow,
    descriptor::{MethodDescriptor, ServiceDescriptor},
    server::{HandlerSlot, ServerCall, Service},
};

use crate::schema::golden::access::v1::VAULT_SERVICE;

const METHODS: &[MethodDescriptor] = &[MethodDescriptor {
    access: &[Allow::OwnUser, Allow::Group("no-such-group")],
    ..VAULT_SERVICE.methods[0]
}];

const DESCRIPTOR: &ServiceDescriptor = &ServiceDescriptor {
    methods: METHODS,
    ..*VAULT_SERVICE
};

struct Unstartable;

impl Service for Unstartable {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        DESCRIPTOR
    }

    fn dispatch(&self, _: usize, call: ServerCall, _: &mut HandlerSlot) {
        call.unimplemented();
    }
}

#[tokio::test]
async fn an_unknown_group_in_a_schema_is_named_with_method_and_schema() {
    let folder = crate::support::folder();
    let path = folder.path().join("x.sock");
    let builder = Server::builder(IpcConfig::new(&path)).add_service(Unstartable);
    let error = builder.bind().await.unwrap_err();
    assert!(matches!(error, IpcError::Config { .. }), "{error}");
    let text = error.to_string();
    for part in [
        "/golden.access.v1.Vault/Open",
        "schema.proto",
        "group:no-such-group",
        "create it",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!path.exists(), "nothing was served");
}

#[tokio::test]
async fn unknown_names_in_settings_are_named_with_their_key() {
    let folder = crate::support::folder();
    let new = || IpcConfig::new(folder.path().join("x.sock"));
    let (mut allowing, mut in_group) = (new(), new());
    allowing.peers.allow = "self, user:no-such-user".to_owned();
    in_group.socket.group = "no-such-group".to_owned();
    for (key, config) in [
        ("ipc.peers.allow", allowing),
        ("ipc.socket.group", in_group),
    ] {
        let health = daemoneye_ipc::health::HealthReporter::new();
        let error = Server::builder(config)
            .health(health)
            .bind()
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(key) && text.contains("no-such-"), "{text}");
    }
    let mut config = new();
    config.peers.trust = "group:no-such-group".to_owned();
    let error = daemoneye_ipc::Channel::lazy(config).unwrap_err();
    assert!(error.to_string().contains("ipc.peers.trust"), "{error}");
}
