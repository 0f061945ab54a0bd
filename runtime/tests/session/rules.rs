//! Single rules of the sessions.
//!
//! **Invariant**: each test shows one rule, through frames.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake},
    time::Duration,
};

use bytes::Bytes;
use daemoneye_ipc::{
    Metadata, SchemaPolicy,
    descriptor::{MethodKind, ServiceDescriptor},
    session::{ClientSession, Fault, OpenCall, OpenError, Outcome, SessionConfig},
    wire::Encoded,
};

use super::{
    MAX_CALLS, MAX_QUEUED_BYTES, SERVICE, config, method,
    world::{World, cx},
};

#[test]
fn calls_wait_for_a_place_and_go_in_order() {
    let mut world = World::new();
    world.deliver_up(usize::MAX);
    world.deliver_down(usize::MAX);
    for _ in 0..2 * MAX_CALLS {
        world.open(0, None);
    }
    assert_eq!(world.calls.len(), MAX_CALLS, "the others wait");
    world.deliver_up(usize::MAX);
    world.last_word(1, false);
    world.deliver_down(usize::MAX);
    world.open(0, None);
    assert_eq!(world.calls.len(), MAX_CALLS + 1);
}

/// Counts how often its task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_call_beside_others_is_woken_although_nobody_has_asked_for_its_outcome() {
    let mut world = World::new();
    world.deliver_up(usize::MAX);
    world.deliver_down(usize::MAX);
    let tasks = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
    let (metadata, payload) = (Metadata::new(), Encoded(Bytes::new()));
    let call = OpenCall {
        service: &SERVICE,
        method: &SERVICE.methods[0],
        deadline: None,
        metadata: &metadata,
    };
    for task in &tasks {
        let waker = Arc::clone(task).into();
        let cx = Context::from_waker(&waker);
        let opened = world
            .client
            .poll_open(world.now, &cx, &mut None, &call, Some(&payload));
        assert!(opened.is_ready());
    }
    world.client.handle_fault(Fault::Closed);
    let mut wakers = Vec::new();
    world.client.take_wakers(&mut wakers);
    wakers.into_iter().for_each(std::task::Waker::wake);
    let woken = tasks.map(|task| task.0.load(Ordering::Relaxed));
    assert_eq!(woken, [0, 1], "the first was alone: its caller looks");
}

#[test]
fn the_first_call_is_looked_for_before_the_hello_is_in_and_the_second_is_not() {
    let mut world = World::new();
    world.open(0, None);
    assert_eq!(world.client.poll_spin(1), None, "it is not written yet");
    world.deliver_up(usize::MAX);
    assert!(world.client.poll_spin(1).is_some());
    world.last_word(1, false);
    world.deliver_down(usize::MAX);
    assert!(world.client.take_greeted() && !world.client.take_greeted());
    world.look(1);
    world.open(0, None);
    world.deliver_up(usize::MAX);
    assert_eq!(world.client.poll_spin(2), None, "a server that is awake");
}

#[test]
fn a_stream_is_looked_for_while_it_is_alone_and_has_nothing() {
    let mut world = World::new();
    world.deliver_up(usize::MAX);
    world.deliver_down(usize::MAX);
    world.open(1, None);
    world.deliver_up(usize::MAX);
    assert!(world.client.poll_stream_spin(1).is_some() && world.client.needs_reader());
    world.server_sends(1, 100);
    world.deliver_down(usize::MAX);
    assert_eq!(world.client.poll_stream_spin(1), None, "a message is there");
    world.look(1);
    let time = Some(Duration::from_micros(1));
    let lasts = [(); 5].map(|()| world.client.handle_spin(time));
    assert_eq!(lasts, [false, false, false, true, true]);
    assert!(
        !world.client.needs_reader(),
        "whoever takes messages reads them"
    );
    world.open(0, None);
    assert!(world.client.needs_reader() && world.client.poll_stream_spin(1).is_none());
    assert!(!world.client.handle_spin(time), "another call sleeps");
}

