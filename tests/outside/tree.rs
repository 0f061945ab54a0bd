//! A real tree of schemas through the generator, and what it emits through the compiler:
//! `cargo run -p daemoneye-ipc-tests --example schema-tree -- FOLDER [FOLDER-IN-IT-TO-LEAVE-OUT…]`.
//!
//! Prints what was in it and how long each step took. Fails with what the generator or the compiler
//! says.
//!
//! **Invariant**: writes to a temporary folder and to cargo's target folder alone.
#![expect(clippy::print_stdout, reason = "its report goes to standard output")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use daemoneye_ipc_codegen::load::load;
use daemoneye_ipc_codegen::model::Schema;
use daemoneye_ipc_codegen::{Generated, Generator};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(folder) = arguments.next() else {
        eprintln!("error: name a folder of .proto files, and folders in it to leave out");
        return ExitCode::FAILURE;
    };
    let left_out: Vec<PathBuf> = arguments.map(|left_out| folder.join(left_out)).collect();
    match run(&folder, &left_out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path, left_out: &[PathBuf]) -> anyhow::Result<()> {
    let mut protos = Vec::new();
    find_protos(folder, left_out, &mut protos)?;
    ensure!(!protos.is_empty(), "no .proto file in {}", folder.display());
    println!("{}: {} files", folder.display(), protos.len());
    let start = Instant::now();
    let loaded = load(&protos, &[folder.to_path_buf()])?;
    println!("{:8.1} s  parsed and linked", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let generated = Generator::new()
        .module_tree("lib.rs")
        .generate_loaded(&loaded)?;
    println!("{:8.1} s  generated", start.elapsed().as_secs_f64());
    println!("{:12}{}", "", contents(&generated.schema));
    let start = Instant::now();
    check(&generated)?;
    println!(
        "{:8.1} s  checked by the compiler, with the runtime if it was not built yet",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn contents(schema: &Schema) -> String {
    let sum = |count: fn(&daemoneye_ipc_codegen::model::Package) -> usize| -> usize {
        schema.packages.iter().map(count).sum()
    };
    format!(
        "{} packages, {} messages, {} enums, {} services with {} methods",
        schema.packages.len(),
        sum(|package| package.messages.len()),
        sum(|package| package.enums.len()),
        sum(|package| package.services.len()),
        schema
            .services()
            .map(|service| service.methods.len())
            .sum::<usize>(),
    )
}

/// Builds a crate that holds all of it.
fn check(generated: &Generated) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("src");
    fs::create_dir(&source)?;
    let mut lines = 0;
    for file in &generated.files {
        lines += file.content.lines().count();
        fs::write(source.join(&file.name), &file.content)?;
    }
    println!("{:12}{lines} lines of Rust", "");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the folder of the workspace")?;
    let manifest = format!(
        "[package]\nname = \"schema-tree-check\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [dependencies]\ndaemoneye-ipc = {{ path = {:?} }}\n\n\
         [workspace]\n\n[lints.rust]\nwarnings = \"deny\"\n\n[profile.dev]\ndebug = false\nincremental = false\n",
        workspace.join("runtime"),
    );
    fs::write(folder.path().join("Cargo.toml"), manifest)?;
    fs::copy(
        workspace.join("Cargo.lock"),
        folder.path().join("Cargo.lock"),
    )?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), PathBuf::from);
    let status = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline"])
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", target.join("tmp/outside-target"))
        .status()?;
    if !status.success() {
        bail!("the emitted code does not compile");
    }
    Ok(())
}

fn find_protos(
    folder: &Path,
    left_out: &[PathBuf],
    found: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    paths.retain(|path| !left_out.contains(path));
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find_protos(&path, left_out, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            found.push(path);
        }
    }
    Ok(())
}
