//! What was handed to the driver to be written.
//!
//! **Invariant**: leaves in the order in which it was handed over; what the socket took is told exactly once.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};

/// Frames in the order in which they leave: the driver's share of the outbox, so that it can write
/// without holding the session.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// let mut transmit = Transmit::default();
/// client.poll_transmit(&mut transmit); // HELLO is queued from the start
/// let mut slices = [IoSlice::new(&[]); 8];
/// let filled = transmit.slices(&mut slices);
/// let bytes: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
/// // A socket takes some, the rest stays.
/// client.handle_written(transmit.advance(bytes - 1));
/// assert!(!transmit.is_empty() && !client.is_flushed());
/// client.handle_written(transmit.advance(1));
/// assert!(transmit.is_empty() && client.is_flushed());
/// # drop((server, wire));
/// ```
#[derive(Debug, Default)]
pub struct Transmit {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    urgent: bool,
}

/// What the socket took, for the session to count.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// client.poll_transmit(&mut wire);
/// let (frames, written) = take(&mut wire); // what the socket took
/// client.handle_written(written);
/// assert_eq!((frames.len(), client.is_flushed()), (1, true));
/// # drop(server);
/// ```
#[derive(Debug, Default, Clone, Copy)]
#[must_use = "the session counts what was written"]
pub struct Written {
    pub(super) total: usize,
    pub(super) urgent: usize,
}

impl Transmit {
    /// Whether nothing waits here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Fills `slices` with what leaves next and returns how many were filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, piece) in slices.iter_mut().zip(&self.pieces) {
            *slot = IoSlice::new(&piece.bytes);
            filled += 1;
        }
        filled
    }

    /// The socket took `written` bytes.
    pub fn advance(&mut self, written: usize) -> Written {
        let (mut left, mut urgent) = (written, 0);
        self.bytes -= written;
        while let Some(piece) = self.pieces.front_mut() {
            let taken = left.min(piece.bytes.len());
            urgent += if piece.urgent { taken } else { 0 };
            if taken < piece.bytes.len() {
                piece.bytes.advance(taken);
                break;
            }
            left -= taken;
            self.pieces.pop_front();
        }
        Written {
            total: written,
            urgent,
        }
    }

    /// Bytes that wait here.
    pub(super) const fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, bytes: Bytes, urgent: bool) {
        self.bytes += bytes.len();
        self.pieces.push_back(Piece { bytes, urgent });
    }
}
