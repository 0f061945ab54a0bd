//! Calls that were begun under a task id, so that CancelTask can end them.
//!
//! **Invariant**: a call is known here for as long as its handler lives, and no longer.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use daemoneye_ipc::{Status, Stream};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

type Calls = HashMap<u64, CancellationToken>;

/// The tasks with calls in flight.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    running: Arc<Mutex<HashMap<String, Calls>>>,
    next: Arc<AtomicU64>,
}

impl Tasks {
    /// Notes a call down under `id`; a call without one is noted nowhere.
    pub(crate) fn begin(&self, id: &str) -> Task {
        let stop = CancellationToken::new();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if !id.is_empty() {
            self.running
                .lock()
                .entry(id.to_owned())
                .or_default()
                .insert(number, stop.clone());
        }
        Task {
            tasks: self.clone(),
            id: id.to_owned(),
            number,
            stop,
        }
    }

    /// Cancels the calls of `id`, and returns how many there were.
    pub(crate) fn cancel(&self, id: &str) -> u32 {
        let calls = self.running.lock().remove(id).unwrap_or_default();
        for stop in calls.values() {
            stop.cancel();
        }
        u32::try_from(calls.len()).unwrap_or(u32::MAX)
    }
}

/// A call that is noted down. When it is dropped, what it has started stops.
#[derive(Debug)]
pub(crate) struct Task {
    tasks: Tasks,
    id: String,
    number: u64,
    stop: CancellationToken,
}

impl Task {
    /// Cancelled by CancelTask, and when the call is over for any other reason.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a handler until it is done or its task is cancelled.
    pub(crate) async fn run<T>(
        &self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(self.cancelled()),
            done = &mut work => done,
        }
    }

    /// A handler's responses, until its task is cancelled.
    pub(crate) fn run_stream<T>(
        self,
        responses: impl Stream<Item = Result<T, Status>> + Send,
    ) -> impl Stream<Item = Result<T, Status>> + Send {
        let responses = Box::pin(responses);
        stream::unfold(Some((self, responses)), |going| async {
            let (task, mut responses) = going?;
            tokio::select! {
                biased;
                () = task.stop.cancelled() => Some((Err(task.cancelled()), None)),
                next = responses.next() => next.map(|next| (next, Some((task, responses)))),
            }
        })
    }

    fn cancelled(&self) -> Status {
        Status::cancelled(format!("task {:?} was cancelled by CancelTask", self.id))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.stop.cancel();
        let mut running = self.tasks.running.lock();
        if let Some(calls) = running.get_mut(&self.id) {
            calls.remove(&self.number);
            if calls.is_empty() {
                running.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::pin};

    use daemoneye_ipc::Code;

    use super::*;

    #[tokio::test]
    async fn cancelling_ends_the_calls_of_that_task_alone() {
        let tasks = Tasks::default();
        let (one, two, other) = (tasks.begin("a"), tasks.begin("a"), tasks.begin("b"));
        let without = tasks.begin("");
        assert_eq!(tasks.cancel("a"), 2);
        for task in [&one, &two] {
            let status = task
                .run(pending::<Result<(), Status>>())
                .await
                .expect_err("cancelled");
            assert_eq!(status.code(), Code::Cancelled);
            assert!(status.message().contains("\"a\""), "{status}");
        }
        other.run(async { Ok(()) }).await.expect("not cancelled");
        without.run(async { Ok(()) }).await.expect("not cancelled");
        assert_eq!((tasks.cancel("a"), tasks.cancel("")), (0, 0));
    }

    #[tokio::test]
    async fn a_stream_ends_with_why() {
        let tasks = Tasks::default();
        let responses = stream::iter([Ok(1)]).chain(stream::pending());
        let mut responses = pin!(tasks.begin("watch").run_stream(responses));
        assert_eq!(responses.next().await.expect("one").expect("ok"), 1);
        assert_eq!(tasks.cancel("watch"), 1);
        let status = responses
            .next()
            .await
            .expect("a status")
            .expect_err("cancelled");
        assert_eq!(status.code(), Code::Cancelled);
        assert!(responses.next().await.is_none());
    }

    #[test]
    fn what_is_over_is_forgotten_and_stops_what_it_started() {
        let tasks = Tasks::default();
        let task = tasks.begin("a");
        let stop = task.stop();
        assert!(!stop.is_cancelled());
        drop(task);
        assert!(stop.is_cancelled());
        assert!(tasks.running.lock().is_empty());
    }
}
