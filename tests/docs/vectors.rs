//! The test vectors of the wire contract, against the codec and the generated code.
//!
//! **Invariant**: what the names mean is written here once more, by hand, from the table.

use bytes::{Bytes, BytesMut};
use daemoneye_ipc::{
    prost::Message,
    schema::ipc::v1::{Envelope, Hello, Kind, Metadata, ServiceOffer},
    wire::{
        Crc32Variant, Encoded, FrameDecoder, FrameError, Head, append_envelope, decode_envelope,
    },
};
use daemoneye_ipc_generated::conformance::v1::{
    CONFORMANCE_SERVICE, CollectRequest, EchoRequest, EchoResponse,
};

use super::{block, read};

const MAX_FRAME_BYTES: usize = 1 << 20;

/// The words of the lines that begin with `word`.
fn lines<'a>(text: &'a str, word: &str) -> Vec<Vec<&'a str>> {
    let lines: Vec<Vec<&str>> = block(text, "vectors")
        .lines()
        .map(|line| line.split(' ').collect::<Vec<&str>>())
        .filter(|words| words[0] == word)
        .collect();
    assert!(!lines.is_empty(), "no lines {word}");
    lines
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16).expect("hex")).collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

fn on_call(kind: Kind, call: u64) -> Envelope {
    Envelope {
        kind: kind.into(),
        call: Some(call),
        ..Envelope::default()
    }
}

fn ordinal(method: &str) -> u64 {
    let mut methods = CONFORMANCE_SERVICE.methods.iter();
    let method = methods.find(|known| known.name == method);
    method.expect("a method").ordinal
}

fn hello(services: Vec<ServiceOffer>) -> Envelope {
    Envelope {
        kind: Kind::Hello.into(),
        hello: Some(Hello {
            protocol: 1,
            agent: "vectors/1".into(),
            max_frame_bytes: 1 << 20,
            max_calls: 256,
            stream_credit: 256 << 10,
            services,
        }),
        ..Envelope::default()
    }
}

/// What the table in the contract says that the names mean.
fn calls(name: &str) -> Option<Envelope> {
    let payload = |message: Vec<u8>| Some(Bytes::from(message));
    let echo = EchoRequest {
        payload: "hello".into(),
        ..EchoRequest::default()
    };
    let reply = EchoResponse {
        payload: "hello".into(),
        ..EchoResponse::default()
    };
    let item = CollectRequest {
        payload: "abc".into(),
    };
    Some(match name {
        "call-echo" => Envelope {
            method: ordinal("Echo"),
            timeout_us: Some(1_000_000),
            last: true,
            payload: payload(echo.encode_to_vec()),
            ..on_call(Kind::Call, 1)
        },
        "call-with-metadata" => Envelope {
            method: ordinal("Inspect"),
            last: true,
            metadata: vec![Metadata {
                key: "trace".into(),
                value: Bytes::from_static(&[0, 0xFF]),
            }],
            payload: payload(Vec::new()),
            ..on_call(Kind::Call, 2)
        },
        "call-open-stream" => Envelope {
            method: ordinal("Collect"),
            ..on_call(Kind::Call, 3)
        },
        "message" => Envelope {
            payload: payload(item.encode_to_vec()),
            ..on_call(Kind::Message, 3)
        },
        "message-empty" => Envelope {
            payload: payload(Vec::new()),
            ..on_call(Kind::Message, 3)
        },
        "message-half-close" => Envelope {
            last: true,
            ..on_call(Kind::Message, 3)
        },
        "reply" => Envelope {
            payload: payload(reply.encode_to_vec()),
            ..on_call(Kind::Reply, 1)
        },
        _ => return None,
    })
}

