//! What may name what: the floors of the runtime, and the arrows between crates.
//!
//! **Invariant**: looks at tokens, never at comments; test modules may name anything.

use crate::{
    Finding,
    source::{File, Parsed, Token},
};

/// The floors of the runtime from the ground up. A module names none above its own.
const FLOORS: &[&[&str]] = &[
    &["wire"],
    &["session"],
    &["transport"],
    &["driver"],
    &["client", "server", "health", "introspection", "reflection"],
    &["observe", "testing"],
];

/// The runtime's vocabulary: named by all floors, and naming none above the session, whose faults
/// become errors.
const VOCABULARY: &[&str] = &[
    "access",
    "config",
    "descriptor",
    "error",
    "metadata",
    "status",
];

/// What sans-IO code may not name: runtimes, sockets, the clock.
const IO: &[&str] = &[
    "tokio",
    "tokio_util",
    "interprocess",
    "rustix",
    "libc",
    "net",
    "UnixStream",
    "UnixListener",
    "TcpStream",
    "SystemTime",
];

/// The product's crates, each with those it may name in its manifest.
const ARROWS: &[(&str, &[&str])] = &[
    ("codegen", &[]),
    ("macros", &["daemoneye-ipc-codegen"]),
    ("runtime", &["daemoneye-ipc-macros"]),
    ("generated", &["daemoneye-ipc"]),
    (
        "examples/procmond",
        &["daemoneye-ipc", "daemoneye-ipc-generated"],
    ),
    (
        "examples/daemoneye-agent",
        &["daemoneye-ipc", "daemoneye-ipc-generated", "procmond"],
    ),
];

/// Names of all crates of the product.
const CRATES: &[&str] = &[
    "daemoneye-ipc",
    "daemoneye-ipc-codegen",
    "daemoneye-ipc-generated",
    "daemoneye-ipc-macros",
    "daemoneye-cli",
    "daemoneye-agent",
    "ipc-conformance",
    "procmond",
];

pub(crate) fn check(file: &File, parsed: &Parsed, found: &mut Vec<Finding>) {
    if !file.path.starts_with("runtime/src/") {
        return forbid(
            file,
            parsed,
            &["interprocess"],
            "transport",
            TRANSPORT,
            found,
        );
    }
    let modules = modules(&file.path);
    let Some(top) = modules.first().map(String::as_str) else {
        return;
    };
    if top != "transport" {
        forbid(
            file,
            parsed,
            &["interprocess"],
            "transport",
            TRANSPORT,
            found,
        );
    }
    if matches!(top, "wire" | "session") {
        forbid(file, parsed, IO, "sans-io", SANS_IO, found);
        forbid_clock(file, parsed, found);
    }
    if let Some(floor) = floor(top) {
        for (line, named) in named_modules(&parsed.tokens, &modules) {
            if is_above(&named, floor) {
                found.push(Finding {
                    path: file.path.clone(),
                    line,
                    rule: "floors",
                    text: format!(
                        "`{top}` names `{named}`, a floor above it: pass what it needs as an argument, \
                         or move the code up"
                    ),
                });
            }
        }
    }
}

const TRANSPORT: &str = "belongs to runtime/src/transport alone: go through `transport::Link`";
const SANS_IO: &str = "has no place in sans-IO code: let the driver do it and hand in the result";

/// The floor of a module of the runtime; none for what is beside the floors.
fn floor(top: &str) -> Option<usize> {
    if VOCABULARY.contains(&top) {
        return Some(1);
    }
    FLOORS.iter().position(|floor| floor.contains(&top))
}

fn is_above(named: &str, floor: usize) -> bool {
    FLOORS
        .iter()
        .skip(floor + 1)
        .any(|above| above.contains(&named))
}

/// The module path of a file of the runtime: `runtime/src/session/server/calls.rs` is
/// `session`, `server`, `calls`.
fn modules(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("runtime/src/");
    path.trim_end_matches(".rs")
        .split('/')
        .filter(|part| !matches!(*part, "mod" | "lib"))
        .map(str::to_owned)
        .collect()
}

/// The top-level modules that paths through `crate`, `super` and `daemoneye_ipc` lead to.
fn named_modules(tokens: &[Token], modules: &[String]) -> Vec<(usize, String)> {
    let text = |at: usize| {
        tokens
            .get(at)
            .map_or("", |token: &Token| token.text.as_str())
    };
    let is_path_separator = |at: usize| text(at) == ":" && text(at + 1) == ":";
    let mut named = Vec::new();
    for start in 0..tokens.len() {
        if !matches!(text(start), "crate" | "daemoneye_ipc" | "super")
            || (start >= 2 && is_path_separator(start - 2) && text(start) == "super")
        {
            continue;
        }
        let mut at = start;
        let mut left = match text(start) {
            "super" => modules.len().saturating_sub(1),
            _ => 0,
        };
        while is_path_separator(at + 1) && text(at + 3) == "super" {
            left = left.saturating_sub(1);
            at += 3;
        }
        if left > 0 || !is_path_separator(at + 1) {
            continue;
        }
        for at in heads(tokens, at + 3) {
            named.push((tokens[at].line, tokens[at].text.clone()));
        }
    }
    named
}

/// Where the next segments of a path begin: one, or as many as a group of a `use` has.
fn heads(tokens: &[Token], at: usize) -> Vec<usize> {
    match tokens.get(at) {
        Some(token) if token.text == "{" => {}
        Some(_) => return vec![at],
        None => return Vec::new(),
    }
    let (mut heads, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => fresh = true,
            _ if depth == 1 && fresh => {
                heads.push(place);
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn forbid(
    file: &File,
    parsed: &Parsed,
    names: &[&str],
    rule: &'static str,
    advice: &str,
    found: &mut Vec<Finding>,
) {
    for token in &parsed.tokens {
        if names.contains(&token.text.as_str()) {
            found.push(Finding {
                path: file.path.clone(),
                line: token.line,
                rule,
                text: format!("`{}` {advice}", token.text),
            });
        }
    }
}

fn forbid_clock(file: &File, parsed: &Parsed, found: &mut Vec<Finding>) {
    for window in parsed.tokens.windows(4) {
        let texts: Vec<&str> = window.iter().map(|token| token.text.as_str()).collect();
        if texts == ["Instant", ":", ":", "now"] {
            found.push(Finding {
                path: file.path.clone(),
                line: window[0].line,
                rule: "sans-io",
                text: "`Instant::now` reads the clock: take the time as an argument".to_owned(),
            });
        }
    }
}

/// The arrows between crates, dependencies of their tests included.
pub(crate) fn check_manifests(files: &[File], found: &mut Vec<Finding>) {
    for (folder, allowed) in ARROWS {
        let path = format!("{folder}/Cargo.toml");
        let Some(file) = files.iter().find(|file| file.path == path) else {
            continue;
        };
        for named in dependencies(&file.text) {
            if CRATES.contains(&named.as_str()) && !allowed.contains(&named.as_str()) {
                found.push(Finding {
                    path: path.clone(),
                    line: 1,
                    rule: "arrows",
                    text: format!(
                        "{folder} may not depend on {named}: see the arrows in ARCHITECTURE.md"
                    ),
                });
            }
        }
    }
}

fn dependencies(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest");
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}
