//! Methods are called by those whom the schema names, and by nobody else, in all four kinds of calls.
//!
//! **Invariant**: each outcome is held to what reached a handler.

use daemoneye_ipc::{
    CallError, Code, IpcConfig, PeerPolicy, Server, access::Allow, testing::TestServer,
    transport::Peer,
};

use crate::{
    captured_log::logged,
    schema::golden::access::v1::{HALL_SERVICE, VAULT_SERVICE, VaultClient, VaultServer},
    vault::{Holder, item},
};

fn peer(uid: u32, gids: &[u32]) -> Peer {
    Peer {
        uid,
        gid: uid,
        gids: gids.to_vec(),
        pid: None,
    }
}

fn server() -> (TestServer, Holder) {
    let holder = Holder::default();
    let builder = Server::builder(IpcConfig::default())
        .add_service(VaultServer::new(holder.clone()))
        .peer_policy(PeerPolicy::anyone());
    (TestServer::start(builder).unwrap(), holder)
}

/// How each of the five methods ends for a caller.
async fn outcomes(server: &TestServer, peer: Peer) -> [Option<Code>; 5] {
    let client = VaultClient::new(server.caller().peer(peer).channel());
    let code = |ended: Result<(), CallError>| ended.err().map(|error| error.code());
    let open = client.open(item("a")).await.map(drop);
    let look = client.look(item("a")).await.map(drop);
    let fill = async {
        let mut fill = client.fill().await?;
        // The server may have answered already.
        let _ = fill.send(item("a")).await;
        fill.finish().await.map(drop)
    };
    let list = async {
        let mut list = client.list(item("a")).await?;
        while list.message().await?.is_some() {}
        Ok::<_, CallError>(())
    };
    let swap = async {
        let mut swap = client.swap().await?;
        let _ = swap.send(item("a")).await;
        while swap.message().await?.is_some() {}
        Ok::<_, CallError>(())
    };
    [
        code(open),
        code(look),
        code(fill.await),
        code(list.await),
        code(swap.await),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_caller_may_call_what_the_schema_names_it_for() {
    let (server, holder) = server();
    let denied = Some(Code::PermissionDenied);
    let cases = [
        (peer(54_321, &[]), [denied, None, denied, denied, denied]),
        (peer(12_345, &[]), [denied, None, None, denied, denied]),
        (
            peer(54_321, &[1, 4_242]),
            [denied, None, None, denied, denied],
        ),
        // Group 0 is root's; the user 0 is meant by `uid:root`.
        (peer(54_321, &[0]), [denied, None, denied, None, None]),
        (peer(0, &[]), [None, None, denied, None, None]),
    ];
    for (peer, expected) in cases {
        let before = holder.reached();
        let ended = outcomes(&server, peer.clone()).await;
        assert_eq!(ended, expected, "{peer:?}");
        let through = expected.iter().filter(|code| code.is_none()).count();
        assert_eq!(
            holder.reached() - before,
            through,
            "{peer:?}: nothing else reached a handler"
        );
    }
    assert_eq!(server.stats().calls_denied(), 4 + 3 + 3 + 2 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_who_what_and_who_may_and_the_connection_lives_on() {
    let (server, _) = server();
    let client = VaultClient::new(server.caller().peer(peer(54_321, &[])).channel());
    let error = client.fill().await.unwrap().finish().await.unwrap_err();
    let text = error.to_string();
    for part in [
        "uid 54321",
        "/golden.access.v1.Vault/Fill",
        "uid:12345, gid:4242",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!error.was_maybe_run(), "no handler saw it");
    let seen = client.look(item("")).await.unwrap();
    assert_eq!(seen.text, "anyone");
    assert_eq!(server.stats().connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_what_let_its_caller_in() {
    let (server, _) = server();
    for (peer, allowed) in [
        (peer(12_345, &[4_242]), "uid:12345"),
        (peer(54_321, &[4_242]), "gid:4242"),
    ] {
        let client = VaultClient::new(server.caller().peer(peer).channel());
        let filled = client.fill().await.unwrap().finish().await.unwrap();
        assert_eq!(filled.text, allowed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_peer_policy_comes_first_and_the_schema_does_not_widen_it() {
    let builder = Server::builder(IpcConfig::default())
        .add_service(VaultServer::new(Holder::default()))
        .peer_policy(PeerPolicy::same_user());
    let server = TestServer::start(builder).unwrap();
    let client = VaultClient::new(server.caller().peer(peer(12_345, &[])).channel());
    let error = client.look(item("")).await.unwrap_err();
    assert!(
        error.to_string().contains("not in the server's policy"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_refused_calls_are_counted_and_some_lines() {
    let (log, _guard) = logged();
    let (server, holder) = server();
    let client = VaultClient::new(server.caller().peer(peer(54_321, &[])).channel());
    for _ in 0..1_000 {
        let error = client.open(item("")).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
    }
    assert_eq!(
        (server.stats().calls_denied(), holder.reached()),
        (1_000, 0)
    );
    let text = log.text();
    let lines = text.matches("a call was refused").count();
    assert!((1..=20).contains(&lines), "{lines} lines: {text}");
}

#[test]
fn descriptors_say_who_may_call() {
    let access: Vec<_> = VAULT_SERVICE
        .methods
        .iter()
        .map(|method| method.access)
        .collect();
    let root = "root";
    let expected: [&[Allow<'_>]; 5] = [
        &[Allow::OwnUser, Allow::Uid(0)],
        &[Allow::Anyone],
        &[Allow::Uid(12_345), Allow::Gid(4_242)],
        &[Allow::User(root), Allow::Group(root)],
        &[Allow::User(root), Allow::Group(root)],
    ];
    assert_eq!(access, expected);
    assert!(HALL_SERVICE.methods[0].access.is_empty());
}

/// The same schema through the attribute.
mod attribute {
    use daemoneye_ipc::{CallContext, Inbound, Status, Stream, ipc_service};

    use crate::schema::golden::access::v1::Item;

    #[ipc_service(
        schema = "golden/access/schema.proto",
        service = "golden.access.v1.Vault",
        messages = crate::schema::golden::access::v1
    )]
    pub(super) trait Vault {
        async fn open(&self, ctx: &CallContext, request: Item) -> Result<Item, Status>;
        async fn look(&self, ctx: &CallContext, request: Item) -> Result<Item, Status>;
        async fn fill(&self, ctx: &CallContext, items: Inbound<Item>) -> Result<Item, Status>;
        async fn list(
            &self,
            ctx: &CallContext,
            request: Item,
        ) -> Result<impl Stream<Item = Result<Item, Status>>, Status>;
        async fn swap(
            &self,
            ctx: &CallContext,
            items: Inbound<Item>,
        ) -> Result<impl Stream<Item = Result<Item, Status>>, Status>;
    }
}

#[test]
fn the_attribute_says_the_same() {
    assert_eq!(attribute::VAULT_SERVICE.methods, VAULT_SERVICE.methods);
}

#[tokio::test(start_paused = true)]
async fn reflection_shows_who_may_call() {
    use prost_reflect::{DescriptorPool, ReflectMessage};

    use daemoneye_ipc::schema::{
        ipc::v1::Access,
        reflection::v1::{GetDescriptorsRequest, ReflectionClient},
    };

    let builder = Server::builder(IpcConfig::default())
        .add_service(VaultServer::new(Holder::default()))
        .reflection();
    let server = TestServer::start(builder).unwrap();
    let client = ReflectionClient::new(server.channel());
    let answer = client.get_descriptors(GetDescriptorsRequest::default());
    let pool = DescriptorPool::decode(answer.await.unwrap().files).unwrap();
    let method = pool
        .get_service_by_name("golden.access.v1.Vault")
        .unwrap()
        .methods()
        .find(|method| method.name() == "Fill")
        .unwrap();
    let option = pool
        .get_extension_by_name("daemoneye.ipc.v1.access")
        .unwrap();
    let options = method.options();
    assert_eq!(
        options.descriptor().full_name(),
        "google.protobuf.MethodOptions"
    );
    assert!(options.has_extension(&option));
    let value = options.get_extension(&option).into_owned();
    let access: Access = value.as_message().unwrap().transcode_to().unwrap();
    assert_eq!(access.allow, ["uid:12345", "gid:4242"]);
}
