//! A conversation as data: what is sent, and what must come back.
//!
//! `docs/conformance.md` describes the JSON that these types become.
//!
//! **Invariant**: holds all that a peer needs to know to play it; nothing is left to the code that does.

use std::fmt;

use daemoneye_ipc::wire::{Kind, Verdict};
use serde::{Serialize, Serializer};

use super::data::Data;

/// A sentence of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The section of `docs/wire.md`.
    pub section: u8,
    /// Words that stand there.
    pub text: &'static str,
}

/// One conversation with a server.
#[derive(Debug, Clone, Serialize)]
pub struct Vector {
    /// Its name, for `--only`.
    pub id: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// The rule that it shows.
    pub contract: Rule,
    /// What to look at in a server that fails it.
    pub look_at: &'static str,
    /// Why it cannot be played with these limits; then there are no steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

/// One step. `on` says on which of the connections.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Step {
    /// Opens a connection, and says nothing on it.
    Connect {
        /// The connection.
        on: usize,
    },
    /// Writes frames, all at once.
    Send {
        /// The connection.
        on: usize,
        /// The frames.
        frames: Vec<Sent>,
        /// Write so many bytes at a time instead.
        #[serde(skip_serializing_if = "Option::is_none")]
        piece_bytes: Option<usize>,
    },
    /// Writes frames one after the other, each when the server's credit for its call is above zero.
    SendWithinCredit {
        /// The connection.
        on: usize,
        /// The frames.
        frames: Vec<Sent>,
    },
    /// These frames come, and no others: in this order on each call, in any order between calls.
    Expect {
        /// The connection.
        on: usize,
        /// The frames.
        frames: Vec<Expected>,
    },
    /// Nothing comes, and the connection stays.
    ExpectNothing {
        /// The connection.
        on: usize,
        /// For so long.
        for_ms: u64,
    },
    /// The server closes the connection.
    ExpectClose {
        /// The connection.
        on: usize,
        /// What it says before.
        #[serde(skip_serializing_if = "Option::is_none")]
        goaway: Option<Expected>,
    },
    /// Makes calls one after the other, until one is answered as expected.
    Until {
        /// The connection.
        on: usize,
        /// The calls.
        attempts: Vec<Sent>,
        /// The answer, on the call that was made last.
        expect: Expected,
        /// The pause between an answer and the next call.
        pause_ms: u64,
    },
    /// Closes the sending half of the socket.
    HalfClose {
        /// The connection.
        on: usize,
    },
}

/// Bytes to send: usually one whole frame.
#[derive(Debug, Clone, Serialize)]
pub struct Sent {
    /// In words.
    pub means: String,
    /// Header and payload.
    pub bytes: Data,
}

/// A frame that must come. What is absent is not looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Expected {
    /// The kind.
    #[serde(serialize_with = "kind_name")]
    pub kind: Kind,
    /// The call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<u64>,
    /// The code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Whether no handler saw the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrun: Option<bool>,
    /// Words that the reason has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reason_contains: Vec<String>,
    /// Words that the reason does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reason_lacks: Vec<String>,
    /// The whole payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Data>,
    /// Fields of the message in the payload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub message: Vec<Field>,
    /// What HELLO says of services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
}

/// A field of a message.
#[derive(Debug, Clone, Serialize)]
pub struct Field {
    /// Its number.
    pub field: u32,
    /// Its value.
    #[serde(flatten)]
    pub is: Value,
}

/// The value of a field. An absent field is 0, and empty.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// This number.
    Number(u64),
    /// Any number, to be kept under this name.
    Save(&'static str),
    /// A number that was kept, and so much more.
    Saved {
        /// Its name.
        name: &'static str,
        /// What is added.
        plus: u64,
    },
    /// These bytes.
    Bytes(Data),
    /// So many bytes.
    Length(usize),
    /// A repeated field with these elements.
    Each(Vec<Data>),
}

/// A service in the server's HELLO.
#[derive(Debug, Clone, Serialize)]
pub struct Service {
    /// Full name.
    pub name: String,
    /// The server's verdict.
    #[serde(serialize_with = "verdict_name")]
    pub verdict: Verdict,
}

/// The name of a kind as the contract writes it.
#[must_use]
pub fn name_of(kind: Kind) -> &'static str {
    kind.as_str_name().trim_start_matches("KIND_")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn kind_name<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name_of(*kind))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn verdict_name<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(verdict.as_str_name().trim_start_matches("VERDICT_"))
}

impl Expected {
    /// A frame of that kind on a call.
    pub(super) fn on(kind: Kind, call: u64) -> Self {
        Self {
            kind,
            call: Some(call),
            ..Self::default()
        }
    }

    pub(super) fn field(mut self, field: u32, is: Value) -> Self {
        self.message.push(Field { field, is });
        self
    }

    pub(super) fn number(self, field: u32, number: u64) -> Self {
        self.field(field, Value::Number(number))
    }

    pub(super) fn bytes(self, field: u32, bytes: impl Into<Data>) -> Self {
        self.field(field, Value::Bytes(bytes.into()))
    }

    pub(super) fn reason(mut self, word: impl Into<String>) -> Self {
        self.reason_contains.push(word.into());
        self
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(self.kind))?;
        if let Some(call) = self.call {
            write!(f, " on call {call}")?;
        }
        if let Some(code) = self.code {
            write!(f, ", code {code}")?;
        }
        match self.unrun {
            Some(true) => f.write_str(", unrun")?,
            Some(false) => f.write_str(", not unrun")?,
            None => {}
        }
        for word in &self.reason_contains {
            write!(f, ", a reason with {word:?}")?;
        }
        for word in &self.reason_lacks {
            write!(f, ", a reason without {word:?}")?;
        }
        if let Some(payload) = &self.payload {
            write!(f, ", payload {payload}")?;
        }
        for Field { field, is } in &self.message {
            match is {
                Value::Number(number) => write!(f, ", field {field} = {number}")?,
                Value::Save(_) => {}
                Value::Saved { name, plus } => write!(f, ", field {field} = {name} + {plus}")?,
                Value::Bytes(bytes) => write!(f, ", field {field} = {bytes}")?,
                Value::Length(length) => write!(f, ", field {field} of {length} bytes")?,
                Value::Each(each) => write!(f, ", field {field} = {each:?}")?,
            }
        }
        for service in &self.services {
            let verdict = service.verdict.as_str_name();
            write!(f, ", {verdict} for {}", service.name)?;
        }
        Ok(())
    }
}