/// The rest of the table.
fn others(name: &str) -> Envelope {
    let of = |kind: Kind| Envelope {
        kind: kind.into(),
        ..Envelope::default()
    };
    let payload = Some(Bytes::from_static(b"12345678"));
    match name {
        "hello" => hello(Vec::new()),
        "hello-with-service" => hello(vec![ServiceOffer {
            name: CONFORMANCE_SERVICE.name.into(),
            revision: 3,
            fingerprint: 0x1122_3344_5566_7788,
            compatible: vec![1, 2],
            require: true,
            ..ServiceOffer::default()
        }]),
        "end-ok" => on_call(Kind::End, 3),
        "end-refused" => Envelope {
            code: 8,
            reason: "busy".into(),
            unrun: true,
            ..on_call(Kind::End, 300)
        },
        "cancel" => on_call(Kind::Cancel, 3),
        "credit" => Envelope {
            credit: 4096,
            ..on_call(Kind::Credit, 3)
        },
        "ping" => Envelope {
            payload,
            ..of(Kind::Ping)
        },
        "pong" => Envelope {
            payload,
            ..of(Kind::Pong)
        },
        "goaway-drain" => Envelope {
            last_call: Some(7),
            ..of(Kind::Goaway)
        },
        "goaway-fault" => Envelope {
            code: 15,
            reason: "checksum".into(),
            ..of(Kind::Goaway)
        },
        _ => panic!("{name} is not in the table of the test"),
    }
}

fn written(envelope: &Envelope, crc: Crc32Variant) -> Vec<u8> {
    let head = Head {
        kind: envelope.kind(),
        call: envelope.call,
        method: envelope.method,
        timeout_us: envelope.timeout_us,
        last: envelope.last,
        credit: envelope.credit,
        code: envelope.code,
        reason: &envelope.reason,
        metadata: &envelope.metadata,
        hello: envelope.hello.as_ref(),
        last_call: envelope.last_call,
        details: &envelope.details,
        unrun: envelope.unrun,
    };
    let payload = envelope.payload.clone().map(Encoded);
    let mut buffer = BytesMut::new();
    append_envelope(&mut buffer, crc, MAX_FRAME_BYTES, &head, payload.as_ref()).expect("it fits");
    buffer.to_vec()
}

#[test]
fn checksums_and_ordinals() {
    let text = read("docs/wire.md");
    for words in lines(&text, "crc") {
        let variant: Crc32Variant = words[1].parse().expect("a variant");
        assert_eq!(format!("{:08x}", variant.checksum(b"123456789")), words[2]);
    }
    let ordinals = lines(&text, "ordinal");
    assert_eq!(ordinals.len(), CONFORMANCE_SERVICE.methods.len());
    for (words, method) in ordinals.iter().zip(CONFORMANCE_SERVICE.methods) {
        assert_eq!(
            (words[1], words[2]),
            (method.path, &*format!("{:016x}", method.ordinal))
        );
    }
}

#[test]
fn frames_are_read_and_written_as_the_contract_says() {
    let text = read("docs/wire.md");
    for words in lines(&text, "frame") {
        let (name, variant) = (words[1], words[2].parse().expect("a variant"));
        let expected = calls(name).unwrap_or_else(|| others(name));
        let frame = bytes(words[3]);
        let mut buffer = BytesMut::from(&frame[..]);
        let mut decoder = FrameDecoder::new(MAX_FRAME_BYTES, variant);
        let payload = decoder.decode(&mut buffer).expect(name).expect(name);
        assert!(buffer.is_empty(), "{name}");
        assert_eq!(decode_envelope(payload).expect(name), expected, "{name}");
        assert_eq!(written(&expected, variant), frame, "{name}");
    }
}

#[test]
fn what_is_to_be_refused_is_refused() {
    let text = read("docs/wire.md");
    for words in lines(&text, "refused") {
        let mut buffer = BytesMut::from(&bytes(words[2])[..]);
        let mut decoder = FrameDecoder::new(MAX_FRAME_BYTES, Crc32Variant::Ieee);
        let got = match decoder.decode(&mut buffer) {
            Err(FrameError::InvalidLength { .. }) => "InvalidLength".to_owned(),
            Err(FrameError::TooLarge { .. }) => "TooLarge".to_owned(),
            Err(FrameError::CrcMismatch {
                other_variant: None,
                ..
            }) => "CrcMismatch".to_owned(),
            Err(FrameError::CrcMismatch {
                other_variant: Some(other),
                ..
            }) => {
                format!("CrcMismatch/{other}")
            }
            Err(error) => panic!("{error}"),
            Ok(frame) => {
                let envelope = decode_envelope(frame.expect("a frame"));
                assert!(envelope.is_err(), "{envelope:?}");
                "Decode".to_owned()
            }
        };
        assert_eq!(got, words[1]);
    }
}
