//! What has changed from one look to the next, numbered, as far back as there is room.
//!
//! **Invariant**: numbers rise by one and are never given twice; a reader that is too far behind is told
//! exactly which numbers it has missed.

use std::{collections::VecDeque, sync::Arc};

use crate::{process::Process, table::Snapshot};

/// What happened to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Started,
    Changed,
    Exited,
}

/// One entry of the history.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// Something happened to a process.
    Event {
        kind: Kind,
        process: Arc<Process>,
        /// What it was before a change.
        before: Option<Arc<Process>>,
    },
    /// Nobody was looking for a while.
    Blind,
}

/// What happened between two looks: ends first, so that an id that is used again is free before it is
/// taken.
pub(crate) fn changes(before: &Snapshot, after: &Snapshot) -> Vec<Entry> {
    let mut ended = Vec::new();
    let mut rest = Vec::new();
    for (pid, old) in &before.processes {
        if after
            .processes
            .get(pid)
            .is_none_or(|new| new.key != old.key)
        {
            let process = Arc::clone(old);
            ended.push(Entry::Event {
                kind: Kind::Exited,
                process,
                before: None,
            });
        }
    }
    for (pid, new) in &after.processes {
        let process = Arc::clone(new);
        match before.processes.get(pid).filter(|old| old.key == new.key) {
            None => rest.push(Entry::Event {
                kind: Kind::Started,
                process,
                before: None,
            }),
            Some(old) if new.differs_from(old) => {
                let before = Some(Arc::clone(old));
                rest.push(Entry::Event {
                    kind: Kind::Changed,
                    process,
                    before,
                });
            }
            Some(_) => {}
        }
    }
    ended.append(&mut rest);
    ended
}

/// The last entries.
#[derive(Debug)]
pub(crate) struct History {
    /// Number of the next entry.
    next: u64,
    kept: VecDeque<Entry>,
    capacity: usize,
}

/// What a reader gets.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// First and last number that it has missed.
    pub(crate) missed: Option<(u64, u64)>,
    /// What follows, with its numbers.
    pub(crate) entries: Vec<(u64, Entry)>,
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            next: 1,
            kept: VecDeque::new(),
            capacity,
        }
    }

    /// Number of the last entry; 0 before the first.
    pub(crate) const fn last(&self) -> u64 {
        self.next - 1
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        if self.kept.len() == self.capacity {
            self.kept.pop_front();
        }
        self.kept.push_back(entry);
        self.next += 1;
    }

    /// Up to `limit` entries after number `after`.
    pub(crate) fn read(&self, after: u64, limit: usize) -> Read {
        let first = self.next - self.kept.len() as u64;
        let from = first.max(after.saturating_add(1));
        let missed = (after + 1 < first).then(|| (after + 1, first - 1));
        let skip = usize::try_from(from - first).unwrap_or(usize::MAX);
        let entries = (from..)
            .zip(self.kept.iter().skip(skip).take(limit).cloned())
            .collect();
        Read { missed, entries }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::process::tests::process;

    fn snapshot(processes: &[Process]) -> Snapshot {
        Snapshot {
            begun: Instant::now(),
            took: Duration::ZERO,
            processes: processes
                .iter()
                .map(|p| (p.key.pid, Arc::new(p.clone())))
                .collect(),
        }
    }

    fn told(entries: &[Entry]) -> Vec<(Kind, u32, u64)> {
        entries
            .iter()
            .map(|entry| match entry {
                Entry::Event { kind, process, .. } => (*kind, process.key.pid, process.key.start),
                Entry::Blind => panic!("nobody was blind"),
            })
            .collect()
    }

    fn numbers(read: &Read) -> Vec<u64> {
        read.entries.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn starts_changes_and_ends_are_told_and_nothing_else() {
        let mut busier = process(1, 1, "/a");
        busier.cpu_percent = Some(99.0);
        busier.memory_bytes = Some(1 << 30);
        let before = snapshot(&[
            process(1, 1, "/a"),
            process(2, 2, "/b"),
            process(3, 3, "/c"),
        ]);
        let after = snapshot(&[busier, process(3, 3, "/d"), process(4, 4, "/e")]);
        assert_eq!(
            told(&changes(&before, &after)),
            [
                (Kind::Exited, 2, 2),
                (Kind::Changed, 3, 3),
                (Kind::Started, 4, 4)
            ]
        );
    }

    #[test]
    fn an_id_that_is_used_again_is_an_end_and_a_start() {
        let before = snapshot(&[process(5, 10, "/a")]);
        let after = snapshot(&[process(5, 11, "/a")]);
        assert_eq!(
            told(&changes(&before, &after)),
            [(Kind::Exited, 5, 10), (Kind::Started, 5, 11)]
        );
    }

    #[test]
    fn readers_get_what_follows_and_are_told_what_they_missed() {
        let mut history = History::new(3);
        assert_eq!(history.last(), 0);
        assert!(history.read(0, 10).entries.is_empty());
        for pid in 1..=5 {
            let process = Arc::new(process(pid, 1, "/a"));
            history.push(Entry::Event {
                kind: Kind::Started,
                process,
                before: None,
            });
        }
        assert_eq!(history.last(), 5);

        let all = history.read(2, 10);
        assert_eq!((all.missed, numbers(&all)), (None, vec![3, 4, 5]));
        let some = history.read(3, 1);
        assert_eq!((some.missed, numbers(&some)), (None, vec![4]));
        let behind = history.read(0, 10);
        assert_eq!(
            (behind.missed, numbers(&behind)),
            (Some((1, 2)), vec![3, 4, 5])
        );
        let none = history.read(5, 10);
        assert_eq!((none.missed, numbers(&none)), (None, vec![]));
    }
}
