//! A connected socket, driven by the runtime's reactor.
//!
//! **Invariant**: every wake-up that the kernel gives reaches the task that waits.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, OwnedFd},
    task::{Context, Poll},
};

use bytes::BufMut;
use interprocess::os::unix::uds_local_socket::tokio::Stream;
use rustix::net::{SendFlags, Shutdown, sockopt};
use tokio::io::Interest;

use crate::transport::peer::Peer;

/// A connected Unix stream socket.
#[derive(Debug)]
pub(in crate::transport) struct Socket(Stream);

impl From<Stream> for Socket {
    fn from(stream: Stream) -> Self {
        Self(stream)
    }
}

impl Socket {
    /// Takes over a connected, non-blocking socket. Must be called within a runtime.
    pub(super) fn adopt(fd: OwnedFd) -> io::Result<Self> {
        Stream::try_from(fd).map(Self)
    }

    /// Waits until the kernel takes bytes, so that the first write need not wait.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.0.inner().writable().await
    }

    /// Who is at the other end, from the kernel.
    pub(in crate::transport) fn peer(&self) -> io::Result<Peer> {
        let credentials = self.0.inner().peer_cred()?;
        Ok(Peer {
            uid: credentials.uid(),
            gid: credentials.gid(),
            gids: self.groups()?,
            pid: credentials.pid().filter(|pid| *pid > 0),
        })
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn groups(&self) -> io::Result<Vec<u32>> {
        super::groups::supplementary(self.0.inner().as_fd())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn groups(&self) -> io::Result<Vec<u32>> {
        Ok(Vec::new())
    }

    pub(in crate::transport) fn try_read<B: BufMut>(&self, buffer: &mut B) -> io::Result<usize> {
        let stream = self.0.inner();
        let mut drained = 0;
        // A read that leaves room has emptied the socket. Said as "would block" within `try_io`, that
        // clears the readiness seen before the read, and no later one: the next wake-up is not lost,
        // and the system call that would tell the same is saved. The end of the stream stays ready.
        let result = stream.try_io(Interest::READABLE, || {
            let room = buffer.chunk_mut().len();
            match stream.try_read_buf(buffer) {
                Ok(read) if (1..room).contains(&read) => {
                    drained = read;
                    Err(io::ErrorKind::WouldBlock.into())
                }
                other => other,
            }
        });
        if drained > 0 { Ok(drained) } else { result }
    }

    pub(in crate::transport) fn try_write_vectored(
        &self,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        self.0.inner().try_write_vectored(slices)
    }

    pub(in crate::transport) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(rustix::net::send(self.0.inner(), bytes, flags)?)
    }

    pub(in crate::transport) fn poll_read_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.inner().poll_read_ready(cx)
    }

    pub(in crate::transport) fn poll_write_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.inner().poll_write_ready(cx)
    }

    pub(in crate::transport) fn half_close(&self) {
        self.close(Shutdown::Write);
    }

    pub(in crate::transport) fn shutdown(&self) {
        self.close(Shutdown::Both);
    }

    /// A peer that is gone already leaves nothing to shut down.
    fn close(&self, how: Shutdown) {
        let _ = rustix::net::shutdown(self.0.inner(), how);
    }

    pub(in crate::transport) fn set_buffers(&self, send: usize, receive: usize) -> io::Result<()> {
        let fd = self.0.inner().as_fd();
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
