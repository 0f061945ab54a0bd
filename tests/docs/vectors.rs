//! The test vectors of the wire contract: the page, the runtime, and a codec in another language against
//! the data of `ipc-conformance`.
//!
//! **Invariant**: no vector is written here once more.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use bytes::{Bytes, BytesMut};
use daemoneye_ipc::wire::{
    Crc32Variant, Encoded, Envelope, FrameDecoder, FrameError, Head, append_envelope,
    decode_envelope,
};
use daemoneye_ipc_generated::conformance::v1::CONFORMANCE_SERVICE;
use ipc_conformance::{
    check::rules,
    vectors::{Limits, Rule, conversations, encodings},
};

use super::{block, read, workspace};

const MAX_FRAME_BYTES: usize = 1 << 20;

/// A text on one line, so that line breaks do not matter.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The section of wire.md with that number.
fn section(number: u8) -> String {
    let text = read("docs/wire.md");
    let start = text
        .find(&format!("\n## {number}. "))
        .unwrap_or_else(|| panic!("no section {number}"));
    let rest = &text[start + 1..];
    flat(&rest[..rest.find("\n## ").unwrap_or(rest.len())])
}

#[test]
fn the_page_shows_the_vectors_as_they_are() {
    let (page, encodings) = (read("docs/wire.md"), encodings());
    let lines = encodings.lines();
    assert_eq!(
        block(&page, "vectors"),
        lines,
        "the block is to be:\n{lines}"
    );
    let table = encodings.table();
    assert!(page.contains(&table), "the table is to be:\n{table}");
}

#[test]
fn the_page_of_conformance_shows_all_conversations() {
    let rows: String = conversations(&Limits::default())
        .iter()
        .map(|vector| {
            format!(
                "| {} | {} | {} |\n",
                vector.id, vector.contract.section, vector.shows
            )
        })
        .collect();
    let page = read("docs/conformance.md");
    assert!(page.ends_with(&rows), "the table is to be:\n{rows}");
}

#[test]
fn rules_are_words_of_the_contract() {
    let vectors = conversations(&Limits::default());
    for Rule {
        section: number,
        text,
    } in vectors.iter().map(|v| v.contract).chain(rules::ALL)
    {
        let contract = section(number);
        assert!(
            contract.contains(&flat(text)),
            "section {number} lacks {text:?}"
        );
    }
    for number in 1..=7 {
        let shown = vectors.iter().any(|v| v.contract.section == number);
        assert!(shown, "nothing of section {number}");
    }
}

#[test]
fn names_are_used_once() {
    let vectors = conversations(&Limits::default());
    let mut ids: Vec<&str> = vectors.iter().map(|vector| vector.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), vectors.len());
    for vector in &vectors {
        assert!(
            !vector.steps.is_empty(),
            "{} is skipped: {:?}",
            vector.id,
            vector.skipped
        );
    }
}

#[test]
fn a_codec_in_another_language_agrees() {
    let printed = Command::new(env!("CARGO_BIN_EXE_tests-conformance"))
        .arg("vectors")
        .output()
        .expect("the program runs");
    assert!(printed.status.success());
    let mut script = Command::new("python3")
        .arg(workspace().join("docs/vectors.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut stdin = script.stdin.take().expect("piped");
    stdin.write_all(&printed.stdout).expect("it reads");
    drop(stdin);
    let output = script.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let count = conversations(&Limits::default()).len();
    assert!(
        stdout.contains(&format!("{count} conversations")),
        "{stdout}"
    );
}

#[test]
fn the_runtime_computes_the_same_checksums_and_ordinals() {
    let encodings = encodings();
    for known in &encodings.checksums {
        let computed = known.variant.checksum(&known.of.0);
        assert_eq!(format!("{computed:08x}"), known.crc32);
    }
    assert_eq!(encodings.ordinals.len(), CONFORMANCE_SERVICE.methods.len());
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

fn first_frame(bytes: &[u8], crc: Crc32Variant) -> Result<Bytes, FrameError> {
    let mut buffer = BytesMut::from(bytes);
    let mut decoder = FrameDecoder::new(MAX_FRAME_BYTES, crc);
    let frame = decoder.decode(&mut buffer)?.expect("a whole frame");
    assert!(buffer.is_empty(), "a frame and more");
    Ok(frame)
}

#[test]
fn the_runtime_reads_and_writes_the_frames() {
    for frame in encodings().frames {
        let payload = first_frame(&frame.bytes.0, frame.crc).expect(frame.id);
        let envelope = decode_envelope(payload).expect(frame.id);
        assert_eq!(envelope, frame.decoded, "{}", frame.id);
        assert_eq!(written(&envelope, frame.crc), frame.bytes.0, "{}", frame.id);
    }
}

#[test]
fn the_runtime_refuses_what_is_to_be_refused() {
    for refused in encodings().refused {
        assert_eq!(refused.max_frame_bytes as usize, MAX_FRAME_BYTES);
        let (error, other) = match first_frame(&refused.bytes.0, refused.crc) {
            Err(FrameError::InvalidLength { .. }) => ("InvalidLength", None),
            Err(FrameError::TooLarge { .. }) => ("TooLarge", None),
            Err(FrameError::CrcMismatch { other_variant, .. }) => ("CrcMismatch", other_variant),
            Err(error) => panic!("{error}"),
            Ok(payload) => {
                let envelope = decode_envelope(payload);
                assert!(envelope.is_err(), "{envelope:?}");
                ("Decode", None)
            }
        };
        assert_eq!((error, other), (refused.error, refused.other_variant));
    }
}
