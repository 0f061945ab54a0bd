//! What the messages of a service take in memory once they are decoded, as the generator knows it from the schema.
//!
//! **Invariant**: the numbers are upper bounds for the structs that prost writes, on machines of 64 bits and fewer.

/// The footprints of all messages that a service reaches.
///
/// ```
/// use daemoneye_ipc::descriptor::Footprints;
///
/// // message Tree { string name = 1; repeated Tree children = 2; }
/// static TREE: Footprints = Footprints::new(&[(48, &[[1, 0, 0], [2, 6, 0]])]);
/// assert_eq!(TREE.of(0).size(), Some(48));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprints {
    messages: &'static [MessageFootprint],
    /// Bytes of memory per byte of message, at most.
    factor: u64,
}

/// The size of a message's struct in bytes, and the fields for which prost allocates, in the order of their numbers. Each
/// field is its number, a kind and an argument:
///
/// | kind | field | argument |
/// |---|---|---|
/// | 0 | a string, or bytes that are copied | 0 |
/// | 1 | many of them | 0 |
/// | 2 | many bytes that are slices of the received buffer | 0 |
/// | 3 | many numbers that are varints on the wire | bytes of one in memory |
/// | 4 | many numbers of four or eight bytes | how many |
/// | 5 | a message, or a group | its place among the messages of the service |
/// | 6 | many of them | the same |
/// | 7 | a map | the place of its entry |
///
/// ```
/// use daemoneye_ipc::descriptor::MessageFootprint;
/// // message Note { string text = 1; uint64 at = 2; }
/// const NOTE: MessageFootprint = (32, &[[1, 0, 0]]);
/// # let _ = NOTE;
/// ```
pub type MessageFootprint = (u32, &'static [[u32; 3]]);

/// The footprint of one message, among those of its service.
///
/// ```
/// use daemoneye_ipc::{descriptor::Footprint, schema::health::v1::HEALTH_SERVICE};
/// assert!(HEALTH_SERVICE.methods[0].response.size().is_some());
/// assert_eq!(Footprint::OPAQUE.size(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    all: &'static Footprints,
    root: u32,
}

/// How a field is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Texts,
    Slices,
    Varints(u64),
    Fixed(u64),
    Message(u32),
    Messages(u32),
    Map(u32),
}

const NONE: &Footprints = &Footprints::new(&[]);

impl Footprints {
    /// Those messages.
    ///
    /// # Panics
    /// For a kind that there is not; in a constant, that is an error of the compiler.
    #[must_use]
    pub const fn new(messages: &'static [MessageFootprint]) -> Self {
        Self {
            messages,
            factor: factor(messages),
        }
    }

    /// The message in place `root`.
    #[must_use]
    pub const fn of(&'static self, root: u32) -> Footprint {
        Footprint { all: self, root }
    }
}

impl Footprint {
    /// Of a message that is kept as it came, or of which nothing is known.
    pub const OPAQUE: Self = NONE.of(0);

    /// Bytes of the message's struct, at most; `None` for [`Self::OPAQUE`].
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.root().map(|(size, _)| u64::from(*size))
    }

    pub(crate) fn root(&self) -> Option<&'static MessageFootprint> {
        self.message(self.root)
    }

    pub(crate) fn message(&self, place: u32) -> Option<&'static MessageFootprint> {
        self.all.messages.get(place as usize)
    }

    /// More than any message of `bytes` bytes takes, whose last field may have only begun.
    pub(crate) const fn bound(&self, bytes: u64) -> u64 {
        bytes.saturating_add(1).saturating_mul(self.all.factor)
    }

    /// The most bytes that take no more than `memory` by [`Self::bound`]; 0 if there are none.
    pub(crate) const fn bytes_within(&self, memory: u64) -> u64 {
        (memory / self.all.factor).saturating_sub(1)
    }
}

impl Shape {
    /// `None` for a kind that there is not.
    pub(crate) const fn of(field: &[u32; 3]) -> Option<Self> {
        let [_, kind, argument] = *field;
        Some(match kind {
            0 => Self::Text,
            1 => Self::Texts,
            2 => Self::Slices,
            3 => Self::Varints(argument as u64),
            4 => Self::Fixed(argument as u64),
            5 => Self::Message(argument),
            6 => Self::Messages(argument),
            7 => Self::Map(argument),
            _ => return None,
        })
    }
}

/// What an allocation of `bytes` takes: no vector of bytes has room for fewer than 8, and allocators keep some words
/// beside each.
pub(crate) const fn heap(bytes: u64) -> u64 {
    match bytes {
        0 => 0,
        1..8 => 8 + ALLOCATION,
        _ => bytes.saturating_add(ALLOCATION),
    }
}

const ALLOCATION: u64 = 16;

/// A string that comes once more: its room may have doubled, with the old one there until the new one is filled.
pub(crate) const fn again(bytes: u64) -> u64 {
    bytes.saturating_mul(3).saturating_add(40)
}

/// Elements that are added to a vector whose room doubles: twice what they take, and the old room while they move. The
/// first brings room for eight elements of one byte, for four of up to 1 KiB, or for one.
pub(crate) const fn grown(size: u64, count: u64, first: bool) -> u64 {
    if size == 0 || count == 0 {
        return 0;
    }
    let room = if size <= 1024 { size } else { 0 };
    let first = if first { room + 8 + 2 * ALLOCATION } else { 0 };
    size.saturating_mul(3)
        .saturating_mul(count)
        .saturating_add(first)
}

/// One more entry of a map: tables are at most seven eighths full and double, with the old one there while the entries
/// move; a tree has room for eleven from its first entry on.
pub(crate) const fn entered(pair: u64, first: bool) -> u64 {
    let first = if first { 12 * pair + 64 } else { 0 };
    4 * (pair + 1) + 2 * ALLOCATION + first
}

/// A message in a box of its own.
pub(crate) const fn boxed(size: u64) -> u64 {
    if size == 0 { 0 } else { size + ALLOCATION }
}

/// The most that a byte of any of these messages can come to. The shortest field is two bytes, but for a message: if it is a
/// group, it has begun with one.
const fn factor(messages: &[MessageFootprint]) -> u64 {
    // A byte of a string that comes again and again.
    let mut most = 3;
    let mut rest = messages;
    while let [(_, fields), others @ ..] = rest {
        let mut fields = *fields;
        while let [field, following @ ..] = fields {
            let factor = field_factor(field, messages);
            if factor > most {
                most = factor;
            }
            fields = following;
        }
        rest = others;
    }
    most
}

#[expect(
    clippy::panic,
    reason = "an error of the compiler, since footprints are constants"
)]
const fn field_factor(field: &[u32; 3], messages: &[MessageFootprint]) -> u64 {
    let Some(shape) = Shape::of(field) else {
        panic!("no such kind of field");
    };
    match shape {
        Shape::Text => again(0).div_ceil(2),
        Shape::Texts => (grown(24, 1, true) + again(0)).div_ceil(2),
        Shape::Slices => grown(32, 1, true).div_ceil(2),
        Shape::Varints(size) | Shape::Fixed(size) => grown(size, 2, true).div_ceil(2),
        Shape::Message(place) => boxed(size_at(messages, place)),
        Shape::Messages(place) => grown(size_at(messages, place), 1, true),
        Shape::Map(place) => entered(size_at(messages, place), true).div_ceil(2),
    }
}

const fn size_at(messages: &[MessageFootprint], place: u32) -> u64 {
    match messages.split_at_checked(place as usize) {
        Some((_, [(size, _), ..])) => *size as u64,
        _ => 0,
    }
}
