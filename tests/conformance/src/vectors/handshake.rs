//! Section 3 of the contract: HELLO, and verdicts on schemas.
//!
//! **Invariant**: what a client announces beside the thing that is shown is what it usually announces.

use daemoneye_ipc::{
    schema::ipc::v1::ServiceOffer,
    wire::{Hello, Kind, Verdict},
};
use daemoneye_ipc_generated::conformance::v1::CONFORMANCE_SERVICE;

use super::{
    Limits,
    builder::{About, Script, goaway, refused, reply},
    envelope::{client, count, echo, hello, of},
    script::{Expected, Rule, Service, Value, Vector},
};

const fn rule(text: &'static str) -> Rule {
    Rule { section: 3, text }
}

/// A service that nobody serves.
const NOBODY: &str = "vectors.v1.Nobody";

/// A fingerprint that nobody has.
const STRANGE: u64 = 0x5712_A46E_0000_0BAD;

/// The first vector: nothing else can be shown of a server that fails it.
pub const FIRST: &str = "hello";

pub(super) fn vectors(limits: &Limits) -> Vec<Vector> {
    let mut vectors = vec![greets(limits), calls_behind(limits), much_behind(limits)];
    vectors.extend(refusals(limits));
    vectors.extend(verdicts(limits));
    vectors.push(required(limits));
    vectors
}

fn expected(services: Vec<Service>) -> Expected {
    Expected {
        kind: Kind::Hello,
        services,
        ..Expected::default()
    }
}

fn judged(name: &str, verdict: Verdict) -> Service {
    Service {
        name: name.to_owned(),
        verdict,
    }
}

fn greets(limits: &Limits) -> Vector {
    let about = About {
        id: FIRST,
        shows: "the server answers HELLO with its own, which names what it serves",
        contract: rule("The server's first frame is its HELLO"),
        look_at: "what is written first on a new connection",
    };
    let serves = judged(CONFORMANCE_SERVICE.name, Verdict::Unspecified);
    Script::new(limits, about)
        .connect()
        .send([hello(client(limits))])
        .expect([expected(vec![serves])])
        .done()
}

fn calls_behind(limits: &Limits) -> Vector {
    let about = About {
        id: "hello-with-calls-behind",
        shows: "calls may follow HELLO at once, and are answered after the server's",
        contract: rule("It may write CALLs right behind it"),
        look_at: "the order of what is written: HELLO before any answer",
    };
    Script::new(limits, about)
        .needs_calls(2)
        .connect()
        .send([hello(client(limits)), echo(1, "a"), echo(2, "b")])
        .expect([expected(Vec::new())])
        .expect([reply(1).bytes(1, "a"), reply(2).bytes(1, "b")])
        .done()
}

fn much_behind(limits: &Limits) -> Vector {
    let about = About {
        id: "hello-with-much-behind",
        shows: "a frame behind HELLO may be as large as any",
        contract: rule("and no more than 64 KiB in all"),
        look_at: "the limit of 16 KiB: it is HELLO's alone",
    };
    let size = 60 << 10;
    let answer = reply(1).field(1, Value::Length(size));
    Script::new(limits, about)
        .connect()
        .send([hello(client(limits)), echo(1, vec![0x5A; size])])
        .expect([expected(Vec::new())])
        .expect([answer])
        .done()
}

/// A HELLO that is refused.
fn refusals(limits: &Limits) -> Vec<Vector> {
    let with = |change: &dyn Fn(&mut Hello)| {
        let mut announced = client(limits);
        change(&mut announced);
        hello(announced)
    };
    let large = ServiceOffer {
        name: "x".repeat(16 << 10),
        ..ServiceOffer::default()
    };
    let version =
        rule("another version is answered with GOAWAY(FAILED_PRECONDITION) that names both");
    let zero = rule("the largest payload of a frame that this side takes; 0 is a protocol error");
    let little = rule("A client that takes no frame as large as the server's HELLO");
    let bare = Rule {
        section: 2,
        text: "**Protocol errors.** These end the connection with GOAWAY(INVALID_ARGUMENT)",
    };
    let limit = rule("A client's HELLO is at most 16 KiB");
    let both = goaway(9).reason("29").reason("1");
    #[rustfmt::skip]
    let table = [
        (version, "hello-unknown-version", "a version that is not spoken is refused, and both are named", with(&|hello| hello.protocol = 29), both),
        (version, "hello-no-version", "a HELLO without a version is refused", with(&|hello| hello.protocol = 0), goaway(9)),
        (zero, "hello-takes-nothing", "max_frame_bytes 0 is a protocol error", with(&|hello| hello.max_frame_bytes = 0), goaway(3)),
        (little, "hello-takes-too-little", "a client that cannot take the server's HELLO is refused", with(&|hello| hello.max_frame_bytes = 48), goaway(8)),
        (bare, "hello-without-fields", "a HELLO says something", of(Kind::Hello), goaway(3)),
        (limit, "hello-too-large", "a HELLO of more than 16 KiB is refused", with(&|hello| hello.services.push(large.clone())), goaway(3)),
    ];
    let vectors = table.map(|(contract, id, shows, announced, goaway)| {
        let about = About {
            id,
            shows,
            contract,
            look_at: "what is looked at in the client's HELLO",
        };
        let script = Script::new(limits, about).connect().send([announced]);
        script.expect_end(goaway).done()
    });
    vectors.into()
}

