//! Events, and what the bus allows.
//!
//! **Invariant**: an event owns exactly the bytes that it counts: it never keeps a larger buffer alive.

use std::time::SystemTime;

use bytes::Bytes;

use super::{Refused, topic::Topic};

/// What an event takes beside its texts and payload: itself, and its places in the history and in queues.
const OVERHEAD: usize = 256;

/// What the bus allows. All of it together holds at most `retained_bytes` and, for each subscriber,
/// `queue_bytes`: 72 MiB with the defaults.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Bytes of a topic or filter.
    pub(crate) topic_bytes: usize,
    /// Levels of a topic or filter.
    pub(crate) topic_levels: usize,
    /// Bytes of a correlation id.
    pub(crate) correlation_id_bytes: usize,
    /// Bytes of a payload's type name.
    pub(crate) payload_type_bytes: usize,
    /// Bytes of a payload.
    pub(crate) payload_bytes: usize,
    /// Subscriptions at once.
    pub(crate) subscribers: usize,
    /// Filters of a subscription.
    pub(crate) filters: usize,
    /// Events in a queue, for those who do not say how many they want.
    pub(crate) queue_events_default: usize,
    /// Events in a queue.
    pub(crate) queue_events: usize,
    /// Bytes in a queue.
    pub(crate) queue_bytes: usize,
    /// Events that are kept for those who resume.
    pub(crate) retained_events: usize,
    /// Bytes of these.
    pub(crate) retained_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            topic_bytes: 256,
            topic_levels: 16,
            correlation_id_bytes: 128,
            payload_type_bytes: 256,
            payload_bytes: 64 << 10,
            subscribers: 64,
            filters: 16,
            queue_events_default: 256,
            queue_events: 4096,
            queue_bytes: 1 << 20,
            retained_events: 4096,
            retained_bytes: 8 << 20,
        }
    }
}

/// A process that publishes or subscribes, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) user_id: u32,
    pub(crate) process_id: Option<u32>,
}

/// What a publisher says of an event.
#[derive(Debug)]
pub(crate) struct Publication {
    topic: Topic,
    correlation_id: Box<str>,
    payload_type: Box<str>,
    payload: Bytes,
}

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) publication: Publication,
    pub(crate) publisher: Party,
    pub(crate) time: SystemTime,
}

impl Publication {
    /// What is to be published. The payload is copied: what a message was read from may be far larger.
    ///
    /// # Errors
    /// If the topic is none, or something is too long.
    pub(crate) fn new(
        topic: &str,
        correlation_id: &str,
        payload_type: &str,
        payload: &[u8],
        limits: &Limits,
    ) -> Result<Self, Refused> {
        let topic = Topic::parse(topic, limits).map_err(Refused::Topic)?;
        for (what, text, most) in [
            (
                "correlation_id",
                correlation_id,
                limits.correlation_id_bytes,
            ),
            ("payload_type", payload_type, limits.payload_type_bytes),
        ] {
            let bytes = text.len();
            if bytes > most {
                return Err(Refused::TooLong { what, bytes, most });
            }
        }
        let (bytes, most) = (payload.len(), limits.payload_bytes);
        if bytes > most {
            return Err(Refused::Payload { bytes, most });
        }
        Ok(Self {
            topic,
            correlation_id: correlation_id.into(),
            payload_type: payload_type.into(),
            payload: Bytes::copy_from_slice(payload),
        })
    }

    pub(crate) const fn topic(&self) -> &Topic {
        &self.topic
    }

    pub(crate) const fn correlation_id(&self) -> &str {
        &self.correlation_id
    }

    pub(crate) const fn payload_type(&self) -> &str {
        &self.payload_type
    }

    pub(crate) const fn payload(&self) -> &Bytes {
        &self.payload
    }
}

impl Event {
    /// What it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let Publication {
            topic,
            correlation_id,
            payload_type,
            payload,
        } = &self.publication;
        OVERHEAD + topic.text().len() + correlation_id.len() + payload_type.len() + payload.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;

    pub(crate) const SOMEBODY: Party = Party {
        user_id: 1000,
        process_id: Some(7),
    };

    pub(crate) fn publication(topic: &str, bytes: usize) -> Publication {
        Publication::new(topic, "", "", &vec![1; bytes], &Limits::default()).expect("allowed")
    }

    pub(crate) fn event(sequence: u64, topic: &str, bytes: usize) -> Arc<Event> {
        Arc::new(Event {
            sequence,
            publication: publication(topic, bytes),
            publisher: SOMEBODY,
            time: SystemTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn an_event_counts_at_least_what_it_takes() {
        let counters = 2 * size_of::<usize>();
        // The event, its counters, those of its topic and payload, and a place in a queue or the history
        // with its entry among the topics.
        let places = size_of::<Arc<Event>>() + size_of::<(Arc<str>, u64)>();
        assert!(OVERHEAD >= size_of::<Event>() + 3 * counters + places);
        assert_eq!(event(1, "abc", 100).size(), OVERHEAD + 103);
    }

    #[test]
    fn a_payload_does_not_keep_what_it_was_cut_from() {
        let large = Bytes::from(vec![7; 1 << 20]);
        let limits = Limits::default();
        let cut = large.slice(0..10);
        let publication = Publication::new("a", "", "", &cut, &limits).expect("allowed");
        assert_ne!(publication.payload().as_ptr(), large.as_ptr());
        assert_eq!(publication.payload(), &cut);
    }

    #[test]
    fn what_is_too_long_is_refused_with_the_limit() {
        let limits = Limits::default();
        let long = "x".repeat(257);
        let payload = vec![0; limits.payload_bytes + 1];
        for (refused, words) in [
            (
                Publication::new("a", &long, "", b"", &limits),
                "correlation_id has 257",
            ),
            (
                Publication::new("a", "", &long, b"", &limits),
                "payload_type has 257",
            ),
            (
                Publication::new("a", "", "", &payload, &limits),
                "65537 bytes",
            ),
            (Publication::new("a/+", "", "", b"", &limits), "topic"),
        ] {
            let error = refused.expect_err("refused").to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
