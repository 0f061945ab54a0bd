//! Section 2 of the contract: what is skipped, and what breaks the protocol.
//!
//! **Invariant**: each breach is the only one in its conversation.

use daemoneye_ipc::{
    bytes::Bytes,
    prost::Message,
    wire::{Envelope, Kind},
};

use super::{
    Limits,
    builder::{About, SILENCE_MS, Script, refused, reply},
    envelope::{
        cancel, client, credit, echo, half_close, hello, item, message, of, on, open, ordinal,
        ping, sleep,
    },
    script::{Expected, Rule, Vector},
};

const fn rule(text: &'static str) -> Rule {
    Rule { section: 2, text }
}

const SKIPPED: Rule = rule("frames for a call that has ended, unknown kinds (0 and absent");
const HELLO: Rule = rule("a first frame that is not HELLO; a second HELLO");
const IDS: Rule = rule("a call id that is 0 or not above all before it");
const OPENED: Rule = rule("MESSAGE, CANCEL or CREDIT for a call that was never opened");
const DIRECTION: Rule = rule("REPLY or END from a client");
const LONG_PING: Rule = rule("a PING of more than 64 bytes");

pub(super) fn vectors(limits: &Limits) -> Vec<Vector> {
    let mut vectors = vec![
        unknown_kinds(limits),
        unknown_fields(limits),
        after_the_end(limits),
        pong(limits),
        pings(limits),
        cancelled(limits),
        cancelled_stream(limits),
        ids_with_gaps(limits),
    ];
    vectors.extend(breaches(limits));
    vectors.extend(first_frames(limits));
    vectors.push(id_again(limits));
    vectors.push(refused_id(limits));
    vectors
}

fn unknown_kinds(limits: &Limits) -> Vector {
    let about = About {
        id: "skip-unknown-kinds",
        shows: "kinds of the future are skipped",
        contract: SKIPPED,
        look_at: "what is done with a kind that is not known",
    };
    let unknown = Envelope {
        kind: 11,
        ..Envelope::default()
    };
    let absent = Envelope {
        payload: Some(Bytes::from_static(b"no kind")),
        ..Envelope::default()
    };
    let script = Script::new(limits, about);
    let zero = script.payload("kind 0, written out".to_owned(), &[0x08, 0x00]);
    let frames = vec![script.sent(&unknown), script.sent(&absent), zero];
    script.greet().send_frames(frames).goes_on(1).done()
}

fn unknown_fields(limits: &Limits) -> Vector {
    let about = About {
        id: "skip-unknown-fields",
        shows: "fields of the future are skipped",
        contract: SKIPPED,
        look_at: "the Envelope's decoder",
    };
    let script = Script::new(limits, about);
    let mut payload = echo(1, "x").encode_to_vec();
    // Field 14 as a number, field 200 as a block.
    payload.extend([0x70, 3, 0xC2, 0x0C, 2, b'h', b'i']);
    let means = "CALL 1 of Echo, with the fields 14 and 200".to_owned();
    let frame = script.payload(means, &payload);
    script
        .greet()
        .send_frames(vec![frame])
        .expect([reply(1).bytes(1, "x")])
        .done()
}

fn after_the_end(limits: &Limits) -> Vector {
    let about = About {
        id: "skip-after-end",
        shows: "frames for a call that has ended are races",
        contract: SKIPPED,
        look_at: "the table of calls: an id below the highest, and not there, has ended",
    };
    let late = [
        cancel(1),
        credit(1, 10),
        message(1, &item("late")),
        cancel(1),
    ];
    Script::new(limits, about)
        .greet()
        .goes_on(1)
        .send(late)
        .expect_nothing(SILENCE_MS)
        .goes_on(2)
        .done()
}

fn pong(limits: &Limits) -> Vector {
    let about = About {
        id: "skip-pong",
        shows: "a PONG that nobody asked for is skipped",
        contract: rule("answers a PING"),
        look_at: "what is done with PONG",
    };
    Script::new(limits, about)
        .greet()
        .send([of(Kind::Pong)])
        .goes_on(1)
        .done()
}

