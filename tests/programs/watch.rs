//! procmond's watches, and how tasks are cancelled.
//!
//! **Invariant**: nothing that a watch may have missed goes unnoticed here.

use std::fs;

use daemoneye_ipc::Code;
use daemoneye_ipc_generated::procmond::v1::{
    CancelTaskRequest, ProcessEventKind, VerifyExecutableRequest, WatchProcessesRequest,
    watch_processes_response::Item,
};

use crate::{
    in_time, next,
    support::{LIMIT, Place, Subject},
    until, watch,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sees_a_process_start_and_end() {
    let place = Place::new();
    let _daemon = place.procmond();
    let mut steps = watch(&place.monitor(), WatchProcessesRequest::default()).await;
    let subject = Subject::start(&place.program("subject"));
    let pid = subject.pid();
    let started = until(&mut steps, ProcessEventKind::Started, pid).await;
    subject.end();
    let exited = until(&mut steps, ProcessEventKind::Exited, pid).await;
    assert!(exited.sequence > started.sequence);
    assert_eq!(exited.epoch, started.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_with_what_was_missed_and_after_a_restart_with_a_gap() {
    let place = Place::new();
    let daemon = place.procmond();
    let program = place.program("subject");
    // One keeps watching, so that the monitor keeps looking while the other is away.
    let mut all = watch(&place.monitor(), WatchProcessesRequest::default()).await;
    let mut away = watch(&place.monitor(), WatchProcessesRequest::default()).await;
    let subject = Subject::start(&program);
    let pid = subject.pid();
    let started = until(&mut away, ProcessEventKind::Started, pid).await;
    drop(away);
    subject.end();
    let exited = until(&mut all, ProcessEventKind::Exited, pid).await;

    let from = WatchProcessesRequest {
        after_sequence: Some(started.sequence),
        epoch: started.epoch,
        ..WatchProcessesRequest::default()
    };
    let mut resumed = watch(&place.monitor(), from.clone()).await;
    for sequence in started.sequence + 1..=exited.sequence {
        let step = next(&mut resumed).await;
        assert!(matches!(step.item, Some(Item::Event(_))), "{step:?}");
        assert_eq!(step.sequence, sequence);
    }

    daemon.kill();
    let _daemon = place.procmond();
    let mut resumed = watch(&place.monitor(), from).await;
    let step = next(&mut resumed).await;
    let Some(Item::Gap(gap)) = step.item else {
        panic!("no gap: {step:?}")
    };
    assert_eq!((gap.first_missing, gap.last_missing), (0, step.sequence));
    assert_ne!(step.epoch, exited.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_cancelled_by_name() {
    let place = Place::new();
    let _daemon = place.procmond();
    let monitor = place.monitor();
    let cancel = |task: &str| {
        let call = monitor.cancel_task(CancelTaskRequest {
            task_id: task.to_owned(),
        });
        async { call.await.expect("an answer").cancelled_calls }
    };
    let named = WatchProcessesRequest {
        task_id: "watch".to_owned(),
        ..Default::default()
    };
    let mut steps = watch(&monitor, named).await;
    assert_eq!(cancel("another").await, 0);
    assert_eq!(cancel("watch").await, 1);
    let ended = async {
        while steps.message().await?.is_some() {}
        Ok::<_, daemoneye_ipc::CallError>(())
    };
    let error = in_time("the end of the watch", ended)
        .await
        .expect_err("cancelled");
    assert_eq!(error.code(), Code::Cancelled);

    // A file that takes long to hash, and takes no room.
    let large = place.path("large");
    fs::File::create(&large)
        .and_then(|file| file.set_len(1 << 40))
        .expect("a sparse file");
    let request = VerifyExecutableRequest {
        path: large.to_str().expect("UTF-8").to_owned(),
        task_id: "hash".to_owned(),
        ..VerifyExecutableRequest::default()
    };
    let hashing = tokio::spawn(monitor.verify_executable(request).timeout(LIMIT));
    in_time("the task to be there", async {
        while cancel("hash").await == 0 {}
    })
    .await;
    let error = in_time("the end of the task", hashing)
        .await
        .expect("no panic")
        .expect_err("cancelled");
    assert_eq!(error.code(), Code::Cancelled);
    assert!(error.to_string().contains("\"hash\""), "{error}");
}
