//! Section 4 of the contract: credit, and streams that nobody reads.
//!
//! **Invariant**: the sizes are chosen so that what credit allows is known to the message.

use daemoneye_ipc::{
    bytes::Bytes,
    wire::{Envelope, Kind},
};
use daemoneye_ipc_generated::conformance::v1::ChatRequest;

use super::{
    Limits,
    builder::{About, SILENCE_MS, Script, emitted, end, reply},
    envelope::{cancel, client, credit, echo, emit, half_close, item, message, open, ping},
    script::{Expected, Rule, Step, Vector},
};

const fn rule(text: &'static str) -> Rule {
    Rule { section: 4, text }
}

const ABOVE_ZERO: Rule = rule("A sender may send a message while its credit is above zero");
const SENDER: &str =
    "the sender's book of credit: what was granted, less payload and 32 of each message";

/// What a message costs beside its payload.
const OVERHEAD: usize = 32;

pub(super) fn vectors(limits: &Limits) -> Vec<Vector> {
    vec![
        stops(limits),
        zero(limits),
        overdraws(limits),
        saturates(limits),
        unread(limits),
        past(limits),
        sender_waits(limits),
        control_overtakes(limits),
    ]
}

/// A client that grants so much at the start of each stream.
fn with_credit<'a>(limits: &'a Limits, about: About, stream_credit: u32) -> Script<'a> {
    let mut announced = client(limits);
    announced.stream_credit = stream_credit;
    Script::new(limits, about).greet_as(announced)
}

fn stops(limits: &Limits) -> Vector {
    let about = About {
        id: "credit-stops-and-goes-on",
        shows: "a response stream stops when its credit is used up, and goes on when more is granted",
        contract: ABOVE_ZERO,
        look_at: SENDER,
    };
    // The message of index 0 is 102 bytes, the others 104: eight of them cost 1086 in all.
    with_credit(limits, about, 1086)
        .send([emit(1, 20, 100)])
        .expect((0..8).map(|index| emitted(1, index, 100)))
        .expect_nothing(SILENCE_MS)
        .send([credit(1, 4 * 136)])
        .expect((8..12).map(|index| emitted(1, index, 100)))
        .expect_nothing(SILENCE_MS)
        .send([credit(1, 100_000)])
        .expect(
            (12..20)
                .map(|index| emitted(1, index, 100))
                .chain([end(1, 0)]),
        )
        .done()
}

fn zero(limits: &Limits) -> Vector {
    let about = About {
        id: "credit-zero",
        shows: "without credit there is no message; END needs none",
        contract: ABOVE_ZERO,
        look_at: SENDER,
    };
    with_credit(limits, about, 0)
        .send([emit(1, 1, 10)])
        .expect_nothing(SILENCE_MS)
        .send([credit(1, 1)])
        .expect([emitted(1, 0, 10), end(1, 0)])
        .done()
}

fn overdraws(limits: &Limits) -> Vector {
    let about = About {
        id: "credit-one-message-overdraws",
        shows: "one byte of credit lets one message through, and its debt is paid before the next",
        contract: rule("one message may overdraw it"),
        look_at: SENDER,
    };
    // The first message costs 134, of which 1 is paid.
    with_credit(limits, about, 1)
        .send([emit(1, 2, 100)])
        .expect([emitted(1, 0, 100)])
        .expect_nothing(SILENCE_MS)
        .send([credit(1, 100)])
        .expect_nothing(SILENCE_MS)
        .send([credit(1, 1000)])
        .expect([emitted(1, 1, 100), end(1, 0)])
        .done()
}

fn saturates(limits: &Limits) -> Vector {
    let about = About {
        id: "credit-saturates",
        shows: "credit beyond counting is no error",
        contract: rule("Sums of credit saturate"),
        look_at: "the sum of credit: it must neither overflow nor fail",
    };
    with_credit(limits, about, u32::MAX)
        .send([emit(1, 3, 10)])
        .send(vec![credit(1, u32::MAX); 200])
        .expect((0..3).map(|index| emitted(1, index, 10)).chain([end(1, 0)]))
        .goes_on(2)
        .done()
}

