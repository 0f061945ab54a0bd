//! Messages to check, some good and most not.
//!
//! **Invariant**: the same seed gives the same messages.

use daemoneye_ipc::prost::Message;
use fastrand::Rng;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};

/// A message and its bytes.
pub(crate) struct Case {
    pub(crate) message: String,
    pub(crate) bytes: Vec<u8>,
}

/// `count` messages of each type of the package.
pub(crate) fn cases(pool: &DescriptorPool, package: &str, count: usize, seed: u64) -> Vec<Case> {
    let mut rng = Rng::with_seed(seed);
    let mut messages: Vec<_> = pool
        .all_messages()
        .filter(|message| message.package_name() == package && !message.is_map_entry())
        // Everything is as large as all of the others.
        .filter(|message| message.name() != "Everything")
        .collect();
    messages.sort_by(|a, b| a.full_name().cmp(b.full_name()));
    let mut cases = Vec::new();
    for message in messages {
        for _ in 0..count {
            cases.push(Case {
                message: message.full_name().to_owned(),
                bytes: fill(&message, &mut rng, 0).encode_to_vec(),
            });
        }
    }
    cases
}

fn fill(message: &MessageDescriptor, rng: &mut Rng, depth: u32) -> DynamicMessage {
    let mut filled = DynamicMessage::new(message.clone());
    match message.full_name() {
        // Seconds and nanoseconds that are a valid time.
        "google.protobuf.Duration" | "google.protobuf.Timestamp" => {
            let seconds = [0, 1, -2, 5, 60, 61, 999, 1000, 1001, 4_000_000_000];
            let seconds = *pick(&seconds, rng);
            let nanos = if seconds < 0 && message.name() == "Duration" {
                -5
            } else {
                1
            };
            filled.set_field_by_name("seconds", Value::I64(seconds));
            filled.set_field_by_name("nanos", Value::I32(nanos * i32::from(rng.bool())));
            return filled;
        }
        "google.protobuf.Any" => {
            let names = ["Duration", "Empty"];
            let url = format!("type.googleapis.com/google.protobuf.{}", pick(&names, rng));
            filled.set_field_by_name("type_url", Value::String(url));
            return filled;
        }
        _ => {}
    }
    for field in message.fields() {
        let share = if depth > 3 { 0.05 } else { 0.7 };
        if rng.f64() < share {
            filled.set_field(&field, value(&field, rng, depth));
        }
    }
    filled
}

fn value(field: &FieldDescriptor, rng: &mut Rng, depth: u32) -> Value {
    let length = rng.usize(0..4);
    let kind = field.kind();
    if let (true, Some(entry)) = (field.is_map(), kind.as_message()) {
        let (key, inside) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let entries = (0..length).map(|_| {
            let key = match one(&key, rng, depth) {
                Value::Bool(key) => MapKey::Bool(key),
                Value::I32(key) => MapKey::I32(key),
                Value::I64(key) => MapKey::I64(key),
                Value::U32(key) => MapKey::U32(key),
                Value::U64(key) => MapKey::U64(key),
                Value::String(key) => MapKey::String(key),
                other => panic!("{other:?} is no key"),
            };
            (key, one(&inside, rng, depth + 1))
        });
        Value::Map(entries.collect())
    } else if field.is_list() {
        Value::List((0..length).map(|_| one(field, rng, depth + 1)).collect())
    } else {
        one(field, rng, depth)
    }
}

fn one(field: &FieldDescriptor, rng: &mut Rng, depth: u32) -> Value {
    let integer = *pick(&INTEGERS, rng);
    let natural = integer.unsigned_abs();
    match field.kind() {
        Kind::Double => Value::F64(*pick(&FLOATS, rng)),
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        Kind::Float => Value::F32(*pick(&FLOATS, rng) as f32),
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(integer as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(integer),
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        Kind::Uint32 | Kind::Fixed32 => Value::U32(natural as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(natural),
        Kind::Bool => Value::Bool(rng.bool()),
        Kind::String => Value::String(text(rng)),
        Kind::Bytes => Value::Bytes(bytes(rng).into()),
        Kind::Enum(_) => Value::EnumNumber(*pick(&[0, 1, 2, 3, -4, -5], rng)),
        Kind::Message(message) => Value::Message(fill(&message, rng, depth + 1)),
    }
}

fn pick<'a, T>(list: &'a [T], rng: &mut Rng) -> &'a T {
    &list[rng.usize(..list.len())]
}

