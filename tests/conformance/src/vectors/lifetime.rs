//! Sections 5 to 7 of the contract: deadlines, places, what was not run, an orderly end.
//!
//! **Invariant**: a wait is for something that the server shows by Inspect, not for a time, wherever
//! that can be.

use daemoneye_ipc::wire::{Envelope, Kind};
use daemoneye_ipc_generated::conformance::v1::SleepRequest;

use super::{
    Limits,
    builder::{About, Script, end, refused, reply},
    envelope::{call, cancel, count, echo, inspect, of, open, ping, sleep},
    script::{Expected, Rule, Step, Value, Vector},
};

const fn rule(text: &'static str) -> Rule {
    Rule { section: 5, text }
}

const DEADLINE: Rule = rule("it drops the handler and sends END(DEADLINE_EXCEEDED)");

/// More calls at once than this are not tried.
const MANY_CALLS: u32 = 2048;

pub(super) fn vectors(limits: &Limits) -> Vec<Vector> {
    vec![
        passes(limits),
        passes_on_stream(limits),
        is_kept(limits),
        over_already(limits),
        beyond_the_clock(limits),
        max_calls(limits),
        blocking(limits),
        refused_has_no_effect(limits),
        client_leaves(limits),
        client_leaves_idle(limits),
        nothing_left(limits),
    ]
}

fn within(timeout_us: u64, call: Envelope) -> Envelope {
    Envelope {
        timeout_us: Some(timeout_us),
        ..call
    }
}

fn passes(limits: &Limits) -> Vector {
    let about = About {
        id: "deadline-passes",
        shows: "the server ends a call whose deadline passes, and drops its handler",
        contract: DEADLINE,
        look_at: "the server's own clock for timeout_us",
    };
    let script = Script::new(limits, about)
        .greet()
        .ask(within(30_000, sleep(1, 60_000)), end(1, 4));
    script.until_calls(2, 1).0.done()
}

fn passes_on_stream(limits: &Limits) -> Vector {
    let about = About {
        id: "deadline-passes-on-stream",
        shows: "a deadline holds for a stream as a whole",
        contract: DEADLINE,
        look_at: "the server's own clock for timeout_us, on calls that stream",
    };
    let script = Script::new(limits, about)
        .greet()
        .ask(within(30_000, open(1, "Chat")), end(1, 4));
    script.until_calls(2, 1).0.done()
}

fn is_kept(limits: &Limits) -> Vector {
    let about = About {
        id: "deadline-is-in-microseconds",
        shows: "a call that is quicker than its deadline is answered",
        contract: Rule {
            section: 2,
            text: "CALL: time left in microseconds",
        },
        look_at: "the unit of timeout_us",
    };
    Script::new(limits, about)
        .greet()
        .ask(within(5_000_000, sleep(1, 20)), reply(1).number(1, 20))
        .done()
}

fn over_already(limits: &Limits) -> Vector {
    let about = About {
        id: "deadline-over-already",
        shows: "a call whose time is over is not run",
        contract: Rule {
            section: 2,
            text: "`timeout_us` 0 | DEADLINE_EXCEEDED, unrun",
        },
        look_at: "timeout_us has presence: 0 is no time, absent is no deadline",
    };
    Script::new(limits, about)
        .greet()
        .ask(within(0, echo(1, "x")), refused(1, 4))
        .goes_on(2)
        .done()
}

fn beyond_the_clock(limits: &Limits) -> Vector {
    let about = About {
        id: "deadline-beyond-the-clock",
        shows: "a deadline that no clock can count is none",
        contract: rule("A value beyond what the server's clock can count is no deadline."),
        look_at: "the sum of now and timeout_us: it must neither overflow nor fail",
    };
    Script::new(limits, about)
        .greet()
        .ask(within(u64::MAX, echo(1, "x")), reply(1).bytes(1, "x"))
        .done()
}

fn max_calls(limits: &Limits) -> Vector {
    let about = About {
        id: "limit-max-calls",
        shows: "a call over max_calls is refused and not run, and CANCEL frees its place",
        contract: Rule {
            section: 2,
            text: "more calls than `max_calls`, or answers that are not being read | \
                   RESOURCE_EXHAUSTED, unrun",
        },
        look_at: "the count of calls in flight on the connection",
    };
    let max = limits.max_calls;
    let skipped = max > MANY_CALLS;
    let last = if skipped { 1 } else { u64::from(max) };
    let started = Value::Saved {
        name: "started",
        plus: last + 1,
    };
    Script::new(limits, about)
        .skip_if(skipped, format!("would open {max} calls"))
        .with(1)
        .greet()
        .ask(inspect(1), reply(1).field(4, Value::Save("started")))
        .with(0)
        .greet()
        .send((1..=last).map(|id| sleep(id, 60_000)))
        .ask(echo(last + 1, "one too many"), refused(last + 1, 8))
        .with(1)
        .ask(inspect(2), reply(2).number(2, last + 1).field(4, started))
        .with(0)
        .send((1..=last).map(cancel))
        .until_a_place_is_free(last + 2)
        .with(1)
        .until_calls(3, 1)
        .0
        .done()
}

