//! Rules on values: bounds of numbers and times, lengths, parts of texts, patterns.
//!
//! **Invariant**: two rules are wrong together when no value meets both, or when one of them says nothing.

use super::encoded::Fields;
use super::names::{BYTES, DURATION, ENUM, MAP, REPEATED, STRING, TIMESTAMP, name};
use super::{Judge, quoted};

/// Field numbers of the rules on order, within the rules for a type.
struct Order {
    constant: u32,
    lt: u32,
    lte: u32,
    gt: u32,
    gte: u32,
}

const NUMBERS: Order = Order {
    constant: 1,
    lt: 2,
    lte: 3,
    gt: 4,
    gte: 5,
};
const TIMES: Order = Order {
    constant: 2,
    lt: 3,
    lte: 4,
    gt: 5,
    gte: 6,
};
const LT_NOW: u32 = 7; // with the next two: TimestampRules
const GT_NOW: u32 = 8;
const WITHIN: u32 = 9;

/// Field numbers of a length and its limits.
struct Lengths {
    exact: u32,
    min: u32,
    max: u32,
}

const CHARACTERS: Lengths = Lengths {
    exact: 19,
    min: 2,
    max: 3,
};
const TEXT_BYTES: Lengths = Lengths {
    exact: 20,
    min: 4,
    max: 5,
};
const BYTE_COUNT: Lengths = Lengths {
    exact: 13,
    min: 2,
    max: 3,
};
const PATTERN: u32 = 6; // with the next: StringRules
const PARTS: [u32; 3] = [7, 8, 9];
const NOT_CONTAINS: u32 = 23;
const WELL_KNOWN_REGEX: u32 = 24;
const STRICT: u32 = 25;
const BYTES_PATTERN: u32 = 4; // with the next: BytesRules
const BYTES_PARTS: [u32; 3] = [5, 6, 7];

impl Judge<'_, '_> {
    /// Judges the rules for one type, `path` in the options.
    pub(super) fn values(&mut self, rules: &Fields<'_>, path: &[u32]) {
        match path.last().copied().unwrap_or_default() {
            REPEATED | MAP => self.counts(rules, path),
            STRING => self.text(rules, path),
            BYTES => self.bytes(rules, path),
            ENUM => self.constant(rules, path, NUMBERS.constant),
            DURATION => self.order(rules, path, &TIMES),
            TIMESTAMP => {
                self.order(rules, path, &TIMES);
                self.timestamp(rules, path);
            }
            1..=12 => self.order(rules, path, &NUMBERS),
            _ => {}
        }
    }

    /// A value that must be one and no other leaves nothing to say for other rules.
    fn constant(&mut self, rules: &Fields<'_>, path: &[u32], constant: u32) {
        if rules.has(constant) && rules.numbers().len() > 1 {
            let constant = [path, &[constant]].concat();
            let text = format!(
                "has {}, therefore other rules in {} are not applied and should be removed.",
                name(&constant),
                name(path)
            );
            self.wrong(&constant, &[], &text);
        }
    }

    fn order(&mut self, rules: &Fields<'_>, path: &[u32], order: &Order) {
        let kind = path.last().copied().unwrap_or_default();
        let mut valid = true;
        for number in [order.constant, order.lt, order.lte, order.gt, order.gte] {
            let Some(fault) = fault(kind, rules, number) else {
                continue;
            };
            valid &= number != order.constant;
            let path = [path, &[number]].concat();
            self.wrong(
                &path,
                &[],
                &format!("has an invalid {}: {fault}.", name(&path)),
            );
        }
        if valid {
            self.constant(rules, path, order.constant);
        }
        let bound = |strict: u32, inclusive: u32| {
            let number = [strict, inclusive]
                .into_iter()
                .find(|number| rules.has(*number))?;
            fault(kind, rules, number)
                .is_none()
                .then_some((number, number == inclusive))
        };
        let (Some((low, from)), Some((high, to))) =
            (bound(order.gt, order.gte), bound(order.lt, order.lte))
        else {
            return;
        };
        if !same(kind, rules, low, high) {
            return;
        }
        let (low, high) = ([path, &[low]].concat(), [path, &[high]].concat());
        let text = match from && to {
            true => format!(
                "has equal {} and {}, use {}.const instead.",
                name(&low),
                name(&high),
                name(path)
            ),
            false => format!(
                "has equal {} and {}. All values are rejected by these checks.",
                name(&low),
                name(&high)
            ),
        };
        self.wrong(&low, &[], &text);
        self.wrong(&high, &[], &text);
    }

