//! What a connection reads from and writes to.
//!
//! **Invariant**: no operation waits; one that cannot go on says so ([`io::ErrorKind::WouldBlock`]).

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use bytes::BufMut;

use super::{Peer, memory, platform::Socket};

/// One end of a connection: a socket (on Windows, a named pipe), or one end of a [`memory_pair`].
///
/// All operations take `&self`. Any task may try to read or to write at any time; one task at a time may
/// wait for each direction, since the last one to poll is the one that is woken.
///
/// ```
/// use bytes::BytesMut;
/// use std::io::{ErrorKind, IoSlice};
/// use daemoneye_ipc::transport::memory_pair;
///
/// let (near, far) = memory_pair(1024);
/// near.try_write_vectored(&[IoSlice::new(b"hello")]).unwrap();
/// let mut buffer = BytesMut::with_capacity(64);
/// assert_eq!((far.try_read(&mut buffer).unwrap(), &buffer[..]), (5, &b"hello"[..]));
/// assert_eq!(far.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
/// ```
#[derive(Debug)]
pub struct Link {
    io: Io,
    peer: Peer,
    last: bool,
}

#[derive(Debug)]
enum Io {
    Socket(Socket),
    Memory(memory::End),
}

/// Two links that are connected to each other without a socket, for tests and within a process. Each
/// direction holds up to `capacity` bytes (at least one). The peer of each is this process.
///
/// ```
/// use bytes::BytesMut;
/// use std::io::{ErrorKind, IoSlice};
/// use daemoneye_ipc::transport::memory_pair;
///
/// let (near, far) = memory_pair(1024);
/// near.try_write_vectored(&[IoSlice::new(b"hello")]).unwrap();
/// let mut buffer = BytesMut::with_capacity(64);
/// assert_eq!((far.try_read(&mut buffer).unwrap(), &buffer[..]), (5, &b"hello"[..]));
/// assert_eq!(far.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
/// ```
#[must_use]
pub fn memory_pair(capacity: usize) -> (Link, Link) {
    let (first, second) = memory::pair(capacity);
    let link = |end| Link {
        io: Io::Memory(end),
        peer: Peer::current(),
        last: false,
    };
    (link(first), link(second))
}

impl Link {
    pub(super) fn socket(socket: Socket) -> io::Result<Self> {
        let peer = socket.peer()?;
        Ok(Self {
            io: Io::Socket(socket),
            peer,
            last: false,
        })
    }

    /// The same link, accepted in place of the descriptor that was kept for it.
    #[cfg(unix)]
    pub(super) fn into_last(self) -> Self {
        Self { last: true, ..self }
    }

    /// Whether it was accepted with the last descriptor that the process had, which [`Listener`](super::Listener) keeps for that: tell the
    /// peer why there is no place for it, and drop the link, so that the next one can be told as well.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// The same link, with another peer: within the process anybody can be played.
    pub(crate) fn with_peer(self, peer: Peer) -> Self {
        Self { peer, ..self }
    }

    /// Who is at the other end, as the kernel said when the connection was made.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The process at the other end, as a descriptor of it (pidfd_open(2)), which never comes to mean another
    /// process as an id does: for audits, never to decide who may do what, since a process can hand its
    /// connection to another. Asked of the kernel the first time, and kept with the connection.
    ///
    /// `None` where the kernel does not tell (before Linux 6.5, and elsewhere), if the process was gone when it was first
    /// asked for, and for a link through memory.
    #[cfg(unix)]
    #[must_use]
    pub fn peer_process(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match &self.io {
            Io::Socket(socket) => socket.peer_process(),
            Io::Memory(_) => None,
        }
    }

    /// Appends what has arrived to `buffer`, up to the room that it has, and returns the number of
    /// bytes; 0 is the end of the stream (or a buffer without room).
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing has arrived: wait with [`Link::poll_read_ready`]. After a
    /// read that leaves room in the buffer this answer costs no system call. Any other error is fatal.
    pub fn try_read<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        match &self.io {
            Io::Socket(socket) => socket.try_read(buffer),
            Io::Memory(end) => end.try_read(buffer),
        }
    }

    /// As [`Link::try_read`], but asks the kernel whatever is known: for a caller who does not wait to be told.
    pub(crate) fn read_now<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        match &self.io {
            Io::Socket(socket) => socket.read_now(buffer),
            Io::Memory(end) => end.try_read(buffer),
        }
    }

    /// Whether the other end can answer while this thread does nothing but look: not within one process.
    pub(crate) const fn is_worth_watching(&self) -> bool {
        match &self.io {
            Io::Socket(_) => Socket::IS_WORTH_WATCHING,
            Io::Memory(_) => false,
        }
    }

    /// Nobody is woken when something arrives, until the next [`Link::poll_read_ready`].
    pub(crate) fn stop_waiting_to_read(&self) {
        match &self.io {
            Io::Socket(socket) => socket.stop_waiting_to_read(),
            Io::Memory(_) => {}
        }
    }

    /// Writes from `slices`, in order, and returns the number of bytes that were taken.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if none was: wait with [`Link::poll_write_ready`]. Any other error is
    /// fatal.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.io {
            Io::Socket(socket) => socket.try_write_vectored(slices),
            Io::Memory(end) => end.try_write_vectored(slices),
        }
    }

    /// Sends what the kernel takes at once, whether or not the runtime knows yet that it takes something:
    /// for the last words to a peer that is not let in.
    ///
    /// # Errors
    /// As [`Link::try_write_vectored`].
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.io {
            Io::Socket(socket) => socket.send_now(bytes),
            Io::Memory(end) => end.try_write_vectored(&[IoSlice::new(bytes)]),
        }
    }

    /// Ready when [`Link::try_read`] is worth a try, which may be too early but never too late. Until
    /// then the task of `cx` is woken when it is.
    ///
    /// # Errors
    /// If the runtime is shutting down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.io {
            Io::Socket(socket) => socket.poll_read_ready(cx),
            Io::Memory(end) => end.poll_read_ready(cx).map(Ok),
        }
    }

    /// As [`Link::poll_read_ready`], for [`Link::try_write_vectored`].
    ///
    /// # Errors
    /// If the runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.io {
            Io::Socket(socket) => socket.poll_write_ready(cx),
            Io::Memory(end) => end.poll_write_ready(cx).map(Ok),
        }
    }

    /// Ends the writing side alone: the peer reads what was written, and then the end of the stream. A
    /// pipe has no sides, so that on Windows this is [`Link::shutdown`].
    pub fn half_close(&self) {
        match &self.io {
            Io::Socket(socket) => socket.half_close(),
            Io::Memory(end) => end.half_close(),
        }
    }

    /// Ends both directions now, for all who hold this link. The peer still reads what was written.
    pub fn shutdown(&self) {
        match &self.io {
            Io::Socket(socket) => socket.shutdown(),
            Io::Memory(end) => end.shutdown(),
        }
    }

    /// Ends both directions now; the peer reads an error. (A socket's peer reads the end: the kernel resets
    /// one only if bytes were left unread.)
    pub(crate) fn reset(&self) {
        match &self.io {
            Io::Socket(socket) => socket.shutdown(),
            Io::Memory(end) => end.reset(),
        }
    }

    /// Grows the kernel's buffers to hold about `send` and `receive` bytes, as far as the system's limits
    /// allow; never shrinks them. For connections that carry large messages.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn set_buffers(&self, send: usize, receive: usize) -> io::Result<()> {
        match &self.io {
            Io::Socket(socket) => socket.set_buffers(send, receive),
            Io::Memory(_) => Ok(()),
        }
    }
}
