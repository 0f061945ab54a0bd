//! What a message is said to take in memory is no less than what it takes.
//!
//! **Invariant**: compared with a counting allocator, for bytes of every kind.

use bytes::Bytes;
use daemoneye_ipc::{
    descriptor::Footprint,
    prost::Message,
    wire::{DecodeLimits, Inflated, measure},
};
use daemoneye_ipc_generated::{conformance, procmond};
use ipc_fuzz_bodies::scan::{EVERYTHING, NO_LIMIT, compare};
use proptest::prelude::*;

use crate::inflate::{self, Everything, INFLATE_SERVICE};

/// Bytes that often are an [`Everything`], with everything in it that its fields may hold, again and again.
fn bytes(random: &mut fastrand::Rng, depth: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.usize(..8) {
        let number = random.u32(1..=36);
        // Now and then, something that the field cannot be.
        let wire_type = match random.u32(..100) {
            0 => random.u32(..8),
            _ if (number == 3 || number == 4) && random.bool() => 3,
            _ => 2,
        };
        let copies = if random.u32(..10) == 0 {
            random.usize(..40)
        } else {
            1
        };
        for _ in 0..copies {
            field(random, number, wire_type, depth, &mut bytes);
        }
    }
    if random.u32(..50) == 0 {
        bytes.truncate(random.usize(..=bytes.len()));
    }
    bytes
}

fn field(random: &mut fastrand::Rng, number: u32, wire_type: u32, depth: u32, bytes: &mut Vec<u8>) {
    varint(u64::from(number << 3 | wire_type), bytes);
    match wire_type {
        0 => varint(random.u64(..), bytes),
        1 => bytes.extend(random.u64(..).to_le_bytes()),
        5 => bytes.extend(random.u32(..).to_le_bytes()),
        2 => {
            let content = content(random, depth);
            let wrong = if random.u32(..200) == 0 {
                random.u64(..50)
            } else {
                0
            };
            varint(content.len() as u64 + wrong, bytes);
            bytes.extend(content);
        }
        3 => {
            if depth > 0 {
                bytes.extend(self::bytes(random, depth - 1));
            }
            varint(u64::from(number << 3 | 4), bytes);
        }
        _ => {}
    }
}

fn content(random: &mut fastrand::Rng, depth: u32) -> Vec<u8> {
    match random.u32(..4) {
        _ if depth == 0 => vec![b'x'; random.usize(..3)],
        // Text, packed numbers, and a varint that does not end.
        0 => vec![random.u8(..0x80); random.usize(..100)],
        1 if random.bool() => vec![random.u8(..); random.usize(..40)],
        _ => bytes(random, depth - 1),
    }
}

fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_message_takes_more_than_is_said(seed in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(seed);
        let bytes = Bytes::from(bytes(&mut random, 5));
        compare::<Everything>(&bytes, &EVERYTHING);
    }

    #[test]
    fn no_bytes_take_more_than_is_said(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        compare::<Everything>(&Bytes::from(bytes), &EVERYTHING);
    }

    #[test]
    fn one_field_again_and_again(number in 1u32..=36, content in prop::collection::vec(0u8..0x80, 0..40), copies in 1usize..200) {
        let mut bytes = Vec::new();
        for copy in 0..copies {
            varint(u64::from(number << 3 | 2), &mut bytes);
            let content = &content[..content.len().min(copy)];
            varint(content.len() as u64, &mut bytes);
            bytes.extend(content);
        }
        compare::<Everything>(&Bytes::from(bytes), &EVERYTHING);
    }
}

#[test]
fn the_random_bytes_are_worth_something() {
    let mut random = fastrand::Rng::with_seed(7);
    let compared = (0..600).filter_map(|_| {
        let bytes = Bytes::from(bytes(&mut random, 5));
        compare::<Everything>(&bytes, &EVERYTHING)
    });
    let (mut decoded, mut large) = (0, 0);
    for compared in compared {
        decoded += usize::from(compared.decoded);
        large += usize::from(compared.taken > 10_000);
    }
    assert!(
        decoded > 60 && large > 30,
        "{decoded} decoded, {large} were large"
    );
}