    fn timestamp(&mut self, rules: &Fields<'_>, path: &[u32]) {
        let at = |number: u32| [path, &[number]].concat();
        if rules.number(LT_NOW) == Some(1) && rules.number(GT_NOW) == Some(1) {
            let (gt, lt) = (at(GT_NOW), at(LT_NOW));
            let text = format!(
                "has both {} and {}. A timestamp cannot be both before and after validation time.",
                name(&gt),
                name(&lt)
            );
            self.wrong(&gt, &[], &text);
            self.wrong(&lt, &[], &text);
        }
        let Some(within) = rules.bytes(WITHIN).map(Time::of) else {
            return;
        };
        let path = at(WITHIN);
        if let Some(fault) = within.duration_fault() {
            self.wrong(
                &path,
                &[],
                &format!("has an invalid {}: {fault}.", name(&path)),
            );
        } else if within.seconds <= 0 && within.nanos <= 0 {
            let text = format!("must have a positive {} ({within}).", name(&path));
            self.wrong(&path, &[], &text);
        }
    }

    fn text(&mut self, rules: &Fields<'_>, path: &[u32]) {
        self.constant(rules, path, NUMBERS.constant);
        self.lengths(rules, path, &CHARACTERS);
        self.lengths(rules, path, &TEXT_BYTES);
        self.characters_and_bytes(rules, path);
        for number in PARTS {
            if let Some(part) = rules.text(number) {
                self.part_of_text(rules, path, number, part);
            }
        }
        self.pattern(rules, path, PATTERN);
        let is_lax = rules.number(STRICT) == Some(0);
        if is_lax && rules.number(WELL_KNOWN_REGEX).unwrap_or_default() == 0 {
            let strict = [path, &[STRICT]].concat();
            let (own, other) = (name(&strict), name(&[path, &[WELL_KNOWN_REGEX]].concat()));
            let text = format!(
                "has {own} without {other}. {own} only applies to {other} and is invalid without it."
            );
            self.wrong(&strict, &[], &text);
        }
    }

    /// A character takes one to four bytes.
    fn characters_and_bytes(&mut self, rules: &Fields<'_>, path: &[u32]) {
        let at = |number: u32| [path, &[number]].concat();
        let (min, max) = (at(CHARACTERS.min), at(CHARACTERS.max));
        let (min_bytes, max_bytes) = (at(TEXT_BYTES.min), at(TEXT_BYTES.max));
        let limits = (rules.number(CHARACTERS.min), rules.number(TEXT_BYTES.max));
        if let (Some(least), Some(most)) = limits
            && most < least
        {
            let why = format!(
                "A string with {least} UTF-8 characters has at least {least} bytes, which is higher than {most} bytes."
            );
            let (low, high) = (name(&min), name(&max_bytes));
            let text = format!(
                "has value {least} for {low}, which must be lower than value {most} for {high}. {why}"
            );
            self.wrong(&min, &[], &text);
            let text = format!(
                "has value {most} for {high}, which must be higher than value {least} for {low}. {why}"
            );
            self.wrong(&max_bytes, &[], &text);
        }
        let limits = (rules.number(CHARACTERS.max), rules.number(TEXT_BYTES.min));
        if let (Some(most), Some(least)) = limits
            && most.wrapping_mul(4) < least
        {
            let bytes = most.wrapping_mul(4);
            let why = format!("A string with {most} UTF-8 characters has at most {bytes} bytes.");
            let (low, high) = (name(&min_bytes), name(&max));
            self.wrong(
                &min_bytes,
                &[],
                &format!("has value {least} for {low} but {most} for {high}. {why}"),
            );
            self.wrong(
                &max,
                &[],
                &format!("has value {most} for {high} but {least} for {low}. {why}"),
            );
        }
    }

