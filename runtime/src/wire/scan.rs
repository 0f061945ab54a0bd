//! What a message would take in memory if it were decoded, read from its bytes and from what the generator knows of its type.
//!
//! prost turns two bytes on the wire into a struct of any size, so that 1 MiB can become hundreds. This walks the bytes
//! as prost would, allocates nothing, and stops at the limit; what passes is decoded.
//!
//! **Invariant**: what [`measure`] answers is no less than what prost allocates for the same bytes, whether or not they
//! are a message (but for some words that prost's error takes). It recurses no deeper than the limit for nesting says, which is at most [`MAX_NESTING`].

use crate::descriptor::{Footprint, MessageFootprint, Shape, again, boxed, entered, grown, heap};

/// As deep as prost goes.
pub const MAX_NESTING: u32 = 100;

/// What a buffer needs beside its bytes once parts of it are shared out.
const SHARED_BUFFER: u64 = 64;

/// How much a message may take, and how deep it may be.
///
/// ```
/// use daemoneye_ipc::wire::DecodeLimits;
/// let limits = DecodeLimits { memory: 64 << 20, nesting: 32 };
/// # let _ = limits;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of memory.
    pub memory: u64,
    /// Messages and groups inside each other; 1 is a message that has no others in it.
    pub nesting: u32,
}

/// Why a message is not decoded.
///
/// ```
/// use daemoneye_ipc::wire::Inflated;
/// let text = Inflated::Memory { limit: 1024 }.to_string();
/// assert_eq!(text, "a message would take more than 1024 bytes of memory once it is decoded");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Inflated {
    /// It would take more memory than there is for it.
    #[error("a message would take more than {limit} bytes of memory once it is decoded")]
    Memory {
        /// What there is, in bytes.
        limit: u64,
    },
    /// Its messages are nested too deeply.
    #[error("a message nests more than {limit} messages in each other")]
    Nesting {
        /// The limit.
        limit: u32,
    },
}

/// Bytes of memory that `payload` takes once it is decoded, at most; or, where a quick guess is not above `enough`, that guess.
///
/// Bytes that are no message are measured up to where prost would stop.
///
/// # Errors
/// If it is over a limit. Nothing has been allocated.
///
/// ```
/// use daemoneye_ipc::{descriptor::Footprints, wire::{DecodeLimits, Inflated, measure}};
///
/// // message Tree { string name = 1; repeated Tree children = 2; }
/// static TREE: Footprints = Footprints::new(&[(48, &[[1, 0, 0], [2, 6, 0]])]);
/// let limits = DecodeLimits { memory: 1 << 20, nesting: 32 };
/// let children = [0x12, 0].repeat(5);
/// assert!(measure(&children, &TREE.of(0), &limits, 0).unwrap() >= 5 * 48);
/// let children = [0x12, 0].repeat(100_000);
/// assert_eq!(measure(&children, &TREE.of(0), &limits, 0), Err(Inflated::Memory { limit: 1 << 20 }));
/// ```
#[inline]
pub fn measure(
    payload: &[u8],
    footprint: &Footprint,
    limits: &DecodeLimits,
    enough: u64,
) -> Result<u64, Inflated> {
    let Some((size, fields)) = footprint.root() else {
        return Ok(0);
    };
    let fixed = u64::from(*size) + SHARED_BUFFER;
    let guess = footprint.bound(payload.len() as u64).saturating_add(fixed);
    // A group in another one begins with one byte.
    let nesting = limits.nesting.min(MAX_NESTING);
    let is_shallow = || payload.len() < nesting as usize || !fields.iter().any(nests);
    if fields.is_empty() {
        Ok(fixed)
    } else if guess <= enough.min(limits.memory) && is_shallow() {
        Ok(guess)
    } else {
        scan(payload, footprint, limits, fixed, fields)
    }
}

/// Bytes of the longest message that [`measure`] need not look into where `enough` is all the memory that `limits` leave.
pub(crate) fn harmless_bytes(footprint: &Footprint, limits: &DecodeLimits) -> usize {
    let Some((size, fields)) = footprint.root() else {
        return usize::MAX;
    };
    let fixed = u64::from(*size) + SHARED_BUFFER;
    let room = footprint.bytes_within(limits.memory.saturating_sub(fixed));
    let nesting = limits.nesting.min(MAX_NESTING);
    let shallow = match fields.iter().any(nests) {
        true => (nesting as usize).saturating_sub(1),
        false => usize::MAX,
    };
    shallow.min(usize::try_from(room).unwrap_or(usize::MAX))
}

