//! The envelopes that vectors send, and any envelope in words.
//!
//! **Invariant**: what peers say is shown escaped; it cannot steer a terminal.

use std::fmt::Write as _;

use daemoneye_ipc::{
    bytes::Bytes,
    prost::Message,
    wire::{Envelope, Hello, Kind},
};
use daemoneye_ipc_generated::conformance::v1::{
    CONFORMANCE_SERVICE, CollectRequest, CountRequest, EchoRequest, EmitRequest, InspectRequest,
    SleepRequest,
};

use super::{Limits, data::Data, script::name_of};

/// The largest frame that a vector sends, or has sent to it.
pub(super) const LARGEST: u32 = 16 << 20;

/// Bytes of a payload that are shown in words.
const SHOWN_BYTES: usize = 24;

/// The ordinal of a method of the conformance service; 0 if there is none of that name.
pub(super) fn ordinal(method: &str) -> u64 {
    let mut methods = CONFORMANCE_SERVICE.methods.iter();
    methods
        .find(|known| known.name == method)
        .map_or(0, |known| known.ordinal)
}

/// An envelope of a kind, with nothing else.
pub(super) fn of(kind: Kind) -> Envelope {
    Envelope {
        kind: kind.into(),
        ..Envelope::default()
    }
}

pub(super) fn on(kind: Kind, call: u64) -> Envelope {
    Envelope {
        call: Some(call),
        ..of(kind)
    }
}

/// What a client announces: a little of everything.
pub(super) fn client(limits: &Limits) -> Hello {
    Hello {
        protocol: 1,
        agent: "vectors/1".to_owned(),
        max_frame_bytes: limits.max_frame_bytes.clamp(1 << 20, LARGEST),
        max_calls: 256,
        stream_credit: 256 << 10,
        services: Vec::new(),
    }
}

pub(super) fn hello(hello: Hello) -> Envelope {
    Envelope {
        hello: Some(hello),
        ..of(Kind::Hello)
    }
}

/// CALL with the one request of a unary or server-streaming method.
pub(super) fn call(call: u64, method: &str, request: &impl Message) -> Envelope {
    Envelope {
        last: true,
        payload: Some(request.encode_to_vec().into()),
        ..open(call, method)
    }
}

/// CALL without a message.
pub(super) fn open(call: u64, method: &str) -> Envelope {
    Envelope {
        method: ordinal(method),
        ..on(Kind::Call, call)
    }
}

pub(super) fn echo(id: u64, payload: impl Into<Bytes>) -> Envelope {
    let request = EchoRequest {
        payload: payload.into(),
        ..EchoRequest::default()
    };
    call(id, "Echo", &request)
}

pub(super) fn sleep(id: u64, millis: u32) -> Envelope {
    let request = SleepRequest {
        millis,
        blocking: false,
    };
    call(id, "Sleep", &request)
}

pub(super) fn count(id: u64, add: u32) -> Envelope {
    call(id, "Count", &CountRequest { add })
}

pub(super) fn emit(id: u64, count: u32, size: u32) -> Envelope {
    let request = EmitRequest {
        count,
        size,
        interval_us: 0,
    };
    call(id, "Emit", &request)
}

pub(super) fn inspect(id: u64) -> Envelope {
    call(id, "Inspect", &InspectRequest {})
}

pub(super) fn message(call: u64, message: &impl Message) -> Envelope {
    Envelope {
        payload: Some(message.encode_to_vec().into()),
        ..on(Kind::Message, call)
    }
}

/// A message of Collect.
pub(super) fn item(payload: impl Into<Bytes>) -> CollectRequest {
    CollectRequest {
        payload: payload.into(),
    }
}

pub(super) fn cancel(call: u64) -> Envelope {
    on(Kind::Cancel, call)
}

/// MESSAGE that only closes the request stream.
pub(super) fn half_close(call: u64) -> Envelope {
    Envelope {
        last: true,
        ..on(Kind::Message, call)
    }
}

pub(super) fn credit(call: u64, credit: u32) -> Envelope {
    Envelope {
        credit,
        ..on(Kind::Credit, call)
    }
}

pub(super) fn ping(payload: &'static [u8]) -> Envelope {
    Envelope {
        payload: Some(Bytes::from_static(payload)),
        ..of(Kind::Ping)
    }
}

/// An envelope in words.
#[must_use]
pub fn describe(envelope: &Envelope) -> String {
    let mut words = match Kind::try_from(envelope.kind) {
        Ok(Kind::Unspecified) | Err(_) => format!("a frame of kind {}", envelope.kind),
        Ok(kind) => name_of(kind).to_owned(),
    };
    // Writing to a String does not fail.
    let _ = describe_fields(envelope, &mut words);
    words
}

fn describe_fields(envelope: &Envelope, words: &mut String) -> std::fmt::Result {
    if let Some(call) = envelope.call {
        write!(words, " on call {call}")?;
    }
    if envelope.method != 0 {
        let mut methods = CONFORMANCE_SERVICE.methods.iter();
        match methods.find(|method| method.ordinal == envelope.method) {
            Some(method) => write!(words, ", {}", method.name)?,
            None => write!(words, ", method {:016x}", envelope.method)?,
        }
    }
    if let Some(timeout) = envelope.timeout_us {
        write!(words, ", timeout_us {timeout}")?;
    }
    if envelope.last {
        words.push_str(", last");
    }
    if envelope.credit != 0 {
        write!(words, ", credit {}", envelope.credit)?;
    }
    let has_code = matches!(envelope.kind(), Kind::End | Kind::Goaway);
    if has_code || envelope.code != 0 {
        write!(words, ", code {}", envelope.code)?;
    }
    if !envelope.reason.is_empty() {
        write!(words, ", reason {:?}", envelope.reason)?;
    }
    if !envelope.metadata.is_empty() {
        write!(words, ", {} pairs of metadata", envelope.metadata.len())?;
    }
    if let Some(hello) = &envelope.hello {
        describe_hello(hello, words)?;
    }
    if let Some(last_call) = envelope.last_call {
        write!(words, ", last_call {last_call}")?;
    }
    if envelope.unrun {
        words.push_str(", unrun");
    }
    match &envelope.payload {
        Some(payload) if payload.is_empty() => words.push_str(", an empty payload"),
        Some(payload) => {
            let shown = Data::from(payload.get(..SHOWN_BYTES).unwrap_or(payload));
            let more = if payload.len() > SHOWN_BYTES {
                "…"
            } else {
                ""
            };
            write!(words, ", payload of {} bytes: {shown}{more}", payload.len())?;
        }
        None => {}
    }
    Ok(())
}

fn describe_hello(hello: &Hello, words: &mut String) -> std::fmt::Result {
    write!(
        words,
        " protocol {}, agent {:?}, max_frame_bytes {}, max_calls {}, stream_credit {}",
        hello.protocol, hello.agent, hello.max_frame_bytes, hello.max_calls, hello.stream_credit
    )?;
    for service in &hello.services {
        write!(
            words,
            ", service {:?} revision {} fingerprint {:016x}",
            service.name, service.revision, service.fingerprint
        )?;
        if service.verdict != 0 {
            let verdict = service.verdict().as_str_name();
            write!(words, " {}", verdict.trim_start_matches("VERDICT_"))?;
        }
        if !service.compatible.is_empty() {
            write!(words, " compatible {:x?}", service.compatible)?;
        }
        if service.require {
            words.push_str(" require");
        }
    }
    Ok(())
}
