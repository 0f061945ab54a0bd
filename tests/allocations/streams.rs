//! Streams, message by message. Messages that are not waited for are read and written many at a time, so that one costs
//! a share of what a batch does.
//!
//! **Invariant**: one stream is open while messages are counted: what it cost to begin it is not among them.

use daemoneye_ipc::bytes::Bytes;
use daemoneye_ipc_generated::conformance::v1::{
    ChatRequest, CollectRequest, ConformanceClient, EmitRequest,
};

use super::{
    Cost,
    pair::{COUNTED, Pair},
};

/// A message there and one back, of a stream in both directions.
#[track_caller]
fn message_by_message(size: usize, each: Cost) {
    let pair = Pair::connect(0);
    let client = ConformanceClient::new(pair.channel.clone());
    let payload = Bytes::from(vec![7; size]);
    let mut stream = pair.block_on(async { client.chat().await.expect("begun") });
    pair.costs(each, async || {
        let payload = payload.clone();
        stream.send(ChatRequest { payload }).await.expect("taken");
        let reply = stream.message().await.expect("no error");
        assert_eq!(reply.expect("a message").payload.len(), size);
    });
}

/// Each side keeps a small message that came in a run of its own, as it is taken before the next comes: the run's bytes,
/// the list of lengths, and the count of those who share the bytes. The client's message leaves from the lane of its
/// stream, which has no room of its own while it is empty: bytes, and the count of those who share them. (The server's
/// leaves from the batch of its handler, which keeps its room.)
#[test]
fn small_there_and_back() {
    let each = Cost {
        client: 5,
        server: 3,
    };
    message_by_message(64, each);
}

/// A large one that came stays where it was read. One that leaves is not copied: its lane or batch makes a list of what
/// is not, and the client's lane room besides, as above.
#[test]
fn large_there_and_back() {
    let each = Cost {
        client: 3,
        server: 1,
    };
    message_by_message(64 << 10, each);
}

/// At most so many allocations for a hundred messages, on each side.
#[track_caller]
fn costs_less_than(each_hundred: u64, total: Cost) {
    let most = COUNTED * each_hundred / 100;
    assert!(
        total.client < most && total.server < most,
        "{COUNTED} messages cost {total:?}, at most {most} are expected"
    );
}

#[test]
fn many_from_the_server() {
    let pair = Pair::connect(0);
    let client = ConformanceClient::new(pair.channel.clone());
    let request = EmitRequest {
        count: u32::MAX,
        size: 64,
        interval_us: 0,
    };
    let mut stream = pair.block_on(async { client.emit(request).await.expect("begun") });
    let total = pair.total(async || {
        let message = stream.message().await.expect("no error");
        assert_eq!(message.expect("a message").payload.len(), 64);
    });
    costs_less_than(20, total);
}

#[test]
fn many_from_the_client() {
    let pair = Pair::connect(0);
    let client = ConformanceClient::new(pair.channel.clone());
    let payload = Bytes::from(vec![7; 64]);
    let mut stream = pair.block_on(async { client.collect().await.expect("begun") });
    let total = pair.total(async || {
        let payload = payload.clone();
        stream
            .send(CollectRequest { payload })
            .await
            .expect("taken");
    });
    costs_less_than(20, total);
}
