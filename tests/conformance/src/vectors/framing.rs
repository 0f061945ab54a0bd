//! Section 1 of the contract: frames.
//!
//! **Invariant**: what ends a connection is shown to end nothing else.

use daemoneye_ipc::{prost::Message, wire::Kind};
use daemoneye_ipc_generated::conformance::v1::FailRequest;

use super::{
    Limits,
    builder::{About, Script, end, goaway, reply},
    data::{checksum, frame, frame_with},
    envelope::{LARGEST, call, client, count, echo, emit, hello, of, sleep},
    script::{Expected, Rule, Step, Value, Vector},
};

const fn rule(text: &'static str) -> Rule {
    Rule { section: 1, text }
}

const SEQUENCE: Rule =
    rule("The stream in each direction is a sequence of frames, nothing between them");

/// The limit of a client that takes little.
const SMALL: u32 = 4096;

pub(super) fn vectors(limits: &Limits) -> Vec<Vector> {
    vec![
        pieces(limits),
        one_write(limits),
        largest(limits),
        length_zero(limits),
        too_large(limits),
        damaged(limits),
        other_variant(limits),
        not_an_envelope(limits),
        cut_envelope(limits),
        nothing_behind(limits),
        response_too_large(limits),
        message_too_large(limits),
        reason_cut(limits),
        half_closed(limits),
    ]
}

fn pieces(limits: &Limits) -> Vector {
    let script = Script::new(
        limits,
        About {
            id: "frame-in-pieces",
            shows: "frames may come in any pieces",
            contract: SEQUENCE,
            look_at: "the reader: it must keep a part of a frame until the rest is there",
        },
    );
    let frames = vec![
        script.sent(&hello(client(limits))),
        script.sent(&echo(1, "in pieces")),
    ];
    let script = script.connect().step(|on| Step::Send {
        on,
        frames,
        piece_bytes: Some(3),
    });
    let greeted = Expected {
        kind: Kind::Hello,
        ..Expected::default()
    };
    script
        .expect([greeted])
        .expect([reply(1).bytes(1, "in pieces")])
        .done()
}

fn one_write(limits: &Limits) -> Vector {
    let about = About {
        id: "frames-in-one-write",
        shows: "several frames may come in one read",
        contract: SEQUENCE,
        look_at: "the reader: after a frame it must look at what it has, before it reads again",
    };
    Script::new(limits, about)
        .needs_calls(3)
        .greet()
        .send((1..=3).map(|id| echo(id, vec![id as u8])))
        .expect((1..=3).map(|id| reply(id).bytes(1, [id as u8])))
        .done()
}

fn largest(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-largest",
        shows: "a payload of exactly max_frame_bytes is taken",
        contract: rule("`length` is over the receiver's `max_frame_bytes` | TooLarge"),
        look_at: "the comparison with max_frame_bytes: the limit itself is allowed",
    };
    // What is left out is not made: a server may announce any limit.
    let limit = limits.max_frame_bytes.min(LARGEST) as usize;
    let fits = |size: usize| echo(1, vec![0x5A; size]).encoded_len();
    let overhead = fits(limit) - limit;
    let size = limit.saturating_sub(overhead);
    let size = (size..=limit)
        .take_while(|size| fits(*size) <= limit)
        .last();
    let size = size.unwrap_or_default();
    let exact = fits(size) == limit;
    Script::new(limits, about)
        .skip_if(
            limits.max_frame_bytes > LARGEST,
            format!("its frame would be over {LARGEST} bytes"),
        )
        .skip_if(!exact, format!("no Echo is exactly {limit} bytes"))
        .greet()
        .ask(
            echo(1, vec![0x5A; size]),
            reply(1).field(1, Value::Length(size)),
        )
        .goes_on(2)
        .done()
}

/// A connection that sends bytes which end it, beside one that goes on.
fn fatal(limits: &Limits, about: About, means: &str, bytes: Vec<u8>, code: u32) -> Vector {
    Script::new(limits, about)
        .with(1)
        .greet()
        .with(0)
        .greet()
        .send_bytes(means, bytes)
        .expect_goaway(code)
        .with(1)
        .goes_on(1)
        .done()
}

fn length_zero(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-length-zero",
        shows: "a frame of length 0 ends its connection, and no other",
        contract: rule("`length` is 0 | InvalidLength | INVALID_ARGUMENT"),
        look_at: "the check of the header",
    };
    fatal(limits, about, "a frame of length 0", vec![0; 8], 3)
}

fn too_large(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-too-large",
        shows: "a frame that is too large is refused from its header, before a byte of payload came",
        contract: rule("The receiver judges the length from the 8 header bytes"),
        look_at: "the check of the header: it must not wait for the payload, nor make room for it",
    };
    let length = limits.max_frame_bytes.saturating_add(1);
    let header = [length.to_le_bytes(), [0; 4]].concat();
    let means = format!("the header of a frame of {length} bytes");
    fatal(limits, about, &means, header, 3)
}

