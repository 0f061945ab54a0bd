//! Tasks whose end can be waited for.
//!
//! **Invariant**: a task counts until its future is dropped, whichever way it ends.

use std::{convert::Infallible, future::Future};

use tokio::sync::mpsc;

/// Starts tasks, and knows when all of them have ended.
#[derive(Debug)]
pub(super) struct Tasks {
    /// Each task holds a sender, and so does this until the waiting begins. Nothing is ever sent.
    held: Option<mpsc::Sender<Infallible>>,
    none_left: mpsc::Receiver<Infallible>,
}

impl Tasks {
    pub(super) fn new() -> Self {
        let (held, none_left) = mpsc::channel(1);
        Self {
            held: Some(held),
            none_left,
        }
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let held = self.held.clone();
        tokio::spawn(async move {
            task.await;
            drop(held);
        });
    }

    /// Waits until no task is left. No more may be started after the first call; may be called again.
    pub(super) async fn ended(&mut self) {
        self.held = None;
        self.none_left.recv().await;
    }
}
