//! Rules on messages, fields, oneofs and enums.
//!
//! **Invariant**: entries of maps and oneofs that the compiler made have no names to judge.

use super::{BASIC_UP, Entry, NAME, STANDARD_ONLY, Subject, case, place, quoted, rule};
use crate::image::{Enum, EnumValue};
use crate::rules::{Report, Rule};

const ALLOW_ALIAS: &[i32] = &[3, 2]; // EnumDescriptorProto.options, EnumOptions.allow_alias
const NUMBER: &[i32] = &[2]; // EnumValueDescriptorProto.number

pub(super) static RULES: &[Entry] = &[
    Entry {
        rule: rule(
            "ENUM_FIRST_VALUE_ZERO",
            BASIC_UP,
            "Checks that all first values of enums have a numeric value of 0.",
            "The first value is the default where nothing is set; proto3 and maps need it to be 0.",
            "Make a value with the number 0 the first one.",
        ),
        check: first_value_zero,
    },
    Entry {
        rule: rule(
            "ENUM_NO_ALLOW_ALIAS",
            BASIC_UP,
            "Checks that enums do not have the allow_alias option set.",
            "With two names for one number, JSON and logs show one of them, whichever was meant.",
            "Keep one name for each number.",
        ),
        check: no_allow_alias,
    },
    Entry {
        rule: rule(
            "ENUM_PASCAL_CASE",
            BASIC_UP,
            "Checks that enums are PascalCase.",
            "Generators make types of these names, and expect them so.",
            "Rename it before anybody uses it.",
        ),
        check: |rule, subject, report| {
            for item in subject.enums() {
                let expected = case::pascal(&item.name);
                if item.name != expected {
                    let text = format!(
                        "Enum name {} should be PascalCase, such as {}.",
                        quoted(&item.name),
                        quoted(&expected)
                    );
                    report.add(rule, place(item.file, &item.path, NAME), None, text);
                }
            }
        },
    },
    Entry {
        rule: rule(
            "ENUM_VALUE_PREFIX",
            STANDARD_ONLY,
            "Checks that enum values are prefixed with ENUM_NAME_UPPER_SNAKE_CASE.",
            "Values share the scope of their enum: without a prefix, two enums cannot both have UNKNOWN.",
            "Put the name of the enum before that of the value.",
        ),
        check: value_prefix,
    },
    Entry {
        rule: rule(
            "ENUM_VALUE_UPPER_SNAKE_CASE",
            BASIC_UP,
            "Checks that enum values are UPPER_SNAKE_CASE.",
            "Generators make constants of these names, and expect them so.",
            "Rename it before anybody uses it.",
        ),
        check: value_case,
    },
    Entry {
        rule: rule(
            "ENUM_ZERO_VALUE_SUFFIX",
            STANDARD_ONLY,
            "Checks that enum zero values have a consistent suffix (configurable, default suffix is \"_UNSPECIFIED\").",
            "Zero is what is read where nothing was set, so it should mean just that.",
            "Rename the value, or give the number 0 to a value of its own.",
        ),
        check: zero_value_suffix,
    },
    Entry {
        rule: rule(
            "FIELD_LOWER_SNAKE_CASE",
            BASIC_UP,
            "Checks that field names are lower_snake_case.",
            "JSON names and generated names are made of the words of this one.",
            "Rename it before anybody uses it.",
        ),
        check: |rule, subject, report| {
            for field in subject.fields() {
                let expected = case::lower_snake(&field.name);
                if field.name != expected {
                    let text = format!(
                        "Field name {} should be lower_snake_case, such as {}.",
                        quoted(&field.name),
                        quoted(&expected)
                    );
                    report.add(rule, place(field.file, &field.path, NAME), None, text);
                }
            }
        },
    },
    Entry {
        rule: rule(
            "FIELD_NOT_REQUIRED",
            BASIC_UP,
            "Checks that fields are not configured to be required.",
            "A required field can never be removed: old readers refuse what comes without it.",
            "Make it optional, and check in the service that it is there.",
        ),
        check: |rule, subject, report| {
            for field in subject.fields().filter(|field| field.is_required()) {
                let text = format!(
                    "Field named {} should not be required.",
                    quoted(&field.name)
                );
                report.add(rule, place(field.file, &field.path, NAME), None, text);
            }
        },
    },
    Entry {
        rule: rule(
            "MESSAGE_PASCAL_CASE",
            BASIC_UP,
            "Checks that messages are PascalCase.",
            "Generators make types of these names, and expect them so.",
            "Rename it before anybody uses it.",
        ),
        check: |rule, subject, report| {
            for message in subject.messages() {
                let expected = case::pascal(&message.name);
                if message.name != expected {
                    let text = format!(
                        "Message name {} should be PascalCase, such as {}.",
                        quoted(&message.name),
                        quoted(&expected)
                    );
                    report.add(rule, place(message.file, &message.path, NAME), None, text);
                }
            }
        },
    },
    Entry {
        rule: rule(
            "ONEOF_LOWER_SNAKE_CASE",
            BASIC_UP,
            "Checks that oneof names are lower_snake_case.",
            "Generated names are made of the words of this one.",
            "Rename it: the wire does not know it.",
        ),
        check: |rule, subject, report| {
            for message in subject.messages() {
                for oneof in message.oneofs.iter().filter(|oneof| !oneof.is_synthetic) {
                    let expected = case::lower_snake(&oneof.name);
                    if oneof.name != expected {
                        let text = format!(
                            "Oneof name {} should be lower_snake_case, such as {}.",
                            quoted(&oneof.name),
                            quoted(&expected)
                        );
                        report.add(rule, place(message.file, &oneof.path, NAME), None, text);
                    }
                }
            }
        },
    },
];

