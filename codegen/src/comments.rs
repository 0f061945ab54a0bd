//! Comments of a schema, made into documentation that no tool trips over.
//!
//! Schema authors write prose for people, with whatever markup they are used to. Rustdoc would run
//! their code fences as tests, resolve their brackets as links and warn about their angle brackets.
//!
//! **Invariant**: what comes out holds no doctest, no link but plain web addresses, no HTML and no
//! invisible control character, and its words are the author's.

/// Lines of documentation (each without a leading space) of a schema comment as protoc hands it
/// over: one string, lines ended by `\n`.
#[must_use]
pub(crate) fn documentation(comment: &str) -> Vec<String> {
    let lines = dedent(comment);
    let mut out = Vec::new();
    let mut paragraph: Vec<&str> = Vec::new();
    let mut rest = lines.iter().map(String::as_str).peekable();
    while let Some(line) = rest.next() {
        if let Some(fence) = Fence::opened_by(line) {
            flush(&mut paragraph, &mut out);
            out.push(fence.opening());
            for line in rest.by_ref() {
                if fence.closed_by(line) {
                    break;
                }
                let inner = indentation(line).min(fence.indent);
                out.push(line.get(inner..).unwrap_or_default().to_owned());
            }
            out.push(fence.closing());
        } else if line.is_empty() {
            flush(&mut paragraph, &mut out);
            out.push(String::new());
        } else {
            paragraph.push(line);
        }
    }
    flush(&mut paragraph, &mut out);
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    let blank = out.iter().take_while(|line| line.is_empty()).count();
    out.drain(..blank);
    out
}

/// The lines without control characters, trailing blanks and the indentation they all share.
fn dedent(comment: &str) -> Vec<String> {
    let lines: Vec<String> = comment
        .lines()
        .map(|line| {
            let line: String = line.chars().filter(|c| visible(*c)).collect();
            line.replace('\t', "    ").trim_end().to_owned()
        })
        .collect();
    let shared = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| indentation(line))
        .min()
        .unwrap_or(0);
    lines
        .iter()
        .map(|line| line.get(shared..).unwrap_or_default().to_owned())
        .collect()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Rustc refuses bidirectional overrides in source text; other controls have no place in prose.
/// The private-use characters are those that stand in for brackets while prost handles the text.
fn visible(c: char) -> bool {
    let bidi = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let private = ('\u{E000}'..='\u{E00F}').contains(&c);
    c == '\t' || !(c.is_control() || bidi || private)
}

/// A block of code. It is written without indentation, so that it is in no list, which could end
/// before it does.
struct Fence {
    indent: usize,
    mark: char,
    length: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let text = line.trim_start_matches(' ');
        let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = text.chars().take_while(|c| *c == mark).count();
        let info = &text[length..];
        let fence = length >= 3 && !(mark == '`' && info.contains('`'));
        fence.then(|| Self {
            indent: indentation(line),
            mark,
            length,
        })
    }

    fn closed_by(&self, line: &str) -> bool {
        let text = line.trim();
        text.len() >= self.length && text.chars().all(|c| c == self.mark)
    }

    fn closing(&self) -> String {
        self.mark.to_string().repeat(self.length)
    }

    fn opening(&self) -> String {
        self.closing() + "text"
    }
}

/// Appends a paragraph: at most three columns of indentation, so that it is no code block, and its
/// markup escaped outside of code spans.
fn flush(paragraph: &mut Vec<&str>, out: &mut Vec<String>) {
    if paragraph.is_empty() {
        return;
    }
    let text: Vec<String> = paragraph.drain(..).map(prose).collect();
    out.extend(escape(&text.join("\n")).lines().map(str::to_owned));
}

/// A line that starts no block of code, in a list neither.
fn prose(line: &str) -> String {
    let mut out = " ".repeat(indentation(line).min(3));
    let mut rest = line.trim_start_matches(' ');
    while let Some(marker) = list_marker(rest) {
        out.push_str(&rest[..marker]);
        out.push(' ');
        rest = rest[marker..].trim_start_matches(' ');
    }
    if Fence::opened_by(rest).is_some() {
        let mark = &rest[..1];
        let length = rest.len() - rest.trim_start_matches(mark).len();
        out.push_str(&format!("\\{mark}").repeat(length));
        rest = &rest[length..];
    }
    out + rest
}

