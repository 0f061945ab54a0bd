//! Clients that keep to no rule, beside the callers: they may hurt themselves and nobody else.
//!
//! **Invariant**: each lets go of its connection within seconds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use daemoneye_ipc::{
    prost::Message,
    wire::{
        Crc32Variant, Encoded, Head, Hello, Kind, PROTOCOL_VERSION, append_envelope, append_head,
    },
};
use daemoneye_ipc_generated::conformance::v1::{CONFORMANCE_SERVICE, EmitRequest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::watch,
    time,
};

use super::{faults::pause, report::Faults};

/// The longest that one of them stays.
const STAY: Duration = Duration::from_secs(2);

/// What an intruder writes.
fn act() -> BytesMut {
    let mut bytes = BytesMut::new();
    match fastrand::u8(..7) {
        // Nothing, until it is thrown out.
        0 => {}
        1 => bytes.extend((0..fastrand::usize(1..4_000)).map(|_| fastrand::u8(..))),
        // A length and no more.
        2 => bytes.extend_from_slice(&[0xFF, 0xFF, 0x0F, 0, 1, 2, 3, 4, 5]),
        3 => {
            hello(&mut bytes);
            bytes.extend_from_slice(&[64, 0, 0, 0, 1, 2, 3, 4, 5]);
        }
        4 => {
            hello(&mut bytes);
            emit(&mut bytes, 1);
        }
        5 => {
            hello(&mut bytes);
            for call in 1..=fastrand::u64(1..2_000) {
                emit(&mut bytes, call);
                head(&mut bytes, Kind::Cancel, Some(call));
            }
        }
        _ => {
            hello(&mut bytes);
            for _ in 0..fastrand::usize(1..5_000) {
                head(&mut bytes, Kind::Ping, None);
            }
        }
    }
    bytes
}

fn hello(bytes: &mut BytesMut) {
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        max_frame_bytes: 1 << 20,
        max_calls: 8,
        stream_credit: 64 << 10,
        ..Hello::default()
    };
    let head = Head {
        kind: Kind::Hello,
        hello: Some(&hello),
        ..Head::default()
    };
    let _ = append_head(bytes, Crc32Variant::Ieee, usize::MAX, &head);
}

fn head(bytes: &mut BytesMut, kind: Kind, call: Option<u64>) {
    let _ = append_head(
        bytes,
        Crc32Variant::Ieee,
        usize::MAX,
        &Head {
            kind,
            call,
            ..Head::default()
        },
    );
}

/// A stream without an end, which it does not read.
fn emit(bytes: &mut BytesMut, call: u64) {
    let method = CONFORMANCE_SERVICE
        .methods
        .iter()
        .find(|method| method.name == "Emit");
    let head = Head {
        kind: Kind::Call,
        call: Some(call),
        method: method.map_or(0, |method| method.ordinal),
        last: true,
        ..Head::default()
    };
    let request = EmitRequest {
        count: u32::MAX,
        size: 1_000,
        interval_us: 0,
    };
    let payload = Encoded(Bytes::from(request.encode_to_vec()));
    let _ = append_envelope(bytes, Crc32Variant::Ieee, usize::MAX, &head, Some(&payload));
}

async fn intrude(endpoint: PathBuf) -> std::io::Result<()> {
    let mut socket = UnixStream::connect(endpoint).await?;
    socket.write_all(&act()).await?;
    if fastrand::bool() {
        socket.shutdown().await?;
    }
    // It reads until it is closed, or nothing at all.
    if fastrand::bool() {
        tokio::io::copy(&mut socket.take(1 << 20), &mut tokio::io::sink()).await?;
    } else {
        time::sleep(Duration::from_millis(fastrand::u64(..1_000))).await;
    }
    Ok(())
}

/// One intruder after the other, some at once.
pub(super) async fn run(endpoint: PathBuf, faults: Arc<Faults>, mut over: watch::Receiver<bool>) {
    let mut there = tokio::task::JoinSet::new();
    while pause(&mut over, 1, 100).await {
        Faults::count(&faults.intruders);
        // What becomes of an intruder is its own matter.
        there.spawn(time::timeout(STAY, intrude(endpoint.clone())));
        while there.try_join_next().is_some() {}
    }
    while there.join_next().await.is_some() {}
}
