//! Links: the same behaviour over a socket and over memory, and what the kernel says of the peer.
//!
//! **Invariant**: what is shown for one kind of link is shown for the other.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of test functions"
)]

use std::{
    fs,
    future::poll_fn,
    io::{self, ErrorKind, IoSlice},
    time::Duration,
};

use bytes::BytesMut;
use daemoneye_ipc::transport::{Link, Listener, Peer, connect, memory_pair};
use rustix::process::Signal;
use tokio::time::timeout;

use super::support::*;

/// One pair of each kind.
async fn pairs() -> Vec<(&'static str, Link, Link)> {
    let folder = folder();
    let listener = bind(&folder.path().join("x.sock")).await.unwrap();
    let (here, there) = meet(&listener).await;
    let (first, second) = memory_pair(64 << 10);
    vec![("socket", here, there), ("memory", first, second)]
}

fn write(link: &Link, bytes: &[u8]) -> io::Result<usize> {
    link.try_write_vectored(&[IoSlice::new(bytes)])
}

/// Reads once, when there is something.
async fn read(link: &Link, room: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(room);
    loop {
        match link.try_read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                timeout(LIMIT, poll_fn(|cx| link.poll_read_ready(cx)))
                    .await
                    .expect("a wake-up")?;
            }
            other => return other.map(|_| bytes),
        }
    }
}

async fn writable(link: &Link) {
    timeout(LIMIT, poll_fn(|cx| link.poll_write_ready(cx)))
        .await
        .expect("a wake-up")
        .unwrap();
}

/// Writes until the link takes no more, and returns how much it took.
fn fill(link: &Link) -> usize {
    let mut taken = 0;
    // Without a wait: one who waits for room has more of it made.
    loop {
        match write(link, &[7; 4096]) {
            Ok(count) => taken += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return taken;
            }
        }
    }
}

#[tokio::test]
async fn bytes_arrive_in_order_and_slices_leave_together() {
    for (kind, a, b) in pairs().await {
        writable(&a).await;
        let slices = [
            IoSlice::new(b"one "),
            IoSlice::new(b""),
            IoSlice::new(b"two"),
        ];
        assert_eq!(a.try_write_vectored(&slices).unwrap(), 7, "{kind}");
        assert_eq!(read(&b, 4).await.unwrap(), b"one ", "{kind}");
        assert_eq!(read(&b, 64).await.unwrap(), b"two", "{kind}");
        let mut buffer = BytesMut::new();
        assert_eq!(
            b.try_read(&mut buffer).unwrap_err().kind(),
            ErrorKind::WouldBlock,
            "{kind}"
        );
        assert_eq!(write(&b, b"back").unwrap(), 4, "{kind}");
        assert_eq!(read(&a, 64).await.unwrap(), b"back", "{kind}");
    }
}

#[tokio::test]
async fn a_reader_that_sleeps_is_woken_each_time() {
    for (kind, a, b) in pairs().await {
        let echo = tokio::spawn(async move {
            loop {
                let bytes = read(&b, 512).await.unwrap();
                if bytes.is_empty() {
                    return;
                }
                write(&b, &bytes).unwrap();
            }
        });
        for round in 0..2_000_u32 {
            write(&a, &round.to_le_bytes()).unwrap();
            assert_eq!(read(&a, 512).await.unwrap(), round.to_le_bytes(), "{kind}");
        }
        a.half_close();
        timeout(LIMIT, echo)
            .await
            .unwrap_or_else(|_| panic!("{kind}: the end was missed"))
            .unwrap();
    }
}

#[tokio::test]
async fn a_full_link_blocks_its_writer_until_the_other_side_reads() {
    for (kind, a, b) in pairs().await {
        let taken = fill(&a);
        assert!((4096..16 << 20).contains(&taken), "{kind}: {taken}");
        let writer = tokio::spawn(async move {
            writable(&a).await;
            write(&a, b"!").unwrap()
        });
        tokio::task::yield_now().await;
        assert!(!writer.is_finished(), "{kind}");
        let mut got = 0;
        while got < taken {
            got += read(&b, 64 << 10).await.unwrap().len();
        }
        assert_eq!(timeout(LIMIT, writer).await.unwrap().unwrap(), 1, "{kind}");
        assert_eq!(read(&b, 64).await.unwrap(), b"!", "{kind}");
    }
}

#[tokio::test]
async fn after_a_half_close_what_was_written_arrives_and_the_other_direction_lives() {
    for (kind, a, b) in pairs().await {
        writable(&a).await;
        write(&a, b"last words").unwrap();
        a.half_close();
        assert_eq!(
            write(&a, b"more").unwrap_err().kind(),
            ErrorKind::BrokenPipe,
            "{kind}"
        );
        assert_eq!(read(&b, 64).await.unwrap(), b"last words", "{kind}");
        assert_eq!(read(&b, 64).await.unwrap(), b"", "{kind}");
        assert_eq!(read(&b, 64).await.unwrap(), b"", "{kind}: the end stays");
        write(&b, b"answer").unwrap();
        assert_eq!(read(&a, 64).await.unwrap(), b"answer", "{kind}");
    }
}

