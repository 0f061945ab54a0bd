//! Servers that break one rule: a proxy before the real one that changes what passes.
//!
//! **Invariant**: what is not part of the breach passes as it is, bytes that are no frames included.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use daemoneye_ipc::{
    prost::Message,
    wire::{Crc32Variant, Envelope, Kind},
};
use ipc_conformance::vectors::{checksum, frame};

use super::conformance_server::ConformanceServer;

const CRC: Crc32Variant = Crc32Variant::Ieee;

/// Numbers that a saboteur keeps for one connection.
pub(crate) type Notes = HashMap<u64, u64>;

/// What becomes of an envelope: the frames that pass in its place, and those that go back.
pub(crate) type Passing = fn(Envelope, &mut Notes) -> Passed;

/// What passes.
#[derive(Default)]
pub(crate) struct Passed {
    pub(crate) on: Vec<Vec<u8>>,
    pub(crate) back: Vec<Vec<u8>>,
    /// The connection ends.
    pub(crate) cut: bool,
}

impl Passed {
    pub(crate) fn on(envelopes: &[Envelope]) -> Self {
        Self {
            on: envelopes.iter().map(framed).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn back(mut self, envelope: &Envelope) -> Self {
        self.back.push(framed(envelope));
        self
    }
}

pub(crate) fn framed(envelope: &Envelope) -> Vec<u8> {
    frame(CRC, &envelope.encode_to_vec())
}

/// What passes as it is.
pub(crate) fn untouched(envelope: Envelope, _: &mut Notes) -> Passed {
    Passed::on(&[envelope])
}

/// A server with a saboteur before it.
pub(crate) struct Sabotaged {
    _server: ConformanceServer,
    folder: tempfile::TempDir,
}

impl Sabotaged {
    /// Changes what clients say with `there`, and what the server says with `back`.
    pub(crate) fn start(there: Passing, back: Passing) -> Self {
        let server = ConformanceServer::start("");
        let folder = tempfile::tempdir_in("/tmp").expect("a directory");
        let listener = UnixListener::bind(folder.path().join("x.sock")).expect("a socket");
        let behind = server.endpoint();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a client");
                let Ok(server) = UnixStream::connect(&behind) else {
                    return;
                };
                relay(&client, &server, there, back);
            }
        });
        Self {
            _server: server,
            folder,
        }
    }

    pub(crate) fn endpoint(&self) -> PathBuf {
        self.folder.path().join("x.sock")
    }
}

fn relay(client: &UnixStream, server: &UnixStream, there: Passing, back: Passing) {
    let notes = Arc::new(Mutex::new(Notes::new()));
    for (from, to, passing) in [(client, server, there), (server, client, back)] {
        let from = from.try_clone().expect("a socket");
        let to = to.try_clone().expect("a socket");
        let notes = Arc::clone(&notes);
        thread::spawn(move || pump(from, to, passing, &notes));
    }
}

/// Passes on what comes until it ends; ends what it passes to then.
fn pump(mut from: UnixStream, mut to: UnixStream, passing: Passing, notes: &Mutex<Notes>) {
    let (mut held, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let Ok(count @ 1..) = from.read(&mut chunk) else {
            let _ = to.shutdown(Shutdown::Write);
            return;
        };
        held.extend_from_slice(&chunk[..count]);
        while let Some(bytes) = take(&mut held) {
            let passed = match envelope(&bytes) {
                Some(envelope) => passing(envelope, &mut notes.lock().expect("no panic")),
                None => Passed {
                    on: vec![bytes],
                    ..Passed::default()
                },
            };
            // One that is gone is found when it is read from.
            let _ = to.write_all(&passed.on.concat());
            let _ = from.write_all(&passed.back.concat());
            if passed.cut {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

/// The next frame; all there is, if that is none.
fn take(held: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_le_bytes(*held.first_chunk()?) as usize;
    if !(1..=1 << 20).contains(&length) {
        return Some(std::mem::take(held));
    }
    let rest = held.split_off_checked(8 + length)?;
    Some(std::mem::replace(held, rest))
}

trait SplitOff: Sized {
    fn split_off_checked(&mut self, at: usize) -> Option<Self>;
}

impl SplitOff for Vec<u8> {
    fn split_off_checked(&mut self, at: usize) -> Option<Self> {
        (at <= self.len()).then(|| self.split_off(at))
    }
}

/// The envelope of a good frame.
fn envelope(bytes: &[u8]) -> Option<Envelope> {
    let (header, payload) = bytes.split_at_checked(8)?;
    let announced = checksum(CRC, payload).to_le_bytes();
    let envelope = Envelope::decode(payload).ok()?;
    let is_good = header[4..] == announced;
    // What this schema does not know would be lost.
    let is_known = envelope.encoded_len() == payload.len();
    (is_good && is_known).then_some(envelope)
}

/// Whether the envelope is of that kind.
pub(crate) fn is(envelope: &Envelope, kind: Kind) -> bool {
    envelope.kind() == kind
}
