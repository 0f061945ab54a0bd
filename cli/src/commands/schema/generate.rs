//! `schema generate`: writes the code generated from schemas, or checks that it is fresh.
//!
//! **Invariant**: the work is the generator library's; `--check` writes nothing.

use daemoneye_ipc_codegen::project::{Project, Staleness, Written};
use serde_json::{Value, json};

use crate::{args::SchemaGenerate, failure::Failure, output::Output};

/// Exit code of `--check` when something is out of date.
const STALE: u8 = 1;

/// Runs the command; 0 when all is written or fresh.
pub(crate) fn run(args: SchemaGenerate) -> Result<u8, Failure> {
    let mut out = Output::stdout(args.json);
    let project = match &args.out {
        Some(folder) => Project::single(&args.schemas, folder),
        None => Project::open(&args.schemas)?,
    };
    if args.check {
        let staleness = project.check()?;
        out.line(&staleness)?;
        out.json_unless_text(|| staleness_json(&staleness))?;
        return Ok(if staleness.is_fresh() { 0 } else { STALE });
    }
    let written = project.write()?;
    out.line(&written)?;
    out.json_unless_text(|| written_json(&written))?;
    Ok(0)
}

fn staleness_json(staleness: &Staleness) -> Value {
    let stale: Vec<_> = staleness
        .stale
        .iter()
        .map(|(path, diff)| json!({ "file": path, "diff": diff }))
        .collect();
    json!({
        "command": "schema generate --check",
        "fresh": staleness.is_fresh(),
        "stale": stale,
        "orphans": staleness.orphans,
    })
}

fn written_json(written: &Written) -> Value {
    json!({
        "command": "schema generate",
        "changed": written.changed,
        "removed": written.removed,
        "unchanged": written.unchanged,
    })
}