fn damaged(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-damaged",
        shows: "a frame whose checksum does not fit ends its connection, and no other",
        contract: rule("the checksum does not fit | CrcMismatch | DATA_LOSS"),
        look_at: "the checksum: of the payload alone, and compared before the payload is used",
    };
    let mut bytes = frame(limits.crc, &echo(1, "damaged").encode_to_vec());
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    fatal(limits, about, "CALL with a flipped bit", bytes, 15)
}

fn other_variant(limits: &Limits) -> Vector {
    let other = limits.crc.other();
    let about = About {
        id: "frame-other-variant",
        shows: "a peer with the other checksum is told so",
        contract: rule("the `reason` of the GOAWAY names that variant"),
        look_at: "the diagnosis of the first frame: try the other variant when the own does not fit",
    };
    let payload = hello(client(limits)).encode_to_vec();
    Script::new(limits, about)
        .connect()
        .send_bytes(
            &format!("HELLO with the checksum {other}"),
            frame(other, &payload),
        )
        .expect_end(goaway(15).reason(other.to_string()))
        .done()
}

fn not_an_envelope(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-not-an-envelope",
        shows: "a payload that is not an Envelope ends its connection, and no other",
        contract: rule("the payload is not an Envelope | Decode | INVALID_ARGUMENT"),
        look_at: "what is done when the Envelope does not decode",
    };
    let bytes = frame(limits.crc, &[0xFF]);
    fatal(limits, about, "a payload of one byte ff", bytes, 3)
}

fn cut_envelope(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-cut-envelope",
        shows: "a payload that ends inside a field is not an Envelope",
        contract: rule("the payload is not an Envelope | Decode | INVALID_ARGUMENT"),
        look_at: "the Envelope's decoder: a length beyond the end must be an error",
    };
    let mut payload = of(Kind::Ping).encode_to_vec();
    payload.extend([0x7A, 5, 1]);
    let bytes = frame(limits.crc, &payload);
    fatal(limits, about, "PING with 1 of 5 bytes of payload", bytes, 3)
}

fn nothing_behind(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-nothing-behind-a-fault",
        shows: "of what follows a damaged frame nothing is run",
        contract: rule("parses nothing that follows"),
        look_at: "the reader after a fault: it must not look for the next frame",
    };
    let damaged = echo(1, "damaged").encode_to_vec();
    let wrong = checksum(limits.crc, &damaged) ^ 1;
    let behind = frame(limits.crc, &count(2, 1).encode_to_vec());
    let bytes = [frame_with(wrong, &damaged), behind].concat();
    let saved = Value::Saved {
        name: "total",
        plus: 0,
    };
    Script::new(limits, about)
        .with(1)
        .greet()
        .ask(count(1, 0), reply(1).field(1, Value::Save("total")))
        .with(0)
        .greet()
        .send_bytes(
            "a damaged frame, and a good CALL of Count that adds 1",
            bytes,
        )
        .expect_goaway(15)
        .with(1)
        .ask(count(2, 0), reply(2).field(1, saved))
        .done()
}

/// A client that takes frames of [`SMALL`] bytes.
fn modest<'a>(limits: &'a Limits, about: About) -> Script<'a> {
    let mut announced = client(limits);
    announced.max_frame_bytes = SMALL;
    Script::new(limits, about).greet_as(announced)
}

fn response_too_large(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-response-too-large",
        shows: "a response that the client cannot take fails its call alone",
        contract: rule("A server whose response would be larger sends END(RESOURCE_EXHAUSTED)"),
        look_at: "the sender: it must compare with the max_frame_bytes in the client's HELLO",
    };
    modest(limits, about)
        .ask(echo(1, vec![0x5A; SMALL as usize]), end(1, 8))
        .goes_on(2)
        .done()
}

fn message_too_large(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-message-too-large",
        shows: "a stream's message that the client cannot take fails its call alone",
        contract: rule("A server whose response would be larger sends END(RESOURCE_EXHAUSTED)"),
        look_at: "the sender: it must compare with the max_frame_bytes in the client's HELLO",
    };
    modest(limits, about)
        .ask(emit(1, 1, SMALL), end(1, 8))
        .goes_on(2)
        .done()
}

fn reason_cut(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-reason-cut",
        shows: "a reason that does not fit the client's frames is cut",
        contract: rule("A `reason` that would not fit is cut."),
        look_at: "the writer of END",
    };
    let request = FailRequest {
        code: 5,
        message: "x".repeat(SMALL as usize),
        panic: false,
    };
    modest(limits, about)
        .ask(call(1, "Fail", &request), end(1, 5).reason("xxxx"))
        .goes_on(2)
        .done()
}

fn half_closed(limits: &Limits) -> Vector {
    let about = About {
        id: "frame-half-close",
        shows: "a half-closed socket is a closed connection, and its calls are dropped",
        contract: rule("Closing the sending half of the socket means closing the connection"),
        look_at: "what is done at the end of the stream: handlers must be dropped",
    };
    let script = Script::new(limits, about)
        .greet()
        .send([sleep(1, 60_000)])
        .with(1)
        .greet();
    let (script, next) = script.until_calls(1, 2);
    let closed = script
        .with(0)
        .step(|on| Step::HalfClose { on })
        .step(|on| Step::ExpectClose { on, goaway: None });
    closed.with(1).until_calls(next, 1).0.done()
}
