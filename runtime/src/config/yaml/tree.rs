//! A YAML text as a tree in which every key has its line.
//!
//! **Invariant**: no deeper than a few levels, whatever the text: what lies deeper than any setting is
//! not kept. An alias shares what it names.

use std::{collections::HashMap, rc::Rc};

use granit_parser::{Event, Parser, ScalarStyle};

/// Levels of mappings that are kept: more than settings have.
const MAX_HEIGHT: usize = 5;

/// A value.
#[derive(Debug)]
pub(super) enum Node {
    Scalar {
        text: String,
        /// Without quotes, and no block.
        plain: bool,
    },
    Mapping {
        entries: Vec<Entry>,
        /// Mappings on the longest way down, this one included.
        height: usize,
    },
    /// A sequence, or what is too deep to be a setting.
    Other,
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Rc<Node>,
}

impl Node {
    /// Whether no value is given.
    pub(super) fn is_null(&self) -> bool {
        let nulls = ["", "~", "null", "Null", "NULL"];
        matches!(self, Self::Scalar { text, plain: true } if nulls.contains(&&**text))
    }

    fn height(&self) -> usize {
        match self {
            Self::Mapping { height, .. } => *height,
            Self::Scalar { .. } | Self::Other => 0,
        }
    }
}

/// A collection whose end has not come yet.
enum Open {
    Sequence,
    Mapping {
        entries: Vec<Entry>,
        /// The key whose value is next.
        key: Option<(String, usize)>,
    },
}

/// What is being read.
#[derive(Default)]
struct Builder {
    /// With the ids of their anchors.
    open: Vec<(Open, usize)>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
}

/// The one document of a text; an error is a line and a message. No document reads as no value.
pub(super) fn parse(text: &str) -> Result<Rc<Node>, (usize, String)> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| (error.marker().line(), error.info()))?;
        let line = span.start.line();
        builder
            .take(event, line)
            .map_err(|message| (line, message.to_owned()))?;
    }
    let nothing = || {
        Rc::new(Node::Scalar {
            text: String::new(),
            plain: true,
        })
    };
    Ok(builder.root.unwrap_or_else(nothing))
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), &'static str> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                return Err("a second document begins: one is expected");
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let text = text.into_owned();
                self.add(Rc::new(Node::Scalar { text, plain }), anchor, line);
            }
            Event::SequenceStart(_, anchor, _) => self.open.push((Open::Sequence, anchor)),
            Event::MappingStart(_, anchor, _) => {
                let entries = Vec::new();
                self.open
                    .push((Open::Mapping { entries, key: None }, anchor));
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some((Open::Sequence, anchor)) => self.add(Rc::new(Node::Other), anchor, line),
                Some((Open::Mapping { entries, .. }, anchor)) => {
                    let below = entries.iter().map(|entry| entry.value.height()).max();
                    let height = 1 + below.unwrap_or_default();
                    self.add(Rc::new(Node::Mapping { entries, height }), anchor, line);
                }
                None => {}
            },
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor);
                let node = Rc::clone(node.ok_or("the alias stands in what it names")?);
                // As a name it would be a copy, and a text of many such grows without bound.
                let named = self.wants_name().then(|| Rc::new(Node::Other));
                self.add(named.unwrap_or(node), 0, line);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether what comes next names an entry.
    fn wants_name(&self) -> bool {
        matches!(self.open.last(), Some((Open::Mapping { key: None, .. }, _)))
    }

    /// Puts a value where it belongs. An anchor of 0 is none.
    fn add(&mut self, node: Rc<Node>, anchor: usize, line: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some((Open::Sequence, _)) => {}
            Some((Open::Mapping { entries, key }, _)) => match key.take() {
                None => {
                    let text = match &*node {
                        Node::Scalar { text, .. } => text.clone(),
                        Node::Mapping { .. } | Node::Other => "?".to_owned(),
                    };
                    *key = Some((text, line));
                }
                Some((key, line)) => {
                    let too_deep = node.height() >= MAX_HEIGHT;
                    let value = if too_deep { Rc::new(Node::Other) } else { node };
                    entries.push(Entry { key, line, value });
                }
            },
        }
    }
}
