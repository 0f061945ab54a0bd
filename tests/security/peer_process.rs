//! The process of a peer is held by a descriptor, for audits, where the kernel has one to give.
//!
//! **Invariant**: what a descriptor means is read from the kernel.

use std::{fs, os::fd::AsRawFd};

use daemoneye_ipc::transport::Link;

use crate::support::{Other, bind, folder, meet};

/// The process that a descriptor is of, as the kernel tells it: -1 once it is gone (pidfd_open(2)).
fn process_of(link: &Link) -> Option<i64> {
    let fd = link.peer_process()?.as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    Some(line.unwrap().trim().parse().unwrap())
}

/// Since Linux 6.5.
fn kernel_tells() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(5))
}

#[tokio::test]
async fn a_descriptor_means_the_process_that_connected_also_when_it_is_gone() {
    let folder = folder();
    let listener = bind(&folder.path().join("x.sock")).await.unwrap();
    let (_here, there) = meet(&listener).await;
    if !kernel_tells() {
        assert!(there.peer_process().is_none());
        eprintln!("not run: this kernel has no SO_PEERPIDFD");
        return;
    }
    assert_eq!(process_of(&there), Some(i64::from(std::process::id())));
    let first = there.peer_process().unwrap().as_raw_fd();
    assert_eq!(
        there.peer_process().unwrap().as_raw_fd(),
        first,
        "asked for once"
    );

    let client = Other::start("connect", listener.path(), &[]);
    let link = listener.accept().await.unwrap();
    assert_eq!(process_of(&link), Some(i64::from(client.id())));
    client.kill();
    assert_eq!(
        process_of(&link),
        Some(-1),
        "no other process is meant by it"
    );
}
