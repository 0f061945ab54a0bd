//! Headers, sizes, names, and what may not be in the repository at all.
//!
//! **Invariant**: lines are those of the file as it is; test code may be as long as it needs to be.

use syn::{ImplItem, Item, ItemMod, Signature, TraitItem, spanned::Spanned};

use crate::{
    Finding,
    source::{File, Parsed},
};

const MAX_FILE_LINES: usize = 600;
const MAX_FUNCTION_LINES: usize = 60;

/// File names that say nothing.
const EMPTY_NAMES: &[&str] = &["util.rs", "utils.rs", "common.rs", "helpers.rs", "misc.rs"];

/// Marks of work that is not done. Split, so that this file does not hold them.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];

/// Folders of one machine. Split for the same reason.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
];

/// Rules for every text file.
pub(crate) fn check_text(file: &File, found: &mut Vec<Finding>) {
    if file.path == "Cargo.lock" {
        return;
    }
    for (index, line) in file.text.lines().enumerate() {
        let mut find = |rule, text: String| {
            found.push(Finding {
                path: file.path.clone(),
                line: index + 1,
                rule,
                text,
            });
        };
        for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
            find("unfinished", format!("`{mark}`: do it, or take it out"));
        }
        for path in MACHINE_PATHS.iter().filter(|path| line.contains(**path)) {
            find(
                "machine-path",
                format!("`{path}`: name no folder of one machine"),
            );
        }
    }
}

/// Rules for Rust that people write.
pub(crate) fn check_rust(file: &File, parsed: &Parsed, found: &mut Vec<Finding>) {
    let mut find = |line, rule, text: String| {
        found.push(Finding {
            path: file.path.clone(),
            line,
            rule,
            text,
        });
    };
    let header: Vec<&str> = file
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect();
    if !header.iter().any(|line| line.contains("**Invariant**")) {
        let text = "open the file with `//!`: what it owns, and **Invariant**: what it never does";
        find(1, "header", text.to_owned());
    }
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("//") && line.contains("```ignore") {
            let text = "an example that is not compiled goes stale: use `no_run`, or hidden lines";
            find(index + 1, "ignore", text.to_owned());
        }
    }
    let lines = file.text.lines().count() - parsed.test_lines;
    if lines > MAX_FILE_LINES && !file.is_test() {
        let text =
            format!("{lines} lines without tests, over {MAX_FILE_LINES}: split it by what it owns");
        find(1, "file-size", text);
    }
    let name = file.path.rsplit('/').next().unwrap_or_default();
    if EMPTY_NAMES.contains(&name) {
        find(
            1,
            "names",
            format!("`{name}` says nothing: name the file after what it owns"),
        );
    }
    check_tokens(parsed, &mut find);
    let mut functions = Vec::new();
    collect(&parsed.items, &mut functions);
    for Function {
        name,
        first,
        last,
        named_elsewhere,
    } in functions
    {
        let length = last - first + 1;
        if name.starts_with("get_") && !named_elsewhere {
            let text = format!("`{name}`: leave out `get_`, as the Rust API guidelines do");
            find(first, "names", text);
        }
        if length > MAX_FUNCTION_LINES && !file.is_test() {
            let text =
                format!("`{name}` has {length} lines, over {MAX_FUNCTION_LINES}: name its steps");
            find(first, "function-size", text);
        }
    }
}

fn check_tokens(parsed: &Parsed, find: &mut impl FnMut(usize, &'static str, String)) {
    for window in parsed.tokens.windows(4) {
        let texts: Vec<&str> = window.iter().map(|token| token.text.as_str()).collect();
        let line = window[0].line;
        match texts[..] {
            [name @ ("unimplemented" | "todo"), "!", "(", _] => {
                find(
                    line,
                    "unfinished",
                    format!("`{name}!`: do it, or refuse with an error"),
                );
            }
            ["#", "[", "ignore", _] => {
                let text = "a test that is not run shows nothing: make it run, or take it out";
                find(line, "ignore", text.to_owned());
            }
            ["thread", ":", ":", "sleep"] => {
                let text = "`thread::sleep`: wait for the condition instead";
                find(line, "sleep", text.to_owned());
            }
            _ => {}
        }
    }
}

/// A function with a body.
struct Function {
    name: String,
    /// The line of `fn`.
    first: usize,
    /// The line of the closing brace.
    last: usize,
    /// A trait's method is named where the trait is, which may be a schema.
    named_elsewhere: bool,
}

fn function(signature: &Signature, body: &syn::Block, named_elsewhere: bool) -> Function {
    Function {
        name: signature.ident.to_string(),
        first: signature.fn_token.span().start().line,
        last: body.brace_token.span.close().end().line,
        named_elsewhere,
    }
}

/// All functions with a body, those inside of others left out.
fn collect(items: &[Item], functions: &mut Vec<Function>) {
    for item in items {
        match item {
            Item::Fn(item) => functions.push(function(&item.sig, &item.block, false)),
            Item::Mod(ItemMod {
                content: Some((_, items)),
                ..
            }) => collect(items, functions),
            Item::Impl(block) => {
                let named_elsewhere = block.trait_.is_some();
                functions.extend(block.items.iter().filter_map(|item| match item {
                    ImplItem::Fn(item) => Some(function(&item.sig, &item.block, named_elsewhere)),
                    _ => None,
                }));
            }
            Item::Trait(definition) => {
                functions.extend(definition.items.iter().filter_map(|item| match item {
                    TraitItem::Fn(item) => Some(function(&item.sig, item.default.as_ref()?, false)),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
}
