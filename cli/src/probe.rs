//! A peer that speaks the wire contract by hand, so that each step of a connection can be timed, and
//! things can be sent that the library never would.
//!
//! **Invariant**: every wait has a limit, and a failure keeps what was seen: the words of the server,
//! the checksum that would have fitted.

use std::{
    io, mem,
    time::{Duration, Instant},
};

use daemoneye_ipc::{
    Code,
    bytes::{Bytes, BytesMut},
    wire::{
        Crc32Variant, Encoded, Envelope, FrameDecoder, FrameError, HEADER_LEN, Head, Hello, Kind,
        PROTOCOL_VERSION, append_envelope, append_head, decode_envelope,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout_at,
};

use crate::explain::{self, Explanation, Scene};

/// Why the server's answer did not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nothing, or not enough, came in time.
    #[error("timeout: no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The server closed without a word.
    #[error("connection closed")]
    Closed,
    /// The socket failed.
    #[error("I/O failed")]
    Io(#[from] io::Error),
    /// The server said why it turns this side away.
    #[error("turned away: {code}")]
    GoAway {
        /// The canonical code.
        code: Code,
        /// The server's own words.
        reason: String,
    },
    /// What came is no frame, or none that this side takes.
    #[error("{}", frame_headline(.0))]
    Frame(FrameError),
    /// A frame came that nobody should send here.
    #[error("unexpected answer")]
    Foreign(String),
}

fn frame_headline(error: &FrameError) -> String {
    match error {
        FrameError::CrcMismatch {
            other_variant: Some(theirs),
            ..
        } => {
            format!("CRC variant mismatch (the server uses {theirs})")
        }
        FrameError::CrcMismatch { .. } => "checksum mismatch".to_owned(),
        other => other.to_string(),
    }
}

impl Refusal {
    /// Why, and what to do.
    pub(crate) fn explain(&self, scene: Scene<'_>) -> Explanation {
        let endpoint = crate::format::shell(&scene.endpoint.display().to_string());
        match self {
            Self::Timeout(_) => explain::timeout(scene),
            Self::Closed => explain::closed(),
            Self::Io(error) => Explanation::new(
                format!("the socket failed: {error}"),
                format!("see what serves {endpoint} and its log, then try again"),
            ),
            Self::GoAway { code, reason } => explain::explain_goaway(*code, reason, scene),
            Self::Frame(FrameError::CrcMismatch { other_variant, .. }) => {
                explain::crc_mismatch(scene, *other_variant)
            }
            Self::Frame(error) => explain::foreign(&error.to_string(), &endpoint),
            Self::Foreign(what) => explain::foreign(what, &endpoint),
        }
    }
}

/// One connection, driven by hand.
#[derive(Debug)]
pub(crate) struct Probe<S> {
    stream: S,
    decoder: FrameDecoder,
    incoming: BytesMut,
    crc: Crc32Variant,
    max_frame_bytes: usize,
    limit: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Probe<S> {
    /// Takes over a connection on which nothing was said yet. `limit` is the longest wait for any one
    /// answer.
    pub(crate) fn new(
        stream: S,
        crc: Crc32Variant,
        max_frame_bytes: usize,
        limit: Duration,
    ) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(max_frame_bytes, crc),
            incoming: BytesMut::with_capacity(4096),
            crc,
            max_frame_bytes,
            limit,
        }
    }

    /// Says HELLO and returns the server's.
    pub(crate) async fn handshake(&mut self, hello: &Hello) -> Result<Hello, Refusal> {
        let deadline = Instant::now() + self.limit;
        let mut frame = BytesMut::new();
        let head = Head {
            kind: Kind::Hello,
            hello: Some(hello),
            ..Head::default()
        };
        self.append(&mut frame, &head)?;
        // A server that is full says so and closes, before or while this is written.
        let written = self.write(&frame, deadline).await;
        let answer = match (self.envelope(deadline).await, written) {
            (Err(Refusal::Closed), Err(refusal)) => return Err(refusal),
            (answer, _) => answer?,
        };
        match (Kind::try_from(answer.kind), answer.hello) {
            (Ok(Kind::Hello), Some(hello)) if hello.protocol != PROTOCOL_VERSION => {
                Err(Refusal::Foreign(format!(
                    "the server speaks version {} of the protocol, this program {PROTOCOL_VERSION}",
                    hello.protocol
                )))
            }
            (Ok(Kind::Hello), Some(hello)) => Ok(hello),
            _ => Err(Refusal::Foreign("the first frame is no HELLO".to_owned())),
        }
    }

    /// One PING and its PONG.
    pub(crate) async fn ping(&mut self, payload: &[u8]) -> Result<Duration, Refusal> {
        let mut frame = BytesMut::new();
        let head = Head {
            kind: Kind::Ping,
            ..Head::default()
        };
        self.append_with(&mut frame, &head, payload)?;
        let sent = Instant::now();
        let deadline = sent + self.limit;
        self.write(&frame, deadline).await?;
        let pong = self.next_of(Kind::Pong, deadline).await?;
        if pong.payload.as_deref() != Some(payload) {
            return Err(Refusal::Foreign(
                "a PONG with another payload than its PING".to_owned(),
            ));
        }
        Ok(sent.elapsed())
    }

    /// One unary call, written as `head` and `payload` say, and its REPLY or END, for which `limit`
    /// holds in place of the usual one.
    pub(crate) async fn call(
        &mut self,
        head: &Head<'_>,
        payload: &[u8],
        limit: Duration,
    ) -> Result<Envelope, Refusal> {
        let usual = mem::replace(&mut self.limit, limit);
        let answer = self.exchange(head, payload).await;
        self.limit = usual;
        answer
    }

    async fn exchange(&mut self, head: &Head<'_>, payload: &[u8]) -> Result<Envelope, Refusal> {
        let mut frame = BytesMut::new();
        self.append_with(&mut frame, head, payload)?;
        let deadline = Instant::now() + self.limit;
        self.write(&frame, deadline).await?;
        loop {
            let envelope = self.envelope(deadline).await?;
            let terminal = matches!(Kind::try_from(envelope.kind), Ok(Kind::Reply | Kind::End));
            if terminal && envelope.call == head.call {
                return Ok(envelope);
            }
        }
    }

    /// Sends a PING of which one bit of the payload was flipped after its checksum was made, and
    /// returns what the server says to it.
    pub(crate) async fn send_damaged(&mut self) -> Result<Envelope, Refusal> {
        let mut frame = BytesMut::new();
        let head = Head {
            kind: Kind::Ping,
            ..Head::default()
        };
        self.append_with(&mut frame, &head, b"this bit flips")?;
        if let Some(last) = frame.last_mut() {
            *last ^= 0x01;
        }
        let deadline = Instant::now() + self.limit;
        self.write(&frame, deadline).await?;
        self.envelope(deadline).await
    }

    fn append(&self, frame: &mut BytesMut, head: &Head<'_>) -> Result<(), Refusal> {
        append_head(frame, self.crc, u32::MAX as usize, head)
            .map_err(|error| Refusal::Foreign(error.to_string()))
    }

    fn append_with(
        &self,
        frame: &mut BytesMut,
        head: &Head<'_>,
        payload: &[u8],
    ) -> Result<(), Refusal> {
        let payload = Encoded(Bytes::copy_from_slice(payload));
        append_envelope(frame, self.crc, u32::MAX as usize, head, Some(&payload))
            .map_err(|error| Refusal::Foreign(error.to_string()))
    }

    /// The next envelope of `kind`; a GOAWAY is a refusal, anything else is passed over.
    async fn next_of(&mut self, kind: Kind, deadline: Instant) -> Result<Envelope, Refusal> {
        loop {
            let envelope = self.envelope(deadline).await?;
            if envelope.kind == kind as i32 {
                return Ok(envelope);
            }
        }
    }

    /// The next envelope; a GOAWAY is a refusal with the server's words.
    async fn envelope(&mut self, deadline: Instant) -> Result<Envelope, Refusal> {
        let payload = self.frame(deadline).await?;
        let envelope = decode_envelope(payload).map_err(|error| {
            Refusal::Foreign(format!("a frame that holds no envelope: {error}"))
        })?;
        if envelope.kind == Kind::Goaway as i32 {
            let code = Code::from_number(envelope.code);
            return Err(Refusal::GoAway {
                code,
                reason: envelope.reason,
            });
        }
        Ok(envelope)
    }

    async fn frame(&mut self, deadline: Instant) -> Result<Bytes, Refusal> {
        loop {
            if let Some(payload) = self
                .decoder
                .decode(&mut self.incoming)
                .map_err(Refusal::Frame)?
            {
                return Ok(payload);
            }
            // The decoder has judged the announced length by now.
            let room = self
                .decoder
                .missing(&self.incoming)
                .min(self.max_frame_bytes + HEADER_LEN);
            self.incoming.reserve(room);
            let read = self.stream.read_buf(&mut self.incoming);
            match timeout_at(deadline.into(), read).await {
                Err(_) => return Err(Refusal::Timeout(self.limit)),
                Ok(Ok(0)) => return Err(Refusal::Closed),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(Refusal::Closed);
                }
                Ok(read) => drop(read?),
            }
        }
    }

    async fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Refusal> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout_at(deadline.into(), write)
            .await
            .map_err(|_| Refusal::Timeout(self.limit))?
            .map_err(Refusal::Io)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    fn pair(limit: Duration) -> (Probe<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(1 << 16);
        (Probe::new(near, Crc32Variant::Ieee, 1 << 16, limit), far)
    }

    fn frame(crc: Crc32Variant, head: &Head<'_>) -> BytesMut {
        let mut frame = BytesMut::new();
        append_head(&mut frame, crc, 1 << 16, head).expect("small");
        frame
    }

    fn hello() -> Hello {
        Hello {
            protocol: PROTOCOL_VERSION,
            max_frame_bytes: 1024,
            max_calls: 1,
            ..Hello::default()
        }
    }

    async fn answered(answer: &[u8]) -> Result<Hello, Refusal> {
        let (mut probe, mut far) = pair(Duration::from_secs(5));
        far.write_all(answer).await.expect("room");
        probe.handshake(&hello()).await
    }

    #[tokio::test]
    async fn a_hello_is_answered_by_a_hello() {
        let theirs = hello();
        let head = Head {
            kind: Kind::Hello,
            hello: Some(&theirs),
            ..Head::default()
        };
        let got = answered(&frame(Crc32Variant::Ieee, &head))
            .await
            .expect("a HELLO");
        assert_eq!(got.max_frame_bytes, 1024);
    }

    #[tokio::test]
    async fn the_other_checksum_is_recognised() {
        let theirs = hello();
        let head = Head {
            kind: Kind::Hello,
            hello: Some(&theirs),
            ..Head::default()
        };
        let refusal = answered(&frame(Crc32Variant::Castagnoli, &head))
            .await
            .expect_err("damaged");
        assert_eq!(
            refusal.to_string(),
            "CRC variant mismatch (the server uses castagnoli)"
        );
    }

    #[tokio::test]
    async fn the_words_of_a_server_that_turns_away_are_kept() {
        let head = Head {
            kind: Kind::Goaway,
            code: 8,
            reason: "16 of 16",
            ..Head::default()
        };
        let refusal = answered(&frame(Crc32Variant::Ieee, &head))
            .await
            .expect_err("full");
        assert!(
            matches!(&refusal, Refusal::GoAway { code: Code::ResourceExhausted, reason } if reason == "16 of 16"),
            "{refusal:?}"
        );
    }

    #[tokio::test]
    async fn noise_and_silence_are_told_apart() {
        let noise = answered(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .expect_err("noise");
        assert!(
            matches!(noise, Refusal::Frame(FrameError::TooLarge { .. })),
            "{noise:?}"
        );
        let (mut probe, far) = pair(Duration::from_millis(5));
        let silence = probe.handshake(&hello()).await.expect_err("silence");
        assert_eq!(silence.to_string(), "timeout: no answer within 5 ms");
        drop(far);
        let closed = probe.handshake(&hello()).await.expect_err("closed");
        assert!(
            matches!(closed, Refusal::Io(_) | Refusal::Closed),
            "{closed:?}"
        );
    }
}
