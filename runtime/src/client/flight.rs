//! A streaming call on its way: where its messages come and go, and how it ends.
//!
//! Two sides meet in a [`Line`]. The application's streams ([`Flight`]) move messages; the call itself
//! ([`Line::fly`]), with the interceptors around it, opens, waits for the outcome, and opens again where
//! nothing was lost.
//!
//! **Invariant**: a call is begun again only while no message of its streams has moved.

use std::{
    future::poll_fn,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use prost::Message;

use super::{
    connection::Connection,
    interceptor::{self, OutgoingCall, Reply, Run},
    open::{Opening, Spec},
};
use crate::{
    driver::now,
    error::{CallError, IpcError},
    session::CallId,
    status::Status,
    wire::Encoded,
};

/// A call on its connection.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) conn: Arc<Connection>,
    pub(super) id: CallId,
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.conn, &other.conn) && self.id == other.id
    }
}

impl Place {
    /// Whether the call has no outcome yet.
    pub(super) fn is_open(&self) -> bool {
        self.conn.session.lock().is_open(self.id)
    }

    /// Ready when a request may be sent; with `false` when the call takes no more.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<bool> {
        self.conn.session.lock().poll_send(self.id, cx)
    }

    /// Sends a request, for which there is room.
    pub(super) fn send<M: Message>(&self, request: &M, spec: &Spec) -> Result<(), CallError> {
        let sent = self
            .conn
            .with(|session| session.send(self.id, Some(request), false));
        sent.map_err(|over| {
            let (size, max_size) = (over.size, over.max_size);
            spec.error(IpcError::TooLarge { size, max_size }, true)
        })
    }

    /// Ends the requests.
    pub(super) fn half_close(&self) {
        // A half-close is a few bytes and always fits.
        let _ = self
            .conn
            .with(|session| session.send::<Encoded>(self.id, None, true));
    }
}

/// What the two sides of a streaming call share.
#[derive(Debug, Default)]
pub(super) struct Line(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    place: Option<Place>,
    /// A message came or went.
    committed: bool,
    /// The requests have ended, on whatever connection the call is.
    half_closed: bool,
    /// All messages that came before the outcome were taken.
    drained: bool,
    /// Messages that came.
    messages: u64,
}

impl Line {
    /// Makes the call, and makes it again where that is safe, until it has an outcome.
    pub(super) async fn fly(
        &self,
        opening: &mut Opening,
        request: Option<&Encoded>,
    ) -> Result<Reply, CallError> {
        loop {
            if self.0.lock().committed {
                let text = "a call whose stream has carried a message is not begun again";
                let kind = IpcError::Status(Status::failed_precondition(text));
                return Err(opening.spec.error(kind, true));
            }
            let mut active = poll_fn(|cx| opening.poll_open(now(), cx, request)).await?;
            self.depart(Place {
                conn: Arc::clone(&active.conn),
                id: active.id,
            });
            let streams = active.method().kind.server_streams();
            let outcome = poll_fn(|cx| {
                if streams && !self.0.lock().drained {
                    return Poll::Pending;
                }
                active.poll_outcome(cx)
            })
            .await;
            let (committed, messages) = {
                let mut state = self.0.lock();
                state.place = None;
                state.drained = false;
                (state.committed, state.messages)
            };
            if committed || !opening.retry(&outcome) {
                let reply = active.reply(outcome)?;
                let messages = if streams { messages } else { reply.messages };
                return Ok(Reply { messages, ..reply });
            }
        }
    }

    fn depart(&self, place: Place) {
        let half_closed = {
            let mut state = self.0.lock();
            state.place = Some(place.clone());
            state.half_closed
        };
        if half_closed {
            place.half_close();
        }
    }

    /// Where the call is in flight, unless it is on its way there.
    pub(super) fn place(&self) -> Option<Place> {
        self.0.lock().place.clone()
    }
}

/// The application's side of a streaming call. Dropping it cancels the call.
pub(super) struct Flight {
    pub(super) spec: Spec,
    line: Arc<Line>,
    place: Option<Place>,
    run: Option<Run>,
    committed: bool,
}

impl Flight {
    /// The call begins.
    pub(super) fn new(spec: &Spec, request: Option<Encoded>) -> Self {
        let line = Arc::new(Line::default());
        let call = OutgoingCall::begin(spec.clone(), request.map(|encoded| encoded.0));
        Self {
            run: Some(interceptor::run(call, Some(Arc::clone(&line)))),
            spec: spec.clone(),
            line,
            place: None,
            committed: false,
        }
    }

    /// Ready when the call is in flight.
    pub(super) fn poll_departure(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        match self.poll_run(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // Without a place there is no stream to hand out: it ended before it began.
            Poll::Ready(Ok(_)) => Poll::Ready(Err(over(&self.spec))),
            Poll::Pending if self.place.is_some() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Where the call is in flight; `None` when it is on its way there, or over.
    pub(super) const fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Goes on with the call itself. Ready when it is over.
    pub(super) fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply, CallError>> {
        let Some(run) = &mut self.run else {
            return Poll::Ready(Err(over(&self.spec)));
        };
        let poll = run.as_mut().poll(cx);
        if poll.is_ready() {
            self.run = None;
            self.place = None;
        } else {
            self.place = self.line.place();
        }
        poll
    }

    /// Goes on with the call itself. Ready with `None` when it is in flight elsewhere.
    fn poll_move(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Reply, CallError>>> {
        let before = self.place.clone();
        match self.poll_run(cx) {
            Poll::Ready(reply) => Poll::Ready(Some(reply)),
            Poll::Pending if self.place.is_some() && self.place != before => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Gives what stands around the call its turn while messages are waited for; as
    /// [`Self::poll_end`].
    pub(super) fn poll_interceptors(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Reply, CallError>>> {
        if self.spec.channel.is_intercepted() {
            self.poll_move(cx)
        } else {
            Poll::Pending
        }
    }

    /// All `messages` before the outcome were taken: waits for the outcome. Ready with `None` when the
    /// call is in flight once more.
    pub(super) fn poll_end(
        &mut self,
        messages: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Reply, CallError>>> {
        {
            let mut state = self.line.0.lock();
            state.drained = true;
            state.messages = messages;
        }
        self.poll_move(cx)
    }

    /// A message moved: from now on the call is not begun again.
    pub(super) fn commit(&mut self) {
        if !mem::replace(&mut self.committed, true) {
            self.line.0.lock().committed = true;
        }
    }

    /// Ends the requests.
    pub(super) fn half_close(&mut self, place: &Place) {
        self.line.0.lock().half_closed = true;
        place.half_close();
    }

    /// The call is of no more use: it is cancelled unless it is over.
    pub(super) fn abandon(&mut self) {
        self.run = None;
        self.place = None;
    }
}

/// The error of those who want to send more on a call that is over.
pub(super) fn over(spec: &Spec) -> CallError {
    let status = Status::cancelled("the call takes no more requests");
    spec.error(IpcError::Status(status), true)
}