/// Walks the bytes.
fn scan(
    payload: &[u8],
    footprint: &Footprint,
    limits: &DecodeLimits,
    fixed: u64,
    fields: &'static [[u32; 3]],
) -> Result<u64, Inflated> {
    let nesting = limits.nesting.min(MAX_NESTING);
    let mut scan = Scan {
        rest: payload,
        taken: fixed,
        limit: limits.memory,
        footprint,
    };
    let whole = Within {
        end: 0,
        group: None,
        merged: false,
        depth: nesting.saturating_sub(1),
    };
    match scan.message(fields, &whole) {
        Ok(()) | Err(Stop::Malformed) => Ok(scan.taken),
        Err(Stop::Memory) => Err(Inflated::Memory {
            limit: limits.memory,
        }),
        Err(Stop::Nesting) => Err(Inflated::Nesting { limit: nesting }),
    }
}

/// Why a scan ends early.
enum Stop {
    /// prost stops here as well.
    Malformed,
    Memory,
    Nesting,
}

/// Where a message lies.
struct Within {
    /// Bytes that are left behind it.
    end: usize,
    /// The number of the group that it is, which ends with a tag.
    group: Option<u32>,
    /// It is merged into one that came before, whose strings have their room already.
    merged: bool,
    /// Messages that may be nested in it.
    depth: u32,
}

struct Scan<'a> {
    rest: &'a [u8],
    taken: u64,
    limit: u64,
    footprint: &'a Footprint,
}

mod wire_type {
    pub(super) const VARINT: u8 = 0;
    pub(super) const EIGHT_BYTES: u8 = 1;
    pub(super) const DELIMITED: u8 = 2;
    pub(super) const GROUP: u8 = 3;
    pub(super) const END_GROUP: u8 = 4;
    pub(super) const FOUR_BYTES: u8 = 5;
}

impl<'a> Scan<'a> {
    /// Lengths are checked as prost does it: a field may reach behind the end of its message, which is noticed after it.
    fn message(&mut self, fields: &'static [[u32; 3]], within: &Within) -> Result<(), Stop> {
        // A bit per field that came.
        let mut seen = 0_u64;
        let mut next = 0;
        while self.rest.len() > within.end {
            let (number, wire_type) = self.key()?;
            if wire_type == wire_type::END_GROUP && within.group == Some(number) {
                return Ok(());
            }
            let Some((place, field)) = find(fields, number, next) else {
                self.skip(number, wire_type, within.depth)?;
                continue;
            };
            next = place;
            let bit = 1_u64.checked_shl(place.try_into().unwrap_or(u32::MAX));
            let came = bit.map(|bit| seen & bit != 0);
            seen |= bit.unwrap_or(0);
            // What may have come before, but is not known to have, counts as both.
            let first = came == Some(false) && !within.merged;
            let fresh = came != Some(true);
            self.field(field, wire_type, first, fresh, within.depth)?;
        }
        match within.group.is_none() && self.rest.len() == within.end {
            true => Ok(()),
            false => Err(Stop::Malformed),
        }
    }

    /// `first`: nothing of the field came before. `fresh`: it may be that nothing did.
    fn field(
        &mut self,
        field: &[u32; 3],
        wire_type: u8,
        first: bool,
        fresh: bool,
        depth: u32,
    ) -> Result<(), Stop> {
        let [number, ..] = *field;
        let Some(shape) = Shape::of(field) else {
            return self.skip(number, wire_type, depth);
        };
        match (shape, wire_type) {
            (Shape::Text, wire_type::DELIMITED) => {
                let len = self.delimited()?.len() as u64;
                self.take(if first { heap(len) } else { again(len) })
            }
            (Shape::Texts, wire_type::DELIMITED) => {
                let len = self.delimited()?.len() as u64;
                self.take(grown(24, 1, fresh).saturating_add(heap(len)))
            }
            (Shape::Slices, wire_type::DELIMITED) => {
                self.delimited()?;
                self.take(grown(32, 1, fresh))
            }
            (Shape::Varints(size), wire_type::DELIMITED) => {
                let count = varints(self.delimited()?);
                self.take(grown(size, count, fresh))
            }
            (Shape::Fixed(size), wire_type::DELIMITED) => {
                let len = self.delimited()?.len() as u64;
                self.take(grown(size, len.div_ceil(size.max(1)), fresh))
            }
            (Shape::Varints(size) | Shape::Fixed(size), _) => {
                self.skip(number, wire_type, depth)?;
                self.take(grown(size, 1, fresh))
            }
            (Shape::Message(place), _) => {
                // prost makes the box before it looks at what is to come into it.
                self.take(boxed(size(self.footprint.message(place))))?;
                self.inner(place, number, wire_type, !first, depth)
            }
            (Shape::Messages(place), wire_type::DELIMITED | wire_type::GROUP) => {
                let message = self.footprint.message(place);
                self.take(grown(size(message), 1, fresh))?;
                self.nested(message, number, wire_type, false, depth)
            }
            (Shape::Map(place), wire_type::DELIMITED) => {
                let entry = self.footprint.message(place);
                self.take(entered(size(entry), fresh))?;
                self.nested(entry, number, wire_type, false, depth)
            }
            // prost refuses those.
            _ => self.skip(number, wire_type, depth),
        }
    }

