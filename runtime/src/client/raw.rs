//! A message whose schema this program does not know.
//!
//! **Invariant**: the bytes are passed on as they are; nothing here looks into them.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, encode_key, skip_field},
};

/// An encoded message of any type, for programs that call methods or pass calls on without the
/// generated code: gateways, proxies, tools that work by reflection.
///
/// It stands wherever a message does. Merging one into another appends its bytes, which is what
/// protobuf defines merging to be.
///
/// ```
/// use daemoneye_ipc::{client::{RawMessage, Stub}, schema::health::v1::{HEALTH_SERVICE, PingRequest}};
/// # use daemoneye_ipc::{Channel, IpcConfig, Server, health::HealthReporter, prost::Message};
/// # use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let config = IpcConfig::new(dir.path().join("app.sock"));
/// # let server = Server::builder(config.clone()).health(HealthReporter::new()).bind().await?;
/// # let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// # let serving = tokio::spawn(server.serve_until(async { let _ = stopped.await; }, Duration::from_secs(5)));
/// # let channel = Channel::connect(config).await?;
/// // A proxy knows the service from somewhere, and the messages not at all.
/// let service = HEALTH_SERVICE;
/// let ping = service.methods.iter().position(|method| method.name == "Ping").expect("a method");
/// let request = PingRequest { payload: "hello".into() }.encode_to_vec();
///
/// let stub = Stub::new(channel, service);
/// let answer: RawMessage = stub.unary(ping, RawMessage::new(request.clone())).await?;
/// assert_eq!(answer.into_bytes(), request); // Ping answers what it is sent
/// # let _ = stop.send(());
/// # serving.await??;
/// # Ok(()) })
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawMessage(Bytes);

impl RawMessage {
    /// A message that is encoded already. The bytes are not checked.
    #[must_use]
    pub fn new(encoded: impl Into<Bytes>) -> Self {
        Self(encoded.into())
    }

    /// The encoded message.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The encoded message, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    fn append(&mut self, more: Bytes) {
        if self.0.is_empty() {
            self.0 = more;
        } else {
            self.0 = [&self.0[..], &more[..]].concat().into();
        }
    }
}

impl From<Bytes> for RawMessage {
    fn from(encoded: Bytes) -> Self {
        Self(encoded)
    }
}

impl Message for RawMessage {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0 = Bytes::new();
    }

    /// Takes all bytes, without a copy where they come as [`Bytes`].
    fn merge(&mut self, mut buf: impl Buf) -> Result<(), DecodeError> {
        self.append(buf.copy_to_bytes(buf.remaining()));
        Ok(())
    }

    /// Takes one field, for those who read messages field by field.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let mut copy = Copying {
            from: buf,
            taken: BytesMut::new(),
        };
        encode_key(tag, wire_type, &mut copy.taken);
        skip_field(wire_type, tag, &mut copy, ctx)?;
        self.append(copy.taken.freeze());
        Ok(())
    }
}

/// Keeps what is read.
struct Copying<'a, B> {
    from: &'a mut B,
    taken: BytesMut,
}

impl<B: Buf> Buf for Copying<'_, B> {
    fn remaining(&self) -> usize {
        self.from.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.from.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.taken.put((&mut *self.from).take(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{
        health::v1::PingRequest,
        reflection::v1::{ListServicesResponse, ServiceInfo},
    };

    fn list() -> ListServicesResponse {
        let service = ServiceInfo {
            name: "a.v1.A".into(),
            revision: 300,
            fingerprint: u64::MAX,
            methods: vec!["B".into(), String::new()],
        };
        ListServicesResponse {
            services: vec![service.clone(), service],
        }
    }

    #[test]
    fn bytes_pass_through_as_they_are_even_if_they_are_no_message() {
        for bytes in [&b""[..], b"\x0a\x01x", b"\xff\xff\xff"] {
            let raw = RawMessage::decode(Bytes::copy_from_slice(bytes)).expect("any bytes");
            assert_eq!(raw.encoded_len(), bytes.len());
            assert_eq!(raw.encode_to_vec(), bytes);
        }
    }

    #[test]
    fn decoding_copies_nothing() {
        let bytes = Bytes::from(list().encode_to_vec());
        let raw = RawMessage::decode(bytes.clone()).expect("any bytes");
        assert_eq!(raw.bytes().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn merging_appends_as_protobuf_merges() {
        let mut raw = RawMessage::new(
            PingRequest {
                payload: "a".into(),
            }
            .encode_to_vec(),
        );
        raw.merge(
            &PingRequest {
                payload: "b".into(),
            }
            .encode_to_vec()[..],
        )
        .expect("any bytes");
        let merged = PingRequest::decode(raw.into_bytes()).expect("a message");
        assert_eq!(merged.payload, "b");
    }

    #[test]
    fn a_message_inside_of_another_is_read_field_by_field() {
        let inner = list().encode_to_vec();
        let mut framed = BytesMut::new();
        RawMessage::new(inner.clone())
            .encode_length_delimited(&mut framed)
            .expect("room");
        let read = RawMessage::decode_length_delimited(framed.freeze()).expect("whole");
        assert_eq!(read.into_bytes(), inner);
    }

    #[test]
    fn a_field_that_ends_after_its_message_is_refused() {
        // A message of two bytes whose only field announces five.
        assert!(RawMessage::decode_length_delimited(&b"\x02\x0a\x05"[..]).is_err());
        assert!(RawMessage::decode_length_delimited(&b"\x01\x08"[..]).is_err());
    }
}
