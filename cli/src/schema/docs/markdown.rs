//! Comments as HTML. People write them in Markdown, or in plain text that looks much the same.
//!
//! **Invariant**: no markup of a comment's own, no images, no headings that would tear the page apart, and no links but to
//! the web, to mail, and to elements.

use daemoneye_ipc_codegen::image::Comments;
use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

/// What may start the address of a link.
const SCHEMES: [&str; 3] = ["https://", "http://", "mailto:"];
/// How much of a comment is a summary, in characters.
const SUMMARY: usize = 160;

/// Finds the address of an element by a name in a comment.
pub(crate) type Resolve<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The text of an element's comments: what stands before it, and behind it.
pub(crate) fn text(comments: Option<&Comments>) -> String {
    let Some(comments) = comments else {
        return String::new();
    };
    let parts = [&comments.leading, &comments.trailing].map(|part| dedented(part));
    let parts: Vec<&str> = parts.iter().map(|part| part.trim()).collect();
    parts.join("\n\n").trim().to_owned()
}

/// Lines without the space behind the comment sign, and without what is said to the linter.
fn dedented(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("buf:lint:ignore"))
        .collect();
    let depth = |line: &&str| line.len() - line.trim_start_matches(' ').len();
    let filled = lines.iter().copied().filter(|line| !line.trim().is_empty());
    let depth = filled.clone().map(|line| depth(&line)).min().unwrap_or(0);
    let lines = lines
        .iter()
        .map(|line| line.get(depth..).unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// A comment as HTML.
pub(crate) fn html(text: &str, resolve: Resolve<'_>) -> String {
    let mut known = |link: BrokenLink<'_>| {
        let address = resolve(&link.reference)?;
        Some((CowStr::from(address), CowStr::from("")))
    };
    let parser =
        Parser::new_with_broken_link_callback(text, Options::ENABLE_TABLES, Some(&mut known));
    let mut links = Vec::new();
    let mut events = Vec::new();
    for event in parser {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => events.push(Event::Text(text)),
            Event::Start(Tag::HtmlBlock) => events.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => events.push(Event::End(TagEnd::Paragraph)),
            Event::Start(Tag::Heading { .. }) => {
                events.extend([Event::Start(Tag::Paragraph), Event::Start(Tag::Strong)]);
            }
            Event::End(TagEnd::Heading(_)) => {
                events.extend([Event::End(TagEnd::Strong), Event::End(TagEnd::Paragraph)]);
            }
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => {}
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                ..
            }) => {
                let kept = is_allowed(link_type, &dest_url);
                links.push(kept);
                if kept {
                    let mail = link_type == LinkType::Email;
                    let mail = mail.then(|| format!("mailto:{dest_url}").into());
                    events.push(link(mail.unwrap_or(dest_url)));
                }
            }
            Event::End(TagEnd::Link) => {
                if links.pop() == Some(true) {
                    events.push(event);
                }
            }
            Event::Code(name) => match resolve(&name).filter(|_| links.is_empty()) {
                Some(address) => {
                    events.extend([link(address.into()), Event::Code(name)]);
                    events.push(Event::End(TagEnd::Link));
                }
                None => events.push(Event::Code(name)),
            },
            other => events.push(other),
        }
    }
    let mut html = String::new();
    html::push_html(&mut html, events.into_iter());
    html
}

