//! Writes a conversation step by step.
//!
//! **Invariant**: adds what was asked for and nothing else; the steps are in the order of the calls.

use daemoneye_ipc::{
    prost::Message,
    wire::{Envelope, Hello, Kind},
};

use super::{
    Limits,
    data::{Data, frame},
    envelope::{client, describe, echo, hello, inspect},
    script::{Expected, Rule, Sent, Step, Vector},
};

/// Bytes of a frame before its payload.
const HEADER: usize = 8;

/// How often an answer is asked for that takes a while to become true, and the pause between.
const ATTEMPTS: u64 = 150;
const PAUSE_MS: u64 = 20;

/// How long nothing is to come before it is taken to be nothing.
pub(super) const SILENCE_MS: u64 = 40;

/// What a vector is about.
pub(super) struct About {
    pub(super) id: &'static str,
    pub(super) shows: &'static str,
    pub(super) contract: Rule,
    pub(super) look_at: &'static str,
}

/// A conversation in the making. Steps go to connection 0, unless [`Script::with`] says otherwise.
pub(super) struct Script<'a> {
    limits: &'a Limits,
    connection: usize,
    vector: Vector,
}

impl<'a> Script<'a> {
    pub(super) fn new(limits: &'a Limits, about: About) -> Self {
        let vector = Vector {
            id: about.id,
            shows: about.shows,
            contract: about.contract,
            look_at: about.look_at,
            skipped: None,
            steps: Vec::new(),
        };
        Self {
            limits,
            connection: 0,
            vector,
        }
    }

    pub(super) fn done(self) -> Vector {
        let taken = self.limits.max_frame_bytes;
        let largest = self.vector.steps.iter().map(largest_frame).max();
        let largest = largest.unwrap_or_default();
        let why = format!("needs frames of {largest} bytes, and the server takes {taken}");
        let mut vector = self.skip_if(largest > taken as usize, why).vector;
        if vector.skipped.is_some() {
            vector.steps.clear();
        }
        vector
    }

    /// Leaves the vector out if the server allows fewer calls at once.
    pub(super) fn needs_calls(self, calls: u32) -> Self {
        let allowed = self.limits.max_calls;
        self.skip_if(
            allowed < calls,
            format!("needs {calls} calls at once, and the server allows {allowed}"),
        )
    }

    pub(super) fn skip_if(mut self, skipped: bool, why: String) -> Self {
        if skipped && self.vector.skipped.is_none() {
            self.vector.skipped = Some(why);
        }
        self
    }

    /// Makes the next steps on that connection.
    pub(super) const fn with(mut self, connection: usize) -> Self {
        self.connection = connection;
        self
    }

    pub(super) fn step(mut self, step: impl FnOnce(usize) -> Step) -> Self {
        self.vector.steps.push(step(self.connection));
        self
    }

    pub(super) fn connect(self) -> Self {
        self.step(|on| Step::Connect { on })
    }

    /// Connects and shakes hands.
    pub(super) fn greet(self) -> Self {
        let usual = client(self.limits);
        self.greet_as(usual)
    }

    /// [`Self::greet`] with that HELLO.
    pub(super) fn greet_as(self, announced: Hello) -> Self {
        self.connect().send([hello(announced)]).expect([Expected {
            kind: Kind::Hello,
            ..Expected::default()
        }])
    }

    pub(super) fn sent(&self, envelope: &Envelope) -> Sent {
        self.payload(describe(envelope), &envelope.encode_to_vec())
    }

    /// A frame with a payload that is not just an envelope.
    pub(super) fn payload(&self, means: String, payload: &[u8]) -> Sent {
        Sent {
            means,
            bytes: Data(frame(self.limits.crc, payload)),
        }
    }

    pub(super) fn send(self, envelopes: impl IntoIterator<Item = Envelope>) -> Self {
        let frames = envelopes.into_iter().map(|e| self.sent(&e)).collect();
        self.send_frames(frames)
    }

    pub(super) fn send_frames(self, frames: Vec<Sent>) -> Self {
        self.step(|on| Step::Send {
            on,
            frames,
            piece_bytes: None,
        })
    }

