//! Numbers, times and foreign text in the form that people read.
//!
//! **Invariant**: text that came from a peer reaches a terminal only through [`plain`], so that a
//! process name cannot move the cursor or change colours.

use std::{borrow::Cow, time::Duration};

/// A time with three significant digits and a unit: `0.18 ms`, `4.2 s`.
pub(crate) fn duration(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        m if m < 1_000.0 => format!("{} µs", significant(m)),
        m if m < 1_000_000.0 => format!("{} ms", significant(m / 1e3)),
        m => format!("{} s", significant(m / 1e6)),
    }
}

/// Age or uptime, to the two largest units: `3 d 4 h`, `12 min 5 s`.
pub(crate) fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn significant(value: f64) -> String {
    let digits = match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// Bytes in binary units: `512 B`, `1.0 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A whole number with its thousands separated: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `one` with its count, or `many` with its count: `1 process`, `12 processes`.
pub(crate) fn plural(number: usize, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        count(number as u64),
        if number == 1 { one } else { many }
    )
}

/// A word as a POSIX shell takes it: as it is when plain, in single quotes otherwise.
pub(crate) fn shell(word: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@,%".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `text` with whatever could steer a terminal written out as an escape.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if steers(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// JSON in which whatever could steer a terminal is an escape; the values stay the same.
pub(crate) fn plain_json(json: String) -> String {
    // Inside of values, the end of a line is an escape already.
    let steers = |character| character != '\n' && steers(character);
    if !json.chars().any(steers) {
        return json;
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        if steers(character) {
            // None of them is beyond the 16 bits of such an escape.
            safe.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Control characters, and those that reverse or isolate the direction of text (Unicode UAX #9).
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() {
        let shown: Vec<_> = [0, 1_800, 180_000, 4_200_000, 61_000_000_000]
            .map(|nanos| duration(Duration::from_nanos(nanos)))
            .into();
        assert_eq!(shown, ["0.00 µs", "1.80 µs", "180 µs", "4.20 ms", "61.0 s"]);
    }

    #[test]
    fn ages_show_two_units() {
        let shown: Vec<_> = [5, 65, 3_700, 90_000]
            .map(|s| age(Duration::from_secs(s)))
            .into();
        assert_eq!(shown, ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn sizes_and_counts_are_grouped() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1 << 20), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
    }

    #[test]
    fn words_are_quoted_only_when_a_shell_would_split_them() {
        assert_eq!(shell("/run/a.sock"), "/run/a.sock");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_hostile_name_cannot_steer_the_terminal() {
        assert_eq!(plain("sh\u{1b}[2Jx\n\u{202e}"), "sh\\u{1b}[2Jx\\n\\u{202e}");
        assert!(matches!(plain("bäsh"), Cow::Borrowed("bäsh")));
    }

    #[test]
    fn json_keeps_its_values_when_it_is_made_plain() {
        let value = serde_json::json!({ "a\u{9b}": "x\u{7f}\u{202e}\u{1b}ä\n" });
        let text = plain_json(serde_json::to_string_pretty(&value).expect("JSON"));
        assert_eq!(text, "{\n  \"a\\u009b\": \"x\\u007f\\u202e\\u001bä\\n\"\n}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON"),
            value
        );
    }
}