    fn part_of_text(&mut self, rules: &Fields<'_>, path: &[u32], number: u32, part: &str) {
        let at = [path, &[number]].concat();
        let (rule, shown) = (name(&at), quoted(part));
        let (characters, bytes) = (part.chars().count() as u64, part.len() as u64);
        if let Some(most) = rules
            .number(CHARACTERS.max)
            .filter(|most| characters > *most)
        {
            let text = format!(
                "has a {rule} of length {characters}, exceeding its max_len ({most}). It is impossible for a string to \
                 contain {shown} while having less than or equal to {characters} UTF-8 characters."
            );
            self.wrong(&at, &[], &text);
        }
        if let Some(most) = rules.number(TEXT_BYTES.max).filter(|most| bytes > *most) {
            let text = format!(
                "has a {rule} of {bytes} bytes, exceeding its max_bytes ({most}). It is impossible for a string to \
                 contain {shown} while having less than or equal to {bytes} bytes."
            );
            self.wrong(&at, &[], &text);
        }
        if let Some(other) = rules
            .text(NOT_CONTAINS)
            .filter(|other| part.contains(other))
        {
            let other = quoted(other);
            let text = format!(
                "has a {rule} ({shown}) containing its not_contains ({other}). It is impossible for a string to contain \
                 {shown} without containing {other}."
            );
            self.wrong(&at, &[], &text);
        }
    }

    fn bytes(&mut self, rules: &Fields<'_>, path: &[u32]) {
        self.constant(rules, path, NUMBERS.constant);
        self.lengths(rules, path, &BYTE_COUNT);
        for number in BYTES_PARTS {
            let length = rules.bytes(number).map_or(0, <[u8]>::len) as u64;
            let Some(most) = rules.number(BYTE_COUNT.max).filter(|most| length > *most) else {
                continue;
            };
            let part = rules.bytes(number).unwrap_or_default();
            let at = [path, &[number]].concat();
            let text = format!(
                "has a {} of {length} bytes, exceeding its max_len ({most}). It is impossible to contain {} while having \
                 less than or equal to {most} bytes.",
                name(&at),
                quoted(&String::from_utf8_lossy(part))
            );
            self.wrong(&at, &[], &text);
        }
        self.pattern(rules, path, BYTES_PATTERN);
    }

    /// The syntax of RE2 is that of this library, but for what only one of them has: that is let pass.
    fn pattern(&mut self, rules: &Fields<'_>, path: &[u32], number: u32) {
        let Some(pattern) = rules.text(number) else {
            return;
        };
        let only_re2 = ["\\Q", "\\C", "\\pN", "\\p{", "\\P"]
            .iter()
            .any(|part| pattern.contains(part));
        if let Err(error) = regex_lite::Regex::new(pattern)
            && !only_re2
        {
            let at = [path, &[number]].concat();
            let text = format!("has a {} that fails to compile: {error}.", name(&at));
            self.wrong(&at, &[], &text);
        }
    }

    fn lengths(&mut self, rules: &Fields<'_>, path: &[u32], of: &Lengths) {
        let at = |number: u32| [path, &[number]].concat();
        for limit in [of.min, of.max] {
            if rules.has(of.exact) && rules.has(limit) {
                let (exact, limit) = (at(of.exact), at(limit));
                let text = format!(
                    "has {} and therefore, {} is redundant and should be removed.",
                    name(&exact),
                    name(&limit)
                );
                self.wrong(&limit, &[], &text);
            }
        }
        self.limits(rules, path, (of.min, of.max));
        let (least, most) = (rules.number(of.min), rules.number(of.max));
        if least.is_some() && least == most {
            let (min, max) = (at(of.min), at(of.max));
            let longest = name(&max);
            let bare = longest.rsplit('.').next().unwrap_or_default();
            let text = format!(
                "has equal {} and {bare}, use {} instead.",
                name(&min),
                name(&at(of.exact))
            );
            self.wrong(&min, &[], &text);
            self.wrong(&max, &[], &text);
        }
    }

