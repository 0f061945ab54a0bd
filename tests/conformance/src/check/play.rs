//! Plays one conversation with a server.
//!
//! **Invariant**: does what the steps say and nothing else, within a time that is known in advance.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use daemoneye_ipc::wire::{Crc32Variant, Envelope, Hello};
use tokio::time::Instant;

use super::{
    books::Breach,
    connection::{Came, Connection},
    matching::{Saved, compare},
};
use crate::vectors::{Expected, Rule, Sent, Step, Vector, describe};

/// Bytes of what is shown of an expectation, or of what came.
const LONGEST: usize = 600;

/// How a server failed a vector.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The step of the vector, counted from 1.
    pub step: usize,
    /// What had to come.
    pub expected: String,
    /// What came.
    pub came: String,
    /// The rule that was broken, where it is not the vector's own.
    pub contract: Option<Rule>,
}

/// What a step met.
struct Missed {
    expected: String,
    came: String,
    contract: Option<Rule>,
}

impl Missed {
    fn new(expected: impl ToString, came: impl ToString) -> Self {
        Self {
            expected: expected.to_string(),
            came: came.to_string(),
            contract: None,
        }
    }

    fn io(expected: &str, error: &io::Error) -> Self {
        let came = match error.kind() {
            io::ErrorKind::TimedOut => "no progress in time".to_owned(),
            _ => error.to_string(),
        };
        Self::new(expected, came)
    }
}

impl From<Breach> for Missed {
    fn from(breach: Breach) -> Self {
        Self {
            expected: breach.expected,
            came: breach.came,
            contract: Some(breach.contract),
        }
    }
}

/// The connections of one conversation.
struct Stage<'a> {
    endpoint: &'a Path,
    crc: Crc32Variant,
    connections: BTreeMap<usize, Connection>,
    saved: Saved,
    until: Instant,
}

/// Plays `vector`; returns the server's last HELLO.
///
/// # Errors
/// What the server did wrong.
pub(super) async fn play(
    endpoint: &Path,
    crc: Crc32Variant,
    vector: &Vector,
    time: Duration,
) -> Result<Option<Hello>, Failure> {
    let mut stage = Stage {
        endpoint,
        crc,
        connections: BTreeMap::new(),
        saved: Saved::new(),
        until: Instant::now() + time,
    };
    for (index, step) in vector.steps.iter().enumerate() {
        stage.take(step).await.map_err(|missed| Failure {
            step: index + 1,
            expected: shortened(missed.expected),
            came: shortened(missed.came),
            contract: missed.contract,
        })?;
    }
    let hellos = stage.connections.values().map(|peer| peer.books.server());
    Ok(hellos.flatten().next().cloned())
}