#[test]
fn structs_are_no_larger_than_is_said() {
    fn check<M>(footprint: &Footprint) {
        let said = footprint.size().expect("a message that is known");
        let size = size_of::<M>() as u64;
        let name = std::any::type_name::<M>();
        assert!(
            size <= said && said <= 2 * size + 64,
            "{name}: {size}, said: {said}"
        );
    }
    check::<Everything>(&EVERYTHING);
    check::<inflate::Taken>(&INFLATE_SERVICE.methods[1].response);
    let methods = conformance::v1::CONFORMANCE_SERVICE.methods;
    check::<conformance::v1::EchoRequest>(&methods[0].request);
    check::<conformance::v1::FailRequest>(&methods[2].request);
    check::<conformance::v1::InspectResponse>(&methods[7].response);
    let methods = procmond::v1::PROCESS_MONITOR_SERVICE.methods;
    let find = |name: &str| {
        methods
            .iter()
            .find(|method| method.name == name)
            .expect(name)
    };
    check::<procmond::v1::GetProcessResponse>(&find("GetProcess").response);
}

#[test]
fn what_programs_send_is_not_overrated() {
    let wide = inflate::Wide {
        a: "a process of some sort".into(),
        b: "/usr/lib/some/path/to/an/executable".into(),
        c: vec!["--an-argument=of-some-length".into(); 6],
        ..inflate::Wide::default()
    };
    let list = Everything {
        wides: vec![wide; 1_000],
        ..Everything::default()
    };
    let compared = compare::<Everything>(&list.encode_to_vec().into(), &EVERYTHING).expect("flat");
    assert!(compared.said <= 3 * compared.taken, "{compared:?}");
}

#[test]
fn messages_nest_as_deep_as_the_limit_says() {
    let mut nested = Everything::default();
    for _ in 1..32 {
        nested = Everything {
            child: Some(Box::new(nested)),
            text: "x".repeat(100),
            ..Everything::default()
        };
    }
    let limits = DecodeLimits {
        nesting: 32,
        ..NO_LIMIT
    };
    let bytes = nested.encode_to_vec();
    assert!(measure(&bytes, &EVERYTHING, &limits, u64::MAX).is_ok());
    let deeper = Everything {
        children: vec![nested],
        ..Everything::default()
    };
    let bytes = deeper.encode_to_vec();
    let refused = measure(&bytes, &EVERYTHING, &limits, u64::MAX);
    assert_eq!(refused, Err(Inflated::Nesting { limit: 32 }));
    // Groups of fields that nobody knows count as well.
    let unknown = [0xfb, 0x3f].repeat(33);
    let refused = measure(&unknown, &EVERYTHING, &limits, 0);
    assert_eq!(refused, Err(Inflated::Nesting { limit: 32 }));
}

/// `FOOTPRINT_COST=1 cargo test --release … what_a_look_costs -- --nocapture` prints what it costs to measure, beside to decode.
#[test]
fn what_a_look_costs() {
    let wide = inflate::Wide {
        a: "a process of some sort".into(),
        b: "/usr/lib/some/path/to/an/executable".into(),
        c: vec!["--an-argument=of-some-length".into(); 6],
        ..inflate::Wide::default()
    };
    let numbers = Everything {
        large: (0..100_000).collect(),
        ..Everything::default()
    };
    let tree = Everything {
        wides: vec![inflate::Wide::default(); 10_000],
        ..Everything::default()
    };
    let list = Everything {
        wides: vec![wide; 3_000],
        ..Everything::default()
    };
    let rounds = match std::env::var_os("FOOTPRINT_COST") {
        Some(_) => 200,
        None => 1,
    };
    for (name, message) in [
        ("records", list),
        ("packed numbers", numbers),
        ("empty messages", tree),
    ] {
        let bytes = Bytes::from(message.encode_to_vec());
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            assert!(measure(&bytes, &EVERYTHING, &NO_LIMIT, 0).is_ok());
        }
        let measuring = start.elapsed();
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            assert!(Everything::decode(bytes.clone()).is_ok());
        }
        let decoding = start.elapsed();
        let per_kib = |time: std::time::Duration| {
            time.as_nanos() as f64 * 1024.0 / (bytes.len() * rounds) as f64
        };
        println!(
            "{name}: {:.0} ns per KiB to measure, {:.0} to decode: {:.3}",
            per_kib(measuring),
            per_kib(decoding),
            measuring.as_secs_f64() / decoding.as_secs_f64()
        );
    }
}
