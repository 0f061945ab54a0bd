//! Standard input, read by a thread of its own: it may stay silent for ever, and the program has to end
//! all the same.
//!
//! **Invariant**: what was read and not yet taken is bounded, and so is each piece.

use std::{
    io::{self, BufRead, BufReader, Read},
    thread,
};

use tokio::sync::mpsc;

/// Pieces that wait to be taken.
const WAITING: usize = 16;

/// Pieces of standard input.
pub(super) struct Pieces(mpsc::Receiver<io::Result<Vec<u8>>>);

impl Pieces {
    /// Its lines, without their ends. What is longer than `limit` bytes comes in pieces of so many.
    pub(super) fn lines(limit: usize) -> Self {
        Self::read(move |input| {
            let mut line = Vec::new();
            let most = u64::try_from(limit).unwrap_or(u64::MAX);
            if input.take(most).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            line.pop_if(|last| *last == b'\n');
            line.pop_if(|last| *last == b'\r');
            Ok(Some(line))
        })
    }

    /// All of it, up to `limit` bytes.
    pub(super) fn whole(limit: usize) -> Self {
        let mut read = false;
        Self::read(move |input| {
            if std::mem::replace(&mut read, true) {
                return Ok(None);
            }
            let mut all = Vec::new();
            let most = u64::try_from(limit).unwrap_or(u64::MAX);
            input.take(most).read_to_end(&mut all)?;
            Ok(Some(all))
        })
    }

    fn read(
        mut next: impl FnMut(&mut dyn BufRead) -> io::Result<Option<Vec<u8>>> + Send + 'static,
    ) -> Self {
        let (tell, told) = mpsc::channel(WAITING);
        thread::spawn(move || {
            let mut input = BufReader::new(io::stdin());
            while let Some(piece) = next(&mut input).transpose() {
                let failed = piece.is_err();
                if tell.blocking_send(piece).is_err() || failed {
                    return;
                }
            }
        });
        Self(told)
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Why standard input cannot be read. Nothing follows.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.0.recv().await.transpose()
    }
}
