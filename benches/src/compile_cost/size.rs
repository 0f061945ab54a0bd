//! Dependencies, generated lines and the size of the program.
//!
//! **Invariant**: lines are counted after one formatter has laid all of them out, without blanks and
//! comments.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use super::{build::Cargo, door::Door, table::Table};

/// Counts the crates that are compiled, and those of them that end up in the program.
pub(crate) async fn dependencies(
    door: Door,
    crate_: &Path,
    cargo: &Cargo,
    table: &mut Table,
) -> anyhow::Result<()> {
    let runtime = door.runtime();
    let all = cargo.tree(crate_, "normal,build", "depot").await?;
    for (row, edges, package) in [
        ("crates to build", "normal,build", "depot"),
        ("crates in the program", "normal,no-proc-macro", "depot"),
        ("crates of the runtime alone", "normal,build", runtime),
    ] {
        let packages = cargo.tree(crate_, edges, package).await?;
        table.add_count(door, row, packages.len().saturating_sub(1));
    }
    let kept = [
        "daemoneye-ipc",
        "prost",
        "protobuf",
        "tokio",
        "tonic",
        "ttrpc",
        "ttrpc-codegen",
    ];
    let named = |line: &&String| {
        line.split(' ')
            .next()
            .is_some_and(|name| kept.contains(&name))
    };
    table.note(door, all.iter().filter(named).cloned().collect());
    Ok(())
}

/// Counts what the build script has written. The attribute writes no files.
pub(crate) fn generated_lines(door: Door, crate_: &Path, table: &mut Table) -> anyhow::Result<()> {
    if door == Door::Attribute {
        return Ok(());
    }
    let mut files = rust_files(&crate_.join("src/generated"))?;
    let build = crate_.join("target/release/build");
    for entry in fs::read_dir(&build).with_context(|| format!("cannot read {}", build.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("depot-") {
            files.extend(rust_files(&entry.path().join("out"))?);
        }
    }
    ensure!(
        !files.is_empty(),
        "{} has no generated code",
        crate_.display()
    );
    let mut lines = 0;
    for path in files {
        lines += code_lines(&path)?;
    }
    table.add_count(door, "generated lines", lines);
    Ok(())
}

fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let paths = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    let rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    Ok(paths.into_iter().filter(rust).collect())
}

fn code_lines(path: &Path) -> anyhow::Result<usize> {
    let text = fs::read_to_string(path)?;
    let file =
        syn::parse_file(&text).with_context(|| format!("cannot parse {}", path.display()))?;
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    Ok(prettyplease::unparse(&file)
        .lines()
        .map(str::trim)
        .filter(is_code)
        .count())
}

/// Weighs the program of the release build.
pub(crate) async fn program(door: Door, crate_: &Path, table: &mut Table) -> anyhow::Result<()> {
    let program = crate_.join("target/release/depot");
    let stripped = crate_.join("target/release/depot-stripped");
    let status = tokio::process::Command::new("strip")
        .arg("-o")
        .args([&stripped, &program])
        .status()
        .await
        .context("cannot start strip (it comes with the linker, in binutils)")?;
    ensure!(status.success(), "strip has failed");
    table.add_count(door, "program, KiB", kib(&program)?);
    table.add_count(door, "program, stripped, KiB", kib(&stripped)?);
    Ok(())
}

fn kib(path: &Path) -> anyhow::Result<usize> {
    Ok(usize::try_from(fs::metadata(path)?.len().div_ceil(1024))?)
}
