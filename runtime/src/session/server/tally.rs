//! How the calls of a connection ended, in numbers.
//!
//! **Invariant**: each call is counted once, when it ends for the client.

use crate::status::Code;

/// How the calls of a connection ended.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// # let metadata = Metadata::new();
/// # let call = OpenCall { service: HEALTH_SERVICE, method: &HEALTH_SERVICE.methods[2], deadline: None, metadata: &metadata };
/// # let request = Encoded(Bytes::new());
/// # let Poll::Ready(Ok(id)) = client.poll_open(now, &cx, &mut None, &call, Some(&request)) else { panic!() };
/// # client.poll_transmit(&mut wire);
/// # let (frames, written) = take(&mut wire);
/// # client.handle_written(written);
/// # let mut start = None;
/// # for frame in frames {
/// #     if let Incoming::Start(call) = server.handle_frame(now, frame).unwrap() { start = Some(call); }
/// # }
/// # let start = start.unwrap();
/// server.fail(start.call, &Status::not_found("no such thing"));
/// let tally = server.tally();
/// assert_eq!((tally.ended[5], tally.refused, tally.abandoned), (1, 0, 0));
/// # let _ = id;
/// ```
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
