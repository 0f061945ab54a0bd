//! The four kinds of calls, and many of them at once.
//!
//! **Invariant**: all that was sent has come, in order.

use std::time::Duration;

use daemoneye_ipc::{Code, DrainReport};
use daemoneye_ipc_generated::conformance::v1::{
    ChatRequest, CollectRequest, EchoRequest, EmitRequest, InspectRequest, Leaf, Node,
};

use super::{Running, config, echo, folder, sleep, until, with_looks_and_without, within};

with_looks_and_without! {
    unary_calls_carry_every_shape
    many_calls_share_one_connection
    more_calls_than_the_server_takes_wait_their_turn
    streams_flow_in_each_direction
    an_unread_stream_delays_no_other_call
    a_client_stream_that_is_over_says_so_before_anything_more_is_sent
}

async fn unary_calls_carry_every_shape(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let client = server.client().await;
    let leaf = Leaf {
        s1: "ü".into(),
        s12: "z".into(),
        ..Leaf::default()
    };
    let tree = (0..20).fold(Node::default(), |child, value| Node {
        child: Some(Box::new(child)),
        value,
    });
    let shapes = [
        EchoRequest::default(),
        echo(vec![7; 900_000]),
        EchoRequest {
            leaves: vec![leaf, Leaf::default()],
            tree: Some(tree),
            ..EchoRequest::default()
        },
    ];
    for request in shapes {
        let reply = client.echo(request.clone()).await.expect("an echo");
        assert_eq!(
            (reply.payload, reply.leaves, reply.tree),
            (request.payload, request.leaves, request.tree)
        );
    }
    assert_eq!(server.stop().await, DrainReport::default());
}

async fn many_calls_share_one_connection(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let client = server.client().await;
    let calls: Vec<_> = (0..64u32)
        .map(|caller| {
            let client = client.clone();
            tokio::spawn(async move {
                for turn in 0..50u32 {
                    let text = format!("{caller}/{turn}");
                    assert_eq!(
                        client
                            .echo(echo(text.clone()))
                            .await
                            .expect("an echo")
                            .payload,
                        text
                    );
                }
            })
        })
        .collect();
    for call in calls {
        within(call).await.expect("no panic");
    }
    let held = client.inspect(InspectRequest {}).await.expect("an answer");
    assert_eq!(
        (held.connections, held.calls_in_flight, held.handlers),
        (1, 1, 1)
    );
    assert_eq!(held.calls_started, 64 * 50 + 1);
}

async fn more_calls_than_the_server_takes_wait_their_turn(spin_us: u64) {
    let folder = folder();
    let mut config = config(folder.path(), spin_us);
    config.limits.max_calls = 2;
    let server = Running::start(config).await;
    let client = server.client().await;
    let calls = (0..12).map(|_| client.sleep(sleep(5)));
    for done in within(futures_util::future::join_all(calls)).await {
        done.expect("every call is run");
    }
    assert_eq!(server.stats.calls_in_flight(), 0);
}

async fn streams_flow_in_each_direction(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let client = server.client().await;

    let request = EmitRequest {
        count: 5_000,
        size: 300,
        interval_us: 0,
    };
    let mut events = client.emit(request).await.expect("a stream");
    for index in 0..5_000 {
        let event = within(events.message())
            .await
            .expect("no error")
            .expect("a message");
        assert_eq!((event.index, event.payload.len()), (index, 300));
    }
    assert_eq!(events.message().await.expect("no error"), None);
    assert_eq!(
        events.message().await.expect("no error"),
        None,
        "the end stays the end"
    );

    let mut upload = client.collect().await.expect("a stream");
    for _ in 0..5_000 {
        within(upload.send(CollectRequest {
            payload: vec![1; 300].into(),
        }))
        .await
        .expect("taken");
    }
    let collected = within(upload.finish()).await.expect("an answer");
    assert_eq!((collected.messages, collected.bytes), (5_000, 1_500_000));

    let mut chat = client.chat().await.expect("a stream");
    for line in ["one", "two", "three"] {
        chat.send(ChatRequest {
            payload: line.into(),
        })
        .await
        .expect("taken");
        assert_eq!(
            within(chat.message())
                .await
                .expect("no error")
                .expect("an echo")
                .payload,
            line
        );
    }
    chat.half_close().await;
    assert_eq!(within(chat.message()).await.expect("no error"), None);
    assert_eq!(server.stop().await, DrainReport::default());
}

async fn an_unread_stream_delays_no_other_call(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let client = server.client().await;
    let request = EmitRequest {
        count: u32::MAX,
        size: 4_096,
        interval_us: 0,
    };
    let unread = client.emit(request).await.expect("a stream");
    for turn in 0..200 {
        within(client.echo(echo(vec![1; turn])))
            .await
            .expect("an echo");
    }
    let queued = server.stats.queued_bytes();
    assert!(queued < 1 << 20, "{queued} bytes are queued for one stream");
    drop(unread);
    until("the stream's handler is gone", || {
        server.stats.handlers() == 0
    })
    .await;
    assert_eq!(server.stats.calls_in_flight(), 0);
}

async fn a_client_stream_that_is_over_says_so_before_anything_more_is_sent(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let client = server.client().await;
    let call = client.collect().timeout(Duration::from_millis(50));
    let mut stream = call.await.expect("a stream");
    stream.send(CollectRequest::default()).await.expect("room");
    within(stream.closed()).await;
    let refused = stream.send(CollectRequest::default()).await;
    assert_eq!(refused.expect_err("over").code(), Code::Cancelled);
    within(stream.closed()).await;
    let error = within(stream.finish()).await.expect_err("too late");
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");

    let mut stream = client.collect().await.expect("a stream");
    tokio::select! {
        biased;
        () = stream.closed() => panic!("it is open"),
        _ = client.echo(echo("anything")) => {}
    }
    stream.send(CollectRequest::default()).await.expect("room");
    assert_eq!(within(stream.finish()).await.expect("counted").messages, 1);
}