fn unread(limits: &Limits) -> Vector {
    let about = About {
        id: "stream-unread-delays-nobody",
        shows: "a stream that nobody reads delays no other call",
        contract: rule("one stream that nobody reads delays no other call"),
        look_at: "what waits for what: a stream without credit must wait alone",
    };
    let script = with_credit(limits, about, 1)
        .needs_calls(2)
        .send([emit(1, u32::MAX, 1000)])
        .expect([emitted(1, 0, 1000)]);
    let script = (2..=20).fold(script, Script::goes_on);
    script
        .send([cancel(1)])
        .expect_nothing(SILENCE_MS)
        .goes_on(21)
        .done()
}

/// The payload of a stream's message that fits the server's frames, of about a quarter of its credit.
fn quarter(limits: &Limits) -> usize {
    let room = limits.max_frame_bytes.saturating_sub(64).min(60_000) as usize;
    room.min(limits.stream_credit as usize / 4)
}

fn past(limits: &Limits) -> Vector {
    let about = About {
        id: "credit-past",
        shows: "a client that sends past the server's credit has its call ended, and no other",
        contract: Rule {
            section: 2,
            text: "MESSAGE past the stream's credit | RESOURCE_EXHAUSTED",
        },
        look_at: "the receiver's book of credit, and that it grants only what its application has taken",
    };
    let size = quarter(limits);
    let request = ChatRequest {
        payload: vec![0x5A; size].into(),
    };
    // The handler takes one, cannot answer, and takes no more.
    let messages = 2 + 3 * limits.stream_credit as usize / (size + OVERHEAD);
    let skipped = messages > 4000;
    with_credit(limits, about, 0)
        .skip_if(
            skipped,
            format!("needs {messages} messages to go past the server's credit"),
        )
        .send([open(1, "Chat")])
        .send(std::iter::repeat_n(
            message(1, &request),
            if skipped { 0 } else { messages },
        ))
        .expect([end(1, 8)])
        .until_a_place_is_free(2)
        .done()
}

fn sender_waits(limits: &Limits) -> Vector {
    let about = About {
        id: "credit-is-granted",
        shows: "a client that keeps to the server's credit gets more as its messages are taken",
        contract: rule("The receiver grants more with CREDIT as its application takes messages."),
        look_at: "the receiver's CREDIT: as much as was taken, and soon enough to go on",
    };
    let size = quarter(limits);
    let needed = 3 * limits.stream_credit as usize / (size + OVERHEAD) + 3;
    let messages = if needed > 4000 { 0 } else { needed };
    let script = Script::new(limits, about)
        .skip_if(
            needed > 4000,
            format!("needs {needed} messages to use the credit up"),
        )
        .skip_if(
            limits.stream_credit == 0,
            "the server grants nothing at the start".to_owned(),
        )
        .greet()
        .send([open(1, "Collect")]);
    let frame = script.sent(&message(1, &item(vec![0x5A; size])));
    let total = (messages * size) as u64;
    script
        .step(|on| Step::SendWithinCredit {
            on,
            frames: vec![frame; messages],
        })
        .ask(
            half_close(1),
            reply(1).number(1, messages as u64).number(2, total),
        )
        .done()
}

fn control_overtakes(limits: &Limits) -> Vector {
    let about = About {
        id: "stream-data-does-not-delay-control",
        shows: "PONG and other calls' answers come while a stream waits for credit",
        contract: rule("do not queue behind stream data of other calls"),
        look_at: "the order of what is written: control frames first",
    };
    let pong = Expected {
        kind: Kind::Pong,
        payload: Some("!".into()),
        ..Expected::default()
    };
    let bare = Envelope {
        payload: Some(Bytes::new()),
        ..open(2, "Chat")
    };
    with_credit(limits, about, 0)
        .needs_calls(3)
        .send([emit(1, 10, 1000), bare, ping(b"!"), echo(3, "x")])
        .expect([pong, reply(3).bytes(1, "x")])
        .send([cancel(1), cancel(2)])
        .expect_nothing(SILENCE_MS)
        .goes_on(4)
        .done()
}
