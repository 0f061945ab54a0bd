//! Schemas that went wrong by chance: real ones, changed at random. The generator answers each with code or with an error,
//! never with a panic, and its code is Rust.
//!
//! `MUTATIONS=20000 SEED=7 cargo test -p daemoneye-ipc-tests --test mutations` tries others, and more; with `KEEP=folder`,
//! what was generated is left there as a library of modules, to be compiled.
//!
//! **Invariant**: a case follows from its seed, which the failure tells, and from the schemas of this repository.

mod mutate;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use daemoneye_ipc_codegen::{Error, Generated, Generator};

/// A folder of schemas: names and texts.
type Set = Vec<(String, Vec<u8>)>;

/// What an error says when the generator, and not the schema, is at fault.
const FAULTS: [&str; 4] = [
    "does not parse",
    "fault of the generator",
    "have no Rust form in prost",
    "extern path maps",
];

fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// The schemas of the product, and those of each golden folder.
fn sets() -> Vec<Set> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = fs::read_dir(here.join("golden")).expect("the golden folders");
    let mut folders: Vec<PathBuf> = golden
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.push(here.join("../schemas"));
    folders.sort();
    let sets = folders.iter().map(|folder| {
        let mut set = Set::new();
        collect(folder, folder, &mut set);
        set.sort();
        set
    });
    sets.collect()
}

fn collect(root: &Path, folder: &Path, set: &mut Set) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, set);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            let name = path
                .strip_prefix(root)
                .expect("below")
                .display()
                .to_string();
            set.push((name, fs::read(&path).expect("a schema")));
        }
    }
}

/// Writes the set to a folder of its own, and generates.
fn generate(set: &Set) -> Result<Generated, Error> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut protos = Vec::new();
    for (name, text) in set {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, text).expect("a file");
        protos.push(path);
    }
    Generator::new().generate(&protos, &[folder.path()])
}

/// What is wrong with how the generator took a set, if anything.
fn fault(set: &Set) -> Result<Option<Generated>, String> {
    let result = catch_unwind(AssertUnwindSafe(|| generate(set))).map_err(|_| "a panic")?;
    let generated = match result {
        Ok(generated) => generated,
        Err(error) => {
            let text = error.to_string();
            let fault = FAULTS.iter().any(|fault| text.contains(fault));
            return if fault { Err(text) } else { Ok(None) };
        }
    };
    for file in &generated.files {
        if let Err(error) = syn::parse_file(&file.content) {
            return Err(format!("{} is no Rust: {error}", file.name));
        }
    }
    Ok(Some(generated))
}

/// Leaves the generated code in `folder`, in a module of that number.
fn keep(folder: &Path, number: u64, generated: &Generated) -> std::io::Result<()> {
    let module = folder.join(format!("m{number}"));
    fs::create_dir_all(&module)?;
    for file in &generated.files {
        fs::write(module.join(&file.name), &file.content)?;
    }
    let path = folder.join("lib.rs");
    let lib = fs::read_to_string(&path).unwrap_or_default();
    fs::write(
        path,
        format!("{lib}#[path = \"m{number}/schema.rs\"] mod m{number};\n"),
    )
}

#[test]
fn schemas_changed_at_random_are_code_or_an_error() {
    let (cases, first) = (number("MUTATIONS", 200), number("SEED", 1));
    let sets = sets();
    let (mut good, mut bad) = (0, 0);
    for seed in first..first + cases {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut set = sets[random.usize(..sets.len())].clone();
        let (name, text) = {
            let at = random.usize(..set.len());
            let (name, text) = &mut set[at];
            *text = mutate::mutated(text, &mut random);
            (name.clone(), text.clone())
        };
        match fault(&set) {
            Ok(Some(generated)) => {
                good += 1;
                if let Some(folder) = std::env::var_os("KEEP") {
                    keep(Path::new(&folder), seed, &generated).expect("kept");
                    fs::write(
                        Path::new(&folder).join(format!("m{seed}/changed.proto")),
                        &text,
                    )
                    .expect("kept");
                }
            }
            Ok(None) => bad += 1,
            Err(fault) => panic!(
                "seed {seed}: {fault}\nfor {name}:\n{}",
                String::from_utf8_lossy(&text)
            ),
        }
    }
    // Neither all nor nothing may be refused, else the cases would say little.
    assert!(
        good > cases / 20 && bad > cases / 20,
        "{good} good, {bad} bad"
    );
}

#[test]
fn the_schemas_as_they_are_are_all_code() {
    for set in sets() {
        assert!(fault(&set).expect("no fault").is_some(), "{}", set[0].0);
    }
}
