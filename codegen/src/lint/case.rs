//! The ways to write names that rules ask for.
//!
//! **Invariant**: a name that is written as asked comes back unchanged.

/// `PascalCase`: what follows a delimiter is upper case, the rest keeps its case.
pub(super) fn pascal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut start = true;
    for c in name.trim().chars() {
        if is_delimiter(c) {
            start = true;
            continue;
        }
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        start = false;
    }
    out
}

/// `lower_snake_case`.
pub(super) fn lower_snake(name: &str) -> String {
    snake(name).to_lowercase()
}

/// `UPPER_SNAKE_CASE`.
pub(super) fn upper_snake(name: &str) -> String {
    snake(name).to_uppercase()
}

/// Words apart by one underscore each. A word starts at a capital that follows a small letter, or that a small
/// letter follows: `HTTPServer` is `HTTP_Server`. Digits belong to the word before them.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.trim_matches(is_delimiter).chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (at, &c) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let separated = out.ends_with('_') || before.is_none();
        if is_delimiter(c) {
            if !separated {
                out.push('_');
            }
            continue;
        }
        let after = letters.get(at + 1);
        let starts_word =
            after.is_some_and(|c| !(c.is_uppercase() || c.is_ascii_digit() || is_delimiter(*c)));
        if c.is_uppercase() && !separated && (starts_word || before.is_some_and(char::is_lowercase))
        {
            out.push('_');
        }
        out.push(c);
    }
    out
}

fn is_delimiter(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_asked() {
        for (name, pascal_case, snake_case) in [
            ("foo_bar", "FooBar", "foo_bar"),
            ("FooBar", "FooBar", "foo_bar"),
            ("HTTPServer", "HTTPServer", "http_server"),
            ("fooBAR", "FooBAR", "foo_bar"),
            ("foo2Bar", "Foo2Bar", "foo2_bar"),
            ("foo_2", "Foo2", "foo_2"),
            ("F2", "F2", "f2"),
            ("_foo__bar_", "FooBar", "foo_bar"),
            ("Foo-X.y", "FooXY", "foo_x_y"),
            ("A", "A", "a"),
        ] {
            assert_eq!(pascal(name), pascal_case, "{name}");
            assert_eq!(lower_snake(name), snake_case, "{name}");
            assert_eq!(upper_snake(name), snake_case.to_uppercase(), "{name}");
        }
    }
}