#[tokio::test]
async fn a_shutdown_ends_both_directions_for_both_sides() {
    for (kind, a, b) in pairs().await {
        let waiting = {
            let b = std::sync::Arc::new(b);
            let reader = std::sync::Arc::clone(&b);
            (b, tokio::spawn(async move { read(&reader, 64).await }))
        };
        tokio::task::yield_now().await;
        a.shutdown();
        assert_eq!(
            timeout(LIMIT, waiting.1).await.unwrap().unwrap().unwrap(),
            b"",
            "{kind}"
        );
        assert_eq!(read(&a, 64).await.unwrap(), b"", "{kind}");
        assert_eq!(
            write(&a, b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe,
            "{kind}"
        );
        assert_eq!(
            write(&waiting.0, b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn one_who_leaves_bytes_unread_resets_the_other() {
    for (kind, a, b) in pairs().await {
        writable(&a).await;
        write(&a, b"never read").unwrap();
        write(&b, b"read first").unwrap();
        read(&b, 1).await.unwrap();
        drop(b);
        assert_eq!(read(&a, 64).await.unwrap(), b"read first", "{kind}");
        assert_eq!(
            read(&a, 64).await.unwrap_err().kind(),
            ErrorKind::ConnectionReset,
            "{kind}"
        );
        assert_eq!(
            write(&a, b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn buffers_grow_and_hold_more() {
    let folder = folder();
    let listener = bind(&folder.path().join("x.sock")).await.unwrap();
    let (usual, _keep) = meet(&listener).await;
    let (grown, _keep_too) = meet(&listener).await;
    // From small to what every system allows.
    grown.set_buffers(400 << 10, 400 << 10).unwrap();
    let (usual, grown) = (fill(&usual), fill(&grown));
    assert!(grown > usual, "{grown} bytes are not more than {usual}");
}

#[tokio::test]
async fn the_kernel_says_who_the_peer_is() {
    let folder = folder();
    let listener = bind(&folder.path().join("x.sock")).await.unwrap();
    let (here, there) = meet(&listener).await;
    let own = Peer::current();
    for peer in [here.peer(), there.peer()] {
        assert_eq!((peer.uid, peer.gid, peer.pid), (own.uid, own.gid, own.pid));
        let (mut gids, mut own_gids) = (peer.gids.clone(), own.gids.clone());
        gids.sort_unstable();
        own_gids.sort_unstable();
        assert_eq!(gids, own_gids);
    }
}

#[tokio::test]
async fn another_user_is_seen_with_all_its_groups() {
    if !is_root("another_user_is_seen_with_all_its_groups") {
        return;
    }
    let folder = folder();
    chmod(folder.path(), 0o755);
    let path = folder.path().join("x.sock");
    let listener = bind(&path).await.unwrap();
    chmod(&path, 0o666);
    // More than fit into the first try.
    let groups: Vec<u32> = (500..600).collect();
    let list = groups
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let mut other = Other::start("connect", &path, &["--groups", &list, "--uid", "12345"]);
    let link = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    let pid = i32::try_from(other.id()).ok();
    assert_eq!(
        *link.peer(),
        Peer {
            uid: 12_345,
            gid: 12_345,
            gids: groups,
            pid
        }
    );
    // Root's server is one that they trust.
    assert_eq!(other.says(), "ready");
}

#[tokio::test]
async fn a_server_of_another_user_is_not_trusted() {
    if !is_root("a_server_of_another_user_is_not_trusted") {
        return;
    }
    let folder = folder();
    fs::create_dir(folder.path().join("theirs")).unwrap();
    chmod(folder.path(), 0o755);
    std::os::unix::fs::chown(folder.path().join("theirs"), Some(12_345), None).unwrap();
    let path = folder.path().join("theirs/x.sock");
    let _server = Other::listening(&path, &["--uid", "12345"]);
    let mut client = Other::start("connect", &path, &[]);
    let said = client.says();
    assert!(
        said.contains("runs as uid 12345, which is not trusted"),
        "{said}"
    );
}

/// Processor time that a process has used, in ticks (proc_pid_stat(5)).
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test]
async fn a_server_without_descriptors_waits_without_spinning_and_recovers() {
    let folder = folder();
    let path = folder.path().join("x.sock");
    let server = Other::listening(&path, &["--descriptors", "16"]);
    let mut links = Vec::new();
    // The first that is not served: the server has run out.
    let starved = loop {
        let link = connect(&path, LIMIT).await.unwrap();
        match timeout(
            Duration::from_millis(300),
            poll_fn(|cx| link.poll_read_ready(cx)),
        )
        .await
        {
            Ok(_) => links.push(link),
            Err(_) => break link,
        }
        assert!(links.len() < 16);
    };
    let before = ticks(server.id());
    let _ = timeout(
        Duration::from_millis(700),
        poll_fn(|cx| starved.poll_read_ready(cx)),
    )
    .await;
    let used = ticks(server.id()) - before;
    assert!(used <= 10, "{used} ticks of processor time while it waited");
    drop(links);
    assert_eq!(read(&starved, 8).await.unwrap(), b"k");
    server.stop();
}

#[tokio::test]
async fn a_server_that_is_stopped_still_takes_connections_and_answers_when_it_goes_on() {
    let folder = folder();
    let path = folder.path().join("x.sock");
    let server = Other::listening(&path, &[]);
    server.signal(Signal::STOP);
    let link = connect(&path, LIMIT).await.unwrap();
    assert_eq!(
        link.try_read(&mut BytesMut::new()).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    server.signal(Signal::CONT);
    assert_eq!(read(&link, 8).await.unwrap(), b"k");
}

#[tokio::test]
async fn an_accept_that_is_dropped_loses_no_connection() {
    let folder = folder();
    let listener: Listener = bind(&folder.path().join("x.sock")).await.unwrap();
    for _ in 0..50 {
        let client = connect(listener.path(), LIMIT);
        tokio::select! {
            biased;
            _ = listener.accept() => panic!("nobody has connected yet"),
            () = std::future::ready(()) => {}
        }
        let client = client.await.unwrap();
        let server = timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
        write(&server, b"k").map_or_else(
            |error| assert_eq!(error.kind(), ErrorKind::WouldBlock),
            drop,
        );
        drop(client);
    }
}