fn first_value_zero(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for item in subject.enums() {
        if let Some(first) = item.values.first().filter(|value| value.number != 0) {
            let text = format!(
                "First enum value {} should have a numeric value of 0",
                quoted(&first.name)
            );
            report.add(rule, place(item.file, &first.path, NUMBER), None, text);
        }
    }
}

fn no_allow_alias(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for item in subject
        .enums()
        .filter(|item| item.options.known.allow_alias == Some(true))
    {
        let name = quoted(&item.name);
        let text = format!("Enum option \"allow_alias\" on enum {name} must be false.");
        report.add(rule, place(item.file, &item.path, ALLOW_ALIAS), None, text);
    }
}

fn values<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (&'a Enum, &'a EnumValue)> {
    subject
        .enums()
        .flat_map(|item| item.values.iter().map(move |value| (item, value)))
}

fn value_prefix(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for item in subject.enums() {
        let prefix = case::upper_snake(&item.name) + "_";
        for value in item
            .values
            .iter()
            .filter(|value| !value.name.starts_with(&prefix))
        {
            let text = format!(
                "Enum value name {} should be prefixed with {}.",
                quoted(&value.name),
                quoted(&prefix)
            );
            report.add(rule, place(item.file, &value.path, NAME), None, text);
        }
    }
}

fn value_case(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    for (item, value) in values(subject) {
        let expected = case::upper_snake(&value.name);
        if value.name != expected {
            let text = format!(
                "Enum value name {} should be UPPER_SNAKE_CASE, such as {}.",
                quoted(&value.name),
                quoted(&expected)
            );
            report.add(rule, place(item.file, &value.path, NAME), None, text);
        }
    }
}

fn zero_value_suffix(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    let suffix = &subject.options.enum_zero_value_suffix;
    for (item, value) in values(subject).filter(|(_, value)| value.number == 0) {
        if !value.name.ends_with(suffix) {
            let text = format!(
                "Enum zero value name {} should be suffixed with {}.",
                quoted(&value.name),
                quoted(suffix)
            );
            report.add(rule, place(item.file, &value.path, NAME), None, text);
        }
    }
}