    /// Sends bytes that are not a good frame.
    pub(super) fn send_bytes(self, means: &str, bytes: impl Into<Data>) -> Self {
        let sent = Sent {
            means: means.to_owned(),
            bytes: bytes.into(),
        };
        self.send_frames(vec![sent])
    }

    pub(super) fn expect(self, frames: impl IntoIterator<Item = Expected>) -> Self {
        let frames = frames.into_iter().collect();
        self.step(|on| Step::Expect { on, frames })
    }

    /// One call with its answer.
    pub(super) fn ask(self, call: Envelope, answer: Expected) -> Self {
        self.send([call]).expect([answer])
    }

    /// Shows that the connection goes on.
    pub(super) fn goes_on(self, call: u64) -> Self {
        self.ask(
            echo(call, "still here"),
            reply(call).bytes(1, b"still here"),
        )
    }

    pub(super) fn expect_nothing(self, for_ms: u64) -> Self {
        self.step(|on| Step::ExpectNothing { on, for_ms })
    }

    /// The connection ends after a GOAWAY with that code.
    pub(super) fn expect_goaway(self, code: u32) -> Self {
        self.expect_end(goaway(code))
    }

    pub(super) fn expect_end(self, goaway: Expected) -> Self {
        self.step(|on| Step::ExpectClose {
            on,
            goaway: Some(goaway),
        })
    }

    /// Makes calls with ids from `first` until one is answered as expected; returns the id after.
    pub(super) fn until(
        self,
        first: u64,
        call: impl Fn(u64) -> Envelope,
        expect: Expected,
    ) -> (Self, u64) {
        let after = first + ATTEMPTS;
        let attempts = (first..after).map(|id| self.sent(&call(id))).collect();
        let script = self.step(|on| Step::Until {
            on,
            attempts,
            expect,
            pause_ms: PAUSE_MS,
        });
        (script, after)
    }

    /// Waits until a call is admitted again.
    pub(super) fn until_a_place_is_free(self, first: u64) -> Self {
        let answer = Expected {
            kind: Kind::Reply,
            ..Expected::default()
        };
        self.until(first, |id| echo(id, "a place"), answer).0
    }

    /// Waits until so many calls hold a place, this one included, and as many handlers exist.
    pub(super) fn until_calls(self, first: u64, calls: u64) -> (Self, u64) {
        let answer = Expected {
            kind: Kind::Reply,
            ..Expected::default()
        };
        self.until(first, inspect, answer.number(2, calls).number(3, calls))
    }
}

/// The largest payload that a step sends. HELLO, which has a limit of its own, does not count.
fn largest_frame(step: &Step) -> usize {
    let (Step::Send { frames, .. }
    | Step::SendWithinCredit { frames, .. }
    | Step::Until {
        attempts: frames, ..
    }) = step
    else {
        return 0;
    };
    let counted = frames.iter().filter(|f| !f.means.starts_with("HELLO"));
    let payloads = counted.map(|frame| frame.bytes.0.len().saturating_sub(HEADER));
    payloads.max().unwrap_or_default()
}

/// REPLY.
pub(super) fn reply(call: u64) -> Expected {
    Expected::on(Kind::Reply, call)
}

/// END by a handler.
pub(super) fn end(call: u64, code: u32) -> Expected {
    Expected {
        code: Some(code),
        unrun: Some(false),
        ..Expected::on(Kind::End, call)
    }
}

/// END of a call that no handler saw.
pub(super) fn refused(call: u64, code: u32) -> Expected {
    Expected {
        unrun: Some(true),
        ..end(call, code)
    }
}

/// GOAWAY.
pub(super) fn goaway(code: u32) -> Expected {
    Expected {
        kind: Kind::Goaway,
        code: Some(code),
        ..Expected::default()
    }
}

/// The message of Emit with that index and size.
pub(super) fn emitted(call: u64, index: u32, size: usize) -> Expected {
    Expected::on(Kind::Message, call)
        .number(1, index.into())
        .field(2, super::script::Value::Length(size))
}
