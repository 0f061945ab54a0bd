//! Section 2 of the contract: unary calls, and the codes with which handlers fail.
//!
//! **Invariant**: after the error of a call, the same connection is shown to go on.

use daemoneye_ipc::{bytes::Bytes, prost::Message, wire::Envelope};
use daemoneye_ipc_generated::conformance::v1::{EchoRequest, FailRequest, Leaf, Node};

use super::{
    Limits,
    builder::{About, SILENCE_MS, Script, end, reply},
    data::Data,
    encodings::pair,
    envelope::{call, count, echo, inspect, sleep},
    script::{Rule, Value, Vector},
};

const fn rule(text: &'static str) -> Rule {
    Rule { section: 2, text }
}

const HANDLER: &str = "the handler of that method, and the codec of its messages";

pub(super) fn vectors(limits: &Limits) -> Vec<Vector> {
    vec![
        echoes(limits),
        empty(limits),
        sleeps(limits),
        counts(limits),
        inspects(limits),
        fails(limits),
        fails_with_no_code(limits),
        panics(limits),
        has_metadata(limits),
    ]
}

fn echoes(limits: &Limits) -> Vector {
    let about = About {
        id: "call-echo",
        shows: "Echo returns all that it got, once",
        contract: rule("A call gets at most one REPLY or END"),
        look_at: HANDLER,
    };
    let leaf = Leaf {
        s1: "ü".to_owned(),
        s12: "twelve".to_owned(),
        ..Leaf::default()
    };
    let child = Node {
        child: None,
        value: 7,
    };
    let tree = Node {
        child: Some(Box::new(child)),
        value: 0,
    };
    let request = EchoRequest {
        payload: Bytes::from_static(&[0, 0xFF]),
        leaves: vec![Leaf::default(), leaf],
        tree: Some(tree.clone()),
    };
    let leaves = request.leaves.iter();
    let leaves = leaves.map(|leaf| Data(leaf.encode_to_vec())).collect();
    let answer = reply(1)
        .bytes(1, [0, 0xFF])
        .field(2, Value::Each(leaves))
        .bytes(3, tree.encode_to_vec());
    Script::new(limits, about)
        .greet()
        .ask(call(1, "Echo", &request), answer)
        .expect_nothing(SILENCE_MS)
        .done()
}

fn empty(limits: &Limits) -> Vector {
    let about = About {
        id: "call-empty",
        shows: "a request without bytes is a request",
        contract: rule("An empty message is a payload that is present and has no bytes."),
        look_at: HANDLER,
    };
    let request = call(1, "Echo", &EchoRequest::default());
    Script::new(limits, about)
        .greet()
        .ask(request, reply(1).bytes(1, ""))
        .done()
}

fn sleeps(limits: &Limits) -> Vector {
    let about = About {
        id: "call-sleep",
        shows: "Sleep answers after its time",
        contract: rule("On a unary or server-streaming method, CALL carries `payload` and `last`"),
        look_at: HANDLER,
    };
    Script::new(limits, about)
        .greet()
        .ask(sleep(1, 20), reply(1).number(1, 20))
        .done()
}

fn counts(limits: &Limits) -> Vector {
    let about = About {
        id: "call-count",
        shows: "Count sums up, and runs once",
        contract: rule("A call gets at most one REPLY or END"),
        look_at: HANDLER,
    };
    let total = |plus| Value::Saved {
        name: "total",
        plus,
    };
    Script::new(limits, about)
        .greet()
        .ask(count(1, 0), reply(1).field(1, Value::Save("total")))
        .ask(count(2, 5), reply(2).field(1, total(5)))
        .ask(count(3, 1), reply(3).field(1, total(6)))
        .done()
}

fn inspects(limits: &Limits) -> Vector {
    let about = About {
        id: "call-inspect",
        shows: "Inspect counts its own call",
        contract: rule("A call gets at most one REPLY or END"),
        look_at: "what Inspect counts: calls that hold a place, handlers, calls that were started",
    };
    let first = reply(1).number(2, 1).number(3, 1);
    let started = Value::Saved {
        name: "started",
        plus: 1,
    };
    Script::new(limits, about)
        .greet()
        .ask(inspect(1), first.field(4, Value::Save("started")))
        .ask(inspect(2), reply(2).field(4, started))
        .done()
}

fn failing(id: u64, code: u32, text: &str, panic: bool) -> Envelope {
    let request = FailRequest {
        code,
        message: text.to_owned(),
        panic,
    };
    call(id, "Fail", &request)
}

fn fails(limits: &Limits) -> Vector {
    let about = About {
        id: "call-fail",
        shows: "each of the 16 failing codes arrives with the handler's words",
        contract: rule("**Status codes** are the 17 canonical ones of gRPC with their numbers"),
        look_at: "how a handler's status becomes END",
    };
    let script = Script::new(limits, about).greet();
    let script = (1..=16).fold(script, |script, code: u32| {
        let (id, text) = (code.into(), format!("as asked: {code}"));
        script.ask(failing(id, code, &text, false), end(id, code).reason(text))
    });
    script.goes_on(17).done()
}

fn fails_with_no_code(limits: &Limits) -> Vector {
    let about = About {
        id: "call-fail-with-no-code",
        shows: "Fail with code 0 or 17 is INVALID_ARGUMENT",
        contract: rule("from OK 0 to UNAUTHENTICATED 16"),
        look_at: "the handler of Fail: 0 is no failure, and 17 is no code",
    };
    Script::new(limits, about)
        .greet()
        .ask(failing(1, 0, "", false), end(1, 3))
        .ask(failing(2, 17, "", false), end(2, 3))
        .goes_on(3)
        .done()
}

fn panics(limits: &Limits) -> Vector {
    let about = About {
        id: "call-panic",
        shows: "a handler that panics is one failed call, and its words stay inside",
        contract: rule("a handler that panics | INTERNAL, with a neutral text"),
        look_at: "what is caught around a handler, and what is told of it",
    };
    let secret = "words of the panic";
    let mut told = end(1, 13);
    told.reason_lacks.push(secret.to_owned());
    Script::new(limits, about)
        .greet()
        .ask(failing(1, 0, secret, true), told)
        .goes_on(2)
        .done()
}

fn has_metadata(limits: &Limits) -> Vector {
    let about = About {
        id: "call-metadata",
        shows: "metadata beside a request does not change the call",
        contract: rule("CALL; trailing on REPLY and END"),
        look_at: "the limits on metadata: one short pair must be within them",
    };
    let request = Envelope {
        metadata: vec![pair("trace", &[0, 0xFF])],
        ..echo(1, "x")
    };
    Script::new(limits, about)
        .greet()
        .ask(request, reply(1).bytes(1, "x"))
        .done()
}