fn link(address: CowStr<'_>) -> Event<'_> {
    Event::Start(Tag::Link {
        link_type: LinkType::Inline,
        dest_url: address,
        title: CowStr::from(""),
        id: CowStr::from(""),
    })
}

/// Addresses of elements come from [`Resolve`], as links that the comment itself gives no address for.
fn is_allowed(link_type: LinkType, address: &str) -> bool {
    let own = matches!(
        link_type,
        LinkType::ReferenceUnknown | LinkType::CollapsedUnknown | LinkType::ShortcutUnknown
    );
    let mail = link_type == LinkType::Email;
    let lower = address.to_ascii_lowercase();
    own || mail || SCHEMES.iter().any(|scheme| lower.starts_with(scheme))
}

/// The first sentence of a comment, without markup.
pub(crate) fn summary(text: &str) -> String {
    let mut summary = String::new();
    for event in Parser::new(text) {
        match event {
            Event::Text(part) | Event::Code(part) | Event::Html(part) | Event::InlineHtml(part) => {
                summary.push_str(&part);
            }
            Event::SoftBreak | Event::HardBreak => summary.push(' '),
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::Heading(_)) => break,
            _ => {}
        }
    }
    if let Some(end) = summary.find(". ") {
        summary.truncate(end + 1);
    }
    if let Some((cut, _)) = summary.char_indices().nth(SUMMARY) {
        summary.truncate(cut);
        summary.push('…');
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        html(text, &|name| {
            (name == "Thing" || name == "a.v1.Thing").then(|| "a.v1.html#Thing".to_owned())
        })
    }

    #[test]
    fn what_a_comment_says_is_no_markup() {
        for hostile in [
            "<script>alert(1)</script>",
            "text <img src=x onerror=alert(1)> text",
            "<b onclick='x'>\n\n# <i>",
            "![<script>](https://example.com/x.png)",
            "[`<script>`](javascript:alert(1))",
            "<javascript:alert(1)>",
            "[a](JaVaScRiPt:alert`1`)",
            "[a]( \tjavascript:alert(1))",
            "[a][b]\n\n[b]: javascript:alert(1) \"<script>\"",
            "[a](data:text/html,<script>alert(1)</script>)",
            "[a](vbscript:x)",
            "[a](//example.com)",
            "```html\n<script>\n```",
            "| <script> | b |\n|---|---|\n| [c](javascript:d) | <img src=x> |",
            "&lt;script&gt; &#60;script&#62;",
            "[a](https://example.com/\"onmouseover=\"alert(1))",
        ] {
            let shown = shown(hostile);
            for (at, _) in shown.match_indices('<') {
                let tag = &shown[at..];
                let plain = [
                    "<p>",
                    "</p>",
                    "<strong>",
                    "</strong>",
                    "<code>",
                    "</code>",
                    "</a>",
                    "<pre>",
                    "</pre>",
                    "<table>",
                    "</table>",
                    "<thead>",
                    "</thead>",
                    "<tbody>",
                    "</tbody>",
                    "<tr>",
                    "</tr>",
                    "<th>",
                    "</th>",
                    "<td>",
                    "</td>",
                    "<code class=\"language-html\">",
                    "<a href=\"https://example.com/",
                ];
                assert!(
                    plain.iter().any(|plain| tag.starts_with(plain)),
                    "{hostile}\n{shown}"
                );
            }
            assert!(
                !shown.contains("href=\"j") && !shown.contains("href=\"d"),
                "{shown}"
            );
            assert!(!shown.contains("\"onmouseover"), "{shown}");
        }
    }

    #[test]
    fn elements_are_linked_where_they_are_named() {
        let link = "<a href=\"a.v1.html#Thing\">";
        for (text, expected) in [
            ("`Thing`", format!("<p>{link}<code>Thing</code></a></p>\n")),
            ("[it][a.v1.Thing]", format!("<p>{link}it</a></p>\n")),
            ("[Thing]", format!("<p>{link}Thing</a></p>\n")),
            (
                "`Other` [Other]",
                "<p><code>Other</code> [Other]</p>\n".to_owned(),
            ),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn lists_of_plain_comments_stay_lists() {
        let comments = Comments {
            leading: " One of\n\n  * this,\n  * that.\n buf:lint:ignore X because\n".to_owned(),
            ..Comments::default()
        };
        let text = text(Some(&comments));
        assert_eq!(text, "One of\n\n * this,\n * that.");
        assert_eq!(summary(&text), "One of");
        assert!(shown(&text).contains("<li>this,</li>"));
        assert_eq!(summary("A `B` thing. More of it."), "A B thing.");
    }
}
