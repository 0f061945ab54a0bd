//! What each frame from the server does.
//!
//! **Invariant**: a frame for a call that is gone is a normal race and skipped; a frame for a call that
//! never was ends the connection.

use std::time::Instant;

use bytes::{Buf, Bytes};

use super::{ClientSession, broken_reply};
use crate::{
    metadata::Metadata,
    schema::ipc::v1::Metadata as MetadataEntry,
    session::{CallId, Fault, Outcome, credit::Overdrawn, messages::MAX_COPIED_BYTES, negotiate},
    status::{Code, Status},
    wire::{Encoded, Envelope, Head, Kind, MAX_PING_BYTES, Verdict, carried, decode_envelope},
};

impl ClientSession {
    /// A frame came, whole and with a checksum that fits.
    ///
    /// # Errors
    /// The fault that ends the connection; [`Self::handle_fault`] has been done.
    pub fn handle_frame(&mut self, now: Instant, mut frame: Bytes) -> Result<(), Fault> {
        if let Some(fault) = &self.closed {
            return Err(fault.clone());
        }
        let done = match carried(Kind::Reply, &frame) {
            Some((call, payload)) => {
                frame.advance(frame.len() - payload.len());
                self.handle_plain_reply(call, frame)
            }
            None => decode_envelope(frame)
                .map_err(Fault::Envelope)
                .and_then(|e| self.handle(now, e)),
        };
        done.inspect_err(|fault| self.handle_fault(fault.clone()))
    }

    /// Takes a frame that is one small message of a response stream. `false` for all else, which is for
    /// [`Self::handle_frame`].
    pub fn handle_stream_message(&mut self, frame: &[u8]) -> bool {
        let Some((call, message)) = carried(Kind::Message, frame) else {
            return false;
        };
        let entry = self.calls.get_mut(&call).filter(|e| e.outcome.is_none());
        let Some(entry) = entry.filter(|_| message.len() <= MAX_COPIED_BYTES) else {
            return false;
        };
        let receiver = entry.receiver.as_mut();
        let taken = receiver.is_some_and(|receiver| receiver.push_copy(message).is_ok());
        if taken {
            self.wakers.extend(entry.waker.take());
        }
        taken
    }

    fn handle(&mut self, now: Instant, envelope: Envelope) -> Result<(), Fault> {
        let kind = Kind::try_from(envelope.kind).unwrap_or(Kind::Unspecified);
        if !matches!(kind, Kind::Hello | Kind::Goaway) {
            self.check_greeted()?;
        }
        match kind {
            Kind::Hello => self.handle_hello(envelope),
            Kind::Goaway => self.handle_goaway(&envelope),
            Kind::Ping => self.handle_ping(envelope.payload.unwrap_or_default()),
            Kind::Pong => {
                self.handle_pong(now, &envelope.payload.unwrap_or_default());
                Ok(())
            }
            Kind::Message | Kind::Reply | Kind::End | Kind::Credit => {
                self.handle_call(kind, envelope)
            }
            Kind::Call | Kind::Cancel => Err(Fault::protocol(format!(
                "{} from the server",
                kind.as_str_name()
            ))),
            Kind::Unspecified => {
                self.unknown_kinds += 1;
                Ok(())
            }
        }
    }

    fn check_greeted(&self) -> Result<(), Fault> {
        match &self.server {
            Some(_) => Ok(()),
            None => Err(Fault::protocol("the server's first frame is not HELLO")),
        }
    }

    fn handle_hello(&mut self, envelope: Envelope) -> Result<(), Fault> {
        if self.server.is_some() {
            return Err(Fault::protocol("a second HELLO"));
        }
        let mut hello = envelope
            .hello
            .ok_or_else(|| Fault::protocol("HELLO without its fields"))?;
        negotiate::accept(&mut hello, true)?;
        self.outbox
            .set_max_frame_bytes(hello.max_frame_bytes as usize);
        for (call, entry) in &self.calls {
            if entry.kind.client_streams() && entry.outcome.is_none() {
                self.wakers
                    .extend(self.outbox.grant(*call, hello.stream_credit));
            }
        }
        self.server = Some(hello);
        self.greeted = true;
        self.vitals.handshake_done();
        self.wake_waiting();
        Ok(())
    }

    fn handle_goaway(&mut self, envelope: &Envelope) -> Result<(), Fault> {
        if envelope.code != 0 {
            let code = Code::from_number(envelope.code);
            return Err(Fault::goaway(code, &envelope.reason));
        }
        let fault = Fault::GoAway {
            code: Code::Unavailable,
            reason: "the server is shutting down".into(),
        };
        if let Some(last_call) = envelope.last_call {
            for call in self.calls_above(last_call) {
                self.settle(
                    call,
                    Outcome::Lost {
                        fault: fault.clone(),
                        maybe_run: false,
                    },
                );
            }
        }
        self.going_away.get_or_insert(fault);
        self.wake_waiting();
        Ok(())
    }

    fn calls_above(&self, last_call: CallId) -> Vec<CallId> {
        self.calls
            .keys()
            .copied()
            .filter(|call| *call > last_call)
            .collect()
    }

