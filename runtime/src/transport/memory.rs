//! A connection within the process: two bounded buffers.
//!
//! **Invariant**: behaves as a socket does: a full buffer blocks the writer, bytes that were written
//! before a close arrive before the end, and one who closes with bytes unread resets the other.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::BufMut;
use parking_lot::Mutex;

/// One end of a pair.
#[derive(Debug)]
pub(super) struct End {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

/// One direction.
#[derive(Debug)]
struct Pipe {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Nothing more is written: after the bytes comes the end.
    finished: bool,
    /// Nobody reads any more.
    unread: bool,
    /// After the bytes comes an error in place of the end.
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Two ends, each direction of which holds up to `capacity` bytes.
pub(super) fn pair(capacity: usize) -> (End, End) {
    let pipe = || {
        Arc::new(Pipe {
            capacity: capacity.max(1),
            state: Mutex::default(),
        })
    };
    let (there, back) = (pipe(), pipe());
    let first = End {
        incoming: Arc::clone(&back),
        outgoing: Arc::clone(&there),
    };
    (
        first,
        End {
            incoming: there,
            outgoing: back,
        },
    )
}

impl End {
    pub(super) fn try_read(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        let mut state = self.incoming.state.lock();
        let read = state.bytes.len().min(buffer.chunk_mut().len());
        if read == 0 {
            return state.end();
        }
        let (front, back) = state.bytes.as_slices();
        let first = read.min(front.len());
        buffer.put_slice(front.get(..first).unwrap_or_default());
        buffer.put_slice(back.get(..read - first).unwrap_or_default());
        state.bytes.drain(..read);
        let writer = state.writer.take();
        drop(state);
        wake(writer);
        Ok(read)
    }

    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.outgoing.state.lock();
        if state.unread || state.finished {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = self.outgoing.capacity.saturating_sub(state.bytes.len());
        let mut left = room;
        for slice in slices {
            let taken = left.min(slice.len());
            state.bytes.extend(slice.get(..taken).unwrap_or_default());
            left -= taken;
        }
        let written = room - left;
        if written == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        Ok(written)
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.incoming.state.lock();
        if !state.bytes.is_empty() || state.finished || state.reset {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.outgoing.state.lock();
        if state.bytes.len() < self.outgoing.capacity || state.unread || state.finished {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Writes no more; the other end reads what is there, and then the end.
    pub(super) fn half_close(&self) {
        self.outgoing.change(|state| state.finished = true);
    }

    /// Neither reads nor writes any more.
    pub(super) fn shutdown(&self) {
        self.half_close();
        self.incoming.change(|state| {
            state.finished = true;
            state.unread = true;
        });
    }
}

impl End {
    /// As [`End::shutdown`], and the other end reads an error after what was written.
    pub(super) fn reset(&self) {
        self.outgoing.change(|state| state.reset = true);
        self.shutdown();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.shutdown();
        // As Linux does when a socket is closed with bytes in its buffer.
        if !self.incoming.state.lock().bytes.is_empty() {
            self.outgoing.change(|state| state.reset = true);
        }
    }
}

impl State {
    /// What a reader sees when there are no bytes.
    fn end(&self) -> io::Result<usize> {
        match (self.reset, self.finished) {
            (true, _) => Err(ErrorKind::ConnectionReset.into()),
            (false, true) => Ok(0),
            (false, false) => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Pipe {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        wake(reader);
        wake(writer);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
