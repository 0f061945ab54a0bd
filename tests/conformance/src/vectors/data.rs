//! The bytes of vectors: frames, checksums, and their form in JSON.
//!
//! **Invariant**: shares no code with the runtime, so that a mistake in one is not a mistake in both.

use std::fmt;

use daemoneye_ipc::wire::Crc32Variant;
use serde::{Serialize, Serializer};

/// Runs of one byte that are longer than this are written in short.
const LONGEST_RUN: usize = 32;

/// Bytes, shown as hexadecimal digits in which `(5a*1000)` stands for 1000 times the byte 5a.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Data(pub Vec<u8>);

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for run in self.0.chunk_by(|a, b| a == b) {
            match run {
                [byte, ..] if run.len() > LONGEST_RUN => write!(f, "({byte:02x}*{})", run.len())?,
                _ => run.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<T: AsRef<[u8]>> From<T> for Data {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().to_vec())
    }
}

/// The steps of CRC-32 for each byte, for a reflected polynomial.
const fn table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let (mut crc, mut bit) = (index as u32, 0);
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { polynomial } else { 0 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

static IEEE: [u32; 256] = table(0xEDB8_8320);
static CASTAGNOLI: [u32; 256] = table(0x82F6_3B78);

/// The checksum of `bytes`.
#[must_use]
pub fn checksum(variant: Crc32Variant, bytes: &[u8]) -> u32 {
    let table = match variant {
        Crc32Variant::Ieee => &IEEE,
        Crc32Variant::Castagnoli => &CASTAGNOLI,
    };
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (crc >> 8) ^ table[usize::from((crc as u8) ^ byte)]
    })
}

/// The frame of `payload`.
#[must_use]
pub fn frame(variant: Crc32Variant, payload: &[u8]) -> Vec<u8> {
    frame_with(checksum(variant, payload), payload)
}

/// The frame of `payload` with any checksum.
pub(super) fn frame_with(checksum: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes()[..], &checksum.to_le_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_well_known_ones() {
        assert_eq!(checksum(Crc32Variant::Ieee, b"123456789"), 0xCBF4_3926);
        assert_eq!(
            checksum(Crc32Variant::Castagnoli, b"123456789"),
            0xE306_9283
        );
    }

    #[test]
    fn long_runs_are_short() {
        let bytes = [&[1, 2][..], &[0x5A; 1000], &[3; 32]].concat();
        let expected = format!("0102(5a*1000){}", "03".repeat(32));
        assert_eq!(Data::from(bytes).to_string(), expected);
    }
}
