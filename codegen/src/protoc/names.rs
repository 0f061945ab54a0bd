//! Names that fall together where they are shortened or written in JSON.
//!
//! **Invariant**: a name is compared as protoc compares it, whatever Rust makes of it.

use std::collections::HashMap;

use prost_types::{EnumDescriptorProto, FieldDescriptorProto};

use super::{Judge, child, positions, tag};

impl Judge<'_> {
    pub(super) fn json_name(
        &mut self,
        field: &FieldDescriptorProto,
        extension: bool,
        path: &[i32],
    ) {
        let (name, path) = (field.json_name(), child(path, &[tag::field::JSON_NAME]));
        if extension {
            // One that was not written is filled in, and has no place.
            if self.says.json_name && self.index.has(self.file, &path) {
                let message = format!("the extension `{}` has a `json_name`", field.name());
                let help = "remove it: in JSON, an extension is `[full.name]`";
                self.refuse(&path, message, help);
            }
        } else if name.contains('\0') {
            let message = format!("the JSON name of `{}` holds a NUL", field.name());
            self.refuse(&path, message, "remove the character");
        } else if name.starts_with('[') && name.ends_with(']') {
            let message = format!("the JSON name of `{}` is in brackets", field.name());
            let help = "take another: names in brackets are those of extensions";
            self.refuse(&path, message, help);
        }
    }

    /// Many languages drop the name of the enum from its values, and change their case.
    pub(super) fn value_names(&mut self, enumeration: &EnumDescriptorProto, path: &[i32]) {
        let prefix = bare(enumeration.name());
        let mut seen: HashMap<String, (&str, i32)> = HashMap::new();
        for (at, value) in positions(&enumeration.value) {
            let (name, number) = (value.name(), value.number());
            let short = pascal_case(without_prefix(name, &prefix));
            let (first, taken) = *seen.entry(short).or_insert((name, number));
            if first != name && taken != number {
                self.refuse(
                    &child(path, &[tag::enumeration::VALUE, at, tag::enumeration::NAME]),
                    format!(
                        "the values `{first}` and `{name}` of the enum `{}` are one name without \
                         the enum's and without regard to case and underscores",
                        enumeration.name()
                    ),
                    "rename one of the two; two names of one value have one number",
                );
            }
        }
    }
}

/// In lower case, without underscores.
fn bare(name: &str) -> String {
    let letters = name.chars().filter(|c| *c != '_');
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// What follows the prefix and its underscores; the whole name when that is nothing.
fn without_prefix<'n>(name: &'n str, prefix: &str) -> &'n str {
    let mut wanted = prefix.chars();
    let mut rest = name;
    for letter in wanted.by_ref() {
        rest = rest.trim_start_matches('_');
        let mut chars = rest.chars();
        match chars.next() {
            Some(c) if c.to_ascii_lowercase() == letter => rest = chars.as_str(),
            _ => return name,
        }
    }
    match rest.trim_start_matches('_') {
        "" => name,
        rest => rest,
    }
}

fn pascal_case(name: &str) -> String {
    let mut upper = true;
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.push(if upper {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            });
            upper = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_dropped_whatever_its_case_and_underscores() {
        let short = |name| without_prefix(name, &bare("My_Color"));
        assert_eq!(short("MY_COLOR_RED"), "RED");
        assert_eq!(short("MYCOLOR__RED"), "RED");
        assert_eq!(short("My_ColorRed"), "Red");
        assert_eq!(short("MY_COLOR_"), "MY_COLOR_");
        assert_eq!(short("MY_COL"), "MY_COL");
        assert_eq!(pascal_case("FOO__b_aR"), "FooBAr");
    }
}
