//! Writes `runtime/src/driver/handover.rs` and `src/world.rs` for the model: as they are, with loom's locks in place of the
//! real ones; and once for each mistake of a list, which the model has to find.
//!
//! **Invariant**: every text that is replaced is there once, so that no mistake is left out unseen.

use std::{env, fs, path::Path};

const SOURCE: &str = "../../runtime/src/driver/handover.rs";

/// What is named differently in the model.
const MODEL: &[(&str, &str)] = &[(
    "use std::{\n    sync::atomic::{AtomicBool, AtomicU64, Ordering},\n    task::Waker,\n};\n\nuse atomic_waker::AtomicWaker;\nuse parking_lot::{Mutex, MutexGuard};\n",
    "use std::task::Waker;\nuse crate::model::{AtomicBool, AtomicU64, AtomicWaker, Mutex, MutexGuard, Ordering};\n",
)];

/// A name, and what is wrong.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "wish_is_not_seen",
        "self.wanted.swap(true, Ordering::AcqRel);\n            let",
        "self.wanted.store(true, Ordering::SeqCst);\n            let",
    ),
    (
        "no_second_try",
        "self.wanted.swap(true, Ordering::AcqRel);\n            let reader = self.reader.try_lock()?;",
        "self.wanted.swap(true, Ordering::AcqRel);\n            let reader = None?;",
    ),
    (
        "given_back_too_late",
        "drop(reader);\n        if self.wanted.swap(false, Ordering::AcqRel) {\n            driver.wake();\n        }",
        "if self.wanted.swap(false, Ordering::AcqRel) {\n            driver.wake();\n        }\n        drop(reader);",
    ),
    (
        "quiet_for_ever",
        "self.is_quiet() && self.quiet.swap(false, Ordering::AcqRel)",
        "self.is_quiet() && !self.quiet.swap(false, Ordering::AcqRel)",
    ),
    (
        "no_look_behind",
        "if !has_more() {",
        "if !has_more() || cfg!(test) {",
    ),
    (
        "look_before_giving_back",
        "drop(held);\n        // Whoever queued meanwhile found the writer busy and relies on this look.\n        if !has_more() {\n            return Ok(Flush::Done);\n        }",
        "let more = has_more();\n        drop(held);\n        if !more {\n            return Ok(Flush::Done);\n        }",
    ),
];

fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(
        text.matches(from).count(),
        1,
        "{SOURCE} has to have once: {from}"
    );
    text.replace(from, to)
}

/// A source without the comment of its file, which what is included may not have.
fn read(path: &str) -> String {
    println!("cargo::rerun-if-changed={path}");
    let text = fs::read_to_string(path).expect("a source");
    let lines = text.lines().filter(|line| !line.starts_with("//!"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let world = read("src/world.rs");
    let real = MODEL
        .iter()
        .fold(read(SOURCE), |text, (from, to)| replace(&text, from, to));
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    let write = |name: &str, text: &str| {
        let path = Path::new(&out).join(format!("{name}.rs"));
        fs::write(path, format!("{text}{world}")).expect("a file");
    };
    write("real", &real);
    for (name, from, to) in MISTAKES {
        write(name, &replace(&real, from, to));
    }
}
