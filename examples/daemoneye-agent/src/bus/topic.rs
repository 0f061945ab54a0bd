//! Topics, filters over them, and which matches which: MQTT 3.1.1, section 4.7.
//!
//! **Invariant**: matching one filter takes one step per level; nothing is ever tried twice.

use std::{fmt, sync::Arc};

use super::Limits;

/// What stands between two levels.
const SEPARATOR: char = '/';

/// Stands for any one level.
const ONE: &str = "+";

/// Stands for all levels that follow, and for none.
const REST: &str = "#";

/// Under what an event is published.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Topic(Arc<str>);

/// A pattern over topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Box<str>);

/// One level of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level<'a> {
    /// This one.
    Exact(&'a str),
    /// Any one.
    One,
    /// This and all that follow, or none.
    Rest,
}

/// Why a text is no topic or filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TopicError {
    #[error("is empty; name at least one level")]
    Empty,
    #[error("has {bytes} bytes; at most {most} are allowed")]
    TooLong { bytes: usize, most: usize },
    #[error("has {levels} levels; at most {most} are allowed")]
    TooDeep { levels: usize, most: usize },
    #[error("holds the control character U+{:04X} at byte {at}", *.character as u32)]
    Control { character: char, at: usize },
    #[error("holds the wildcard {0:?}; only filters may, an event has one topic")]
    Wildcard(char),
    #[error("has the level {0:?}; `+` and `#` stand for whole levels, alone between slashes")]
    PartOfLevel(String),
    #[error("goes on after `#`, which stands for all that follows and has to be the last level")]
    AfterRest,
}

impl Topic {
    /// Reads a topic.
    ///
    /// # Errors
    /// Why the text is none.
    pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Self, TopicError> {
        check(text, limits)?;
        match text
            .find(['+', '#'])
            .and_then(|at| text[at..].chars().next())
        {
            Some(wildcard) => Err(TopicError::Wildcard(wildcard)),
            None => Ok(Self(text.into())),
        }
    }

    /// Its text.
    pub(crate) const fn text(&self) -> &Arc<str> {
        &self.0
    }