    fn counts(&mut self, rules: &Fields<'_>, path: &[u32]) {
        self.limits(rules, path, (1, 2));
    }

    /// A lower bound on a length or a count must not be above the upper one.
    fn limits(&mut self, rules: &Fields<'_>, path: &[u32], (low, high): (u32, u32)) {
        let (Some(min), Some(max)) = (rules.number(low), rules.number(high)) else {
            return;
        };
        if min > max {
            let (low, high) = ([path, &[low]].concat(), [path, &[high]].concat());
            let (lower, higher) = (name(&low), name(&high));
            self.wrong(&low, &[], &format!("has value {min} for {lower}, which must be lower than value {max} for {higher}."));
            self.wrong(&high, &[], &format!("has value {max} for {higher}, which must be higher than value {min} for {lower}."));
        }
    }
}

/// Whether two rules have the same value.
fn same(kind: u32, rules: &Fields<'_>, one: u32, other: u32) -> bool {
    match kind {
        DURATION | TIMESTAMP => {
            let time = |number| rules.bytes(number).map(Time::of);
            time(one) == time(other)
        }
        // Floats are equal or not as numbers: 0 and -0 are, and what is no number is not.
        1 => {
            let float = |number| {
                let bits = rules
                    .number(number)
                    .and_then(|bits| u32::try_from(bits).ok());
                bits.map(f32::from_bits)
            };
            float(one) == float(other)
        }
        2 => {
            let double = |number| rules.number(number).map(f64::from_bits);
            double(one) == double(other)
        }
        _ => rules.number(one) == rules.number(other),
    }
}

/// What is wrong with a time: nothing with what is none.
fn fault(kind: u32, rules: &Fields<'_>, number: u32) -> Option<String> {
    let time = rules.bytes(number).map(Time::of)?;
    match kind {
        DURATION => time.duration_fault(),
        TIMESTAMP => time.timestamp_fault(),
        _ => None,
    }
}

/// `google.protobuf.Duration` or `Timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    seconds: i64,
    nanos: i32,
}

impl Time {
    fn of(encoded: &[u8]) -> Self {
        let fields = Fields::of(encoded);
        let number = |number| fields.number(number).unwrap_or_default().cast_signed();
        Self {
            seconds: number(1),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "an int32 is encoded as an int64 of the same value"
            )]
            nanos: number(2) as i32,
        }
    }

    fn duration_fault(self) -> Option<String> {
        const MOST: (i64, i32) = (9_223_372_036, 854_775_428); // what protovalidate can compute with
        if self.nanos <= -1_000_000_000 || self.nanos >= 1_000_000_000 {
            Some(format!(
                "duration ({self}) must have nanos in the range 0 to 999999999"
            ))
        } else if (self.seconds > 0 && self.nanos < 0) || (self.seconds < 0 && self.nanos > 0) {
            Some(format!(
                "duration ({self}) has seconds and nanos with different signs"
            ))
        } else if (self.seconds, self.nanos) > MOST
            || (self.seconds, self.nanos) < (-MOST.0, -MOST.1)
        {
            let [most, least] = [1, -1].map(|sign| Self {
                seconds: MOST.0 * i64::from(sign),
                nanos: MOST.1 * sign,
            });
            Some(format!(
                "duration ({self}) must be in the range {least} to {most}"
            ))
        } else {
            None
        }
    }

    fn timestamp_fault(self) -> Option<String> {
        if self.seconds < -62_135_596_800 {
            Some(format!("timestamp ({self}) before 0001-01-01"))
        } else if self.seconds > 253_402_300_799 {
            Some(format!("timestamp ({self}) after 9999-12-31"))
        } else if !(0..1_000_000_000).contains(&self.nanos) {
            Some(format!("timestamp ({self}) has out-of-range nanos"))
        } else {
            None
        }
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.seconds, self.nanos) {
            (0, 0) => Ok(()),
            (seconds, 0) => write!(f, "seconds:{seconds}"),
            (0, nanos) => write!(f, "nanos:{nanos}"),
            (seconds, nanos) => write!(f, "seconds:{seconds} nanos:{nanos}"),
        }
    }
}
