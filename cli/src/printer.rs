//! Lines to standard output from a thread of its own, for whoever must not wait for its reader.
//!
//! **Invariant**: a reader that is slow or stops delays the program's lines and nothing else; what
//! waits to be printed is bounded.

use std::{io, thread};

use tokio::sync::{mpsc, oneshot};

use crate::output::Output;

/// The most lines that wait to be printed.
const WAITING: usize = 16;

/// Prints lines in order.
pub(crate) struct Printer {
    lines: mpsc::Sender<String>,
    /// Taken with how the thread ended.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl Printer {
    /// Starts the thread. It is left to itself when the printer is dropped: a reader that stopped
    /// does not keep the program from ending.
    pub(crate) fn new() -> Self {
        let (lines, mut waiting) = mpsc::channel::<String>(WAITING);
        let (tell, ended) = oneshot::channel();
        thread::spawn(move || {
            let mut out = Output::stdout(false);
            let mut print = || {
                while let Some(line) = waiting.blocking_recv() {
                    out.line(line)?;
                }
                Ok(())
            };
            // Nobody waits for the end of a printer that was dropped.
            let _ = tell.send(print());
        });
        Self {
            lines,
            ended: Some(ended),
        }
    }

    /// Prints `line` and the end of the line, waiting while too many others wait.
    ///
    /// # Errors
    /// Why an earlier line could not be printed.
    pub(crate) async fn line(&mut self, line: String) -> io::Result<()> {
        if self.lines.send(line).await.is_ok() {
            return Ok(());
        }
        told(self.ended.take()).await
    }

    /// Waits until all is printed.
    ///
    /// # Errors
    /// Why a line could not be printed, unless that was told before.
    pub(crate) async fn finish(self) -> io::Result<()> {
        let Self { lines, ended } = self;
        drop(lines);
        told(ended).await
    }
}

/// How the thread ended.
async fn told(ended: Option<oneshot::Receiver<io::Result<()>>>) -> io::Result<()> {
    match ended {
        Some(ended) => ended.await.unwrap_or(Ok(())),
        None => Ok(()),
    }
}
