//! What each frame from the client does.
//!
//! **Invariant**: what is wrong with one call ends that call; what is wrong with the connection ends
//! the connection; neither runs a handler.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};

use super::{Interruption, MethodIndex, ServerSession, StartCall};
use crate::{
    descriptor::MethodDescriptor,
    metadata::Metadata,
    schema::ipc::v1::Metadata as MetadataEntry,
    session::{
        CallId, Fault,
        credit::{Overdrawn, Receiver},
        messages::MAX_COPIED_BYTES,
        negotiate,
        pool::CALL_BYTES,
    },
    status::{Code, Status},
    wire::{
        Encoded, Envelope, Head, Hello, Kind, MAX_PING_BYTES, PlainCall, Verdict, carried,
        decode_envelope, measure, plain_call,
    },
};

/// What the driver has to do about a frame.
///
/// ```
/// # mod by_hand { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/by_hand.inc")); }
/// # use by_hand::*;
/// # let (mut client, mut server, mut wire, now, cx) = sessions();
/// # let metadata = Metadata::new();
/// # let call = OpenCall { service: HEALTH_SERVICE, method: &HEALTH_SERVICE.methods[2], deadline: None, metadata: &metadata };
/// # let request = Encoded(Bytes::new());
/// # let Poll::Ready(Ok(id)) = client.poll_open(now, &cx, &mut None, &call, Some(&request)) else { panic!() };
/// client.poll_transmit(&mut wire);
/// let (frames, written) = take(&mut wire);
/// client.handle_written(written);
/// let came: Vec<_> = frames.into_iter().map(|frame| server.handle_frame(now, frame).unwrap()).collect();
/// assert!(matches!(&came[..], [Incoming::Handled, Incoming::Start(call)] if call.call == id));
/// ```
#[derive(Debug)]
pub enum Incoming {
    /// Nothing: the session has dealt with it.
    Handled,
    /// Start this call's handler.
    Start(StartCall),
    /// Note that the client called a method that it may not call ([`ServerSession::deny`]): it was refused.
    Denied(&'static MethodDescriptor),
}

/// Why a call is refused.
type Refusal = (Code, String);

/// What a CALL says.
struct Asked {
    call: CallId,
    method: u64,
    timeout_us: Option<u64>,
    last: bool,
    metadata: Vec<MetadataEntry>,
    payload: Option<Bytes>,
}

impl From<Envelope> for Asked {
    fn from(envelope: Envelope) -> Self {
        Self {
            call: envelope.call.unwrap_or(0),
            method: envelope.method,
            timeout_us: envelope.timeout_us,
            last: envelope.last,
            metadata: envelope.metadata,
            payload: envelope.payload,
        }
    }
}

impl<A> ServerSession<A> {
    /// A frame came, whole and with a checksum that fits.
    ///
    /// # Errors
    /// The fault that ends the connection; [`Self::handle_fault`] has been done.
    pub fn handle_frame(&mut self, now: Instant, mut frame: Bytes) -> Result<Incoming, Fault> {
        if let Some(fault) = &self.closed {
            return Err(fault.clone());
        }
        let done = match plain_call(&frame) {
            Some(PlainCall {
                call,
                method,
                timeout_us,
                payload,
            }) => {
                frame.advance(frame.len() - payload.len());
                let asked = Asked {
                    call,
                    method,
                    timeout_us,
                    last: true,
                    metadata: Vec::new(),
                    payload: Some(frame),
                };
                self.handle_call(now, asked)
            }
            None => decode_envelope(frame)
                .map_err(Fault::Envelope)
                .and_then(|e| self.handle(now, e)),
        };
        done.inspect_err(|fault| self.handle_fault(fault.clone()))
    }

