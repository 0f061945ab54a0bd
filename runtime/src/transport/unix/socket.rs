//! A connected socket, and its waits with the runtime's reactor.
//!
//! Reads and writes go to the kernel directly. The reactor is told of the socket when somebody waits for
//! it, and can be told to forget its reading side: a caller who spins on the socket would otherwise wake,
//! with every answer, a thread that waits for the same.
//!
//! **Invariant**: every wake-up that the kernel gives reaches the task that waits.

use std::{
    io::{self, IoSlice},
    mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::BufMut;
use interprocess::{
    local_socket::traits::StreamCommon,
    os::unix::uds_local_socket::{Stream, tokio::Stream as RegisteredStream},
};
use parking_lot::Mutex;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, sendmsg, sockopt};
use tokio::io::{Interest, unix::AsyncFd};

use super::Peer;

/// A write to a peer that is gone is an error and no signal. Apple's systems are told so once, for the socket.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

/// A connected Unix stream socket.
#[derive(Debug)]
pub(in crate::transport) struct Socket {
    stream: Descriptor,
    /// What the reactor knows of the reading side; `None` while nobody waits.
    reading: Mutex<Option<AsyncFd<Descriptor>>>,
    /// What the reactor knows of the writing side.
    writing: Mutex<Writing>,
    /// The peer's process, once somebody has asked for it.
    process: OnceLock<OwnedFd>,
}

/// The writing side has a second descriptor of the socket, made when the socket is full for the first time, for the reactor
/// to know it by. While nobody waits the reactor does not know it: what the peer reads would wake a thread each time.
#[derive(Debug)]
enum Writing {
    Never,
    Idle(OwnedFd),
    Waiting(AsyncFd<OwnedFd>),
}

