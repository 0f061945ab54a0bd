//! Calls that end otherwise than with what was asked for.
//!
//! **Invariant**: the connection lives on: another call shows it, or the counters do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use daemoneye_ipc::{
    __private::{HandlerSlot, ServerCall, Service},
    Cancellation, Code, Inbound, IpcError,
    descriptor::ServiceDescriptor,
};
use daemoneye_ipc_generated::conformance::v1::{
    CONFORMANCE_SERVICE, CollectRequest, ConformanceClient, EmitRequest, FailRequest, SleepRequest,
};

use super::{Running, config, echo, folder, sleep, until, with_looks_and_without, within};

with_looks_and_without! {
    a_deadline_ends_the_call_on_both_sides
    dropping_a_call_stops_its_handler_and_blocking_work_keeps_its_slot
    statuses_come_through_and_a_panic_is_one_failed_call
    what_is_too_large_fails_its_own_call
}

async fn a_deadline_ends_the_call_on_both_sides(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let client = server.client().await;
    let call = client
        .sleep(sleep(60_000))
        .timeout(Duration::from_millis(50));
    let error = within(call).await.expect_err("it is over");
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.was_maybe_run());
    assert!(
        error
            .to_string()
            .contains("/daemoneye.conformance.v1.Conformance/Sleep"),
        "{error}"
    );
    until("the handler is gone", || server.stats.handlers() == 0).await;

    let gone = client.sleep(sleep(1)).timeout(Duration::ZERO);
    assert_eq!(
        within(gone).await.expect_err("no time").code(),
        Code::DeadlineExceeded
    );
}

async fn dropping_a_call_stops_its_handler_and_blocking_work_keeps_its_slot(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let client = server.client().await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.sleep(sleep(60_000)).await }
    });
    until("the handler runs", || server.stats.handlers() == 1).await;
    call.abort();
    until("the handler is gone", || server.stats.handlers() == 0).await;

    let blocking = SleepRequest {
        millis: 300,
        blocking: true,
    };
    let call = client.sleep(blocking).timeout(Duration::from_millis(20));
    within(call)
        .await
        .expect_err("it is over before the work is");
    assert_eq!(
        server.stats.calls_in_flight(),
        1,
        "the work goes on and keeps the slot"
    );
    until("the work is done", || server.stats.calls_in_flight() == 0).await;
}

async fn statuses_come_through_and_a_panic_is_one_failed_call(spin_us: u64) {
    let folder = folder();
    let server = Running::start(config(folder.path(), spin_us)).await;
    let client = server.client().await;
    for code in 1..=16 {
        let request = FailRequest {
            code,
            message: format!("as asked: {code}"),
            panic: false,
        };
        let error = client.fail(request).await.expect_err("it fails");
        let status = error.status().expect("a status");
        assert_eq!(
            (status.code() as u32, status.message()),
            (code, &*format!("as asked: {code}"))
        );
    }
    let request = FailRequest {
        panic: true,
        ..FailRequest::default()
    };
    let error = client.fail(request).await.expect_err("it fails");
    assert_eq!(error.code(), Code::Internal);
    assert!(
        !error.to_string().contains("panic"),
        "nothing of the server leaks: {error}"
    );
    client
        .echo(echo("still here"))
        .await
        .expect("the connection lives");
}

async fn what_is_too_large_fails_its_own_call(spin_us: u64) {
    let folder = folder();
    let mut config = config(folder.path(), spin_us);
    config.max_frame_bytes = 4_096;
    let server = Running::start(config).await;
    let client = server.client().await;
    let error = client
        .echo(echo(vec![0; 5_000]))
        .await
        .expect_err("too large");
    assert!(
        matches!(
            error.kind(),
            IpcError::TooLarge {
                max_size: 4_096,
                ..
            }
        ),
        "{error}"
    );
    assert!(!error.was_maybe_run());
    let request = EmitRequest {
        count: 1,
        size: 5_000,
        interval_us: 0,
    };
    let mut events = client.emit(request).await.expect("a stream");
    let error = within(events.message())
        .await
        .expect_err("the reply is too large");
    assert_eq!(error.code(), Code::ResourceExhausted);
    client
        .echo(echo("still here"))
        .await
        .expect("the connection lives");
}

/// Hands on what each call has to offer, and never answers.
struct HandsOn(tokio::sync::mpsc::UnboundedSender<(Inbound<CollectRequest>, Cancellation)>);

impl Service for HandsOn {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        CONFORMANCE_SERVICE
    }

    fn dispatch(&self, _: usize, call: ServerCall, slot: &mut HandlerSlot) {
        let offer = (call.inbound(), call.context().cancellation());
        self.0.send(offer).expect("the test waits");
        slot.run(async move {
            let _unanswered = call;
            std::future::pending::<()>().await;
        });
    }
}

#[tokio::test]
async fn a_request_stream_that_was_cut_off_does_not_read_as_complete() {
    let (told, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let server = daemoneye_ipc::testing::serve(HandsOn(told));
    let client = ConformanceClient::new(server.channel());
    let mut cut_off = client.collect().await.expect("begun");
    cut_off
        .send(CollectRequest::default())
        .await
        .expect("taken");
    let (mut requests, _) = within(calls.recv()).await.expect("a call");
    within(requests.message()).await.expect("one").expect("one");
    drop(cut_off);
    let error = within(requests.message()).await.expect_err("not the end");
    assert_eq!(error.code(), Code::Cancelled);
    assert_eq!(within(requests.message()).await, Ok(None));

    let complete = client.collect().await.expect("begun");
    let complete = tokio::spawn(complete.finish());
    let (mut requests, _) = within(calls.recv()).await.expect("a call");
    assert_eq!(within(requests.message()).await, Ok(None));
    complete.abort();
}

/// A task that counts how often it is woken, and that is kept by those who would wake it.
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_call_keeps_nothing_of_those_who_no_longer_wait_for_its_end() {
    let (told, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let server = daemoneye_ipc::testing::serve(HandsOn(told));
    let client = ConformanceClient::new(server.channel());
    let call = client.collect().await.expect("begun");
    let (_requests, cancellation) = within(calls.recv()).await.expect("a call");
    let tasks: Vec<_> = (0..10)
        .map(|_| Arc::new(Task(AtomicUsize::new(0))))
        .collect();
    let waker = |task: &Arc<Task>| Waker::from(Arc::clone(task));
    let mut waits: Vec<_> = tasks
        .iter()
        .map(|_| Box::pin(cancellation.cancelled()))
        .collect();
    for (task, wait) in tasks.iter().zip(&mut waits) {
        let polled = wait.as_mut().poll(&mut Context::from_waker(&waker(task)));
        assert!(polled.is_pending());
    }
    waits.truncate(1);
    let kept: Vec<_> = tasks
        .iter()
        .map(|task| Arc::strong_count(task) - 1)
        .collect();
    assert_eq!(kept, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    drop(call);
    within(cancellation.cancelled()).await;
    let woken: Vec<_> = tasks
        .iter()
        .map(|task| task.0.load(Ordering::SeqCst))
        .collect();
    assert_eq!(woken, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}