impl Stage<'_> {
    async fn take(&mut self, step: &Step) -> Result<(), Missed> {
        let until = self.until;
        match step {
            Step::Connect { on } => {
                let opened = Connection::open(self.endpoint, self.crc, until).await;
                let opened = opened.map_err(|error| Missed::io("a connection", &error))?;
                self.connections.insert(*on, opened);
                Ok(())
            }
            Step::Send {
                on,
                frames,
                piece_bytes,
            } => self.send(*on, frames, *piece_bytes).await,
            Step::SendWithinCredit { on, frames } => self.pay(*on, frames).await,
            Step::Expect { on, frames } => self.expect(*on, frames).await,
            Step::ExpectNothing { on, for_ms } => {
                let silence = Instant::now() + Duration::from_millis(*for_ms);
                match self.peer(*on)?.next(silence.min(until)).await? {
                    Came::Nothing => Ok(()),
                    came => Err(Missed::new(format!("nothing for {for_ms} ms"), came)),
                }
            }
            Step::ExpectClose { on, goaway } => self.expect_close(*on, goaway.as_ref()).await,
            Step::Until {
                on,
                attempts,
                expect,
                pause_ms,
            } => {
                let pause = Duration::from_millis(*pause_ms);
                self.until(*on, attempts, expect, pause).await
            }
            Step::HalfClose { on } => {
                let closed = self.peer(*on)?.half_close().await;
                closed.map_err(|error| Missed::io("to close the sending half", &error))
            }
        }
    }

    fn peer(&mut self, on: usize) -> Result<&mut Connection, Missed> {
        let missing = || {
            Missed::new(
                "a vector that connects first",
                format!("no connection {on}"),
            )
        };
        self.connections.get_mut(&on).ok_or_else(missing)
    }

    async fn send(
        &mut self,
        on: usize,
        frames: &[Sent],
        piece_bytes: Option<usize>,
    ) -> Result<(), Missed> {
        let until = self.until;
        let peer = self.peer(on)?;
        let bytes: Vec<u8> = frames.iter().flat_map(|f| &f.bytes.0).copied().collect();
        let taken = |error| Missed::io("the server to take what is sent", &error);
        let Some(piece_bytes) = piece_bytes else {
            return peer.send(&bytes, until).await.map_err(taken);
        };
        peer.enter(&bytes);
        for piece in bytes.chunks(piece_bytes) {
            peer.write(piece, until).await.map_err(taken)?;
            // Whoever serves in the same thread gets to see the piece alone.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn pay(&mut self, on: usize, frames: &[Sent]) -> Result<(), Missed> {
        let until = self.until;
        let peer = self.peer(on)?;
        for frame in frames {
            let call = call_of(frame);
            while peer.books.credit(call) <= 0 {
                match peer.next_or_credit(until, true).await? {
                    Came::Frame(envelope) if envelope.call == Some(call) && envelope.credit > 0 => {
                    }
                    came => return Err(Missed::new(format!("CREDIT on call {call}"), came)),
                }
            }
            let sent = peer.send(&frame.bytes.0, until).await;
            sent.map_err(|error| Missed::io("the server to take what is sent", &error))?;
        }
        Ok(())
    }

    async fn expect(&mut self, on: usize, frames: &[Expected]) -> Result<(), Missed> {
        let mut open: Vec<&Expected> = frames.iter().collect();
        while let Some(first) = open.first().copied() {
            let until = self.until;
            let envelope = match self.peer(on)?.next(until).await? {
                Came::Frame(envelope) => envelope,
                came => return Err(Missed::new(first, came)),
            };
            let of_call = |expected: &&Expected| expected.call == envelope.call;
            let Some(position) = open.iter().position(of_call) else {
                return Err(Missed::new(first, describe(&envelope)));
            };
            let expected = open.remove(position);
            compare(expected, &envelope, &mut self.saved)
                .map_err(|why| Missed::new(expected, differing(&envelope, &why)))?;
        }
        Ok(())
    }

    async fn expect_close(&mut self, on: usize, goaway: Option<&Expected>) -> Result<(), Missed> {
        if let Some(goaway) = goaway {
            self.expect(on, std::slice::from_ref(goaway)).await?;
        }
        let until = self.until;
        match self.peer(on)?.next(until).await? {
            Came::Closed => Ok(()),
            came => Err(Missed::new("the end of the connection", came)),
        }
    }

    async fn until(
        &mut self,
        on: usize,
        attempts: &[Sent],
        expect: &Expected,
        pause: Duration,
    ) -> Result<(), Missed> {
        let mut last = Missed::new(expect, "nothing: there was no attempt");
        for attempt in attempts {
            let until = self.until;
            let call = call_of(attempt);
            let peer = self.peer(on)?;
            let sent = peer.send(&attempt.bytes.0, until).await;
            sent.map_err(|error| Missed::io("the server to take what is sent", &error))?;
            let envelope = match peer.next(until).await? {
                Came::Frame(envelope) if envelope.call == Some(call) => envelope,
                came => return Err(Missed::new(format!("an answer to call {call}"), came)),
            };
            match compare(expect, &envelope, &mut self.saved) {
                Ok(()) => return Ok(()),
                Err(why) => last = Missed::new(expect, differing(&envelope, &why)),
            }
            if Instant::now() + pause >= until {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        Err(last)
    }
}

/// What a peer says may be long.
fn shortened(mut words: String) -> String {
    let end = words.floor_char_boundary(LONGEST);
    if end < words.len() {
        words.truncate(end);
        words.push('…');
    }
    words
}

fn differing(envelope: &Envelope, why: &str) -> String {
    format!("{}; {why}", describe(envelope))
}

/// The call of a frame that is sent.
fn call_of(frame: &Sent) -> u64 {
    use daemoneye_ipc::prost::Message;
    let payload = frame.bytes.0.get(8..).unwrap_or_default();
    let envelope = Envelope::decode(payload).unwrap_or_default();
    envelope.call.unwrap_or(0)
}