fn blocking(limits: &Limits) -> Vector {
    let about = About {
        id: "limit-blocking-work-keeps-its-place",
        shows: "a cancelled call counts until its blocking work has returned",
        contract: rule("A call holds its place among `max_calls` until its handler is really gone"),
        look_at: "when a call's place is given back: not before its blocking work is done",
    };
    let request = SleepRequest {
        millis: 500,
        blocking: true,
    };
    let pong = Expected {
        kind: Kind::Pong,
        ..Expected::default()
    };
    // The work may count as a handler of its own, so that only calls are looked at.
    let open = Expected {
        kind: Kind::Reply,
        ..Expected::default()
    };
    let (script, next) = Script::new(limits, about)
        .greet()
        .send([call(1, "Sleep", &request)])
        .with(1)
        .greet()
        .until(1, inspect, open.number(2, 2));
    let script = script
        .with(0)
        // The work begins within this time; a cancel before that may spare it.
        .expect_nothing(50)
        .send([cancel(1), ping(b"")])
        .expect([pong])
        .with(1)
        .ask(inspect(next), reply(next).number(2, 2));
    script.until_calls(next + 1, 1).0.done()
}

fn refused_has_no_effect(limits: &Limits) -> Vector {
    let about = About {
        id: "unrun-has-no-effect",
        shows: "what is ended as unrun has not run, and what is answered ran once",
        contract: Rule {
            section: 6,
            text: "only where it is proven that no handler saw it (END with `unrun`",
        },
        look_at: "where END gets `unrun`: before a handler is started, never after",
    };
    let kept = |plus| Value::Saved {
        name: "total",
        plus,
    };
    let unfinished = Envelope {
        last: false,
        ..count(3, 1)
    };
    Script::new(limits, about)
        .greet()
        .ask(count(1, 0), reply(1).field(1, Value::Save("total")))
        .ask(within(0, count(2, 1)), refused(2, 4))
        .ask(unfinished, refused(3, 3))
        .ask(count(4, 3), reply(4).field(1, kept(3)))
        .ask(count(5, 0), reply(5).field(1, kept(3)))
        .done()
}

fn client_leaves(limits: &Limits) -> Vector {
    let about = About {
        id: "goaway-finishes-open-calls",
        shows: "a client that says GOAWAY gets the answers that are due, and then the end",
        contract: Rule {
            section: 7,
            text: "sends GOAWAY with code 0; the server finishes what is open and closes.",
        },
        look_at: "what is done with GOAWAY from a client",
    };
    Script::new(limits, about)
        .greet()
        .send([sleep(1, 60), of(Kind::Goaway)])
        .expect([reply(1).number(1, 60)])
        .step(|on| Step::ExpectClose { on, goaway: None })
        .done()
}

fn client_leaves_idle(limits: &Limits) -> Vector {
    let about = About {
        id: "goaway-without-calls",
        shows: "a client that says GOAWAY without open calls is let go at once",
        contract: Rule {
            section: 7,
            text: "sends GOAWAY with code 0; the server finishes what is open and closes.",
        },
        look_at: "what is done with GOAWAY from a client",
    };
    Script::new(limits, about)
        .greet()
        .send([of(Kind::Goaway)])
        .step(|on| Step::ExpectClose { on, goaway: None })
        .done()
}

fn nothing_left(limits: &Limits) -> Vector {
    let about = About {
        id: "nothing-is-left",
        shows: "after all that, the server holds this one call and nothing else",
        contract: rule("A flood of opened and cancelled calls therefore gains nothing."),
        look_at: "what is kept of calls and connections that are over",
    };
    let answer = Expected {
        kind: Kind::Reply,
        ..Expected::default()
    };
    let clean = answer.number(1, 1).number(2, 1).number(3, 1).number(5, 0);
    Script::new(limits, about)
        .greet()
        .until(1, inspect, clean)
        .0
        .done()
}
