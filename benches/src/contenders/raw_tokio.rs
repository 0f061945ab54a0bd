//! A tokio socket with a length before each message, and nothing else: what there is to reach.
//!
//! **Invariant**: no checksum, no ids, no tasks per call; one buffer for each connection, used again.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::bail;
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::{Client, Contender, Feature};
use crate::raw::{self, ECHO, Frames, SLOW, STREAM};

/// The contender.
pub(crate) struct RawTokio;

/// A connection, and what of answers has been read.
pub(crate) struct Connection {
    socket: UnixStream,
    frames: Frames,
    out: Vec<u8>,
}

impl Contender for RawTokio {
    const NAME: &'static str = "raw-tokio";
    const FEATURES: &'static [Feature] = &[Feature::Streams];
    type Client = Connection;

    async fn serve(path: &Path, ready: fn()) -> anyhow::Result<()> {
        let listener = UnixListener::bind(path)?;
        ready();
        loop {
            let (socket, _) = listener.accept().await?;
            tokio::spawn(answer(socket));
        }
    }

    async fn connect(path: &Path) -> anyhow::Result<Connection> {
        let socket = UnixStream::connect(path).await?;
        Ok(Connection {
            socket,
            frames: Frames::default(),
            out: Vec::new(),
        })
    }
}

async fn answer(mut socket: UnixStream) -> anyhow::Result<()> {
    let (mut frames, mut out) = (Frames::default(), Vec::new());
    loop {
        let count = socket.read(frames.room()).await?;
        if count == 0 {
            return Ok(());
        }
        frames.filled(count);
        out.clear();
        while let Some((kind, payload)) = frames.next_frame() {
            match kind {
                ECHO => raw::put(&mut out, ECHO, payload),
                SLOW => {
                    tokio::time::sleep(raw::wait(payload)).await;
                    raw::put(&mut out, SLOW, &[]);
                }
                STREAM => {
                    let batch = raw::batch(payload);
                    loop {
                        socket.write_all(&batch).await?;
                    }
                }
                other => bail!("no frame is of kind {other}"),
            }
        }
        socket.write_all(&out).await?;
    }
}

impl Connection {
    async fn call(&mut self, kind: u8, payload: &[u8]) -> anyhow::Result<&[u8]> {
        self.out.clear();
        raw::put(&mut self.out, kind, payload);
        self.socket.write_all(&self.out).await?;
        while !self.frames.is_complete() {
            let count = self.socket.read(self.frames.room()).await?;
            if count == 0 {
                bail!("the server closed the connection");
            }
            self.frames.filled(count);
        }
        Ok(self.frames.next_frame().map_or(&[], |(_, payload)| payload))
    }
}

impl Client for Connection {
    async fn echo(&mut self, payload: Bytes) -> anyhow::Result<Bytes> {
        Ok(Bytes::copy_from_slice(self.call(ECHO, &payload).await?))
    }

    async fn pipelined(
        mut self,
        payload: Bytes,
        calls: usize,
        until: Instant,
    ) -> anyhow::Result<u64> {
        let (mut total, mut free) = (0, calls);
        loop {
            self.out.clear();
            (0..free).for_each(|_| raw::put(&mut self.out, ECHO, &payload));
            self.socket.write_all(&self.out).await?;
            let count = self.socket.read(self.frames.room()).await?;
            if count == 0 {
                bail!("the server closed the connection");
            }
            self.frames.filled(count);
            free = self.frames.drain();
            total += free as u64;
            if Instant::now() >= until {
                return Ok(total);
            }
        }
    }

    async fn slow(&mut self, millis: u32) -> anyhow::Result<()> {
        self.call(
            SLOW,
            &Duration::from_millis(millis.into())
                .as_micros()
                .to_le_bytes(),
        )
        .await?;
        Ok(())
    }

    async fn stream(
        &mut self,
        size: u32,
        mut each: impl FnMut(&[u8]) -> bool + Send,
    ) -> anyhow::Result<()> {
        self.out.clear();
        raw::put(&mut self.out, STREAM, &size.to_le_bytes());
        self.socket.write_all(&self.out).await?;
        loop {
            while let Some((_, payload)) = self.frames.next_frame() {
                if !each(payload) {
                    return Ok(());
                }
            }
            let count = self.socket.read(self.frames.room()).await?;
            if count == 0 {
                bail!("the server closed the connection");
            }
            self.frames.filled(count);
        }
    }
}
