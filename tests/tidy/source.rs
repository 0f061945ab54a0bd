//! The files of the repository, and Rust without its test modules.
//!
//! **Invariant**: reads; decides nothing. Build output and hidden folders other than `.ci` are not read.

use std::{fs, path::Path};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Item};

use crate::Finding;

/// A text file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// From the workspace's folder, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A Rust file as the compiler sees it, test modules left out.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) items: Vec<Item>,
    /// All tokens, flat: groups have been opened, their delimiters are tokens too.
    pub(crate) tokens: Vec<Token>,
    /// Lines that are test modules.
    pub(crate) test_lines: usize,
}

/// An identifier, a punctuation mark, a delimiter or a literal.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file holds tests and nothing else.
    pub(crate) fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part == "tests" || part == "tests.rs")
            && !self.path.starts_with("tests/conformance/")
    }

    pub(crate) fn parse(&self) -> Result<Parsed, Finding> {
        let file = syn::parse_file(&self.text).map_err(|error| Finding {
            path: self.path.clone(),
            line: error.span().start().line,
            rule: "syntax",
            text: format!("{error}: make it compile"),
        })?;
        let mut test_lines = 0;
        let items = without_tests(file.items, &mut test_lines);
        let mut tokens = Vec::new();
        for item in &items {
            flatten(item.to_token_stream(), &mut tokens);
        }
        Ok(Parsed {
            items,
            tokens,
            test_lines,
        })
    }
}

fn without_tests(items: Vec<Item>, lines: &mut usize) -> Vec<Item> {
    let mut kept = Vec::new();
    for item in items {
        match item {
            Item::Mod(module) if module.attrs.iter().any(is_cfg_test) => {
                if let Some((brace, _)) = &module.content {
                    let (open, close) = (brace.span.open().start(), brace.span.close().end());
                    *lines += close.line - open.line + 1;
                }
            }
            Item::Mod(mut module) => {
                module.content = module
                    .content
                    .map(|(brace, items)| (brace, without_tests(items, lines)));
                kept.push(Item::Mod(module));
            }
            item => kept.push(item),
        }
    }
    kept
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|path| path.is_ident("test"))
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let token = |text: String, span: proc_macro2::Span| Token {
            text,
            line: span.start().line,
        };
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                tokens.push(token(open.to_owned(), group.span_open()));
                flatten(group.stream(), tokens);
                tokens.push(token(close.to_owned(), group.span_close()));
            }
            TokenTree::Ident(ident) => tokens.push(token(ident.to_string(), ident.span())),
            TokenTree::Punct(punct) => tokens.push(token(punct.to_string(), punct.span())),
            TokenTree::Literal(literal) => tokens.push(token(String::new(), literal.span())),
        }
    }
}

/// All text files of the repository, in the order of their paths.
pub(crate) fn read(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    walk(root, "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(root: &Path, folder: &str, files: &mut Vec<File>) {
    let entries = fs::read_dir(root.join(folder)).expect("a folder of the repository");
    for entry in entries {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let path = format!("{folder}{name}");
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() {
            // A target folder may have any name; cargo marks it.
            let is_output = name == "target" || entry.path().join("CACHEDIR.TAG").exists();
            if !is_output && (!name.starts_with('.') || name == ".ci") {
                walk(root, &format!("{path}/"), files);
            }
        } else if kind.is_file()
            // In a worktree it is a file, and names a folder of the machine.
            && name != ".git"
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(File { path, text });
        }
    }
}