    fn handle(&mut self, now: Instant, envelope: Envelope) -> Result<Incoming, Fault> {
        let kind = Kind::try_from(envelope.kind).unwrap_or(Kind::Unspecified);
        if kind != Kind::Hello {
            self.check_greeted()?;
        }
        match kind {
            Kind::Call => return self.handle_call(now, envelope.into()),
            Kind::Hello => self.handle_hello(envelope)?,
            Kind::Goaway => self.handle_goaway(&envelope)?,
            Kind::Ping => self.handle_ping(envelope.payload.unwrap_or_default())?,
            Kind::Pong => {}
            Kind::Message | Kind::Cancel | Kind::Credit => self.handle_known(kind, envelope)?,
            Kind::Reply | Kind::End => {
                return Err(Fault::protocol(format!(
                    "{} from the client",
                    kind.as_str_name()
                )));
            }
            Kind::Unspecified => self.unknown_kinds += 1,
        }
        Ok(Incoming::Handled)
    }

    /// Takes a frame that is one small message of a request stream. `false` for all else, which is for
    /// [`Self::handle_frame`].
    pub fn handle_stream_message(&mut self, frame: &[u8]) -> bool {
        let Some((call, message)) = carried(Kind::Message, frame) else {
            return false;
        };
        let entry = self.calls.get_mut(&call).filter(|entry| !entry.ended);
        let receiver = entry.and_then(|entry| entry.receiver.as_mut());
        let receiver = receiver.filter(|receiver| !receiver.is_finished());
        let Some(receiver) = receiver.filter(|_| message.len() <= MAX_COPIED_BYTES) else {
            return false;
        };
        let taken = receiver.push_copy(message).is_ok();
        if taken {
            self.wakers.extend(receiver.waker.take());
        }
        taken
    }

    fn check_greeted(&self) -> Result<(), Fault> {
        match &self.client {
            Some(_) => Ok(()),
            None => Err(Fault::protocol("the client's first frame is not HELLO")),
        }
    }

    fn handle_hello(&mut self, envelope: Envelope) -> Result<(), Fault> {
        if self.client.is_some() {
            return Err(Fault::protocol("a second HELLO"));
        }
        let mut hello = envelope
            .hello
            .ok_or_else(|| Fault::protocol("HELLO without its fields"))?;
        negotiate::accept(&mut hello, false)?;
        self.outbox
            .set_max_frame_bytes(hello.max_frame_bytes as usize);
        let answer = self.answer(&hello);
        let head = Head {
            kind: Kind::Hello,
            hello: Some(&answer),
            ..Head::default()
        };
        self.outbox.push::<Encoded>(&head, None).map_err(|over| {
            Fault::Limit(format!(
                "this side's HELLO does not fit the peer's frames: {over}"
            ))
        })?;
        // What it named is dealt with, and would only take memory from now on.
        hello.services = Vec::new();
        self.client = Some(hello);
        self.vitals.handshake_done();
        Ok(())
    }

    /// The server's HELLO: all its services, with a verdict on those that the client named.
    fn answer(&mut self, client: &Hello) -> Hello {
        let mut hello = negotiate::hello(&self.config);
        let registry = std::sync::Arc::clone(&self.registry);
        for (index, service) in registry.services().iter().enumerate() {
            let mut offer = negotiate::offer(service);
            if let Some(named) = client
                .services
                .iter()
                .find(|named| named.name == service.name)
            {
                let verdict = negotiate::verdict(service, named);
                offer.verdict = verdict.into();
                if verdict == Verdict::Unknown && named.require {
                    let reason = negotiate::mismatch(service, named).describe();
                    self.refused.push((index, reason));
                }
            }
            hello.services.push(offer);
        }
        let absent = client.services.iter().filter(|named| {
            registry
                .services()
                .iter()
                .all(|service| service.name != named.name)
        });
        hello.services.extend(absent.map(|named| {
            let mut offer = crate::schema::ipc::v1::ServiceOffer::default();
            offer.name.clone_from(&named.name);
            offer.verdict = Verdict::Absent.into();
            offer
        }));
        hello
    }

