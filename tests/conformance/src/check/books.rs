//! What holds on every connection, whatever is said on it: the books that a peer keeps.
//!
//! **Invariant**: knows what was sent and what came, and believes neither side's account of it.

use std::collections::HashMap;

use daemoneye_ipc::{
    prost::Message,
    wire::{Crc32Variant, Envelope, Hello, Kind},
};

use crate::vectors::{Rule, checksum};

/// What a stream's message costs beside its payload.
const OVERHEAD: i64 = 32;

/// The rules that hold on every connection.
pub mod rules {
    use crate::vectors::Rule;

    /// The first frame.
    pub const FIRST: Rule = Rule {
        section: 3,
        text: "The server's first frame is its HELLO",
    };
    /// A second HELLO.
    pub const SECOND: Rule = Rule {
        section: 2,
        text: "first frame in each direction",
    };
    /// What HELLO has to say.
    pub const HELLO: Rule = Rule {
        section: 3,
        text: "0 from a server is a protocol error",
    };
    /// Which version it is.
    pub const VERSION: Rule = Rule {
        section: 3,
        text: "1; another version is answered with GOAWAY(FAILED_PRECONDITION) that names both",
    };
    /// The client's limit.
    pub const LENGTH: Rule = Rule {
        section: 1,
        text: "A sender knows the receiver's `max_frame_bytes` from its HELLO and never writes a \
               larger frame.",
    };
    /// Empty frames.
    pub const EMPTY: Rule = Rule {
        section: 1,
        text: "The payload is exactly one serialized `daemoneye.ipc.v1.Envelope`.",
    };
    /// Checksums.
    pub const CHECKSUM: Rule = Rule {
        section: 1,
        text: "The checksum covers the payload alone.",
    };
    /// Kinds that a server does not send.
    pub const DIRECTION: Rule = Rule {
        section: 2,
        text: "CALL or CANCEL from a server",
    };
    /// Calls that nobody opened.
    pub const OPENED: Rule = Rule {
        section: 2,
        text: "**Call ids** are chosen by the client.",
    };
    /// The last word on a call.
    pub const ONCE: Rule = Rule {
        section: 2,
        text: "A call gets at most one REPLY or END",
    };
    /// Credit.
    pub const CREDIT: Rule = Rule {
        section: 4,
        text: "A sender may send a message while its credit is above zero",
    };

    /// All of them.
    pub const ALL: [Rule; 11] = [
        FIRST, SECOND, HELLO, VERSION, LENGTH, EMPTY, CHECKSUM, DIRECTION, OPENED, ONCE, CREDIT,
    ];
}

/// A rule that the server broke, and how.
#[derive(Debug)]
pub(super) struct Breach {
    pub(super) contract: Rule,
    pub(super) expected: String,
    pub(super) came: String,
}

impl Breach {
    pub(super) fn new(
        contract: Rule,
        expected: impl Into<String>,
        came: impl Into<String>,
    ) -> Self {
        Self {
            contract,
            expected: expected.into(),
            came: came.into(),
        }
    }
}

/// One call.
#[derive(Debug, Default)]
struct Call {
    /// What the server was granted beyond the start.
    granted: i64,
    /// What its messages cost.
    spent: i64,
    /// What the server granted beyond the start.
    received: i64,
    /// What our messages cost.
    paid: i64,
    ended: bool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Books {
    crc: Crc32Variant,
    /// What the client announced.
    client: Hello,
    /// What the server announced.
    server: Option<Hello>,
    first: bool,
    calls: HashMap<u64, Call>,
}

impl Books {
    pub(super) fn new(crc: Crc32Variant) -> Self {
        let client = Hello {
            max_frame_bytes: 1 << 20,
            ..Hello::default()
        };
        Self {
            crc,
            client,
            server: None,
            first: true,
            calls: HashMap::new(),
        }
    }

    pub(super) const fn server(&self) -> Option<&Hello> {
        self.server.as_ref()
    }

    /// The largest payload that the server may send.
    pub(super) const fn max_frame_bytes(&self) -> usize {
        self.client.max_frame_bytes as usize
    }

    /// What the server lets us send on a call; negative after a message that overdrew it.
    pub(super) fn credit(&self, call: u64) -> i64 {
        let start = self.server.as_ref().map_or(0, |hello| hello.stream_credit);
        let book = self.calls.get(&call);
        i64::from(start) + book.map_or(0, |call| call.received - call.paid)
    }

