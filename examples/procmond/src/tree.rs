//! A process with its descendants.
//!
//! **Invariant**: every process appears at most once, whatever the ids of parents say.

use std::collections::{BTreeSet, HashMap, VecDeque};

use daemoneye_ipc_generated::procmond::v1::ProcessTreeNode;

use crate::table::Snapshot;

/// The tree below `root`, parents before children, down to `max_depth` levels (0 for all); `None` if
/// there is no such process.
pub(crate) fn descend(
    snapshot: &Snapshot,
    root: u32,
    max_depth: u32,
) -> Option<Vec<ProcessTreeNode>> {
    snapshot.processes.get(&root)?;
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, process) in &snapshot.processes {
        if let Some(parent) = process.parent {
            children.entry(parent).or_default().push(*pid);
        }
    }
    let mut nodes = Vec::new();
    let mut known = BTreeSet::from([root]);
    let mut queue = VecDeque::from([(root, 0)]);
    while let Some((pid, depth)) = queue.pop_front() {
        let process = snapshot
            .processes
            .get(&pid)
            .map(|process| process.to_record());
        nodes.push(ProcessTreeNode { process, depth });
        if max_depth == 0 || depth < max_depth {
            let below = children.get(&pid).into_iter().flatten();
            queue.extend(
                below
                    .filter(|child| known.insert(**child))
                    .map(|child| (*child, depth + 1)),
            );
        }
    }
    Some(nodes)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::process::tests::process;

    fn snapshot(parents: &[(u32, u32)]) -> Snapshot {
        let processes = parents.iter().map(|(pid, parent)| {
            let mut process = process(*pid, 1, "/a");
            process.parent = (*parent != 0).then_some(*parent);
            (*pid, Arc::new(process))
        });
        Snapshot {
            begun: Instant::now(),
            took: Duration::ZERO,
            processes: processes.collect(),
        }
    }

    fn told(snapshot: &Snapshot, root: u32, max_depth: u32) -> Vec<(u32, u32)> {
        let nodes = descend(snapshot, root, max_depth).expect("a tree");
        nodes
            .iter()
            .map(|node| (node.process.as_ref().expect("a record").pid, node.depth))
            .collect()
    }

    #[test]
    fn descendants_come_after_their_parents_and_no_others_at_all() {
        let machine = snapshot(&[(1, 0), (2, 1), (3, 1), (4, 2), (5, 4), (6, 0)]);
        assert_eq!(
            told(&machine, 1, 0),
            [(1, 0), (2, 1), (3, 1), (4, 2), (5, 3)]
        );
        assert_eq!(told(&machine, 1, 1), [(1, 0), (2, 1), (3, 1)]);
        assert_eq!(told(&machine, 2, 0), [(2, 0), (4, 1), (5, 2)]);
        assert!(descend(&machine, 9, 0).is_none());
    }

    #[test]
    fn circles_end() {
        let odd = snapshot(&[(1, 2), (2, 1), (3, 3)]);
        assert_eq!(told(&odd, 1, 0), [(1, 0), (2, 1)]);
        assert_eq!(told(&odd, 3, 0), [(3, 0)]);
    }
}
