//! One direction of the wire, cut wherever the test likes.
//!
//! **Invariant**: takes no more bytes than the test lets through, as a socket that is full.

use std::io::IoSlice;

use bytes::{Bytes, BytesMut};
use daemoneye_ipc::{
    session::{Transmit, Written},
    wire::{Crc32Variant, FrameDecoder},
};

pub(crate) struct Pipe {
    buffer: BytesMut,
    decoder: FrameDecoder,
    transmit: Transmit,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            decoder: FrameDecoder::new(1 << 20, Crc32Variant::Ieee),
            transmit: Transmit::default(),
        }
    }

    /// Where the session puts what leaves next.
    pub(crate) const fn transmit(&mut self) -> &mut Transmit {
        &mut self.transmit
    }

    /// Lets up to `count` bytes through; `None` when there is nothing.
    pub(crate) fn carry(&mut self, count: usize) -> Option<(usize, Written)> {
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = self.transmit.slices(&mut slices);
        let before = self.buffer.len();
        for slice in &slices[..filled] {
            let room = count - (self.buffer.len() - before);
            self.buffer
                .extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let carried = self.buffer.len() - before;
        (carried > 0).then(|| (carried, self.transmit.advance(carried)))
    }

    /// The frames that are whole.
    pub(crate) fn frames(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| {
            self.decoder
                .decode(&mut self.buffer)
                .expect("our own frames")
        })
        .collect()
    }
}