    /// Its levels.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split(SEPARATOR)
    }

    /// Whether wildcards in the first level leave it out.
    pub(crate) fn is_hidden(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// Why the text is none.
    pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Self, TopicError> {
        check(text, limits)?;
        let mut ended = false;
        for level in text.split(SEPARATOR) {
            if ended {
                return Err(TopicError::AfterRest);
            }
            ended = level == REST;
            if level != ONE && level != REST && level.contains(['+', '#']) {
                return Err(TopicError::PartOfLevel(level.to_owned()));
            }
        }
        Ok(Self(text.into()))
    }

    /// Its text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Its levels.
    pub(crate) fn levels(&self) -> impl Iterator<Item = Level<'_>> {
        self.0.split(SEPARATOR).map(|level| match level {
            ONE => Level::One,
            REST => Level::Rest,
            level => Level::Exact(level),
        })
    }

    /// Whether events of this topic pass.
    pub(crate) fn matches(&self, topic: &Topic) -> bool {
        if topic.is_hidden() && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.levels();
        for wanted in self.levels() {
            match (wanted, levels.next()) {
                (Level::Rest, _) => return true,
                (Level::One, Some(_)) => {}
                (Level::Exact(wanted), Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What holds for both.
fn check(text: &str, limits: &Limits) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    let (bytes, most) = (text.len(), limits.topic_bytes);
    if bytes > most {
        return Err(TopicError::TooLong { bytes, most });
    }
    let (levels, most) = (text.split(SEPARATOR).count(), limits.topic_levels);
    if levels > most {
        return Err(TopicError::TooDeep { levels, most });
    }
    match text.char_indices().find(|(_, one)| one.is_control()) {
        Some((at, character)) => Err(TopicError::Control { character, at }),
        None => Ok(()),
    }
}

/// A level that says `name` as well as a level can: what a level may not hold becomes `_`, and what is too
/// long for a topic is cut.
pub(crate) fn level(name: &str, limits: &Limits) -> String {
    let allowed = |one: char| !one.is_control() && !['/', '+', '#'].contains(&one);
    let mut level = String::new();
    for one in name.chars() {
        // Half of a topic leaves room for the other levels.
        if level.len() + one.len_utf8() > limits.topic_bytes / 2 {
            break;
        }
        level.push(if allowed(one) { one } else { '_' });
    }
    level
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn topic(text: &str) -> Topic {
        Topic::parse(text, &Limits::default()).expect(text)
    }

    pub(crate) fn filter(text: &str) -> Filter {
        Filter::parse(text, &Limits::default()).expect(text)
    }

    /// As the standard says it, by recursion.
    pub(crate) fn reference(filter: &str, topic: &str) -> bool {
        fn levels(filter: &[&str], topic: &[&str]) -> bool {
            match (filter, topic) {
                (["#"], _) | ([], []) => true,
                (["+", filter @ ..], [_, topic @ ..]) => levels(filter, topic),
                ([one, filter @ ..], [other, topic @ ..]) => one == other && levels(filter, topic),
                _ => false,
            }
        }
        let filter: Vec<_> = filter.split('/').collect();
        let hidden = topic.starts_with('$') && ["+", "#"].contains(&filter[0]);
        let topic: Vec<_> = topic.split('/').collect();
        !hidden && levels(&filter, &topic)
    }

    /// Texts of few different levels, so that they meet.
    pub(crate) fn topics() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["a", "b", "", "$s"]);
        prop::collection::vec(level, 1..5)
            .prop_map(|levels| levels.join("/"))
            .prop_filter("not empty", |text| !text.is_empty())
    }

    pub(crate) fn filters() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["a", "b", "", "$s", "+", "+"]);
        (prop::collection::vec(level, 0..5), any::<bool>())
            .prop_map(|(mut levels, rest)| {
                levels.extend(rest.then_some("#"));
                levels.join("/")
            })
            .prop_filter("not empty", |text| !text.is_empty())
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (pattern, matched, others) in [
            (
                "sport/tennis/player1/#",
                vec![
                    "sport/tennis/player1",
                    "sport/tennis/player1/ranking",
                    "sport/tennis/player1/score/wimbledon",
                ],
                vec!["sport/tennis", "sport/tennis/player2"],
            ),
            ("#", vec!["a", "a/b", "/"], vec!["$SYS/a"]),
            (
                "sport/tennis/+",
                vec!["sport/tennis/player1", "sport/tennis/"],
                vec!["sport/tennis/player1/ranking", "sport/tennis"],
            ),
            ("sport/+", vec!["sport/"], vec!["sport", "Sport/"]),
            ("+/+", vec!["/finance"], vec!["$SYS/a"]),
            ("/+", vec!["/finance"], vec!["finance"]),
            ("+", vec!["finance"], vec!["/finance", "$SYS"]),
            ("$SYS/#", vec!["$SYS/a", "$SYS"], vec!["a"]),
            ("$SYS/monitor/+", vec!["$SYS/monitor/Clients"], vec![]),
        ] {
            for text in matched {
                assert!(filter(pattern).matches(&topic(text)), "{pattern} {text}");
            }
            for text in others {
                assert!(!filter(pattern).matches(&topic(text)), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_reason() {
        let limits = Limits::default();
        let long = "x".repeat(limits.topic_bytes + 1);
        let deep = "/".repeat(limits.topic_levels);
        for (text, reason) in [
            ("", "is empty"),
            (long.as_str(), "bytes"),
            (deep.as_str(), "levels"),
            ("a/\u{0}", "U+0000 at byte 2"),
            ("a\u{1b}[2J", "U+001B"),
        ] {
            for error in [
                Topic::parse(text, &limits).expect_err(text),
                Filter::parse(text, &limits).expect_err(text),
            ] {
                assert!(error.to_string().contains(reason), "{error}");
            }
        }
        for text in ["a/+", "#", "a+"] {
            let error = Topic::parse(text, &limits).expect_err(text).to_string();
            assert!(error.contains("wildcard"), "{error}");
        }
        for (text, reason) in [
            ("sport/tennis#", "whole levels"),
            ("sport+", "whole levels"),
            ("sport/tennis/#/ranking", "goes on after"),
            ("#/#", "goes on after"),
        ] {
            let error = Filter::parse(text, &limits).expect_err(text).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn any_name_becomes_a_level() {
        let limits = Limits::default();
        assert_eq!(level("executable-deleted", &limits), "executable-deleted");
        assert_eq!(level("a/b+c#\u{7}ü", &limits), "a_b_c__ü");
        for name in ["", "ü/".repeat(1_000).as_str()] {
            let text = format!("alerts/{}", level(name, &limits));
            assert_eq!(topic(&text).levels().count(), 2);
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_standard_says(pattern in filters(), text in topics()) {
            prop_assert_eq!(filter(&pattern).matches(&topic(&text)), reference(&pattern, &text));
        }

        #[test]
        fn no_text_does_harm(text in any::<String>()) {
            let limits = Limits::default();
            let topic = Topic::parse(&text, &limits);
            let pattern = Filter::parse(&text, &limits);
            if let Ok(topic) = topic {
                // A topic is a filter for itself.
                prop_assert!(pattern.expect("a filter").matches(&topic));
            }
            let below = format!("a/{}", level(&text, &limits));
            prop_assert!(Topic::parse(&below, &limits).is_ok());
        }
    }
}
