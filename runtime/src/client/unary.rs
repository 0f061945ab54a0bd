//! Unary calls: one request, one response.
//!
//! **Invariant**: the request is kept until the outcome is known, so that a call that provably was
//! not run can be sent again.

use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use prost::Message;

use super::{
    call_options,
    interceptor::{self, OutgoingCall, Reply, Run},
    open::{Active, Opening, Spec},
};
use crate::{
    driver::now,
    error::{CallError, IpcError},
    metadata::Metadata,
    session::Front,
    status::Status,
    validate::Check,
    wire::Payload,
};

/// A unary call: begins when it is first polled, is cancelled when it is dropped.
///
/// Its deadline is `read_timeout_ms` unless [`timeout`](Self::timeout) sets another.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use std::time::Duration;
/// use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
///
/// let client = HealthClient::new(server.channel());
/// let call = client.ping(PingRequest { payload: "hello".into() });
/// let pong = call.timeout(Duration::from_millis(200)).metadata("trace-id", "4bf92f35").await?;
/// assert_eq!(pong.payload, "hello");
/// # Ok(()) })
/// # }
/// ```
#[must_use = "a call does nothing until it is awaited"]
pub struct UnaryCall<Req, Rep> {
    opening: Opening,
    request: Req,
    begun: bool,
    active: Option<Active>,
    /// In place of `active`, if there are interceptors.
    run: Option<Run>,
    request_check: Option<Check<Req>>,
    response_check: Option<Check<Rep>>,
}

impl<Req, Rep> UnaryCall<Req, Rep> {
    pub(crate) fn new(spec: Spec, request: Req) -> Self {
        Self {
            opening: Opening::new(spec),
            request,
            begun: false,
            active: None,
            run: None,
            request_check: None,
            response_check: None,
        }
    }

    /// The same call, resolving to the response and what the server sent beside it.
    pub const fn with_trailers(self) -> WithTrailers<Req, Rep> {
        WithTrailers(self)
    }

    const fn spec(&self) -> &Spec {
        &self.opening.spec
    }

    const fn spec_mut(&mut self) -> &mut Spec {
        &mut self.opening.spec
    }
}

call_options!(UnaryCall<Req, Rep>);

impl<Req, Rep> Unpin for UnaryCall<Req, Rep> {}

impl<Req: Message, Rep: Message + Default> UnaryCall<Req, Rep> {
    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Rep, Metadata), CallError>> {
        let mut present = None;
        if !mem::replace(&mut self.begun, true) {
            check_request(self.request_check, &self.request, self.spec())?;
            if self.opening.spec.channel.is_intercepted() {
                let request = self.request.encode_to_vec().into();
                let call = OutgoingCall::begin(self.opening.spec.clone(), Some(request));
                self.run = Some(interceptor::run(call, None));
            } else {
                self.opening.spec.begin(*present.insert(now()));
            }
        }
        let reply = match &mut self.run {
            Some(run) => ready!(run.as_mut().poll(cx)),
            None => {
                let (opening, active) = (&mut self.opening, &mut self.active);
                ready!(poll_exchange(opening, active, &self.request, present, cx))
            }
        };
        let check = self.response_check;
        Poll::Ready(
            reply.and_then(|reply| decode(self.spec(), check, reply.payload, reply.trailers)),
        )
    }
}

impl<Req: Message, Rep: Message + Default> Future for UnaryCall<Req, Rep> {
    type Output = Result<Rep, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_response(cx).map_ok(|(response, _)| response)
    }
}

/// A unary call that resolves to the response and its trailers:
/// [`with_trailers`](UnaryCall::with_trailers).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
/// # let builder = daemoneye_ipc::Server::builder(daemoneye_ipc::IpcConfig::default());
/// # let builder = builder.health(daemoneye_ipc::health::HealthReporter::new());
/// # let server = daemoneye_ipc::testing::TestServer::start(builder)?;
/// use daemoneye_ipc::schema::health::v1::{HealthClient, PingRequest};
///
/// let client = HealthClient::new(server.channel());
/// let (pong, trailers) = client.ping(PingRequest { payload: "hello".into() }).with_trailers().await?;
/// assert_eq!((&*pong.payload, trailers.is_empty()), (&b"hello"[..], true));
/// # Ok(()) })
/// # }
/// ```
#[must_use = "a call does nothing until it is awaited"]
#[derive(Debug)]
pub struct WithTrailers<Req, Rep>(UnaryCall<Req, Rep>);

impl<Req: Message, Rep: Message + Default> Future for WithTrailers<Req, Rep> {
    type Output = Result<(Rep, Metadata), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_response(cx)
    }
}

/// Opens the call, and opens it again where that is safe, until it has an outcome. `present` is the time, if the caller
/// has looked already.
pub(super) fn poll_exchange<P: Payload>(
    opening: &mut Opening,
    active: &mut Option<Active>,
    request: &P,
    present: Option<Instant>,
    cx: &mut Context<'_>,
) -> Poll<Result<Reply, CallError>> {
    loop {
        let Some(flying) = active else {
            let now = present.unwrap_or_else(now);
            let opened = ready!(opening.poll_open(now, cx, Some(request)))?;
            let opened = active.insert(opened);
            if !opened.alone {
                // Its outcome wakes this task, which was said when it was opened.
                return Poll::Pending;
            }
            continue;
        };
        let outcome = ready!(flying.poll_outcome(cx));
        if opening.retry(&outcome) {
            *active = None;
            continue;
        }
        return Poll::Ready(flying.reply(outcome));
    }
}

/// The response of a call that has to have one.
pub(super) fn decode<Rep: Message + Default>(
    spec: &Spec,
    check: Option<Check<Rep>>,
    payload: Option<Bytes>,
    trailers: Metadata,
) -> Result<(Rep, Metadata), CallError> {
    let missing = || IpcError::Status(Status::internal("the response is missing"));
    let mut payload = payload.ok_or_else(|| spec.error(missing(), true))?;
    spec.check_memory(&payload)?;
    let response = decode_message(spec, check, Front::all(&mut payload))?;
    Ok((response, trailers))
}

/// A message that the server sent, which takes no more memory than it may.
#[inline]
pub(super) fn decode_message<Rep: Message + Default>(
    spec: &Spec,
    check: Option<Check<Rep>>,
    payload: Front<'_>,
) -> Result<Rep, CallError> {
    // In place: `decode` would hand it from hand to hand.
    let mut response = Rep::default();
    response
        .merge(payload)
        .map_err(|error| spec.error(IpcError::Decode(error), true))?;
    if let Some(Err(violations)) = check.map(|check| check(&response)) {
        let text = format!("the response breaks the rules of its schema: {violations}");
        let status = Status::internal(text).with_detail(&violations);
        return Err(spec.error(IpcError::Status(status), true));
    }
    Ok(response)
}

/// Refuses a request that breaks the rules of its schema, before it is sent.
pub(super) fn check_request<Req>(
    check: Option<Check<Req>>,
    request: &Req,
    spec: &Spec,
) -> Result<(), CallError> {
    match check.map(|check| check(request)) {
        Some(Err(violations)) => Err(spec.error(IpcError::Status(violations.into()), false)),
        _ => Ok(()),
    }
}
