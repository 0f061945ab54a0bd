//! Any sequence of what can happen to a connection.
//!
//! **Invariant**: 2,000 cases by default, more by `PROPTEST_CASES`.

use bytes::Bytes;
use daemoneye_ipc::session::CallId;
use proptest::prelude::*;

use super::world::World;

#[derive(Debug, Clone)]
enum Op {
    Open(usize, Option<u64>),
    Look(CallId),
    Cancel(CallId),
    LastWord(CallId, bool),
    ServerSends(CallId, usize),
    ClientSends(CallId, usize, bool),
    DropAborted,
    DeliverUp(usize),
    DeliverDown(usize),
    Advance(u64),
    Drain,
    Disconnect,
}

fn op() -> impl Strategy<Value = Op> {
    let id = 1..20u64;
    prop_oneof![
        8 => (0..4usize, prop::option::of(0..50u64)).prop_map(|(kind, timeout)| Op::Open(kind, timeout)),
        6 => id.clone().prop_map(Op::Look),
        3 => id.clone().prop_map(Op::Cancel),
        6 => (id.clone(), any::<bool>()).prop_map(|(id, fail)| Op::LastWord(id, fail)),
        6 => (id.clone(), 0..700usize).prop_map(|(id, len)| Op::ServerSends(id, len)),
        6 => (id, 0..700usize, any::<bool>()).prop_map(|(id, len, last)| Op::ClientSends(id, len, last)),
        3 => Just(Op::DropAborted),
        10 => (1..300usize).prop_map(Op::DeliverUp),
        10 => (1..300usize).prop_map(Op::DeliverDown),
        4 => (1..30u64).prop_map(Op::Advance),
        1 => Just(Op::Drain),
        1 => Just(Op::Disconnect),
    ]
}

fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = std::env::var_os("PROPTEST_CASES").map_or(2_000, |_| asked.cases);
    ProptestConfig { cases, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_call_ends_once_and_no_credit_or_memory_is_lost(ops in prop::collection::vec(op(), 1..120), abrupt in any::<bool>()) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Open(kind, timeout) => world.open(kind, timeout),
                Op::Look(id) => world.look(id),
                Op::Cancel(id) => world.cancel(id),
                Op::LastWord(id, fail) => world.last_word(id, fail),
                Op::ServerSends(id, len) => world.server_sends(id, len),
                Op::ClientSends(id, len, last) => world.client_sends(id, len, last),
                Op::DropAborted => world.drop_aborted(),
                Op::DeliverUp(count) => world.deliver_up(count),
                Op::DeliverDown(count) => world.deliver_down(count),
                Op::Advance(ms) => world.advance(ms),
                Op::Drain => world.server.drain(),
                Op::Disconnect => world.disconnect(),
            }
            world.check();
        }
        let abrupt = abrupt || !world.connected;
        world.settle(abrupt);
    }

    #[test]
    fn no_bytes_from_a_client_make_the_server_panic(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..20)) {
        let mut world = World::new();
        world.deliver_up(usize::MAX);
        for frame in frames {
            let _ = world.server.handle_frame(world.now, Bytes::from(frame));
        }
        world.stop_aborted();
    }

    #[test]
    fn no_bytes_from_a_server_make_the_client_panic(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..20)) {
        let mut world = World::new();
        world.deliver_up(usize::MAX);
        world.deliver_down(usize::MAX);
        world.open(0, None);
        world.open(3, None);
        for frame in frames {
            let _ = world.client.handle_frame(world.now, Bytes::from(frame));
        }
    }
}
