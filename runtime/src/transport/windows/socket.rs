//! A connected pipe, and its waits with the runtime's reactor.
//!
//! **Invariant**: every task that waits is woken when the pipe is closed by another; what was written and
//! not taken holds the pipe for [`LAST_WORDS`] at most.

use std::{
    io::{self, ErrorKind, IoSlice},
    os::windows::io::{AsHandle, BorrowedHandle},
    task::{Context, Poll},
    time::Duration,
};

use atomic_waker::AtomicWaker;
use bytes::BufMut;
use parking_lot::RwLock;
use tokio::{
    io::Interest,
    net::windows::named_pipe::{NamedPipeClient, NamedPipeServer},
    runtime::Handle,
};
use windows_sys::Win32::Foundation::{ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED};

use super::{
    Peer,
    system::{self, BUFFER_BYTES},
};

/// Time that the other end of a closed pipe has to take what was written last.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(500);

/// Slices that one write takes.
const PIECES: usize = 16;

/// A connected pipe, until it is shut down.
#[derive(Debug)]
pub(in crate::transport) struct Socket {
    pipe: RwLock<Option<Pipe>>,
    peer: Peer,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// Either end.
#[derive(Debug)]
pub(super) enum Pipe {
    Server(NamedPipeServer),
    Client(NamedPipeClient),
}

macro_rules! either {
    ($pipe:expr, $end:ident => $work:expr) => {
        match $pipe {
            Pipe::Server($end) => $work,
            Pipe::Client($end) => $work,
        }
    };
}

impl Socket {
    /// Whether somebody who reads again and again sees what arrives. What arrives in a pipe is brought by
    /// the reactor.
    pub(in crate::transport) const IS_WORTH_WATCHING: bool = false;

    /// Takes over a connected pipe, and asks the system who is at its other end.
    pub(super) fn adopt(pipe: Pipe) -> io::Result<Self> {
        let peer = match &pipe {
            Pipe::Server(pipe) => system::client(pipe.as_handle())?,
            Pipe::Client(pipe) => system::server(pipe.as_handle())?,
        };
        Ok(Self {
            pipe: RwLock::new(Some(pipe)),
            peer,
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        })
    }

    /// Who is at the other end.
    pub(in crate::transport) fn peer(&self) -> io::Result<Peer> {
        Ok(self.peer.clone())
    }

    pub(in crate::transport) fn try_read<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        let pipe = self.pipe.read();
        let Some(pipe) = pipe.as_ref() else {
            return Ok(0);
        };
        if !buffer.has_remaining_mut() {
            return Ok(0);
        }
        match either!(pipe, end => end.try_read_buf(buffer)) {
            Err(error) if is_end(&error) => Ok(0),
            other => other,
        }
    }

    pub(in crate::transport) fn read_now<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        self.try_read(buffer)
    }

    pub(in crate::transport) fn try_write_vectored(
        &self,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let pipe = self.pipe.read();
        let Some(pipe) = pipe.as_ref() else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let filled = cut(slices, &mut pieces);
        let pieces = pieces.get(..filled).unwrap_or_default();
        // A write of nothing would be read as the end.
        if pieces.is_empty() {
            return Ok(0);
        }
        pipe.write(pieces).map_err(|error| match is_end(&error) {
            true => ErrorKind::BrokenPipe.into(),
            false => error,
        })
    }

    pub(in crate::transport) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    pub(in crate::transport) fn poll_read_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.reader.register(cx.waker());
        match self.pipe.read().as_ref() {
            Some(pipe) => either!(pipe, end => end.poll_read_ready(cx)),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Waits with the reactor cost nothing that could be saved: it reads ahead in any case.
    pub(in crate::transport) const fn stop_waiting_to_read(&self) {}

    pub(in crate::transport) fn poll_write_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.writer.register(cx.waker());
        match self.pipe.read().as_ref() {
            Some(pipe) => either!(pipe, end => end.poll_write_ready(cx)),
            None => Poll::Ready(Ok(())),
        }
    }

    /// A pipe has no half that could be closed alone.
    pub(in crate::transport) fn half_close(&self) {
        self.shutdown();
    }

    pub(in crate::transport) fn shutdown(&self) {
        let pipe = self.pipe.write().take();
        if let Some(pipe) = pipe {
            pipe.close();
            self.reader.wake();
            self.writer.wake();
        }
    }

    /// The buffers of a pipe have the size that it was made with.
    pub(in crate::transport) fn set_buffers(
        &self,
        _send: usize,
        _receive: usize,
    ) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Pipe {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        either!(self, end => end.as_handle())
    }

    /// Hands the bytes to the system, which takes one write at a time. Done as a write that found no room,
    /// so that the reactor says when the system has taken it; what it said before stands for earlier writes.
    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = None;
        let result = either!(self, end => end.try_io(Interest::WRITABLE, || {
            written = Some(end.try_write_vectored(pieces)?);
            Err::<usize, _>(ErrorKind::WouldBlock.into())
        }));
        written.map_or(result, Ok)
    }

    /// Closes it once the last write is taken. One that is not in time is called back.
    fn close(self) {
        let Ok(runtime) = Handle::try_current() else {
            let _ = system::cancel(self.as_handle());
            return;
        };
        runtime.spawn(async move {
            let taken = async { either!(&self, end => end.writable().await) };
            if tokio::time::timeout(LAST_WORDS, taken).await.is_err() {
                let _ = system::cancel(self.as_handle());
            }
        });
    }
}

/// Whether the error says that the other end is gone.
fn is_end(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    error.kind() == ErrorKind::BrokenPipe
        || matches!(code, Some(ERROR_NO_DATA | ERROR_PIPE_NOT_CONNECTED))
}

/// What one write takes of `slices`: as much as the pipe's buffer holds. Returns the number of pieces, of which
/// none is empty.
fn cut<'a>(slices: &'a [IoSlice<'_>], pieces: &mut [IoSlice<'a>; PIECES]) -> usize {
    let mut room = BUFFER_BYTES as usize;
    let mut filled = 0;
    let parts = slices.iter().filter(|slice| !slice.is_empty());
    for (slice, piece) in parts.zip(pieces) {
        let taken = slice.get(..room.min(slice.len())).unwrap_or_default();
        if taken.is_empty() {
            break;
        }
        room -= taken.len();
        *piece = IoSlice::new(taken);
        filled += 1;
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_no_larger_than_the_buffer_and_has_no_empty_pieces() {
        let large = vec![7; BUFFER_BYTES as usize - 3];
        let slices = [&[][..], b"ab", &large, b"cd"].map(IoSlice::new);
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let filled = cut(&slices, &mut pieces);
        let lengths: Vec<usize> = pieces[..filled].iter().map(|piece| piece.len()).collect();
        assert_eq!(lengths, [2, BUFFER_BYTES as usize - 3, 1]);
        assert_eq!(cut(&[IoSlice::new(&[])], &mut pieces), 0);
    }
}
