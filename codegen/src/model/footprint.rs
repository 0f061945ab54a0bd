//! What messages take in memory once they are decoded.
//!
//! **Invariant**: an upper bound for the structs that prost writes, on machines of 64 bits and fewer.

/// A message, among those that a service reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFootprint {
    /// Bytes of its struct, and of the texts that it has from the start.
    pub size: u32,
    /// The fields for which prost allocates, in the order of their numbers.
    pub fields: Vec<FieldFootprint>,
}

/// A field for which prost allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldFootprint {
    /// Its number.
    pub number: u32,
    /// How it is kept.
    pub shape: Shape,
}

/// How a field is kept. Messages are named by their place among those of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string, or bytes that are copied.
    Text,
    /// Many of them.
    Texts,
    /// Many slices of the received buffer.
    Slices,
    /// Many numbers that are varints on the wire, and of that many bytes in memory.
    Varints(u8),
    /// Many numbers of that many bytes.
    Fixed(u8),
    /// A message, or a group.
    Message(u32),
    /// Many of them.
    Messages(u32),
    /// A map, with its entry.
    Map(u32),
}