fn offer(name: &str, fingerprint: u64) -> ServiceOffer {
    ServiceOffer {
        name: name.to_owned(),
        fingerprint,
        ..ServiceOffer::default()
    }
}

fn verdicts(limits: &Limits) -> Vec<Vector> {
    let name = CONFORMANCE_SERVICE.name;
    let vector = |id, shows, text, offers: Vec<ServiceOffer>, judged: Vec<Service>| {
        let about = About {
            id,
            shows,
            contract: rule(text),
            look_at: "the verdict: compare fingerprints, then each with the other's list",
        };
        let mut announced = client(limits);
        announced.services = offers;
        Script::new(limits, about)
            .connect()
            .send([hello(announced)])
            .expect([expected(judged)])
            .goes_on(1)
            .done()
    };
    let own = CONFORMANCE_SERVICE.fingerprint;
    let mut knows = offer(name, STRANGE);
    knows.compatible = vec![1, own];
    knows.require = true;
    let mut exact = offer(name, own);
    exact.require = true;
    vec![
        vector(
            "verdict-exact",
            "equal fingerprints are EXACT",
            "Equal fingerprints are EXACT.",
            vec![exact],
            vec![judged(name, Verdict::Exact)],
        ),
        vector(
            "verdict-compatible",
            "a client that knows the server's fingerprint is COMPATIBLE",
            "If either side's `compatible` holds the other's fingerprint, it is COMPATIBLE",
            vec![knows],
            vec![judged(name, Verdict::Compatible)],
        ),
        vector(
            "verdict-unknown",
            "a strange fingerprint is UNKNOWN, and served unless the client requires a match",
            "All else is UNKNOWN",
            vec![offer(name, STRANGE)],
            vec![judged(name, Verdict::Unknown)],
        ),
        vector(
            "verdict-absent",
            "a service that is not served is ABSENT",
            "A service that is not served is ABSENT.",
            vec![offer(NOBODY, 1), offer(name, own)],
            vec![
                judged(NOBODY, Verdict::Absent),
                judged(name, Verdict::Exact),
            ],
        ),
    ]
}

fn required(limits: &Limits) -> Vector {
    let about = About {
        id: "verdict-required",
        shows: "calls to a service of which a match is required and not known are refused, and not run",
        contract: rule("each call to it ends with FAILED_PRECONDITION, unrun"),
        look_at: "what is looked at before a handler is started",
    };
    let name = CONFORMANCE_SERVICE.name;
    let mut strict = offer(name, STRANGE);
    strict.require = true;
    let mut announced = client(limits);
    announced.services = vec![strict];
    let fingerprint = format!("{:x}", STRANGE & 0xFFF);
    let end = refused(1, 9).reason(name).reason(fingerprint);
    let saved = Value::Saved {
        name: "total",
        plus: 0,
    };
    Script::new(limits, about)
        .with(1)
        .greet()
        .ask(count(1, 0), reply(1).field(1, Value::Save("total")))
        .with(0)
        .connect()
        .send([hello(announced), count(1, 1)])
        .expect([expected(vec![judged(name, Verdict::Unknown)])])
        .expect([end])
        .with(1)
        .ask(count(2, 0), reply(2).field(1, saved))
        .done()
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc::prost::Message as _;

    use super::*;

    #[test]
    fn a_hello_that_is_too_large_is_larger_than_16_kib() {
        let limits = Limits::default();
        let vectors = refusals(&limits);
        let large = vectors.iter().find(|vector| vector.id == "hello-too-large");
        let steps = &large.expect("a vector").steps;
        let sent = steps.iter().find_map(|step| match step {
            super::super::script::Step::Send { frames, .. } => frames.first(),
            _ => None,
        });
        assert!(sent.expect("a frame").bytes.0.len() > (16 << 10) + 8);
        assert!(hello(client(&limits)).encoded_len() < 100);
    }
}
