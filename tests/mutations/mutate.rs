//! Random changes to the text of a schema.
//!
//! **Invariant**: the same text and state of the generator of random numbers give the same change.

use fastrand::Rng;

/// Names that mean something to Rust, to prost or to the generator.
const NAMES: [&str; 44] = [
    "self",
    "Self",
    "super",
    "crate",
    "type",
    "async",
    "await",
    "gen",
    "try",
    "dyn",
    "box",
    "fn",
    "match",
    "move",
    "extern",
    "static",
    "_",
    "__",
    "_1",
    "a1_b",
    "A1b",
    "String",
    "Vec",
    "Option",
    "Result",
    "Box",
    "Some",
    "None",
    "Ok",
    "Err",
    "Default",
    "Clone",
    "New",
    "new_",
    "core",
    "std",
    "prost",
    "daemoneye_ipc",
    "Message",
    "set_kind",
    "value",
    "OneOf",
    "Client",
    "Server",
];

const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "-1",
    "2",
    "15",
    "16",
    "19000",
    "536870911",
    "536870912",
    "2147483648",
    "0x7f",
    "1e400",
];

/// The text with one to three changes.
pub(crate) fn mutated(text: &[u8], random: &mut Rng) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else {
        return text.to_vec();
    };
    let mut text = text.to_owned();
    for _ in 0..random.usize(1..=3) {
        text = match random.u8(..20) {
            0..=6 => rename_all(&text, random),
            7..=12 => change_token(&text, random),
            13..=17 => change_line(&text, random),
            18 => text[..boundary(&text, random)].to_owned(),
            _ => return noise(text.into_bytes(), random),
        };
    }
    text.into_bytes()
}

/// The text in words, numbers, strings, and single characters.
fn tokens(text: &str) -> Vec<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if word(first) {
            rest.find(|c| !word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

fn is_number(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_digit())
}

fn visible(token: &str) -> bool {
    !token.trim().is_empty()
}

/// One of the positions in `tokens` for which `holds`.
fn pick(tokens: &[&str], random: &mut Rng, holds: fn(&str) -> bool) -> Option<usize> {
    let found: Vec<usize> = (0..tokens.len()).filter(|at| holds(tokens[*at])).collect();
    random.choice(found)
}

/// Another name: one that means something, one of the text, or the old one written otherwise.
fn other_name(old: &str, tokens: &[&str], random: &mut Rng) -> String {
    match random.u8(..6) {
        0 | 1 => NAMES[random.usize(..NAMES.len())].to_owned(),
        2 => pick(tokens, random, is_name).map_or_else(String::new, |at| tokens[at].to_owned()),
        3 => old.to_lowercase(),
        4 => old.to_uppercase(),
        _ => format!("{old}_"),
    }
}

/// Gives all that bears a name another name, so that what refers to it still does.
fn rename_all(text: &str, random: &mut Rng) -> String {
    let mut tokens = tokens(text);
    let Some(at) = pick(&tokens, random, is_name) else {
        return text.to_owned();
    };
    let old = tokens[at];
    let new = other_name(old, &tokens, random);
    for token in &mut tokens {
        if *token == old {
            *token = &new;
        }
    }
    tokens.concat()
}

fn change_token(text: &str, random: &mut Rng) -> String {
    let mut tokens = tokens(text);
    let Some(at) = pick(&tokens, random, visible) else {
        return text.to_owned();
    };
    let new;
    match random.u8(..6) {
        0 => tokens[at] = "",
        1 => tokens.insert(at, tokens[at]),
        2 => {
            let other = pick(&tokens, random, visible).unwrap_or(at);
            tokens.swap(at, other);
        }
        3 => {
            if let Some(at) = pick(&tokens, random, is_number) {
                tokens[at] = NUMBERS[random.usize(..NUMBERS.len())];
            }
        }
        _ => {
            if let Some(at) = pick(&tokens, random, is_name) {
                new = other_name(tokens[at], &tokens, random);
                tokens[at] = &new;
            }
        }
    }
    tokens.concat()
}

fn change_line(text: &str, random: &mut Rng) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.is_empty() {
        return text.to_owned();
    }
    let (at, other) = (random.usize(..lines.len()), random.usize(..lines.len()));
    match random.u8(..4) {
        0 => _ = lines.remove(at),
        1 => lines.insert(other, lines[at]),
        2 => lines.swap(at, other),
        _ => _ = lines.drain(at.min(other)..at.max(other)),
    }
    lines.concat()
}

fn boundary(text: &str, random: &mut Rng) -> usize {
    let mut at = random.usize(..=text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn noise(mut bytes: Vec<u8>, random: &mut Rng) -> Vec<u8> {
    for _ in 0..random.usize(1..=4) {
        if !bytes.is_empty() {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
    }
    bytes
}
