//! Whether a frame is the one that was expected.
//!
//! **Invariant**: messages are read field by field here, so that no generated code is trusted.

use std::collections::HashMap;

use daemoneye_ipc::{
    bytes::{Buf, Bytes},
    wire::Envelope,
};

use crate::vectors::{Data, Expected, Field, Service, Value, name_of};

/// Numbers that were kept under a name.
pub(super) type Saved = HashMap<&'static str, u64>;

/// What differs, in words.
pub(super) fn compare(
    expected: &Expected,
    envelope: &Envelope,
    saved: &mut Saved,
) -> Result<(), String> {
    if envelope.kind() != expected.kind {
        return Err(format!("it is not {}", name_of(expected.kind)));
    }
    if expected.call.is_some() && envelope.call != expected.call {
        return Err(format!("it is for call {:?}", envelope.call));
    }
    if let Some(code) = expected.code.filter(|code| *code != envelope.code) {
        return Err(format!("the code is {}, not {code}", envelope.code));
    }
    if expected.unrun.is_some_and(|unrun| unrun != envelope.unrun) {
        return Err(format!("unrun is {}", envelope.unrun));
    }
    for word in &expected.reason_contains {
        if !envelope.reason.contains(word) {
            return Err(format!("the reason lacks {word:?}"));
        }
    }
    for word in &expected.reason_lacks {
        if envelope.reason.contains(word) {
            return Err(format!("the reason has {word:?}"));
        }
    }
    let is_payload_looked_at = expected.payload.is_some() || !expected.message.is_empty();
    let payload = match &envelope.payload {
        Some(payload) => payload.clone(),
        None if is_payload_looked_at => return Err("it has no payload".to_owned()),
        None => Bytes::new(),
    };
    if let Some(Data(bytes)) = &expected.payload
        && payload != bytes
    {
        return Err("the payload differs".to_owned());
    }
    if !expected.message.is_empty() {
        let message = read(payload).ok_or("the payload is not a message")?;
        for field in &expected.message {
            compare_field(field, &message, saved)?;
        }
    }
    expected
        .services
        .iter()
        .try_for_each(|service| compare_service(service, envelope))
}

fn compare_service(expected: &Service, envelope: &Envelope) -> Result<(), String> {
    let offers = envelope.hello.iter().flat_map(|hello| &hello.services);
    let mut named = offers.filter(|offer| offer.name == expected.name);
    let Some(offer) = named.next() else {
        return Err(format!("it does not name {}", expected.name));
    };
    if offer.verdict() != expected.verdict {
        let verdict = offer.verdict().as_str_name();
        return Err(format!("it says {verdict} of {}", expected.name));
    }
    Ok(())
}

fn compare_field(
    expected: &Field,
    message: &[(u32, Wire)],
    saved: &mut Saved,
) -> Result<(), String> {
    let field = expected.field;
    let values = message.iter().filter(|(number, _)| *number == field);
    let values: Vec<&Wire> = values.map(|(_, value)| value).collect();
    let wanted = match &expected.is {
        Value::Save(name) => {
            saved.insert(name, number(field, &values)?);
            return Ok(());
        }
        Value::Number(wanted) => *wanted,
        Value::Saved { name, plus } => {
            let kept = saved.get(name).copied().unwrap_or_default();
            kept.wrapping_add(*plus)
        }
        Value::Bytes(Data(bytes)) => {
            let came = block(field, &values)?;
            let shown = Data::from(came.get(..64).unwrap_or(&came));
            return same(came == bytes, || {
                format!("field {field} is {} bytes: {shown}", came.len())
            });
        }
        Value::Length(length) => {
            let came = block(field, &values)?.len();
            return same(came == *length, || {
                format!("field {field} has {came} bytes")
            });
        }
        Value::Each(each) => {
            let is_same = |(wire, Data(wanted)): (&&Wire, &Data)| matches!(wire, Wire::Block(block) if block == wanted);
            let all = values.len() == each.len() && values.iter().zip(each).all(is_same);
            return same(all, || format!("the elements of field {field} differ"));
        }
    };
    let came = number(field, &values)?;
    same(came == wanted, || {
        format!("field {field} is {came}, not {wanted}")
    })
}

fn same(is_same: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if is_same { Ok(()) } else { Err(why()) }
}

/// The last of the values, as the number of a singular field.
fn number(field: u32, values: &[&Wire]) -> Result<u64, String> {
    match values.last() {
        Some(Wire::Number(number)) => Ok(*number),
        None => Ok(0),
        Some(Wire::Block(_)) => Err(format!("field {field} is not a number")),
    }
}

/// The last of the values, as the bytes of a singular field.
fn block(field: u32, values: &[&Wire]) -> Result<Bytes, String> {
    match values.last() {
        Some(Wire::Block(block)) => Ok(block.clone()),
        None => Ok(Bytes::new()),
        Some(Wire::Number(_)) => Err(format!("field {field} is not a block")),
    }
}

/// The value of a field.
#[derive(Debug, Clone)]
enum Wire {
    Number(u64),
    Block(Bytes),
}

/// The fields of a message; `None` if it is none.
fn read(mut bytes: Bytes) -> Option<Vec<(u32, Wire)>> {
    let mut fields = Vec::new();
    while bytes.has_remaining() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => Wire::Number(bytes.try_get_u64_le().ok()?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                if length > bytes.len() {
                    return None;
                }
                Wire::Block(bytes.split_to(length))
            }
            5 => Wire::Number(bytes.try_get_u32_le().ok()?.into()),
            _ => return None,
        };
        fields.push((u32::try_from(key >> 3).ok()?, value));
    }
    Some(fields)
}

fn varint(bytes: &mut Bytes) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
