//! The rules of evolution: one folder of examples per rule, and schemas made and changed by chance, judged beside buf.
//!
//! **Invariant**: what buf would say is buf's own word, or its rule's example; nothing here repeats a rule.

mod buf;
mod differential;
mod examples;
mod grow;
mod moves;
mod mutate;
mod purge;
mod schema;

use std::fs;
use std::path::Path;

use daemoneye_ipc_codegen::image::Image;
use daemoneye_ipc_codegen::rules::Finding;
use daemoneye_ipc_codegen::rules::config::{Config, Module};

/// Buf's categories.
const CATEGORIES: [&str; 5] = ["FILE", "PACKAGE", "WIRE_JSON", "WIRE", "CSR"];

/// A configuration of these rules and categories for the schemas in `root`.
fn using(root: &Path, names: &[&str]) -> Config {
    let mut module = Module::at(root);
    module.breaking.used = names.iter().map(|name| (*name).to_owned()).collect();
    Config::of(vec![module])
}

fn image(root: &Path) -> Image {
    let image = using(root, &[]).image();
    image.unwrap_or_else(|error| panic!("{}: {error}", root.display()))
}

/// What the rules say of the schemas in two folders.
fn compare(new: &Path, old: &Path, names: &[&str]) -> Vec<Finding> {
    let config = using(new, names);
    daemoneye_ipc_codegen::evolution::check(&image(new), &image(old), &config).expect("rules")
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    fs::write(path, text).expect("a file");
}
