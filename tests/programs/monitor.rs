//! procmond alone: lists, hashes, trees.
//!
//! **Invariant**: what is expected was found out without procmond.

use std::{
    fs,
    path::Path,
    process::{Stdio, id},
};

use daemoneye_ipc::Code;
use daemoneye_ipc_generated::procmond::v1::{
    CheckProcessHashRequest, GetProcessRequest, GetProcessTreeRequest, ListProcessesRequest,
    ProcessFilter, VerifyExecutableRequest,
};

use crate::{
    NOBODY, in_time, list, sha256,
    support::{PROCMOND, Place, Subject, command},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_list_holds_this_process_as_it_is() {
    let place = Place::new();
    let daemon = place.procmond();
    let monitor = place.monitor();

    let all = list(&monitor, ListProcessesRequest::default()).await;
    let pids: Vec<_> = all.iter().map(|process| process.pid).collect();
    assert!(
        pids.is_sorted() && pids.contains(&id()) && pids.contains(&daemon.pid()),
        "{pids:?}"
    );

    let filter = ProcessFilter {
        pids: vec![id()],
        ..ProcessFilter::default()
    };
    let request = ListProcessesRequest {
        filter: Some(filter),
        with_hashes: true,
        ..Default::default()
    };
    let mine = list(&monitor, request).await;
    let [me] = mine.as_slice() else {
        panic!("not one: {mine:?}")
    };
    let own = std::env::current_exe().expect("a path");
    assert_eq!(me.executable_path.as_deref(), own.to_str());
    assert_eq!(me.user_id, Some(rustix::process::geteuid().as_raw()));
    assert_eq!(me.command_line, std::env::args().collect::<Vec<_>>());
    assert_eq!(me.executable_hash, sha256(&own));
    assert!(
        me.accessible && me.file_exists && !me.on_disk_mismatch,
        "{me:?}"
    );
    assert!(me.memory_bytes > Some(1 << 16) && me.start_time.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_batches_are_kept_to() {
    let place = Place::new();
    let _daemon = place.procmond();
    let monitor = place.monitor();
    let program = place.program("subject");
    let subjects = [
        Subject::start(&program),
        Subject::start(&program),
        Subject::start(&program),
    ];
    let filter = ProcessFilter {
        executable_glob: format!("{}/sub*", program.parent().expect("a directory").display()),
        ..ProcessFilter::default()
    };
    // The last of them may still be this test's own copy on its way to its program.
    let batches = async {
        loop {
            let filter = Some(filter.clone());
            let request = ListProcessesRequest {
                filter,
                batch_size: 2,
                ..Default::default()
            };
            let mut stream = monitor.list_processes(request).await.expect("a list");
            let mut sizes = Vec::new();
            while let Some(batch) = stream.message().await.expect("a batch") {
                sizes.push(batch.processes.len());
            }
            if sizes.iter().sum::<usize>() == subjects.len() {
                return sizes;
            }
        }
    };
    assert_eq!(in_time("all subjects", batches).await, [2, 1]);

    let filter = Some(ProcessFilter {
        executable_glob: "[".to_owned(),
        ..Default::default()
    });
    let request = ListProcessesRequest {
        filter,
        ..ListProcessesRequest::default()
    };
    let mut refused = monitor.list_processes(request).await.expect("begun");
    let error = in_time("a refusal", refused.message())
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_are_those_of_the_files_that_run() {
    let place = Place::new();
    let _daemon = place.procmond();
    let monitor = place.monitor();
    let program = place.program("subject");
    let (subject, hash) = (Subject::start(&program), sha256(&program));
    in_time("the program to run", async {
        loop {
            let request = GetProcessRequest {
                pid: subject.pid(),
                ..GetProcessRequest::default()
            };
            let found = monitor
                .get_process(request)
                .await
                .expect("it runs")
                .process
                .expect("a record");
            if found.executable_path.as_deref() == program.to_str() {
                break;
            }
        }
    })
    .await;
    let verify = |path: &Path| VerifyExecutableRequest {
        path: path.to_str().expect("UTF-8").to_owned(),
        ..VerifyExecutableRequest::default()
    };
    let verified = monitor
        .verify_executable(verify(&program))
        .await
        .expect("verified");
    assert_eq!(verified.actual_hash, hash);
    assert_eq!(
        verified.size_bytes,
        fs::metadata(&program).expect("there").len()
    );
    assert_eq!(
        (verified.running_pids, verified.mismatched_pids),
        (vec![subject.pid()], vec![])
    );

    // The file is replaced: what runs has its old hash, what is there has its own.
    fs::remove_file(&program).expect("removed");
    fs::write(&program, "something else").expect("written");
    let check = |expected: &[u8]| CheckProcessHashRequest {
        pid: subject.pid(),
        expected_hash: expected.to_vec().into(),
        ..CheckProcessHashRequest::default()
    };
    let checked = monitor
        .check_process_hash(check(&hash))
        .await
        .expect("checked");
    assert_eq!(
        (checked.actual_hash.as_ref(), checked.matches),
        (hash.as_slice(), Some(true))
    );
    assert_eq!(checked.executable_path, program.to_str().expect("UTF-8"));
    let checked = monitor
        .check_process_hash(check(&[0; 32]))
        .await
        .expect("checked");
    assert_eq!(checked.matches, Some(false));
    let verified = monitor
        .verify_executable(verify(&program))
        .await
        .expect("verified");
    assert_eq!(verified.actual_hash, sha256(&program));
    assert_eq!(
        (verified.running_pids, verified.mismatched_pids),
        (vec![], vec![subject.pid()])
    );

    let refused = [
        (
            monitor
                .verify_executable(verify(Path::new("relative")))
                .await
                .map(drop),
            Code::InvalidArgument,
        ),
        (
            monitor
                .verify_executable(verify(&place.path("none")))
                .await
                .map(drop),
            Code::NotFound,
        ),
        (
            monitor
                .verify_executable(verify(Path::new("/")))
                .await
                .map(drop),
            Code::FailedPrecondition,
        ),
        (
            monitor.check_process_hash(check(b"short")).await.map(drop),
            Code::InvalidArgument,
        ),
    ];
    for (refused, code) in refused {
        assert_eq!(refused.expect_err("refused").code(), code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_holds_children_below_their_parents() {
    let place = Place::new();
    let daemon = place.procmond();
    let monitor = place.monitor();
    let request = GetProcessTreeRequest {
        root_pid: id(),
        ..GetProcessTreeRequest::default()
    };
    let tree = monitor
        .get_process_tree(request)
        .await
        .expect("a tree")
        .nodes;
    let depth = |pid: u32| {
        let of = |node: &&_| daemoneye_ipc_generated::procmond::v1::ProcessTreeNode::clone(node);
        let nodes = tree
            .iter()
            .filter(|node| node.process.as_ref().is_some_and(|p| p.pid == pid));
        nodes.map(|node| of(&node).depth).next()
    };
    assert_eq!((depth(id()), depth(daemon.pid())), (Some(0), Some(1)));
    let request = GetProcessTreeRequest {
        root_pid: NOBODY,
        ..GetProcessTreeRequest::default()
    };
    let error = monitor
        .get_process_tree(request)
        .await
        .expect_err("no such process");
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_procmond_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let daemon = place.procmond();
    let endpoint = place.path("procmond.sock");
    let second = command(PROCMOND, &endpoint, &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output();
    let second = second.expect("it ran");
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stdout.is_empty(), "it is not ready");
    let why = String::from_utf8(second.stderr).expect("UTF-8");
    let last = why.lines().last().expect("a reason");
    assert!(last.starts_with("procmond: cannot serve at"), "{why}");
    assert!(last.contains(endpoint.to_str().expect("UTF-8")), "{why}");

    let request = GetProcessRequest {
        pid: daemon.pid(),
        ..GetProcessRequest::default()
    };
    let found = place
        .monitor()
        .get_process(request)
        .await
        .expect("the first answers");
    assert_eq!(found.process.expect("a record").pid, daemon.pid());
}
