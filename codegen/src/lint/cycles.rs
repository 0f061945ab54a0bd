//! Packages that import each other.
//!
//! The packages that are in cycles are found in one walk over all imports (Tarjan's strongly connected components);
//! a way back is then looked for among those of one component alone.
//!
//! **Invariant**: takes time that grows with the imports, and with the square of a component at most.

use std::collections::{BTreeMap, VecDeque};

use super::{Subject, imports::import_place};
use crate::image::File;
use crate::rules::{Report, Rule};

type Node = usize;

pub(super) fn check(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    let graph = Graph::of(subject.image.files());
    let components = graph.components();
    let mut ways: BTreeMap<Node, Vec<Option<Node>>> = BTreeMap::new();
    for file in &subject.files {
        let Some(&from) = graph.nodes.get(&*file.package) else {
            continue;
        };
        for (at, import) in file.imports.iter().enumerate() {
            let imported = subject.image.file_at(&import.path);
            let Some(&to) = imported.and_then(|file| graph.nodes.get(&*file.package)) else {
                continue;
            };
            if from == to || components[from] != components[to] {
                continue;
            }
            let way = ways
                .entry(from)
                .or_insert_with(|| graph.ways_to(from, &components));
            let mut cycle = vec![graph.names[from], graph.names[to]];
            let mut here = to;
            while let Some(next) = way[here] {
                cycle.push(graph.names[next]);
                here = next;
            }
            let text = format!("Package import cycle: {}", cycle.join(" -> "));
            report.add(rule, import_place(file, at), None, text);
        }
    }
}

/// Which packages import which. Files without a package are left out.
struct Graph<'a> {
    nodes: BTreeMap<&'a str, Node>,
    names: Vec<&'a str>,
    edges: Vec<Vec<Node>>,
}

impl<'a> Graph<'a> {
    fn of(files: &'a [File]) -> Self {
        let packages = files.iter().map(|file| (&*file.path, &*file.package));
        let packages: BTreeMap<&str, &str> = packages.collect();
        let mut nodes = BTreeMap::new();
        for package in packages.values().filter(|package| !package.is_empty()) {
            let next = nodes.len();
            nodes.entry(*package).or_insert(next);
        }
        let mut names = vec![""; nodes.len()];
        for (name, node) in &nodes {
            names[*node] = *name;
        }
        let mut edges = vec![Vec::new(); nodes.len()];
        for file in files {
            let Some(&from) = nodes.get(&*file.package) else {
                continue;
            };
            for import in &file.imports {
                let to = packages
                    .get(&*import.path)
                    .and_then(|package| nodes.get(package));
                edges[from].extend(to.filter(|to| **to != from));
            }
        }
        for edges in &mut edges {
            edges.sort_unstable();
            edges.dedup();
        }
        Self {
            nodes,
            names,
            edges,
        }
    }

    /// The strongly connected component of each package, without recursion: schemas may be deep.
    fn components(&self) -> Vec<usize> {
        const NONE: usize = usize::MAX;
        let count = self.edges.len();
        let (mut index, mut low, mut component) =
            (vec![NONE; count], vec![0; count], vec![NONE; count]);
        let (mut stack, mut open, mut next, mut found) = (Vec::new(), Vec::new(), 0, 0);
        for start in 0..count {
            if index[start] == NONE {
                open.push((start, 0));
            }
            while let Some((node, edge)) = open.pop() {
                if edge == 0 {
                    (index[node], low[node]) = (next, next);
                    next += 1;
                    stack.push(node);
                }
                if let Some(&to) = self.edges[node].get(edge) {
                    open.push((node, edge + 1));
                    if index[to] == NONE {
                        open.push((to, 0));
                    } else if component[to] == NONE {
                        low[node] = low[node].min(index[to]);
                    }
                    continue;
                }
                if let Some(&(parent, _)) = open.last() {
                    low[parent] = low[parent].min(low[node]);
                }
                if low[node] == index[node] {
                    while let Some(member) = stack.pop() {
                        component[member] = found;
                        if member == node {
                            break;
                        }
                    }
                    found += 1;
                }
            }
        }
        component
    }

    /// For each package of the component of `goal`: the next one on a shortest way to it.
    fn ways_to(&self, goal: Node, components: &[usize]) -> Vec<Option<Node>> {
        let mut back = vec![Vec::new(); self.edges.len()];
        for (from, edges) in self.edges.iter().enumerate() {
            for to in edges
                .iter()
                .filter(|_| components[from] == components[goal])
            {
                back[*to].push(from);
            }
        }
        let mut way = vec![None; self.edges.len()];
        let mut open = VecDeque::from([goal]);
        while let Some(node) = open.pop_front() {
            for &from in &back[node] {
                if from != goal && way[from].is_none() {
                    way[from] = Some(node);
                    open.push_back(from);
                }
            }
        }
        way
    }
}
