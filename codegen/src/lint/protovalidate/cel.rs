//! What surrounds an expression in CEL: its id, and that it is there.
//!
//! **Invariant**: expressions are not compiled: that takes the types of CEL, and the generator does it where it is asked to.

use std::collections::BTreeMap;

use super::encoded::Fields;

const ID: u32 = 1; // with the next: buf.validate.Rule
const EXPRESSION: u32 = 3;

/// Calls `wrong` with the position of each rule that is wrong among those at `number`, and what is wrong.
/// `name` is that of the rules, `(buf.validate.field).cel`; `of` is what they are for, `field "x"`.
pub(super) fn check(
    rules: &Fields<'_>,
    number: u32,
    (name, of): (&str, &str),
    mut wrong: impl FnMut(u32, String),
) {
    let capital = capitalized(of);
    let mut ids: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let listed = rules.messages().filter(|(found, _)| *found == number);
    for (at, (_, rule)) in (0..).zip(listed) {
        let id = rule.text(ID).unwrap_or_default();
        let is_plain =
            |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
        if !id.is_empty() {
            if !id.chars().all(is_plain) {
                let text = format!(
                    "{capital} has invalid characters for {name}.id. IDs must contain only characters a-z, A-Z, 0-9, '.', '_', '-'."
                );
                wrong(at, text);
            }
            ids.entry(id).or_default().push(at);
        }
        if rule.text(EXPRESSION).unwrap_or_default().is_empty() {
            let text = format!(
                "{capital} has an empty {name}.expression. Expressions should always be specified."
            );
            wrong(at, text);
        }
    }
    for (id, places) in ids.into_iter().filter(|(_, places)| places.len() > 1) {
        for at in places {
            wrong(at, format!("{name}.id ({id:?}) is not unique within {of}."));
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).collect()
}