    fn handle_ping(&mut self, payload: Bytes) -> Result<(), Fault> {
        if payload.len() > MAX_PING_BYTES {
            return Err(Fault::protocol(format!(
                "a PING of {} bytes",
                payload.len()
            )));
        }
        self.outbox.push_echo(Kind::Pong, &Encoded(payload));
        self.check_control()
    }

    /// A server that provokes answers and does not read them is cut off.
    fn check_control(&self) -> Result<(), Fault> {
        if self.outbox.control_queued() > self.config.max_queued_bytes {
            return Err(Fault::Limit("control frames are not being read".into()));
        }
        Ok(())
    }

    fn handle_pong(&mut self, now: Instant, payload: &[u8]) {
        let Ok(number) = payload.try_into().map(u64::from_le_bytes) else {
            return;
        };
        if let Some(ping) = self.pings.iter_mut().find(|ping| ping.number == number) {
            ping.answered = Some(now.saturating_duration_since(ping.sent));
            self.wakers.extend(ping.waker.take());
        }
    }

    fn handle_call(&mut self, kind: Kind, envelope: Envelope) -> Result<(), Fault> {
        let call = envelope.call.unwrap_or(0);
        self.check_opened(kind, call)?;
        if !self.is_open(call) {
            return Ok(());
        }
        match kind {
            Kind::Message => self.handle_message(call, envelope.payload),
            Kind::Reply => self.handle_reply(call, envelope.payload, envelope.metadata),
            Kind::End => self.handle_end(call, envelope),
            _ => self.wakers.extend(self.outbox.grant(call, envelope.credit)),
        }
        self.check_control()
    }

    /// A REPLY with a response and nothing else, as nearly all are.
    fn handle_plain_reply(&mut self, call: CallId, payload: Bytes) -> Result<(), Fault> {
        self.check_greeted()?;
        self.check_opened(Kind::Reply, call)?;
        if self.is_open(call) {
            self.handle_reply(call, Some(payload), Vec::new());
            self.check_control()?;
        }
        Ok(())
    }

    /// A call that was never opened cannot be answered.
    fn check_opened(&self, kind: Kind, call: CallId) -> Result<(), Fault> {
        if call == 0 || call > self.last_id {
            return Err(Fault::protocol(format!(
                "{} for call {call}, never opened",
                kind.as_str_name()
            )));
        }
        Ok(())
    }

    fn handle_message(&mut self, call: CallId, payload: Option<Bytes>) {
        let Some(entry) = self.calls.get_mut(&call) else {
            return;
        };
        let Some(receiver) = &mut entry.receiver else {
            let status = Status::invalid_argument(
                "the server sent a stream message on a call without a response stream",
            );
            return self.refuse(call, status);
        };
        let Some(payload) = payload else { return };
        if receiver.push(payload) == Err(Overdrawn) {
            let status = Status::resource_exhausted("the server sent past its stream credit");
            return self.refuse(call, status);
        }
        self.wakers.extend(entry.waker.take());
    }

    fn handle_reply(&mut self, call: CallId, payload: Option<Bytes>, trailers: Vec<MetadataEntry>) {
        let outcome = match (self.calls.get(&call), payload) {
            (Some(entry), Some(payload)) if !entry.kind.server_streams() => Outcome::Success {
                payload: Some(payload),
                trailers,
            },
            (_, None) => broken_reply("the server's REPLY has no payload"),
            _ => broken_reply("the server sent REPLY on a response stream"),
        };
        self.settle(call, outcome);
    }

    fn handle_end(&mut self, call: CallId, envelope: Envelope) {
        let streams = self
            .calls
            .get(&call)
            .is_some_and(|entry| entry.kind.server_streams());
        let outcome = match (envelope.code, streams) {
            (0, true) => Outcome::Success {
                payload: None,
                trailers: envelope.metadata,
            },
            (0, false) => broken_reply("the server ended the call without a REPLY"),
            (code, _) => Outcome::Failure {
                status: Status::new(Code::from_number(code), envelope.reason)
                    .with_details(envelope.details)
                    .with_metadata(Metadata::from_entries(envelope.metadata)),
                unrun: envelope.unrun,
            },
        };
        self.settle(call, outcome);
    }

    /// Ends a call here with `status`, and tells the server that nobody waits for it any more.
    pub fn refuse(&mut self, call: CallId, status: Status) {
        self.settle(
            call,
            Outcome::Failure {
                status,
                unrun: false,
            },
        );
        self.cancel_on_wire(call);
    }

    pub(super) fn cancel_on_wire(&mut self, call: CallId) {
        self.outbox.push_control(&Head {
            kind: Kind::Cancel,
            call: Some(call),
            ..Head::default()
        });
    }

    /// The verdict that the server's HELLO gives on a service that this side named.
    #[must_use]
    pub fn server_verdict(&self, service: &str) -> Option<Verdict> {
        let offer = self
            .server
            .as_ref()?
            .services
            .iter()
            .find(|offer| offer.name == service)?;
        Verdict::try_from(offer.verdict).ok()
    }
}
