//! The two checksums that a frame may carry.
//!
//! **Invariant**: a checksum covers the payload alone and is computed over bytes already in memory.

use std::{fmt, str::FromStr, sync::LazyLock};

use serde::{Deserialize, Serialize};

/// Which CRC-32 both peers are configured for.
///
/// ```
/// use daemoneye_ipc::wire::Crc32Variant;
/// assert_eq!(Crc32Variant::Ieee.checksum(b"123456789"), 0xCBF4_3926);
/// assert_eq!(Crc32Variant::Castagnoli.checksum(b"123456789"), 0xE306_9283);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crc32Variant {
    /// IEEE 802.3, as in Ethernet and zlib; the default.
    #[default]
    Ieee,
    /// CRC-32C (Castagnoli), as in iSCSI and ext4.
    Castagnoli,
}

impl Crc32Variant {
    /// The checksum of `bytes`.
    ///
    /// ```
    /// use daemoneye_ipc::wire::Crc32Variant;
    /// assert_eq!(Crc32Variant::Ieee.checksum(b"123456789"), 0xCBF4_3926);
    /// assert_eq!(Crc32Variant::Castagnoli.checksum(b"123456789"), 0xE306_9283);
    /// ```
    #[must_use]
    pub fn checksum(self, bytes: &[u8]) -> u32 {
        let mut sum = self.begin();
        sum.update(bytes);
        sum.finish()
    }

    /// A checksum of bytes that come in parts.
    pub(crate) fn begin(self) -> Sum {
        /// One that knows already what the processor can do.
        static BEGUN: LazyLock<crc32fast::Hasher> = LazyLock::new(crc32fast::Hasher::new);
        match self {
            Self::Ieee => Sum::Ieee(BEGUN.clone()),
            Self::Castagnoli => Sum::Castagnoli(0),
        }
    }

    /// The variant that this one is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Ieee => Self::Castagnoli,
            Self::Castagnoli => Self::Ieee,
        }
    }
}

/// A checksum in the making.
#[derive(Debug, Clone)]
pub(crate) enum Sum {
    Ieee(crc32fast::Hasher),
    Castagnoli(u32),
}

impl Sum {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Ieee(hasher) => hasher.update(bytes),
            Self::Castagnoli(sum) => *sum = crc32c::crc32c_append(*sum, bytes),
        }
    }

    pub(crate) fn finish(self) -> u32 {
        match self {
            Self::Ieee(hasher) => hasher.finalize(),
            Self::Castagnoli(sum) => sum,
        }
    }
}

impl FromStr for Crc32Variant {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ieee" => Ok(Self::Ieee),
            "castagnoli" => Ok(Self::Castagnoli),
            _ => Err("the variants are ieee and castagnoli"),
        }
    }
}

impl fmt::Display for Crc32Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ieee => "ieee",
            Self::Castagnoli => "castagnoli",
        })
    }
}
