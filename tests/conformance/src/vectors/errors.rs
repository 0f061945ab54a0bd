//! Section 2 of the contract: what fails one call alone.
//!
//! **Invariant**: after the error of a call, the same connection is shown to go on.

use daemoneye_ipc::{bytes::Bytes, wire::Envelope};
use daemoneye_ipc_generated::conformance::v1::ChatRequest;

use super::{
    Limits,
    builder::{About, Script, end, refused},
    encodings::pair,
    envelope::{client, echo, item, message, open, ordinal, sleep},
    script::{Expected, Rule, Vector},
};

const fn rule(text: &'static str) -> Rule {
    Rule { section: 2, text }
}

const OPENING: Rule = rule("without either the call ends with INVALID_ARGUMENT");
const ADMISSION: &str = "what is looked at before a handler is started";
const NO_MORE: Rule =
    rule("MESSAGE on a call that takes none, or takes no more | INVALID_ARGUMENT");

pub(super) fn vectors(limits: &Limits) -> Vec<Vector> {
    vec![
        without_payload(limits),
        without_last(limits),
        unknown_method(limits),
        undecodable(limits),
        message_on_unary(limits),
        message_after_last(limits),
        metadata_over_limit(limits),
    ]
}

fn without_payload(limits: &Limits) -> Vector {
    let about = About {
        id: "opening-without-payload",
        shows: "CALL of one request needs that request",
        contract: OPENING,
        look_at: ADMISSION,
    };
    let bare = |id, method| Envelope {
        last: true,
        ..open(id, method)
    };
    Script::new(limits, about)
        .greet()
        .ask(bare(1, "Echo"), refused(1, 3))
        .ask(bare(2, "Emit"), refused(2, 3))
        .goes_on(3)
        .done()
}

fn without_last(limits: &Limits) -> Vector {
    let about = About {
        id: "opening-without-last",
        shows: "CALL of one request says that nothing follows",
        contract: OPENING,
        look_at: ADMISSION,
    };
    let unfinished = |id, method| Envelope {
        payload: Some(Bytes::new()),
        ..open(id, method)
    };
    Script::new(limits, about)
        .greet()
        .ask(unfinished(1, "Echo"), refused(1, 3))
        .ask(unfinished(2, "Emit"), refused(2, 3))
        .goes_on(3)
        .done()
}

fn unknown_method(limits: &Limits) -> Vector {
    let about = About {
        id: "error-unknown-method",
        shows: "an ordinal that is not served fails its call",
        contract: rule("an ordinal that is not served | UNIMPLEMENTED, unrun"),
        look_at: "the table of methods",
    };
    let unknown = Envelope {
        method: ordinal("Echo") ^ 1,
        ..echo(1, "x")
    };
    Script::new(limits, about)
        .greet()
        .ask(unknown, refused(1, 12))
        .goes_on(2)
        .done()
}

fn undecodable(limits: &Limits) -> Vector {
    let about = About {
        id: "error-undecodable",
        shows: "a request that does not decode fails its call",
        contract: rule("a request that does not decode | INVALID_ARGUMENT"),
        look_at: "what is done when a request does not decode",
    };
    let garbage = |id, method| Envelope {
        last: true,
        payload: Some(Bytes::from_static(&[0xFF])),
        ..open(id, method)
    };
    let answer = |id| Expected {
        unrun: None,
        ..end(id, 3)
    };
    Script::new(limits, about)
        .greet()
        .ask(garbage(1, "Echo"), answer(1))
        .ask(garbage(2, "Emit"), answer(2))
        .ask(garbage(3, "Collect"), answer(3))
        .goes_on(4)
        .done()
}

fn message_on_unary(limits: &Limits) -> Vector {
    let about = About {
        id: "error-message-on-unary",
        shows: "MESSAGE on a unary call fails it",
        contract: NO_MORE,
        look_at: "what is done with MESSAGE by kind of call",
    };
    Script::new(limits, about)
        .greet()
        .send([sleep(1, 60_000), message(1, &item("x"))])
        .expect([end(1, 3)])
        .until_a_place_is_free(2)
        .done()
}

fn message_after_last(limits: &Limits) -> Vector {
    let about = About {
        id: "error-message-after-last",
        shows: "MESSAGE after `last` fails its call",
        contract: NO_MORE,
        look_at: "what is done with MESSAGE after `last`",
    };
    // Without credit the handler cannot answer, so that the call stays open.
    let mut silent = client(limits);
    silent.stream_credit = 0;
    let one = message(1, &ChatRequest::default());
    let last = Envelope {
        last: true,
        ..one.clone()
    };
    let few = limits.stream_credit < 100;
    Script::new(limits, about)
        .skip_if(few, "needs a credit for four messages".to_owned())
        .greet_as(silent)
        .send([open(1, "Chat"), one.clone(), one.clone(), last, one])
        .expect([end(1, 3)])
        .until_a_place_is_free(2)
        .done()
}

fn metadata_over_limit(limits: &Limits) -> Vector {
    let about = About {
        id: "error-metadata",
        shows: "far too much metadata fails its call",
        contract: rule("metadata over the server's limits | RESOURCE_EXHAUSTED, unrun"),
        look_at: "the limits on metadata: this much must be over them",
    };
    let mut pairs = vec![pair("k", &[]); 200];
    let room = limits.max_frame_bytes.min(1 << 20) as usize;
    pairs.push(pair("large", &vec![0; room.saturating_sub(1500)]));
    let request = Envelope {
        metadata: pairs,
        ..echo(1, "x")
    };
    Script::new(limits, about)
        .greet()
        .ask(request, refused(1, 8))
        .goes_on(2)
        .done()
}
