//! A socket of the standard library with a length before each message, and a thread for each connection.
//!
//! **Invariant**: as `raw-tokio`, without a runtime on the way.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use bytes::Bytes;

use super::{Client, Contender, Feature};
use crate::raw::{self, ECHO, Frames, SLOW, STREAM};

/// The contender.
pub(crate) struct RawBlocking;

/// A connection, and what of answers has been read.
pub(crate) struct Connection {
    socket: UnixStream,
    frames: Frames,
    out: Vec<u8>,
}

impl Contender for RawBlocking {
    const NAME: &'static str = "raw-blocking";
    const FEATURES: &'static [Feature] = &[Feature::Streams];
    type Client = Connection;

    async fn serve(path: &Path, ready: fn()) -> anyhow::Result<()> {
        let listener = UnixListener::bind(path)?;
        ready();
        loop {
            let (socket, _) = listener.accept()?;
            thread::spawn(move || answer(socket));
        }
    }

    async fn connect(path: &Path) -> anyhow::Result<Connection> {
        let socket = UnixStream::connect(path)?;
        Ok(Connection {
            socket,
            frames: Frames::default(),
            out: Vec::new(),
        })
    }
}

fn answer(mut socket: UnixStream) -> anyhow::Result<()> {
    let (mut frames, mut out) = (Frames::default(), Vec::new());
    loop {
        let count = socket.read(frames.room())?;
        if count == 0 {
            return Ok(());
        }
        frames.filled(count);
        out.clear();
        while let Some((kind, payload)) = frames.next_frame() {
            match kind {
                ECHO => raw::put(&mut out, ECHO, payload),
                SLOW => {
                    thread::sleep(raw::wait(payload));
                    raw::put(&mut out, SLOW, &[]);
                }
                STREAM => {
                    let batch = raw::batch(payload);
                    loop {
                        socket.write_all(&batch)?;
                    }
                }
                other => bail!("no frame is of kind {other}"),
            }
        }
        socket.write_all(&out)?;
    }
}

impl Connection {
    fn read(&mut self) -> anyhow::Result<()> {
        let count = self.socket.read(self.frames.room())?;
        if count == 0 {
            bail!("the server closed the connection");
        }
        self.frames.filled(count);
        Ok(())
    }

    fn call(&mut self, kind: u8, payload: &[u8]) -> anyhow::Result<&[u8]> {
        self.out.clear();
        raw::put(&mut self.out, kind, payload);
        self.socket.write_all(&self.out)?;
        while !self.frames.is_complete() {
            self.read()?;
        }
        Ok(self.frames.next_frame().map_or(&[], |(_, payload)| payload))
    }

    fn keep_in_flight(
        &mut self,
        payload: &[u8],
        calls: usize,
        until: Instant,
    ) -> anyhow::Result<u64> {
        let (mut total, mut free) = (0, calls);
        loop {
            self.out.clear();
            (0..free).for_each(|_| raw::put(&mut self.out, ECHO, payload));
            self.socket.write_all(&self.out)?;
            self.read()?;
            free = self.frames.drain();
            total += free as u64;
            if Instant::now() >= until {
                return Ok(total);
            }
        }
    }
}

impl Client for Connection {
    async fn echo(&mut self, payload: Bytes) -> anyhow::Result<Bytes> {
        Ok(Bytes::copy_from_slice(self.call(ECHO, &payload)?))
    }

    async fn pipelined(
        mut self,
        payload: Bytes,
        calls: usize,
        until: Instant,
    ) -> anyhow::Result<u64> {
        tokio::task::spawn_blocking(move || self.keep_in_flight(&payload, calls, until)).await?
    }

    async fn slow(&mut self, millis: u32) -> anyhow::Result<()> {
        self.call(
            SLOW,
            &Duration::from_millis(millis.into())
                .as_micros()
                .to_le_bytes(),
        )?;
        Ok(())
    }

    async fn stream(
        &mut self,
        size: u32,
        mut each: impl FnMut(&[u8]) -> bool + Send,
    ) -> anyhow::Result<()> {
        self.out.clear();
        raw::put(&mut self.out, STREAM, &size.to_le_bytes());
        self.socket.write_all(&self.out)?;
        loop {
            while let Some((_, payload)) = self.frames.next_frame() {
                if !each(payload) {
                    return Ok(());
                }
            }
            self.read()?;
        }
    }
}