    /// Enters bytes that are sent; what is not a good frame in them is not entered.
    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
            let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let Some((payload, rest)) = rest.split_at_checked(length) else {
                return;
            };
            bytes = rest;
            if checksum(self.crc, payload) == u32::from_le_bytes([c0, c1, c2, c3])
                && let Ok(envelope) = Envelope::decode(payload)
            {
                self.enter(envelope);
            }
        }
    }

    fn enter(&mut self, envelope: Envelope) {
        let call = envelope.call.unwrap_or(0);
        match envelope.kind() {
            Kind::Hello => {
                if let Some(hello) = envelope.hello.filter(|hello| hello.max_frame_bytes > 0) {
                    self.client = hello;
                }
            }
            Kind::Call => {
                self.calls.entry(call).or_default();
            }
            Kind::Message => {
                if let (Some(book), Some(payload)) = (self.calls.get_mut(&call), envelope.payload) {
                    book.paid += payload.len() as i64 + OVERHEAD;
                }
            }
            Kind::Credit => {
                if let Some(book) = self.calls.get_mut(&call) {
                    book.granted += i64::from(envelope.credit);
                }
            }
            _ => {}
        }
    }

    /// Enters an envelope that came.
    pub(super) fn came(&mut self, envelope: &Envelope) -> Result<(), Breach> {
        let came = || crate::vectors::describe(envelope);
        let kind = envelope.kind();
        if self.first && !matches!(kind, Kind::Hello | Kind::Goaway) {
            return Err(Breach::new(rules::FIRST, "HELLO first, or GOAWAY", came()));
        }
        match kind {
            Kind::Hello if !self.first => {
                return Err(Breach::new(rules::SECOND, "no second HELLO", came()));
            }
            Kind::Hello => self.greeted(envelope)?,
            Kind::Call | Kind::Cancel => {
                let expected = "no kind that only a client sends";
                return Err(Breach::new(rules::DIRECTION, expected, came()));
            }
            Kind::Message | Kind::Reply | Kind::End | Kind::Credit => self.on_call(envelope)?,
            _ => {}
        }
        self.first = false;
        Ok(())
    }

    fn greeted(&mut self, envelope: &Envelope) -> Result<(), Breach> {
        let came = || crate::vectors::describe(envelope);
        let hello = envelope.hello.clone().unwrap_or_default();
        if hello.protocol != 1 {
            return Err(Breach::new(rules::VERSION, "HELLO with protocol 1", came()));
        }
        if hello.max_calls == 0 || hello.max_frame_bytes == 0 {
            let expected = "HELLO with max_calls and max_frame_bytes above 0";
            return Err(Breach::new(rules::HELLO, expected, came()));
        }
        self.server = Some(hello);
        Ok(())
    }

    fn on_call(&mut self, envelope: &Envelope) -> Result<(), Breach> {
        let came = || crate::vectors::describe(envelope);
        let id = envelope.call.unwrap_or(0);
        let start = i64::from(self.client.stream_credit);
        let Some(call) = self.calls.get_mut(&id) else {
            let expected = "frames for calls that were opened";
            return Err(Breach::new(rules::OPENED, expected, came()));
        };
        let kind = envelope.kind();
        if kind == Kind::Credit {
            call.received += i64::from(envelope.credit);
            return Ok(());
        }
        if call.ended {
            let expected = format!("nothing more on call {id}, which has had its REPLY or END");
            return Err(Breach::new(rules::ONCE, expected, came()));
        }
        if kind != Kind::Message {
            call.ended = true;
            return Ok(());
        }
        let credit = start + call.granted - call.spent;
        let Some(payload) = &envelope.payload else {
            return Ok(());
        };
        if credit <= 0 {
            let expected = format!("no MESSAGE on call {id}, whose credit is {credit}");
            return Err(Breach::new(rules::CREDIT, expected, came()));
        }
        call.spent += payload.len() as i64 + OVERHEAD;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, call: Option<u64>) -> Envelope {
        Envelope {
            kind: kind.into(),
            call,
            ..Envelope::default()
        }
    }

    fn books() -> Books {
        let mut books = Books::new(Crc32Variant::Ieee);
        books.client.stream_credit = 10;
        books.enter(of(Kind::Call, Some(1)));
        books.first = false;
        books
    }

    #[test]
    fn a_second_last_word_is_a_breach() {
        let mut books = books();
        assert!(books.came(&of(Kind::Reply, Some(1))).is_ok());
        let breach = books.came(&of(Kind::End, Some(1))).expect_err("twice");
        assert_eq!(breach.contract, rules::ONCE);
    }

    #[test]
    fn a_message_may_overdraw_and_the_next_may_not_come() {
        let message = Envelope {
            payload: Some(vec![0; 100].into()),
            ..of(Kind::Message, Some(1))
        };
        let mut books = books();
        assert!(books.came(&message).is_ok());
        assert_eq!(
            books.came(&message).expect_err("over").contract,
            rules::CREDIT
        );
        books.enter(Envelope {
            credit: 123,
            ..of(Kind::Credit, Some(1))
        });
        assert!(books.came(&message).is_ok());
    }

    #[test]
    fn what_no_server_says_is_a_breach() {
        for (envelope, rule) in [
            (of(Kind::Call, Some(2)), rules::DIRECTION),
            (of(Kind::Hello, None), rules::SECOND),
            (of(Kind::Reply, Some(7)), rules::OPENED),
            (of(Kind::Message, None), rules::OPENED),
        ] {
            let breach = books().came(&envelope).expect_err("a breach");
            assert_eq!(breach.contract, rule);
        }
        let mut new = Books::new(Crc32Variant::Ieee);
        let breach = new.came(&of(Kind::Pong, None)).expect_err("a breach");
        assert_eq!(breach.contract, rules::FIRST);
    }
}