#[test]
fn a_call_that_sends_a_stream_is_read_by_the_driver() {
    let mut world = World::new();
    world.deliver_up(usize::MAX);
    world.deliver_down(usize::MAX);
    world.open(3, None);
    assert_eq!(world.client.poll_stream_spin(1), None);
    assert!(
        [(); 5]
            .iter()
            .all(|()| !world.client.handle_spin(Some(Duration::ZERO)))
    );
}

#[test]
fn a_different_schema_is_refused_before_a_handler_sees_the_call() {
    static OTHER: ServiceDescriptor = ServiceDescriptor {
        fingerprint: 43,
        ..SERVICE_TEMPLATE
    };
    const SERVICE_TEMPLATE: ServiceDescriptor = ServiceDescriptor {
        name: "test.Service",
        revision: 2,
        fingerprint: 0,
        compatible: &[],
        methods: &[method(1, MethodKind::Unary)],
        file_descriptor_set: &[],
    };
    let mut world = World::new();
    world.client = ClientSession::new(config(), SchemaPolicy::Require, &[&OTHER], world.now);
    let (metadata, cx, mut ticket) = (Metadata::new(), cx(), None);
    let call = OpenCall {
        service: &OTHER,
        method: &OTHER.methods[0],
        deadline: None,
        metadata: &metadata,
    };
    let payload = Encoded(Bytes::new());
    // Pipelined behind HELLO: the server refuses it.
    let opened = world
        .client
        .poll_open(world.now, &cx, &mut ticket, &call, Some(&payload));
    let Poll::Ready(Ok(id)) = opened else {
        panic!("{opened:?}")
    };
    world.deliver_up(usize::MAX);
    world.deliver_down(usize::MAX);
    let Poll::Ready(Outcome::Failure {
        status,
        unrun: true,
    }) = world.client.poll_outcome(id, &cx)
    else {
        panic!("not refused");
    };
    assert!(
        status.message().contains("test.Service") && status.message().contains("revision 2"),
        "{status}"
    );
    assert!(world.handlers.is_empty());
    // With the server's HELLO in, the client itself refuses.
    let opened = world
        .client
        .poll_open(world.now, &cx, &mut ticket, &call, Some(&payload));
    assert!(matches!(
        opened,
        Poll::Ready(Err(OpenError::SchemaMismatch(_)))
    ));
}

#[test]
fn a_client_that_takes_no_hello_is_refused() {
    let mut world = World::new();
    let small = SessionConfig {
        max_frame_bytes: 20,
        ..config()
    };
    world.client = ClientSession::new(small, SchemaPolicy::Require, &[&SERVICE], world.now);
    world.client.poll_transmit(world.up.transmit());
    let written = world.up.carry(usize::MAX).expect("a HELLO").1;
    world.client.handle_written(written);
    let hello = world.up.frames().remove(0);
    let fault = world
        .server
        .handle_frame(world.now, hello)
        .expect_err("refused");
    assert!(matches!(fault, Fault::Limit(_)), "{fault}");
    assert!(fault.to_string().contains("HELLO"), "{fault}");
}

#[test]
fn calls_that_are_given_up_take_no_memory_without_bound() {
    let mut world = World::new();
    world.deliver_up(usize::MAX);
    world.deliver_down(usize::MAX);
    // The server reads no more, and the application tries again and again.
    for call in 1..1_000 {
        world.open(0, None);
        world.cancel(call);
        world.check();
    }
    assert!(world.client.queued_bytes() > MAX_QUEUED_BYTES);
    let opened = world.calls.len();
    for _ in 0..200 {
        world.deliver_up(100);
        world.drop_aborted();
        world.deliver_down(usize::MAX);
    }
    world.open(0, None);
    assert_eq!(world.calls.len(), opened + 1, "there is room again");
}
