//! What a server says of the revisions of a service, in words.
//!
//! **Invariant**: numbers alone are shown, so that what a server says cannot steer a terminal.

use daemoneye_ipc::schema::reflection::v1::{Revision, ServiceRevisions};
use serde_json::{Value, json};

/// The revision of a service, and those that it is compatible with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revisions {
    current: Revision,
    compatible: Vec<Revision>,
}

impl Revisions {
    pub(super) fn of(told: ServiceRevisions) -> Self {
        Self {
            current: told.current.unwrap_or_default(),
            compatible: told.compatible,
        }
    }

    /// Such as `revision 3 (0123456789abcdef), compatible with revisions 2, 1`.
    pub(crate) fn words(&self) -> String {
        let Revision {
            number,
            fingerprint,
        } = self.current;
        let current = match number {
            0 => format!("not released ({fingerprint:016x})"),
            number => format!("revision {number} ({fingerprint:016x})"),
        };
        let numbers: Vec<_> = self
            .compatible
            .iter()
            .map(|known| known.number.to_string())
            .collect();
        match &*numbers {
            [] => current,
            [one] => format!("{current}, compatible with revision {one}"),
            many => format!("{current}, compatible with revisions {}", many.join(", ")),
        }
    }

    /// The compatible ones, for programs.
    pub(crate) fn json(&self) -> Value {
        let known = self.compatible.iter().map(|known| {
            json!({ "revision": known.number, "fingerprint": format!("{:016x}", known.fingerprint) })
        });
        known.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_words() {
        let revision = |number| Revision {
            number,
            fingerprint: 0xab,
        };
        let words = |current: u32, compatible: &[u32]| {
            let compatible = compatible.iter().copied().map(revision).collect();
            let current = Some(revision(current));
            Revisions::of(ServiceRevisions {
                current,
                compatible,
                ..ServiceRevisions::default()
            })
            .words()
        };
        assert_eq!(words(0, &[]), "not released (00000000000000ab)");
        assert_eq!(
            words(2, &[1]),
            "revision 2 (00000000000000ab), compatible with revision 1"
        );
        assert!(words(3, &[2, 1]).ends_with("compatible with revisions 2, 1"));
    }
}
