//! How the calls of a connection ended, in numbers.
//!
//! **Invariant**: each call is counted once, when it ends for the client.

use crate::status::Code;

/// How the calls of a connection ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that were answered, by the number of their status code; 0 is success.
    pub ended: [u64; 17],
    /// Those among them that no handler saw.
    pub refused: u64,
    /// Calls that were cancelled, or lost with the connection: they have no code.
    pub abandoned: u64,
}

impl Tally {
    pub(super) fn count(&mut self, code: Code) {
        if let Some(count) = self.ended.get_mut(code as usize) {
            *count += 1;
        }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        let pairs = self.ended.iter_mut().zip(other.ended);
        pairs.for_each(|(sum, count)| *sum += count);
        self.refused += other.refused;
        self.abandoned += other.abandoned;
    }
}
