//! The fields of an encoded message, without a descriptor of it.
//!
//! **Invariant**: stops where the encoding is wrong; of a field that is there several times the last counts, as in protobuf.

use std::collections::BTreeSet;

use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// The fields of an encoded message, in its order.
pub(super) struct Fields<'a>(Vec<(u32, Value<'a>)>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    /// A varint, or eight or four bytes: equal numbers of one type are equal here.
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    pub(super) fn of(mut bytes: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        while let Ok((number, wire)) = decode_key(&mut bytes) {
            let value = match wire {
                WireType::Varint => decode_varint(&mut bytes).ok().map(Value::Number),
                WireType::LengthDelimited => delimited(&mut bytes).map(Value::Bytes),
                WireType::ThirtyTwoBit => {
                    let value = bytes.try_get_u32_le().ok();
                    value.map(|value| Value::Number(u64::from(value)))
                }
                WireType::SixtyFourBit => bytes.try_get_u64_le().ok().map(Value::Number),
                WireType::StartGroup | WireType::EndGroup => {
                    if skip_field(wire, number, &mut bytes, DecodeContext::default()).is_err() {
                        break;
                    }
                    continue;
                }
            };
            let Some(value) = value else { break };
            fields.push((number, value));
        }
        Self(fields)
    }

    fn last(&self, wanted: u32) -> Option<Value<'a>> {
        let mut found = self.0.iter().rev();
        found
            .find(|(number, _)| *number == wanted)
            .map(|(_, value)| *value)
    }

    /// A number, as its bits.
    pub(super) fn number(&self, wanted: u32) -> Option<u64> {
        match self.last(wanted)? {
            Value::Number(value) => Some(value),
            Value::Bytes(_) => None,
        }
    }

    /// Whether a field is there.
    pub(super) fn has(&self, wanted: u32) -> bool {
        self.last(wanted).is_some()
    }

    /// The numbers of the fields that are there.
    pub(super) fn numbers(&self) -> Vec<u32> {
        let numbers: BTreeSet<u32> = self.0.iter().map(|(number, _)| *number).collect();
        numbers.into_iter().collect()
    }

    /// Bytes, or what is encoded in them.
    pub(super) fn bytes(&self, wanted: u32) -> Option<&'a [u8]> {
        match self.last(wanted)? {
            Value::Bytes(bytes) => Some(bytes),
            Value::Number(_) => None,
        }
    }

    /// A text.
    pub(super) fn text(&self, wanted: u32) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(wanted)?).ok()
    }

    /// All texts of a list.
    pub(super) fn texts(&self, wanted: u32) -> impl Iterator<Item = &'a str> {
        let fields = self.0.iter();
        fields.filter_map(move |(number, value)| match value {
            Value::Bytes(bytes) if *number == wanted => std::str::from_utf8(bytes).ok(),
            _ => None,
        })
    }

    /// All messages in it, or what might be one.
    pub(super) fn messages(&self) -> impl Iterator<Item = (u32, Fields<'a>)> {
        self.0.iter().filter_map(|(number, value)| match value {
            Value::Bytes(bytes) => Some((*number, Fields::of(bytes))),
            Value::Number(_) => None,
        })
    }
}

fn delimited<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = decode_varint(bytes).ok()?;
    let content = bytes.get(..usize::try_from(length).ok()?)?;
    bytes.advance(content.len());
    Some(content)
}
