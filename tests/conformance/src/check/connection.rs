//! One connection to the server, made by hand: frames over a socket, no code of the runtime's.
//!
//! **Invariant**: every wait ends at a time that the caller gives, and no more is kept of what comes
//! than one frame of the size that the client announced.

use std::{fmt, io, path::Path};

use daemoneye_ipc::{
    bytes::{Buf, BytesMut},
    prost::Message,
    wire::{Crc32Variant, Envelope, Kind},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};

use super::books::{Books, Breach, rules};
#[cfg(unix)]
use tokio::net::UnixStream as Stream;
#[cfg(windows)]
use tokio::net::windows::named_pipe::NamedPipeClient as Stream;

use crate::vectors::{checksum, frame};

/// Bytes of a frame before its payload.
const HEADER: usize = 8;

/// What came.
#[derive(Debug)]
pub(super) enum Came {
    Frame(Box<Envelope>),
    /// The connection has ended.
    Closed,
    /// Nothing, until the time was over.
    Nothing,
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(envelope) => f.write_str(&crate::vectors::describe(envelope)),
            Self::Closed => f.write_str("the end of the connection"),
            Self::Nothing => f.write_str("nothing in time"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    crc: Crc32Variant,
    buffer: BytesMut,
    pub(super) books: Books,
}

impl Connection {
    pub(super) async fn open(
        endpoint: &Path,
        crc: Crc32Variant,
        until: Instant,
    ) -> io::Result<Self> {
        let stream = timeout_at(until, dial(endpoint)).await??;
        Ok(Self {
            stream,
            crc,
            buffer: BytesMut::with_capacity(64 << 10),
            books: Books::new(crc),
        })
    }

    /// Writes all of `bytes`. That the server takes them no more is no error: what it said before is
    /// still to be read.
    pub(super) async fn send(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        self.books.sent(bytes);
        self.write(bytes, until).await
    }

    /// Writes a part of what [`Self::enter`] has entered.
    pub(super) async fn write(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        // What it said before it took no more is what comes next.
        let _ = timeout_at(until, self.stream.write_all(bytes)).await?;
        Ok(())
    }

    /// Enters what is going to be written in pieces.
    pub(super) fn enter(&mut self, bytes: &[u8]) {
        self.books.sent(bytes);
    }

    /// Closes the sending half, where connections have halves.
    pub(super) async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// The next frame that is not CREDIT, which is entered into the books, nor PING, which is answered.
    pub(super) async fn next(&mut self, until: Instant) -> Result<Came, Breach> {
        self.next_or_credit(until, false).await
    }

    /// [`Self::next`]; CREDIT is returned too.
    pub(super) async fn next_or_credit(
        &mut self,
        until: Instant,
        credit: bool,
    ) -> Result<Came, Breach> {
        loop {
            if let Some(envelope) = self.take()? {
                self.books.came(&envelope)?;
                match envelope.kind() {
                    Kind::Credit if !credit => {}
                    Kind::Ping => self.answer(envelope, until).await,
                    // Of the future.
                    Kind::Unspecified => {}
                    _ => return Ok(Came::Frame(Box::new(envelope))),
                }
                continue;
            }
            // A peer that always has something to say must not keep this going.
            if Instant::now() >= until {
                return Ok(Came::Nothing);
            }
            match timeout_at(until, self.stream.read_buf(&mut self.buffer)).await {
                Err(_) => return Ok(Came::Nothing),
                Ok(Err(_) | Ok(0)) => return Ok(Came::Closed),
                Ok(Ok(_)) => {}
            }
        }
    }

    async fn answer(&mut self, ping: Envelope, until: Instant) {
        let pong = Envelope {
            kind: Kind::Pong.into(),
            ..ping
        };
        let bytes = frame(self.crc, &pong.encode_to_vec());
        // If it does not leave, what comes next says why.
        let _ = self.send(&bytes, until).await;
    }

    /// The next envelope in the buffer, if it is whole.
    fn take(&mut self) -> Result<Option<Envelope>, Breach> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let limit = self.books.max_frame_bytes();
        if length == 0 {
            let expected = "frames with a payload";
            return Err(Breach::new(rules::EMPTY, expected, "a frame of length 0"));
        }
        if length > limit {
            let expected = format!("frames of at most {limit} bytes, as the client announced");
            let came = format!("the header of a frame of {length} bytes");
            return Err(Breach::new(rules::LENGTH, expected, came));
        }
        if self.buffer.len() < HEADER + length {
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        let payload = self.buffer.split_to(length).freeze();
        let announced = u32::from_le_bytes([c0, c1, c2, c3]);
        let actual = checksum(self.crc, &payload);
        if actual != announced {
            let expected = format!("the {} checksum {actual:08x} of the payload", self.crc);
            let other = self.crc.other();
            let hint = if checksum(other, &payload) == announced {
                format!(", which is the {other} one: is `--crc {other}` what you mean?")
            } else {
                String::new()
            };
            let came = format!("the checksum {announced:08x}{hint}");
            return Err(Breach::new(rules::CHECKSUM, expected, came));
        }
        Envelope::decode(payload).map(Some).map_err(|error| {
            let came = format!("a payload that does not decode: {error}");
            Breach::new(rules::EMPTY, "an Envelope in each frame", came)
        })
    }
}

#[cfg(unix)]
async fn dial(endpoint: &Path) -> io::Result<Stream> {
    Stream::connect(endpoint).await
}

/// Opens the pipe as soon as one of its instances is free, in a way that lets the server see who does.
#[cfg(windows)]
async fn dial(endpoint: &Path) -> io::Result<Stream> {
    /// All instances of a pipe are taken (`ERROR_PIPE_BUSY`).
    const BUSY: i32 = 231;
    loop {
        match tokio::net::windows::named_pipe::ClientOptions::new().open(endpoint) {
            Err(error) if error.raw_os_error() == Some(BUSY) => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            opened => return opened,
        }
    }
}