    /// A single message, if it is one.
    fn inner(
        &mut self,
        place: u32,
        number: u32,
        wire_type: u8,
        merged: bool,
        depth: u32,
    ) -> Result<(), Stop> {
        match wire_type {
            wire_type::DELIMITED | wire_type::GROUP => {
                let message = self.footprint.message(place);
                self.nested(message, number, wire_type, merged, depth)
            }
            _ => self.skip(number, wire_type, depth),
        }
    }

    fn nested(
        &mut self,
        message: Option<&'static MessageFootprint>,
        number: u32,
        wire_type: u8,
        merged: bool,
        depth: u32,
    ) -> Result<(), Stop> {
        let depth = depth.checked_sub(1).ok_or(Stop::Nesting)?;
        let (end, group) = if wire_type == wire_type::GROUP {
            (0, Some(number))
        } else {
            let len = self.length()?;
            (self.rest.len() - len, None)
        };
        let within = Within {
            end,
            group,
            merged,
            depth,
        };
        let fields = message.map_or(&[][..], |(_, fields)| fields);
        self.message(fields, &within)
    }

    fn take(&mut self, bytes: u64) -> Result<(), Stop> {
        self.taken = self.taken.saturating_add(bytes);
        match self.taken > self.limit {
            true => Err(Stop::Memory),
            false => Ok(()),
        }
    }

    fn skip(&mut self, number: u32, wire_type: u8, depth: u32) -> Result<(), Stop> {
        match wire_type {
            wire_type::VARINT => self.varint().map(drop),
            wire_type::EIGHT_BYTES => self.advance(8).map(drop),
            wire_type::FOUR_BYTES => self.advance(4).map(drop),
            wire_type::DELIMITED => self.delimited().map(drop),
            wire_type::GROUP => self.nested(None, number, wire_type, false, depth),
            _ => Err(Stop::Malformed),
        }
    }

    fn key(&mut self) -> Result<(u32, u8), Stop> {
        let key = u32::try_from(self.varint()?).map_err(|_| Stop::Malformed)?;
        match key >> 3 {
            0 => Err(Stop::Malformed),
            number => Ok((number, (key & 7) as u8)),
        }
    }

    fn varint(&mut self) -> Result<u64, Stop> {
        let mut value = 0;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                if at == 9 && *byte > 1 {
                    return Err(Stop::Malformed);
                }
                self.advance(at + 1)?;
                return Ok(value);
            }
        }
        Err(Stop::Malformed)
    }

    /// A length that is not above what is left.
    fn length(&mut self) -> Result<usize, Stop> {
        let len = usize::try_from(self.varint()?).map_err(|_| Stop::Malformed)?;
        match len <= self.rest.len() {
            true => Ok(len),
            false => Err(Stop::Malformed),
        }
    }

    fn delimited(&mut self) -> Result<&'a [u8], Stop> {
        let len = self.length()?;
        self.advance(len)
    }

    fn advance(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Stop::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Packed numbers: those that end, and one that does not.
fn varints(packed: &[u8]) -> u64 {
    let ends = packed.iter().filter(|byte| **byte < 0x80).count() as u64;
    ends + u64::from(packed.last().is_some_and(|byte| *byte >= 0x80))
}

fn nests(field: &[u32; 3]) -> bool {
    matches!(
        Shape::of(field),
        Some(Shape::Message(_) | Shape::Messages(_) | Shape::Map(_))
    )
}

fn size(message: Option<&MessageFootprint>) -> u64 {
    message.map_or(0, |(size, _)| u64::from(*size))
}

/// The field of that number, looked for first where the last one was, and behind it.
fn find(
    fields: &'static [[u32; 3]],
    number: u32,
    last: usize,
) -> Option<(usize, &'static [u32; 3])> {
    for place in [last, last + 1] {
        if let Some(field) = fields.get(place).filter(|field| field[0] == number) {
            return Some((place, field));
        }
    }
    let place = fields
        .binary_search_by_key(&number, |[number, ..]| *number)
        .ok()?;
    Some((place, fields.get(place)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::descriptor::Footprints;

    /// `message Tree { string name = 1; repeated Tree children = 2; }` and `message Note { string text = 1; }`
    static MESSAGES: Footprints =
        Footprints::new(&[(48, &[[1, 0, 0], [2, 6, 0]]), (24, &[[1, 0, 0]])]);

    proptest! {
        #[test]
        fn what_is_harmless_is_within_all_limits(root in 0u32..2, memory in 0u64..8_000, nesting in 1u32..40, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let (footprint, limits) = (MESSAGES.of(root), DecodeLimits { memory, nesting });
            let harmless = harmless_bytes(&footprint, &limits);
            let bytes = bytes.get(..harmless).unwrap_or(&bytes);
            if !bytes.is_empty() {
                let measured = measure(bytes, &footprint, &limits, memory);
                prop_assert!(measured.is_ok_and(|taken| taken <= memory));
            }
        }
    }
}