/// The socket's descriptor, shared with the reactor.
#[derive(Debug, Clone)]
struct Descriptor(Arc<Stream>);

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Socket {
    /// Whether somebody who reads again and again sees what arrives.
    pub(in crate::transport) const IS_WORTH_WATCHING: bool = true;

    /// Takes over a connected, non-blocking socket.
    pub(super) fn adopt(fd: OwnedFd) -> Self {
        #[cfg(target_vendor = "apple")]
        super::apple::no_signal(fd.as_fd());
        Self {
            stream: Descriptor(Arc::new(Stream::from(fd))),
            reading: Mutex::new(None),
            writing: Mutex::new(Writing::Never),
            process: OnceLock::new(),
        }
    }

    /// The same for a socket that the reactor knows already.
    pub(super) fn accepted(stream: RegisteredStream) -> io::Result<Self> {
        OwnedFd::try_from(stream).map(Self::adopt)
    }

    /// Who is at the other end, from the kernel.
    pub(in crate::transport) fn peer(&self) -> io::Result<Peer> {
        let credentials = self.stream.0.peer_creds()?;
        let unknown = || io::Error::other("the kernel does not say who the peer is");
        Ok(Peer {
            uid: credentials.euid().ok_or_else(unknown)?,
            gid: credentials.egid().ok_or_else(unknown)?,
            gids: self.groups()?,
            pid: self.pid(credentials.pid()).filter(|pid| *pid > 0),
        })
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn groups(&self) -> io::Result<Vec<u32>> {
        super::groups::supplementary(self.stream.as_fd())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn groups(&self) -> io::Result<Vec<u32>> {
        Ok(Vec::new())
    }

    /// The peer's process: asked for once, then kept, so that most connections cost no descriptor more.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(in crate::transport) fn peer_process(&self) -> Option<BorrowedFd<'_>> {
        if self.process.get().is_none()
            && let Ok(process) = super::process::of_peer(self.stream.as_fd())
        {
            self.process.get_or_init(|| process);
        }
        self.process.get().map(AsFd::as_fd)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(in crate::transport) fn peer_process(&self) -> Option<BorrowedFd<'_>> {
        self.process.get().map(AsFd::as_fd)
    }

    /// The process id, of which the credentials may hold none.
    #[cfg(target_vendor = "apple")]
    fn pid(&self, _known: Option<i32>) -> Option<i32> {
        super::apple::pid(self.stream.as_fd())
    }

    #[cfg(not(target_vendor = "apple"))]
    const fn pid(&self, known: Option<i32>) -> Option<i32> {
        known
    }

    pub(in crate::transport) fn try_read<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        let reading = self.reading.lock();
        let Some(registration) = reading.as_ref() else {
            drop(reading);
            return self.read_now(buffer);
        };
        let mut drained = 0;
        // A read that leaves room has emptied the socket. Said as "would block" within `try_io`, that
        // clears the readiness seen before the read, and no later one: the next wake-up is not lost,
        // and the system call that would tell the same is saved. The end of the stream stays ready.
        let result = registration.try_io(Interest::READABLE, |_| {
            let room = buffer.chunk_mut().len();
            match self.read_now(buffer) {
                Ok(read) if (1..room).contains(&read) => {
                    drained = read;
                    Err(io::ErrorKind::WouldBlock.into())
                }
                other => other,
            }
        });
        if drained > 0 { Ok(drained) } else { result }
    }

    #[expect(
        unsafe_code,
        reason = "bytes has no safe way to have a buffer filled by the kernel"
    )]
    pub(in crate::transport) fn read_now<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        // SAFETY: what is not initialised is only handed to the kernel, which writes there and reads nothing.
        let room = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
        let (_, read) = recv(&self.stream, room, RecvFlags::DONTWAIT)?;
        // SAFETY: the kernel says that it has filled so many bytes.
        unsafe { buffer.advance_mut(read) };
        Ok(read)
    }

    pub(in crate::transport) fn try_write_vectored(
        &self,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut writing = self.writing.lock();
        match mem::replace(&mut *writing, Writing::Never) {
            Writing::Waiting(registration) => {
                let written = registration.try_io(Interest::WRITABLE, |_| self.write_now(slices));
                let blocked =
                    matches!(&written, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
                *writing = if blocked {
                    Writing::Waiting(registration)
                } else {
                    Writing::Idle(registration.into_inner())
                };
                written
            }
            idle => {
                *writing = idle;
                drop(writing);
                self.write_now(slices)
            }
        }
    }

    fn write_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut nothing = SendAncillaryBuffer::default();
        let flags = SendFlags::DONTWAIT | NO_SIGNAL;
        Ok(sendmsg(&self.stream, slices, &mut nothing, flags)?)
    }

    pub(in crate::transport) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_now(&[IoSlice::new(bytes)])
    }

    pub(in crate::transport) fn poll_read_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut reading = self.reading.lock();
        let registration = match &mut *reading {
            Some(registration) => registration,
            // What arrived before is told as if it came now (epoll_ctl(2), `EPOLL_CTL_ADD`).
            none => none.insert(register(self.stream.clone(), Interest::READABLE)?),
        };
        let mut ready = ready!(registration.poll_read_ready(cx))?;
        ready.retain_ready();
        Poll::Ready(Ok(()))
    }

    /// Has the reactor forget the reading side, until somebody waits for it again.
    pub(in crate::transport) fn stop_waiting_to_read(&self) {
        self.reading.lock().take();
    }

    pub(in crate::transport) fn poll_write_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut writing = self.writing.lock();
        let registration = match mem::replace(&mut *writing, Writing::Never) {
            Writing::Waiting(registration) => registration,
            Writing::Idle(fd) => register(fd, Interest::WRITABLE)?,
            Writing::Never => {
                // One that is filled carries more than most: fewer waits for the peer to make room. Small ones serve
                // as well, only slower.
                let _ = self.set_buffers(crate::transport::LARGE_BUFFERS, 0);
                register(
                    self.stream.as_fd().try_clone_to_owned()?,
                    Interest::WRITABLE,
                )?
            }
        };
        let ready = registration.poll_write_ready(cx).map_ok(drop);
        *writing = match ready {
            Poll::Pending => Writing::Waiting(registration),
            Poll::Ready(_) => Writing::Idle(registration.into_inner()),
        };
        ready
    }

    pub(in crate::transport) fn half_close(&self) {
        self.close(Shutdown::Write);
    }

    pub(in crate::transport) fn shutdown(&self) {
        self.close(Shutdown::Both);
    }

    /// A peer that is gone already leaves nothing to shut down.
    fn close(&self, how: Shutdown) {
        let _ = rustix::net::shutdown(&self.stream, how);
    }

    pub(in crate::transport) fn set_buffers(&self, send: usize, receive: usize) -> io::Result<()> {
        let fd = self.stream.as_fd();
        // Linux reports twice what was set, to cover its bookkeeping (socket(7)).
        if sockopt::socket_send_buffer_size(fd)? < send {
            sockopt::set_socket_send_buffer_size(fd, send)?;
        }
        if sockopt::socket_recv_buffer_size(fd)? < receive {
            sockopt::set_socket_recv_buffer_size(fd, receive)?;
        }
        Ok(())
    }
}

/// Tells the reactor of a descriptor.
#[expect(
    unsafe_code,
    reason = "the reactor takes descriptors that are known to stay open, which its types cannot say"
)]
fn register<F: OwnsDescriptor>(fd: F, interest: Interest) -> io::Result<AsyncFd<F>> {
    // SAFETY: an owner of a descriptor keeps it open while it is there, and never changes it.
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    registered.map_err(|error| error.into_parts().1)
}

/// Keeps one descriptor open for as long as it is there.
trait OwnsDescriptor: AsRawFd {}

impl OwnsDescriptor for OwnedFd {}

impl OwnsDescriptor for Descriptor {}
