//! The hashes that generated code carries: method ordinals and message markers.
//!
//! **Invariant**: every value is the first eight bytes, read little-endian, of a SHA-256; nothing
//! here depends on the platform or on the version of this crate.

/// The ordinal by which the wire names a method.
///
/// `path` is `/<full service name>/<Method name>`. The rule is that of the wire contract, section 2.
///
/// ```
/// let path = "/daemoneye.procmond.v1.ProcessMonitor/GetProcess";
/// assert_eq!(daemoneye_ipc_codegen::method_ordinal(path), 0x39bf_1ec9_bc47_91dc);
/// ```
#[must_use]
pub fn method_ordinal(path: &str) -> u64 {
    short_hash(path.as_bytes())
}

/// The marker of a message type: the hash of its full name without a leading dot.
#[must_use]
pub fn message_hash(full_name: &str) -> u64 {
    short_hash(full_name.as_bytes())
}

/// The first eight bytes of SHA-256 over `bytes`, little-endian.
pub(crate) fn short_hash(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hmac_sha256::Hash::hash(bytes)[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_known_text() {
        // SHA-256("abc") = ba7816bf 8f01cfea …, FIPS 180-2 appendix B.1.
        assert_eq!(short_hash(b"abc"), 0xeacf_018f_bf16_78ba);
    }
}
