//! A response stream, on its way from the handler to the session.
//!
//! **Invariant**: what is queued leaves before the handler, the client or the socket is waited for.

use std::{future::poll_fn, mem, task::Poll};

use prost::Message;
use tokio::task::coop;

use super::connection::Connection;
use crate::{
    session::{Batch, CallId, Room},
    wire::Oversize,
};

/// Where the messages of one call go.
pub(super) struct Outbound<'a> {
    conn: &'a Connection,
    call: CallId,
    batch: Batch,
    room: Option<Room>,
    /// Messages are queued that nobody was told to write.
    untold: bool,
}

impl<'a> Outbound<'a> {
    pub(super) fn new(conn: &'a Connection, call: CallId) -> Self {
        Self {
            conn,
            call,
            batch: Batch::default(),
            room: None,
            untold: false,
        }
    }

    /// Whether messages are here that are not queued yet.
    pub(super) fn holds_some(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Has all leave that is there.
    pub(super) fn flush(&mut self) {
        if mem::take(&mut self.untold) || !self.batch.is_empty() {
            let (call, batch) = (self.call, &mut self.batch);
            self.conn.with(|session| session.send(call, batch));
            self.room = None;
        }
    }

    /// Waits until a message may be sent. `None` when the call is over.
    pub(super) async fn room(&mut self) -> Option<Room> {
        if let Some(room) = self.room {
            return Some(room);
        }
        self.room = poll_fn(|cx| {
            let room = match coop::poll_proceed(cx) {
                Poll::Ready(turn) => {
                    let room = self.conn.session.lock().poll_send(self.call, cx);
                    if room.is_ready() {
                        turn.made_progress();
                    }
                    room
                }
                // A stream that never waits still lets others have their turn.
                Poll::Pending => Poll::Pending,
            };
            if room.is_pending() && mem::take(&mut self.untold) {
                self.conn.wake_driver();
            }
            room
        })
        .await;
        self.room
    }

    /// Sends a message, for which there is `room`: with those that follow, as long as there is more of it.
    ///
    /// # Errors
    /// If it does not fit a frame that the client takes.
    pub(super) fn push<M: Message>(&mut self, room: &Room, message: &M) -> Result<(), Oversize> {
        if self.batch.push(room, self.call, message)? {
            return Ok(());
        }
        let (call, batch) = (self.call, &mut self.batch);
        self.untold = !batch.fills(room);
        if self.untold {
            self.conn.session.lock().send(call, batch);
        } else {
            self.conn.with_written(|session| session.send(call, batch));
        }
        self.room = None;
        Ok(())
    }
}
