//! Frames of the raw contenders: a length of four bytes, a kind, a payload.
//!
//! **Invariant**: no bytes are copied but into the buffer that is written; buffers only grow.

use std::time::Duration;

/// Answered as it came.
pub(crate) const ECHO: u8 = 0;
/// Answered after a number of microseconds.
pub(crate) const SLOW: u8 = 1;
/// Answered without end, with payloads of a size.
pub(crate) const STREAM: u8 = 2;

const HEAD: usize = 5;
const LEAST: usize = 4 << 10;

/// What has been read, cut into frames.
#[derive(Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read took all the room there was.
    full: bool,
}

impl Frames {
    /// Where to read to; never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let wanted = self.length().map_or(HEAD, |length| HEAD + length);
        if self.start > 0
            && (self.start + wanted > self.buffer.len() || self.end == self.buffer.len())
        {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.full || wanted > self.buffer.len() {
            // Grows with use, to what takes all that a socket holds.
            let size = (self.buffer.len() * 4).clamp(LEAST, 256 << 10).max(wanted);
            self.buffer.resize(size.max(self.buffer.len()), 0);
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes were read.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end += count;
        self.full = self.end == self.buffer.len();
    }

    fn length(&self) -> Option<usize> {
        let head = self.buffer.get(self.start..self.end)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*head) as usize)
    }

    /// Whether a whole frame is there.
    pub(crate) fn is_complete(&self) -> bool {
        self.length()
            .is_some_and(|length| self.end - self.start >= HEAD + length)
    }

    /// Kind and payload of the next whole frame.
    pub(crate) fn next_frame(&mut self) -> Option<(u8, &[u8])> {
        let length = self.length().filter(|_| self.is_complete())?;
        let head = self.start;
        self.start += HEAD + length;
        Some((self.buffer[head + 4], &self.buffer[head + HEAD..self.start]))
    }

    /// Takes all whole frames; how many.
    pub(crate) fn drain(&mut self) -> usize {
        let mut count = 0;
        while self.next_frame().is_some() {
            count += 1;
        }
        count
    }
}

/// Appends a frame.
pub(crate) fn put(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.push(kind);
    out.extend_from_slice(payload);
}

/// What a slow call waits.
pub(crate) fn wait(payload: &[u8]) -> Duration {
    let micros = payload
        .first_chunk::<4>()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes));
    Duration::from_micros(micros.into())
}

/// Frames of a stream, as many as go into one write.
pub(crate) fn batch(request: &[u8]) -> Vec<u8> {
    let size = request
        .first_chunk::<4>()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
    let payload = vec![7; size];
    let mut batch = Vec::new();
    for _ in 0..((64 << 10) / (size + HEAD)).max(1) {
        put(&mut batch, STREAM, &payload);
    }
    batch
}