    fn handle_goaway(&mut self, envelope: &Envelope) -> Result<(), Fault> {
        if envelope.code != 0 {
            let code = Code::from_number(envelope.code);
            return Err(Fault::goaway(code, &envelope.reason));
        }
        self.client_leaves = true;
        Ok(())
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

    /// A peer that provokes answers and does not read them is cut off.
    fn check_control(&self) -> Result<(), Fault> {
        if self.outbox.control_queued() > self.config.max_queued_bytes {
            return Err(Fault::Limit("control frames are not being read".into()));
        }
        Ok(())
    }

    fn handle_call(&mut self, now: Instant, asked: Asked) -> Result<Incoming, Fault> {
        self.check_greeted()?;
        let call = asked.call;
        if call <= self.last_id {
            return Err(Fault::protocol(format!(
                "call id {call} is not above {}",
                self.last_id
            )));
        }
        self.last_id = call;
        let ordinal = asked.method;
        match self.admit(now, asked) {
            Ok(start) => Ok(Incoming::Start(start)),
            Err((code, reason)) => {
                self.holdings.count_calls(self.calls.len());
                self.refuse(call, code, &reason);
                self.check_control()?;
                let method = self.registry.find(ordinal).map(|(_, method)| method);
                let denied = method.filter(|_| code == Code::PermissionDenied);
                Ok(denied.map_or(Incoming::Handled, Incoming::Denied))
            }
        }
    }

    /// Decides whether a call is run.
    fn admit(&mut self, now: Instant, asked: Asked) -> Result<StartCall, Refusal> {
        let (index, method) = self.find_method(asked.method)?;
        self.check_load()?;
        let metadata = Metadata::from_entries(asked.metadata);
        self.config
            .check_metadata(&metadata)
            .map_err(|over| (Code::ResourceExhausted, over))?;
        if asked.timeout_us == Some(0) {
            let reason = "the deadline had passed before the call came";
            return Err((Code::DeadlineExceeded, reason.to_owned()));
        }
        let streams = method.kind.client_streams();
        if !streams && (asked.payload.is_none() || !asked.last) {
            let reason = format!(
                "CALL on a {} method needs `payload` and `last`",
                method.kind
            );
            return Err((Code::InvalidArgument, reason));
        }
        let memory = self.take_memory(method, asked.payload.as_ref())?;
        let (receiver, payload) = if streams {
            (Some(self.request_stream(asked.payload, asked.last)), None)
        } else {
            (None, asked.payload)
        };
        let timeout = asked.timeout_us.map(Duration::from_micros);
        let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        let start = StartCall {
            call: asked.call,
            index,
            method,
            payload,
            metadata,
            received: now,
            deadline,
        };
        let credit = self
            .client
            .as_ref()
            .map_or(0, |client| client.stream_credit);
        self.vitals.call_opened(now, self.open == 0);
        self.insert_call(&start, receiver, credit, memory);
        Ok(start)
    }

    /// Takes memory for what a call brings: a request, encoded and decoded, or what may be sent on its stream. Says how
    /// much, which is nothing where it is little.
    fn take_memory(
        &mut self,
        method: &MethodDescriptor,
        payload: Option<&Bytes>,
    ) -> Result<u64, Refusal> {
        let exhausted = |reason| (Code::ResourceExhausted, reason);
        let received = payload.map_or(0, Bytes::len) as u64;
        let bytes = match payload {
            _ if method.kind.client_streams() => received + u64::from(self.config.stream_credit),
            None => 0,
            Some(payload) => {
                let enough = CALL_BYTES.saturating_sub(received);
                let decoded = measure(payload, &method.request, &self.config.decode, enough);
                decoded.map_err(|over| exhausted(over.to_string()))? + received
            }
        };
        let counted = if bytes > CALL_BYTES { bytes } else { 0 };
        match self.holdings.take_memory(counted) {
            true => Ok(counted),
            false => {
                let reason = "other calls take the memory that the server has for requests";
                Err(exhausted(reason.to_owned()))
            }
        }
    }

    /// The method of a call that may be run now.
    fn find_method(
        &self,
        ordinal: u64,
    ) -> Result<(MethodIndex, &'static MethodDescriptor), Refusal> {
        if self.draining || self.client_leaves {
            return Err((Code::Unavailable, "the server is shutting down".to_owned()));
        }
        let Some((index, method)) = self.registry.find(ordinal) else {
            let names: Vec<&str> = self.registry.services().iter().map(|s| s.name).collect();
            let reason = format!(
                "no method with ordinal {ordinal:#018x} is served here; the services are: {}",
                names.join(", ")
            );
            return Err((Code::Unimplemented, reason));
        };
        let mut denied = self.denied.iter();
        if let Some((_, reason)) = denied.find(|(denied, _)| *denied == index) {
            return Err((Code::PermissionDenied, reason.clone()));
        }
        let mut refused = self.refused.iter();
        match refused.find(|(service, _)| *service == index.service) {
            Some((_, reason)) => Err((Code::FailedPrecondition, reason.clone())),
            None => Ok((index, method)),
        }
    }

    /// The request stream of a new call, with the message that came inside its CALL.
    fn request_stream(&self, first: Option<Bytes>, last: bool) -> Receiver {
        let mut receiver = Receiver::new(self.config.stream_credit);
        if let Some(first) = first {
            receiver.push_free(first);
        }
        if last {
            receiver.finish();
        }
        receiver
    }

    fn check_load(&mut self) -> Result<(), Refusal> {
        let max_calls = self.config.max_calls as usize;
        if self.calls.len() >= max_calls {
            let reason = format!("{max_calls} calls are in flight on this connection, its limit");
            return Err((Code::ResourceExhausted, reason));
        }
        if !self.holdings.count_calls(self.calls.len() + 1) {
            let reason = "as many calls are in flight on all connections as the server allows";
            return Err((Code::ResourceExhausted, reason.to_owned()));
        }
        if self.outbox.queued() > self.config.max_queued_bytes {
            let reason = "responses on this connection are not being read".to_owned();
            return Err((Code::ResourceExhausted, reason));
        }
        self.holdings.count_queued(self.outbox.queued());
        if self.holdings.is_clogged() {
            let reason = "responses are not being read, and the server has no room for more";
            return Err((Code::ResourceExhausted, reason.to_owned()));
        }
        Ok(())
    }

    fn handle_known(&mut self, kind: Kind, envelope: Envelope) -> Result<(), Fault> {
        let call = envelope.call.unwrap_or(0);
        if call == 0 || call > self.last_id {
            return Err(Fault::protocol(format!(
                "{} for call {call}, never opened",
                kind.as_str_name()
            )));
        }
        if self.calls.get(&call).is_none_or(|entry| entry.ended) {
            return Ok(());
        }
        match kind {
            Kind::Message => self.handle_message(call, envelope.payload, envelope.last),
            Kind::Cancel => {
                self.stop(call, Interruption::Cancelled);
            }
            _ => self.wakers.extend(self.outbox.grant(call, envelope.credit)),
        }
        self.check_control()
    }

    fn handle_message(&mut self, call: CallId, payload: Option<Bytes>, last: bool) {
        let Some(entry) = self.calls.get_mut(&call) else {
            return;
        };
        let Some(receiver) = entry
            .receiver
            .as_mut()
            .filter(|receiver| !receiver.is_finished())
        else {
            let status = Status::invalid_argument("MESSAGE on a call that takes no more of them");
            return self.end_by_peer(call, &status);
        };
        if let Some(payload) = payload
            && receiver.push(payload) == Err(Overdrawn)
        {
            let status = Status::resource_exhausted("the client sent past its stream credit");
            return self.end_by_peer(call, &status);
        }
        if last {
            receiver.finish();
        }
        if receiver.is_ready() {
            self.wakers.extend(receiver.waker.take());
        }
    }

    /// The client broke the rules of one call: its handler is stopped.
    fn end_by_peer(&mut self, call: CallId, status: &Status) {
        if self.stop(call, Interruption::Refused) {
            self.push_end(call, status, false);
        }
    }
}
