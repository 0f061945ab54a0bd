//! Section 2 of the contract: the three kinds of calls that stream.
//!
//! **Invariant**: no stream here comes near its credit; that is shown elsewhere.

use daemoneye_ipc::{
    prost::Message,
    wire::{Envelope, Kind},
};
use daemoneye_ipc_generated::conformance::v1::ChatRequest;

use super::{
    Limits,
    builder::{About, SILENCE_MS, Script, emitted, end, reply},
    envelope::{emit, half_close, item, message, open},
    script::{Expected, Rule, Vector},
};

const fn rule(text: &'static str) -> Rule {
    Rule { section: 2, text }
}

const STREAMING: Rule =
    rule("On a client-streaming or bidirectional method `payload` may be absent");
const ENDED: Rule = rule("with code 0 the end of a response stream");
const REQUESTS: &str = "the request stream: messages in CALL and MESSAGE, and its end by `last`";

pub(super) fn vectors(limits: &Limits) -> Vec<Vector> {
    let mut vectors = vec![emits(limits), emits_none(limits)];
    vectors.extend(collects(limits));
    vectors.push(chats(limits));
    vectors
}

fn emits(limits: &Limits) -> Vector {
    let about = About {
        id: "stream-emit",
        shows: "Emit streams its messages in order, then ends",
        contract: ENDED,
        look_at: "the response stream, and END after it",
    };
    let messages = (0..5).map(|index| emitted(1, index, 10));
    Script::new(limits, about)
        .greet()
        .send([emit(1, 5, 10)])
        .expect(messages.chain([end(1, 0)]))
        .expect_nothing(SILENCE_MS)
        .done()
}

fn emits_none(limits: &Limits) -> Vector {
    let about = About {
        id: "stream-emit-none",
        shows: "an empty response stream is END alone",
        contract: ENDED,
        look_at: "END of a stream without messages",
    };
    Script::new(limits, about)
        .greet()
        .ask(emit(1, 0, 10), end(1, 0))
        .done()
}

/// Streams of requests in all forms: what is sent, with the messages and bytes that Collect counts.
fn collects(limits: &Limits) -> Vec<Vector> {
    let first = Envelope {
        payload: Some(item("first").encode_to_vec().into()),
        ..open(1, "Collect")
    };
    let last = |envelope: &Envelope| Envelope {
        last: true,
        ..envelope.clone()
    };
    let (bare, abc, empty) = (
        open(1, "Collect"),
        message(1, &item("abc")),
        message(1, &item("")),
    );
    let none = rule("A MESSAGE with `last` and without `payload` only closes the request stream.");
    let bytes = rule("An empty message is a payload that is present and has no bytes.");
    #[rustfmt::skip]
    let table = [
        (STREAMING, "stream-collect", "Collect takes a message in CALL and more behind it", vec![first.clone(), abc.clone(), half_close(1)], (2, 8)),
        (STREAMING, "stream-collect-later", "a stream may be opened without a message", vec![bare.clone(), last(&abc)], (1, 3)),
        (STREAMING, "stream-collect-in-call", "one message and the end may come in CALL", vec![last(&first)], (1, 5)),
        (none, "stream-collect-none", "`last` without a message only closes the stream", vec![bare.clone(), half_close(1)], (0, 0)),
        (bytes, "stream-collect-empty", "messages without bytes are messages", vec![bare, empty.clone(), last(&empty)], (2, 0)),
    ];
    let vectors = table.map(|(contract, id, shows, sent, (messages, bytes))| {
        let about = About {
            id,
            shows,
            contract,
            look_at: REQUESTS,
        };
        let answer = reply(1).number(1, messages).number(2, bytes);
        Script::new(limits, about)
            .greet()
            .send(sent)
            .expect([answer])
            .done()
    });
    vectors.into()
}

fn chats(limits: &Limits) -> Vector {
    let about = About {
        id: "stream-chat",
        shows: "Chat answers each message before the next, and ends after its requests",
        contract: STREAMING,
        look_at: "streams in both directions at once: answers must not wait for the end of requests",
    };
    let script = Script::new(limits, about)
        .greet()
        .send([open(1, "Chat")])
        .expect_nothing(SILENCE_MS);
    let script = (0..5_u8).fold(script, |script, index| {
        let request = ChatRequest {
            payload: vec![index; 3].into(),
        };
        let answer = Expected::on(Kind::Message, 1).bytes(1, [index; 3]);
        script.ask(message(1, &request), answer)
    });
    script.ask(half_close(1), end(1, 0)).goes_on(2).done()
}
