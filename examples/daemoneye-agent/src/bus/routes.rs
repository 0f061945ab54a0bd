//! Who is interested in a topic: all filters in one tree, a node a level.
//!
//! **Invariant**: finding the interested takes at most one step per node of the tree, whatever the filters
//! and the topic are.

use std::collections::{BTreeMap, HashMap};

use super::topic::{Filter, Level, Topic};

/// The filters of all subscribers.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    root: Node,
}

/// What filters agree in up to some level.
#[derive(Debug, Default)]
struct Node {
    exact: HashMap<Box<str>, Self>,
    one: Option<Box<Self>>,
    /// Subscribers with a filter that ends here, and how many of theirs do.
    here: BTreeMap<u64, usize>,
    /// Subscribers with a filter that goes on here with `#`, and how many of theirs do.
    rest: BTreeMap<u64, usize>,
}

impl Routes {
    /// Adds a filter of a subscriber.
    pub(crate) fn insert(&mut self, filter: &Filter, subscriber: u64) {
        let mut node = &mut self.root;
        for level in filter.levels() {
            node = match level {
                Level::Exact(name) => node.exact.entry(name.into()).or_default(),
                Level::One => node.one.get_or_insert_default(),
                Level::Rest => {
                    *node.rest.entry(subscriber).or_default() += 1;
                    return;
                }
            };
        }
        *node.here.entry(subscriber).or_default() += 1;
    }

    /// Takes out a filter that was added, and what it alone needed.
    pub(crate) fn remove(&mut self, filter: &Filter, subscriber: u64) {
        self.root.remove(filter.levels(), subscriber);
    }

    /// The subscribers with a filter that matches, each once, in order.
    pub(crate) fn interested(&self, topic: &Topic) -> Vec<u64> {
        let mut found: Vec<u64> = Vec::new();
        // All nodes that the topic has led to so far. The tree has one way to each, so none comes twice.
        let mut reached = vec![&self.root];
        for (depth, level) in topic.levels().enumerate() {
            let wild = depth > 0 || !topic.is_hidden();
            let mut next = Vec::with_capacity(reached.len());
            for node in reached {
                next.extend(node.exact.get(level));
                if wild {
                    found.extend(node.rest.keys());
                    next.extend(node.one.as_deref());
                }
            }
            reached = next;
        }
        for node in reached {
            found.extend(node.here.keys());
            found.extend(node.rest.keys());
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.one.is_none() && self.here.is_empty() && self.rest.is_empty()
    }

    /// As deep as a filter may be.
    fn remove<'a>(&mut self, mut levels: impl Iterator<Item = Level<'a>>, subscriber: u64) {
        match levels.next() {
            None => release(&mut self.here, subscriber),
            Some(Level::Rest) => release(&mut self.rest, subscriber),
            Some(Level::One) => {
                if let Some(node) = &mut self.one {
                    node.remove(levels, subscriber);
                    if node.is_empty() {
                        self.one = None;
                    }
                }
            }
            Some(Level::Exact(name)) => {
                if let Some(node) = self.exact.get_mut(name) {
                    node.remove(levels, subscriber);
                    if node.is_empty() {
                        self.exact.remove(name);
                    }
                }
            }
        }
    }
}

fn release(counts: &mut BTreeMap<u64, usize>, subscriber: u64) {
    if let Some(count) = counts.get_mut(&subscriber) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&subscriber);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bus::{
        Limits,
        topic::tests::{filter, filters, reference, topic, topics},
    };

    #[test]
    fn a_filter_that_is_there_twice_has_to_go_twice() {
        let mut routes = Routes::default();
        for _ in 0..2 {
            routes.insert(&filter("a/+"), 7);
        }
        routes.remove(&filter("a/+"), 7);
        assert_eq!(routes.interested(&topic("a/b")), [7]);
        routes.remove(&filter("a/+"), 7);
        assert!(routes.is_empty());
    }

    /// Every way to write each level, with or without a wildcard: what makes a naive matcher try 2^16 ways.
    #[test]
    fn the_worst_filters_cost_a_step_per_node() {
        let limits = Limits::default();
        let mut routes = Routes::default();
        let most = u64::try_from(limits.subscribers * limits.filters).expect("few");
        for bits in 0..most {
            let levels: Vec<_> = (0..limits.topic_levels)
                .map(|level| if bits >> level & 1 == 0 { "a" } else { "+" })
                .collect();
            routes.insert(&filter(&levels.join("/")), bits);
        }
        let same = vec!["a"; limits.topic_levels].join("/");
        assert_eq!(routes.interested(&topic(&same)).len() as u64, most);
    }

    proptest! {
        #[test]
        fn the_tree_finds_whom_the_filters_match(
            patterns in prop::collection::vec((filters(), 0..5_u64), 0..20),
            gone in prop::collection::vec(any::<bool>(), 20),
            texts in prop::collection::vec(topics(), 1..10),
        ) {
            let mut routes = Routes::default();
            for (pattern, subscriber) in &patterns {
                routes.insert(&filter(pattern), *subscriber);
            }
            let (out, left): (Vec<_>, Vec<_>) = patterns.iter().zip(gone).partition(|(_, gone)| *gone);
            for ((pattern, subscriber), _) in &out {
                routes.remove(&filter(pattern), *subscriber);
            }
            for text in texts {
                let mut wanted: Vec<u64> = left
                    .iter()
                    .filter(|((pattern, _), _)| reference(pattern, &text))
                    .map(|((_, subscriber), _)| *subscriber)
                    .collect();
                wanted.sort_unstable();
                wanted.dedup();
                prop_assert_eq!(routes.interested(&topic(&text)), wanted);
            }
            for ((pattern, subscriber), _) in &left {
                routes.remove(&filter(pattern), *subscriber);
            }
            prop_assert!(routes.is_empty());
        }
    }
}
