//! Envelopes as other peers may write them: fields in any order, more than once, unknown ones between them, numbers that
//! are longer than need be, bytes that are cut.
//!
//! **Invariant**: what is expected follows from the rules of protobuf alone, applied to a list of fields.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

use super::{Envelope, Kind, MetadataEntry, carried, decode_envelope, plain_call, tests::number};
use crate::schema::ipc::v1::ServiceOffer;

/// A field, and how its numbers are written.
#[derive(Debug, Clone)]
struct Field {
    says: Says,
    /// Bytes of nothing at the end of each number, which say the same.
    padding: usize,
}

#[derive(Debug, Clone)]
enum Says {
    /// An optional field, or one that has a default: the last one counts.
    Number(u32, u64),
    Method(u64),
    Text(String),
    Details(Vec<u8>),
    Payload(Vec<u8>),
    /// One more each time.
    Metadata(String, Vec<u8>),
    /// Number of calls, agent, and what one service is compatible with. The fields of one that came before stay, unless
    /// they are said anew.
    Hello(u32, String, Vec<u64>),
    /// Skipped.
    UnknownNumber(u32, u64),
    UnknownFixed32(u32, u32),
    UnknownFixed64(u32, u64),
    UnknownBlock(u32, Vec<u8>),
    UnknownGroup(u32, u64),
}

/// Those of the envelope that are numbers.
const NUMBERS: [u32; 8] = [1, 2, 4, 5, 6, 7, 11, 13];

fn field() -> impl Strategy<Value = Field> {
    let unknown = || prop_oneof![Just(14u32), 16..40u32, Just((1 << 29) - 1)];
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let says = prop_oneof![
        8 => (prop::sample::select(&NUMBERS[..]), number()).prop_map(|(tag, value)| Says::Number(tag, value)),
        4 => Just(Says::Number(1, Kind::Message as u64)),
        1 => any::<u64>().prop_map(Says::Method),
        1 => ".{0,20}".prop_map(Says::Text),
        1 => bytes().prop_map(Says::Details),
        4 => bytes().prop_map(Says::Payload),
        2 => ("[a-z]{0,5}", bytes()).prop_map(|(key, value)| Says::Metadata(key, value)),
        2 => (0..3u32, "[a-z]{0,5}", prop::collection::vec(any::<u64>(), 0..3)).prop_map(|(calls, agent, with)| Says::Hello(calls, agent, with)),
        1 => (unknown(), number()).prop_map(|(tag, value)| Says::UnknownNumber(tag, value)),
        1 => (unknown(), any::<u32>()).prop_map(|(tag, value)| Says::UnknownFixed32(tag, value)),
        1 => (unknown(), any::<u64>()).prop_map(|(tag, value)| Says::UnknownFixed64(tag, value)),
        1 => (unknown(), bytes()).prop_map(|(tag, value)| Says::UnknownBlock(tag, value)),
        1 => (unknown(), number()).prop_map(|(tag, value)| Says::UnknownGroup(tag, value)),
    ];
    let padding = prop_oneof![4 => Just(0usize), 1 => 1..3usize];
    (says, padding).prop_map(|(says, padding)| Field { says, padding })
}

