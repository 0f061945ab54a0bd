//! Rules on comments, and comments that rules are to be ignored.
//!
//! **Invariant**: a comment that only says what to ignore documents nothing.

use super::{COMMENTS, Entry, Subject, place, quoted, rule};
use crate::image::{FileId, Image, Kind, Path, Place};
use crate::rules::{Report, Rule};

/// What a comment starts with that names a rule to ignore.
const IGNORE: &str = "buf:lint:ignore";

const WHY: &str = "What is not written down is guessed by everyone who uses the schema.";
const FIX: &str = "Say above it what it is for, in units and with its bounds.";

pub(super) static RULES: &[Entry] = &[
    Entry {
        rule: rule(
            "COMMENT_ENUM",
            COMMENTS,
            "Checks that enums have non-empty comments.",
            WHY,
            FIX,
        ),
        check: |rule, subject, report| {
            for item in subject.enums() {
                check(
                    rule,
                    subject,
                    report,
                    ("Enum", &item.name),
                    (item.file, &item.path),
                );
            }
        },
    },
    Entry {
        rule: rule(
            "COMMENT_ENUM_VALUE",
            COMMENTS,
            "Checks that enum values have non-empty comments.",
            WHY,
            FIX,
        ),
        check: |rule, subject, report| {
            for item in subject.enums() {
                for value in &item.values {
                    let name = ("Enum value", &*value.name);
                    check(rule, subject, report, name, (item.file, &value.path));
                }
            }
        },
    },
    Entry {
        rule: rule(
            "COMMENT_FIELD",
            COMMENTS,
            "Checks that fields have non-empty comments.",
            WHY,
            FIX,
        ),
        check: |rule, subject, report| {
            // The comment of a group is that of its message.
            for field in subject.fields().filter(|field| field.kind != Kind::Group) {
                check(
                    rule,
                    subject,
                    report,
                    ("Field", &field.name),
                    (field.file, &field.path),
                );
            }
        },
    },
    Entry {
        rule: rule(
            "COMMENT_MESSAGE",
            COMMENTS,
            "Checks that messages have non-empty comments.",
            WHY,
            FIX,
        ),
        check: |rule, subject, report| {
            for message in subject.messages() {
                let name = ("Message", &*message.name);
                check(rule, subject, report, name, (message.file, &message.path));
            }
        },
    },
    Entry {
        rule: rule(
            "COMMENT_ONEOF",
            COMMENTS,
            "Checks that oneofs have non-empty comments.",
            WHY,
            FIX,
        ),
        check: |rule, subject, report| {
            for message in subject.messages() {
                for oneof in message.oneofs.iter().filter(|oneof| !oneof.is_synthetic) {
                    let name = ("Oneof", &*oneof.name);
                    check(rule, subject, report, name, (message.file, &oneof.path));
                }
            }
        },
    },
    Entry {
        rule: rule(
            "COMMENT_RPC",
            COMMENTS,
            "Checks that RPCs have non-empty comments.",
            WHY,
            FIX,
        ),
        check: |rule, subject, report| {
            for service in subject.services() {
                for method in &service.methods {
                    let name = ("RPC", &*method.name);
                    check(rule, subject, report, name, (service.file, &method.path));
                }
            }
        },
    },
    Entry {
        rule: rule(
            "COMMENT_SERVICE",
            COMMENTS,
            "Checks that services have non-empty comments.",
            WHY,
            FIX,
        ),
        check: |rule, subject, report| {
            for service in subject.services() {
                let name = ("Service", &*service.name);
                check(rule, subject, report, name, (service.file, &service.path));
            }
        },
    },
];

fn check(
    rule: &'static Rule,
    subject: &Subject<'_>,
    report: &mut Report,
    (what, name): (&str, &str),
    (file, path): (FileId, &Path),
) {
    let image = subject.image;
    if !image.has_span(file, path) || lines(image, file, path).any(|line| !line.starts_with(IGNORE))
    {
        return;
    }
    let text = format!(
        "{what} {} should have a non-empty comment for documentation.",
        quoted(name)
    );
    report.add(rule, place(file, path, &[]), None, text);
}

/// Whether a comment at the element of a finding, or at one around it, says that the rule is to be ignored there.
pub(super) fn ignored(image: &Image, place: &Place, rule: &str) -> bool {
    let Some(path) = &place.path else {
        return false;
    };
    (1..=path.len()).any(|length| {
        lines(image, place.file, &path[..length]).any(|line| {
            let named = line
                .strip_prefix(IGNORE)
                .and_then(|rest| rest.strip_prefix(' '));
            named.is_some_and(|named| named.starts_with(rule))
        })
    })
}

/// The lines of the comment before an element that say something.
fn lines<'a>(image: &'a Image, file: FileId, path: &[i32]) -> impl Iterator<Item = &'a str> {
    let comments = image.comments(file, path);
    let lines = comments
        .into_iter()
        .flat_map(|comments| comments.leading.split('\n'));
    lines.map(str::trim).filter(|line| !line.is_empty())
}
