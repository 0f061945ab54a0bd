//! Splits a list of processes into responses that fit a frame.
//!
//! **Invariant**: every process is in one batch, in order, and no batch but one of a single process is
//! over either limit.

use std::sync::Arc;

use daemoneye_ipc::prost::Message;

use crate::process::Process;

/// Records in one response unless the caller says otherwise.
const DEFAULT_RECORDS: usize = 64;

/// What a hash adds to a record, with room to spare.
const HASH_BYTES: usize = 48;

/// Splits `processes` into batches of at most `records` (0 for the default) and about `bytes`.
pub(crate) fn split(
    processes: impl Iterator<Item = Arc<Process>>,
    records: u32,
    bytes: usize,
) -> Vec<Vec<Arc<Process>>> {
    let records = match records {
        0 => DEFAULT_RECORDS,
        more => usize::try_from(more).unwrap_or(usize::MAX),
    };
    let mut batches: Vec<Vec<Arc<Process>>> = Vec::new();
    let mut room = 0;
    for process in processes {
        let size = process.to_record().encoded_len() + HASH_BYTES;
        match batches.last_mut() {
            Some(batch) if batch.len() < records && size <= room => {
                room -= size;
                batch.push(process);
            }
            _ => {
                room = bytes.saturating_sub(size);
                batches.push(vec![process]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::process;

    fn sizes(records: u32, bytes: usize) -> Vec<usize> {
        let processes = (1..=150).map(|pid| Arc::new(process(pid, 1, "/a")));
        let batches = split(processes, records, bytes);
        let pids: Vec<_> = batches
            .iter()
            .flatten()
            .map(|process| process.key.pid)
            .collect();
        assert_eq!(pids, (1..=150).collect::<Vec<_>>());
        batches.iter().map(Vec::len).collect()
    }

    #[test]
    fn batches_keep_to_both_limits() {
        assert_eq!(sizes(0, 1 << 20), [64, 64, 22]);
        assert_eq!(sizes(100, 1 << 20), [100, 50]);
        assert_eq!(sizes(u32::MAX, 1 << 20), [150]);
        assert_eq!(
            sizes(0, 0),
            [1; 150],
            "one that is too large alone is still sent"
        );
        let one = process(1, 1, "/a").to_record().encoded_len() + HASH_BYTES;
        assert!(
            sizes(0, one * 10 + one / 2)
                .iter()
                .all(|size| (1..=11).contains(size))
        );
    }

    #[test]
    fn nothing_makes_no_batch() {
        assert!(split(std::iter::empty(), 0, 1024).is_empty());
    }
}