/// A number in base 128, with so many bytes more than it needs where ten are enough for both.
fn varint(to: &mut Vec<u8>, mut value: u64, padding: usize) {
    let start = to.len();
    while value > 0x7F {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
    for _ in 0..padding.min(10 - (to.len() - start)) {
        *to.last_mut().expect("one") |= 0x80;
        to.push(0);
    }
}

fn key(to: &mut Vec<u8>, tag: u32, wire_type: u32) {
    varint(to, u64::from(tag << 3 | wire_type), 0);
}

fn block(to: &mut Vec<u8>, tag: u32, bytes: &[u8], padding: usize) {
    key(to, tag, 2);
    varint(to, bytes.len() as u64, padding);
    to.extend_from_slice(bytes);
}

/// Services first, and each number of a list for itself or all of them in one block.
fn hello(max_calls: u32, agent: &str, compatible: &[u64], packed: bool) -> Vec<u8> {
    let (mut hello, mut service) = (Vec::new(), Vec::new());
    let bytes: Vec<[u8; 8]> = compatible
        .iter()
        .map(|number| number.to_le_bytes())
        .collect();
    if packed {
        block(&mut service, 5, &bytes.concat(), 0);
    } else {
        for number in bytes {
            key(&mut service, 5, 1);
            service.extend_from_slice(&number);
        }
    }
    block(&mut hello, 6, &service, 0);
    if max_calls != 0 {
        key(&mut hello, 4, 0);
        varint(&mut hello, max_calls.into(), 0);
    }
    if !agent.is_empty() {
        block(&mut hello, 2, agent.as_bytes(), 0);
    }
    hello
}

impl Field {
    fn write(&self, to: &mut Vec<u8>) {
        let padding = self.padding;
        match &self.says {
            Says::Number(tag, value) | Says::UnknownNumber(tag, value) => {
                key(to, *tag, 0);
                varint(to, *value, padding);
            }
            Says::Method(value) => {
                key(to, 3, 1);
                to.extend_from_slice(&value.to_le_bytes());
            }
            Says::Text(text) => block(to, 8, text.as_bytes(), padding),
            Says::Details(bytes) => block(to, 12, bytes, padding),
            Says::Payload(bytes) => block(to, 15, bytes, padding),
            Says::Metadata(name, value) => {
                let mut entry = Vec::new();
                block(&mut entry, 2, value, padding);
                block(&mut entry, 1, name.as_bytes(), padding);
                block(to, 9, &entry, padding);
            }
            Says::Hello(calls, agent, with) => {
                block(to, 10, &hello(*calls, agent, with, padding == 0), padding);
            }
            Says::UnknownFixed32(tag, value) => {
                key(to, *tag, 5);
                to.extend_from_slice(&value.to_le_bytes());
            }
            Says::UnknownFixed64(tag, value) => {
                key(to, *tag, 1);
                to.extend_from_slice(&value.to_le_bytes());
            }
            Says::UnknownBlock(tag, bytes) => block(to, *tag, bytes, padding),
            Says::UnknownGroup(tag, value) => {
                key(to, *tag, 3);
                key(to, 1, 0);
                varint(to, *value, padding);
                key(to, *tag, 4);
            }
        }
    }

    /// What the envelope says once it says this too.
    fn apply(&self, to: &mut Envelope) {
        match &self.says {
            Says::Number(1, value) => to.kind = *value as i32,
            Says::Number(2, value) => to.call = Some(*value),
            Says::Number(4, value) => to.timeout_us = Some(*value),
            Says::Number(5, value) => to.last = *value != 0,
            Says::Number(6, value) => to.credit = *value as u32,
            Says::Number(7, value) => to.code = *value as u32,
            Says::Number(11, value) => to.last_call = Some(*value),
            Says::Number(_, value) => to.unrun = *value != 0,
            Says::Method(value) => to.method = *value,
            Says::Text(text) => to.reason.clone_from(text),
            Says::Details(bytes) => to.details = bytes.clone().into(),
            Says::Payload(bytes) => to.payload = Some(bytes.clone().into()),
            Says::Metadata(key, value) => to.metadata.push(MetadataEntry {
                key: key.clone(),
                value: value.clone().into(),
            }),
            Says::Hello(calls, agent, with) => {
                let said = to.hello.get_or_insert_default();
                if *calls != 0 {
                    said.max_calls = *calls;
                }
                if !agent.is_empty() {
                    said.agent.clone_from(agent);
                }
                said.services.push(ServiceOffer {
                    compatible: with.clone(),
                    ..ServiceOffer::default()
                });
            }
            _ => {}
        }
    }
}

/// What those make of it that read some envelopes without prost.
pub(super) fn without_prost(bytes: &[u8]) -> Vec<Envelope> {
    let mut read: Vec<Envelope> = [Kind::Message, Kind::Reply]
        .into_iter()
        .filter_map(|kind| {
            let (call, payload) = carried(kind, bytes)?;
            Some(Envelope {
                kind: kind.into(),
                call: Some(call),
                payload: Some(Bytes::copy_from_slice(payload)),
                ..Envelope::default()
            })
        })
        .collect();
    read.extend(plain_call(bytes).map(|plain| Envelope {
        kind: Kind::Call.into(),
        call: Some(plain.call),
        method: plain.method,
        timeout_us: plain.timeout_us,
        last: true,
        payload: Some(Bytes::copy_from_slice(plain.payload)),
        ..Envelope::default()
    }));
    read
}

/// Whatever reads envelopes here, reads this one as that, or refuses it if `expected` is `None`.
fn is_read_as(bytes: &[u8], expected: Option<&Envelope>) -> Result<(), TestCaseError> {
    let bytes = Bytes::copy_from_slice(bytes);
    for read in without_prost(&bytes) {
        prop_assert_eq!(Some(&read), expected);
    }
    let (ours, prosts) = (decode_envelope(bytes.clone()), Envelope::decode(bytes));
    let (ours, prosts) = (ours.ok(), prosts.ok());
    prop_assert_eq!((ours.as_ref(), prosts.as_ref()), (expected, expected));
    Ok(())
}

proptest! {
    #[test]
    fn any_fields_in_any_order(fields in prop::collection::vec(field(), 0..8), cut in any::<prop::sample::Index>()) {
        let (mut bytes, mut envelope) = (Vec::new(), Envelope::default());
        // What whole fields say, by the place where the last of them ends.
        let mut said = vec![(0, envelope.clone())];
        for field in &fields {
            field.write(&mut bytes);
            field.apply(&mut envelope);
            said.push((bytes.len(), envelope.clone()));
        }
        is_read_as(&bytes, Some(&envelope))?;
        let cut = cut.index(bytes.len() + 1);
        let whole = said.iter().rev().find(|(end, _)| *end == cut);
        is_read_as(&bytes[..cut], whole.map(|(_, envelope)| envelope))?;
    }

    #[test]
    fn a_field_of_another_type_is_refused(fields in prop::collection::vec(field(), 0..4), tag in 1..16u32, wire_type in 0..8u32) {
        let right = match tag {
            3 => 1,
            8 | 9 | 10 | 12 | 15 => 2,
            _ => 0,
        };
        prop_assume!(tag != 14 && wire_type != right);
        let mut bytes = Vec::new();
        fields.iter().for_each(|field| field.write(&mut bytes));
        key(&mut bytes, tag, wire_type);
        bytes.extend_from_slice(&[0; 8]);
        is_read_as(&bytes, None)?;
    }
}
