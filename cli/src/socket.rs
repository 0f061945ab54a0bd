//! A connection as a stream of bytes.
//!
//! **Invariant**: adds nothing to what the transport does but the traits that stream code expects.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use daemoneye_ipc::{Peer, bytes::BytesMut, transport::Link};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A [`Link`] that can be read and written with tokio's traits.
#[derive(Debug)]
pub(crate) struct Socket {
    link: Link,
    incoming: BytesMut,
}

impl Socket {
    /// Takes over a connection.
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            incoming: BytesMut::new(),
        }
    }

    /// Who is at the other end, from the kernel.
    pub(crate) fn peer(&self) -> &Peer {
        self.link.peer()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.incoming.is_empty() {
            this.incoming.reserve(buffer.remaining().clamp(1, 1 << 16));
            match this.link.try_read(&mut this.incoming) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(this.link.poll_read_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let count = buffer.remaining().min(this.incoming.len());
        buffer.put_slice(&this.incoming.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.link.try_write_vectored(&[IoSlice::new(bytes)]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.link.poll_write_ready(cx))?;
                }
                wrote => return Poll::Ready(wrote),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.shutdown();
        Poll::Ready(Ok(()))
    }
}