fn pings(limits: &Limits) -> Vector {
    let about = About {
        id: "ping",
        shows: "a PING is answered with its payload, of up to 64 bytes",
        contract: rule("asks for a PONG with the same payload, of at most 64 bytes"),
        look_at: "what is done with PING",
    };
    let payloads: [&'static [u8]; 3] = [b"", b"12345678", &[9; 64]];
    let script = Script::new(limits, about).greet();
    let asked = payloads.into_iter().fold(script, |script, payload| {
        let pong = Expected {
            kind: Kind::Pong,
            payload: Some(payload.into()),
            ..Expected::default()
        };
        script.ask(ping(payload), pong)
    });
    asked.done()
}

fn cancelled(limits: &Limits) -> Vector {
    let about = About {
        id: "cancel-is-not-answered",
        shows: "a cancelled call is not answered, and its handler is dropped",
        contract: rule("CANCEL is not answered"),
        look_at: "what is done with CANCEL: drop the handler, say nothing",
    };
    let script = Script::new(limits, about)
        .greet()
        .send([sleep(1, 60_000)])
        .with(1)
        .greet();
    let (script, next) = script.until_calls(1, 2);
    let script = script
        .with(0)
        .send([cancel(1), cancel(1)])
        .expect_nothing(SILENCE_MS);
    let (script, _) = script.with(1).until_calls(next, 1);
    script.with(0).goes_on(2).done()
}

fn cancelled_stream(limits: &Limits) -> Vector {
    let about = About {
        id: "cancel-then-message",
        shows: "what was under way on a cancelled stream is skipped",
        contract: SKIPPED,
        look_at: "what is done with frames for a call that was cancelled",
    };
    let late = [open(1, "Collect"), cancel(1), message(1, &item("late"))];
    Script::new(limits, about)
        .greet()
        .send(late)
        .send([credit(1, 10), half_close(1)])
        .expect_nothing(SILENCE_MS)
        .until_a_place_is_free(2)
        .done()
}

fn ids_with_gaps(limits: &Limits) -> Vector {
    let about = About {
        id: "call-ids-with-gaps",
        shows: "call ids are any numbers that ascend, up to the largest",
        contract: rule("They are not 0, and each is above all before it on the connection."),
        look_at: "the check of call ids, and their type: 64 bits without a sign",
    };
    Script::new(limits, about)
        .greet()
        .goes_on(7)
        .goes_on(1 << 40)
        .goes_on(u64::MAX)
        .done()
}

/// Envelopes after the handshake, the last of which ends the connection.
fn breaches(limits: &Limits) -> Vec<Vector> {
    let sleeping = sleep(5, 60_000);
    let without_id = Envelope {
        call: None,
        ..echo(1, "x")
    };
    let x = message(1, &item("x"));
    let (reply, end) = (on(Kind::Reply, 5), on(Kind::End, 5));
    let greeting = hello(client(limits));
    #[rustfmt::skip]
    let table = [
        (HELLO, "protocol-second-hello", "there is one HELLO", vec![greeting]),
        (IDS, "protocol-call-0", "a call id is not 0", vec![echo(0, "x")]),
        (IDS, "protocol-call-without-id", "a CALL has an id", vec![without_id]),
        (IDS, "protocol-call-id-of-open-call", "a call id is not used while the call is open", vec![sleeping.clone(), echo(5, "x")]),
        (IDS, "protocol-call-id-below", "a call id is above those before it", vec![sleeping.clone(), echo(4, "x")]),
        (OPENED, "protocol-message-never-opened", "MESSAGE is for a call that was opened", vec![x]),
        (OPENED, "protocol-cancel-never-opened", "CANCEL is for a call that was opened", vec![sleeping.clone(), cancel(6)]),
        (OPENED, "protocol-credit-never-opened", "CREDIT is for a call that was opened", vec![credit(9, 1)]),
        (DIRECTION, "protocol-reply-from-client", "a client sends no REPLY", vec![sleeping.clone(), reply]),
        (DIRECTION, "protocol-end-from-client", "a client sends no END", vec![sleeping, end]),
        (LONG_PING, "protocol-long-ping", "a PING has at most 64 bytes", vec![ping(&[0; 65])]),
    ];
    let vectors = table.map(|(contract, id, shows, envelopes)| {
        let about = About {
            id,
            shows,
            contract,
            look_at: look_at(contract),
        };
        let script = Script::new(limits, about).greet().send(envelopes);
        script.expect_goaway(3).done()
    });
    vectors.into()
}

fn look_at(contract: Rule) -> &'static str {
    match contract {
        HELLO => "what is done with HELLO, and before it",
        IDS => "the check of call ids: above all before, on this connection",
        OPENED => "frames for a call above the highest id: it was never opened",
        DIRECTION => "which kinds a server takes",
        _ => "what is done with PING",
    }
}

fn first_frames(limits: &Limits) -> Vec<Vector> {
    let future = Envelope {
        kind: 77,
        ..Envelope::default()
    };
    let table = [
        (
            "protocol-first-frame-is-call",
            "the first frame is HELLO",
            echo(1, "too early"),
        ),
        (
            "protocol-first-frame-is-unknown",
            "before HELLO nothing is skipped",
            future,
        ),
    ];
    let vectors = table.map(|(id, shows, first)| {
        let about = About {
            id,
            shows,
            contract: HELLO,
            look_at: look_at(HELLO),
        };
        let script = Script::new(limits, about).connect().send([first]);
        script.expect_goaway(3).done()
    });
    vectors.into()
}

fn id_again(limits: &Limits) -> Vector {
    let about = About {
        id: "protocol-call-id-again",
        shows: "the id of a call that has ended is not used again",
        contract: IDS,
        look_at: look_at(IDS),
    };
    Script::new(limits, about)
        .greet()
        .goes_on(1)
        .send([echo(1, "again")])
        .expect_goaway(3)
        .done()
}

fn refused_id(limits: &Limits) -> Vector {
    let about = About {
        id: "protocol-call-id-of-refused-call",
        shows: "a refused call has used up its id",
        contract: Rule {
            section: 5,
            text: "A call that was refused has used up its id.",
        },
        look_at: "the check of call ids: it comes before all others",
    };
    let unknown = Envelope {
        method: ordinal("Echo") ^ 1,
        ..echo(1, "x")
    };
    Script::new(limits, about)
        .greet()
        .ask(unknown, refused(1, 12))
        .send([echo(1, "again")])
        .expect_goaway(3)
        .done()
}