const INTEGERS: [i64; 24] = [
    0,
    1,
    -1,
    2,
    -3,
    4,
    5,
    6,
    -7,
    7,
    8,
    9,
    10,
    -10,
    11,
    -11,
    100,
    101,
    4_194_304,
    4_194_305,
    i32::MAX as i64,
    i32::MIN as i64,
    i64::MAX,
    i64::MIN,
];

const FLOATS: [f64; 14] = [
    0.0,
    0.25,
    -0.25,
    0.5,
    -0.5,
    1.0,
    1.25,
    1.5,
    2.0,
    -3.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    1e30,
];

fn bytes(rng: &mut Rng) -> Vec<u8> {
    let known: [&[u8]; 14] = [
        b"",
        b"\0",
        b"a",
        b"b",
        b"aa",
        b"aab",
        b"abcd",
        b"\x01\x02",
        b"\x7fELE",
        b"\x7fXE",
        b"LE",
        b"\xff\xfe",
        &[7; 16],
        &[7; 5],
    ];
    pick(&known, rng).to_vec()
}

/// A text from the list, and sometimes one that is a little different.
fn text(rng: &mut Rng) -> String {
    let mut text = (*pick(&TEXTS, rng)).to_owned();
    if rng.u8(..) < 64 {
        let at = rng.usize(..=text.chars().count());
        let at = text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
        match rng.u8(..3) {
            0 => text.insert(
                at,
                *pick(
                    &['.', ':', '/', '%', '@', '-', '0', 'g', 'é', '[', '\n'],
                    rng,
                ),
            ),
            1 => text.truncate(at),
            _ => text = text[at..].to_owned(),
        }
    }
    text
}

const TEXTS: [&str; 74] = [
    "",
    "a",
    "bb",
    "c",
    "x",
    "xy",
    "abc",
    "abyz",
    "abz",
    "a-b",
    "a--b",
    "Äöü",
    "größe",
    "12345678",
    "123456789",
    "user@example.com",
    "user@localhost",
    "@x",
    "a b@c",
    "user@-x.com",
    "example.com",
    "example.com.",
    "-example.com",
    "exa_mple.com",
    "a.b.123",
    "localhost",
    "127.0.0.1",
    "127.0.0.01",
    "256.1.1.1",
    "::1",
    "fe80::1%eth0",
    "::ffff:1.2.3.4",
    "1::2::3",
    "2001:db8::/32",
    "2001:db8::1/32",
    "10.0.0.0/8",
    "10.0.0.1/8",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "::/0",
    "0.0.0.0/0",
    "1.2.3.4/32",
    "http://example.com/a?b=c#d",
    "http://[::1]:80/",
    "http://[::1%25eth0]/",
    "mailto:a@b.c",
    "http:///",
    "//host/path",
    "/path",
    "a:b",
    "1a:b",
    "a/b:c",
    "?q",
    "#f",
    "%41",
    "%zz",
    "http://user:pw@host:8080/x",
    "http://a b/",
    "http://[v1.a:b]/",
    "http://host:8a/",
    "00000000-0000-0000-0000-00000000000a",
    "0000000000000000000000000000000a",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "81ARZ3NDEKTSV4RRFFQ69G5FAV",
    "localhost:80",
    "[::1]:80",
    "1.2.3.4:65536",
    "host:080",
    "::1:80",
    "Content-Type",
    ":path",
    "bad header",
    "tab\tvalue",
    "foo.bar_1.Baz",
];