/// The length of the marker of a list item that `text` starts with, when something follows it.
fn list_marker(text: &str) -> Option<usize> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let ends: &[char] = if digits == 0 {
        &['-', '*', '+']
    } else {
        &['.', ')']
    };
    let marker = text[digits..].starts_with(ends) && text[digits + 1..].starts_with(' ');
    marker.then_some(digits + 1)
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '`' => {
                let run = rest.len() - rest.trim_start_matches('`').len();
                if let Some(length) = code_span(rest, run) {
                    out.push_str(&rest[..length]);
                    length
                } else {
                    out.push_str(&"\\`".repeat(run));
                    run
                }
            }
            'h' if web_address(rest) > 0 => {
                let length = web_address(rest);
                out.push('<');
                out.push_str(&rest[..length]);
                out.push('>');
                // An address that is already in angle brackets keeps one pair.
                length + usize::from(strip_open_bracket(&mut out, length, &rest[length..]))
            }
            '\\' => {
                // An escape of the author's stays one; a lone backslash becomes visible.
                let next = rest[1..].chars().next().filter(char::is_ascii_punctuation);
                out.push('\\');
                out.push(next.unwrap_or('\\'));
                1 + next.map_or(0, char::len_utf8)
            }
            '<' | '>' | '[' | ']' => {
                out.push('\\');
                out.push(c);
                1
            }
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

/// Undoes the escaped `<` before an address when a `>` follows it, and says whether it did.
fn strip_open_bracket(out: &mut String, address: usize, rest: &str) -> bool {
    let start = out.len() - address - 2;
    let bracketed = rest.starts_with('>') && out[..start].ends_with("\\<");
    if bracketed {
        out.replace_range(start - 2..start, "");
    }
    bracketed
}

/// The length of the code span that `text` starts with, when its run of backticks is closed on the
/// same line: on the next, it might be taken for the start of a block.
fn code_span(text: &str, run: usize) -> Option<usize> {
    let text = text.lines().next().unwrap_or_default();
    let mut at = run;
    while let Some(found) = text[at..].find('`') {
        let start = at + found;
        let length = text[start..].len() - text[start..].trim_start_matches('`').len();
        if length == run {
            return Some(start + length);
        }
        at = start + length;
    }
    None
}

/// The length of the web address that `text` starts with, without the punctuation that ends the
/// sentence it is in; 0 for none.
fn web_address(text: &str) -> usize {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| text.starts_with(scheme));
    let Some(scheme) = scheme else { return 0 };
    let end = text.find(|c: char| c.is_whitespace() || "<>`[]\\\"()".contains(c));
    let address =
        text[..end.unwrap_or(text.len())].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']);
    if address.len() > scheme.len() {
        address.len()
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::documentation;

    fn one(comment: &str) -> String {
        documentation(comment).join("\n")
    }

    #[test]
    fn prose_is_left_alone() {
        assert_eq!(
            one(" Looks an item up.\n\n Costs *nothing*: see `Item[0]`.\n"),
            "Looks an item up.\n\nCosts *nothing*: see `Item[0]`."
        );
    }

    #[test]
    fn fences_are_text_and_are_closed() {
        assert_eq!(
            one(" ```rust\n panic!()\n ```\n after"),
            "```text\npanic!()\n```\nafter"
        );
        assert_eq!(one(" ~~~\n let x = [1];"), "~~~text\nlet x = [1];\n~~~");
        assert_eq!(one(" ````\n ```\n ````"), "````text\n```\n````");
    }

    #[test]
    fn fences_in_lists_and_quotes_are_no_code() {
        assert_eq!(
            one(" - ```rust\n   panic!()\n   ```\n after"),
            "- \\`\\`\\`rust\n  panic!()\n```text\nafter\n```"
        );
        assert_eq!(
            one(" > ```\n > panic!()\n > ```"),
            "\\> \\`\\`\\`\n\\> panic!()\n\\> \\`\\`\\`"
        );
        assert_eq!(
            one(" -      panic!()\n 1)      panic!()"),
            "- panic!()\n1) panic!()"
        );
        assert_eq!(one(" * ~~~\n x"), "* \\~\\~\\~\nx");
    }

    #[test]
    fn indented_blocks_are_no_code() {
        assert_eq!(
            one(" As in\n\n     assert!(false);\n"),
            "As in\n\n   assert!(false);"
        );
        assert_eq!(
            one(" As in\n\n\t\tassert!(false);\n"),
            "As in\n\n   assert!(false);"
        );
    }

    #[test]
    fn links_and_html_are_inert() {
        assert_eq!(
            one("[Foo] and [x](y) and <T> and Vec<u8>"),
            r"\[Foo\] and \[x\](y) and \<T\> and Vec\<u8\>"
        );
        assert_eq!(one(r"\[ok\] and \n"), r"\[ok\] and \\n");
        assert_eq!(one("`a` and ` b"), r"`a` and \` b");
        assert_eq!(one("``a ` b`` [c]"), r"``a ` b`` \[c\]");
    }

    #[test]
    fn web_addresses_stay_links() {
        assert_eq!(
            one("See https://example.com/a?b=1."),
            "See <https://example.com/a?b=1>."
        );
        assert_eq!(one("(<http://example.com>)"), "(<http://example.com>)");
        assert_eq!(
            one("[x](https://example.com)"),
            r"\[x\](<https://example.com>)"
        );
        assert_eq!(one("https:// alone"), "https:// alone");
    }

    #[test]
    fn control_characters_are_dropped() {
        assert_eq!(one("a\u{202E}b\u{7}c\r"), "abc");
    }
}
